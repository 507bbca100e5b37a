from typing import Annotated, Literal

import pytest
from pydantic import Field

from tests.imports import ROOT
from thaw.project import params
from thaw.project.errors import UserError


class Colours(params.Section):
    rate: Annotated[float, Field(gt=0)]
    name: Literal["red", "green"]
    sizes: list[int]
    weights: str | None


GOOD = "rate: 1e-3\n  name: red\n  sizes: [3, 5]\n  weights: null"


def load(tmp_path, text, section="colours"):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return params.load(Colours, section, path)


def test_reads_as_dvc_does(tmp_path):
    got = load(tmp_path, f"colours:\n  {GOOD}\n")
    assert got == Colours(rate=0.001, name="red", sizes=[3, 5], weights=None)
    assert load(tmp_path, f"colours:\n  {GOOD.replace('null', 'no')}\n").weights == "no"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rate: 1e-3", "rate: abc", "[colours.rate]: 'abc' does not fit: should be a valid number"),
        ("rate: 1e-3", "rate: 0", "[colours.rate]: 0 does not fit: should be greater than 0"),
        ("rate: 1e-3", "rate: true", "[colours.rate]: True does not fit: should be a valid number"),
        ("rate: 1e-3", "raet: 1e-3\n  rate: 1", "[colours.raet]: unknown key; did you mean rate?"),
        ("rate: 1e-3", "zzz: 1\n  rate: 1", "[colours.zzz]: unknown key; known are rate, name"),
        ("rate: 1e-3", "raet: 1e-3", "[colours.raet]: unknown key; did you mean rate?"),
        ("rate: 1e-3\n  ", "", "[colours.rate]: this key is missing"),
        ("red", "blue", "[colours.name]: 'blue' does not fit: should be 'red' or 'green'"),
        ("[3, 5]", "[3, x]", "[colours.sizes.1]: 'x' does not fit: should be a valid integer"),
        ("[3, 5]", "3", "[colours.sizes]: 3 does not fit: should be a valid list"),
    ],
)
def test_a_wrong_key_is_named_in_one_line(tmp_path, old, new, message):
    with pytest.raises(UserError) as error:
        load(tmp_path, f"colours:\n  {GOOD.replace(old, new)}\n")
    assert f"params.yaml {message}" in str(error.value)
    assert "\n" not in str(error.value)


class Frame(params.Section):
    width: int
    material: str


class Image(params.Section):
    frame: Frame


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("widht: 1, material: oak", "[image.frame.widht]: unknown key; did you mean width?"),
        ("zzz: 1, width: 1, material: oak", "[image.frame.zzz]: unknown key; known are width, m"),
        ("width: 1", "[image.frame.material]: this key is missing"),
        ("width: x, material: oak", "[image.frame.width]: 'x' does not fit: should be a valid"),
    ],
)
def test_a_wrong_key_of_a_section_in_a_section_is_named(tmp_path, keys, message):
    (tmp_path / "params.yaml").write_text(f"image:\n  frame: {{{keys}}}\n")
    with pytest.raises(UserError) as error:
        params.load(Image, "image", tmp_path / "params.yaml")
    assert f"params.yaml {message}" in str(error.value)


@pytest.mark.parametrize("text", ["colours:\n", "shapes:\n  a: 1\n", "colours: 3\n"])
def test_a_missing_section_is_named(tmp_path, text):
    with pytest.raises(UserError, match=r"\[colours\]: this section is missing"):
        load(tmp_path, text)


@pytest.mark.parametrize("text", ["colours: [", "colours:\n  a: 1\n  a: 2\n"])
def test_broken_yaml_is_named(tmp_path, text):
    with pytest.raises(UserError, match="not valid YAML"):
        load(tmp_path, text)


def test_no_file(tmp_path):
    with pytest.raises(UserError, match="run from the project's root"):
        params.load(Colours, "colours", tmp_path / "params.yaml")


def test_every_key_of_params_yaml_has_a_comment():
    lines = (ROOT / "params.yaml").read_text().splitlines()
    keys = [i for i, line in enumerate(lines) if line.startswith("  ") and line.lstrip()[0] != "#"]
    assert len(keys) > 20
    assert [lines[i] for i in keys if not lines[i - 1].lstrip().startswith("#")] == []


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "digits": "a: " + "9" * 5_000,
    "large": "a: 99999999999999999999",
    "hexadecimal": "a: 0x" + "f" * 5_000,
    "as a key": "9999999999999999999999: 1",
    "nested": "a: " + "[" * 20_000,
    "nested maps": "".join(f"{' ' * n}a:\n" for n in range(3_000)),
    "laughs": laughs(12),
    "loop": "a: &a [*a]",
    "tab": "colours:\n\trate: 1",
    "date": "a: 2001-99-99",
    "object": "a: !!python/object/apply:os.system ['touch oh']",
    "no number": "a: !!int x",
    "no float": "a: !!float x",
    "keys": "? [[a], {b: c}]\n: 1",
    "list": "- a\n- b",
    "two documents": "a: 1\n---\nb: 2",
    "control": "a: \x01",
    "no UTF-8": b"a: \xff",
    "nothing": "",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_settings_have_is_one_line(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content = HOSTILE[name]
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"^params\.yaml (is|has)") as error:
        params.read()
    assert len(str(error.value)) < 600
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_a_value_is_named_in_short(tmp_path):
    text = f"colours:\n  {GOOD}\n".replace("[3, 5]", f"[{'x' * 5_000}]")
    text = text.replace("red", "[" + "9, " * 5_000 + "]")
    with pytest.raises(
        UserError, match=r"\[colours.name\]: \[9, 9.*\.\.\.\] does not fit"
    ) as error:
        load(tmp_path, text)
    assert len(str(error.value)) < 200


def test_a_file_of_megabytes_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(params, "MOST_BYTES", 10)
    with pytest.raises(
        UserError, match=r"params\.yaml has over 10 bytes; restore it with `git check"
    ):
        load(tmp_path, f"colours:\n  {GOOD}\n")


def test_a_few_aliases_are_fine(tmp_path):
    text = f"own: &own {{rate: 1}}\ncolours:\n  {GOOD}\n".replace("rate: 1e-3\n", "<<: *own\n")
    assert load(tmp_path, text).rate == 1
