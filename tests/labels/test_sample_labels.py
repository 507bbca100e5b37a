import pytest

from thaw.labels import sample_labels
from thaw.labels.sample_labels import NONE, Label
from thaw.project.errors import UserError


def of(tmp_path, content: bytes, wanted: str | None = None, ending: str = ".json") -> Label:
    path = tmp_path / f"7{ending}"
    path.write_bytes(content)
    read = sample_labels.of_json if ending == ".json" else sample_labels.of_text
    return read(path, wanted) if ending == ".json" else read(path)


@pytest.mark.parametrize(
    ("content", "label"),
    [
        (b"3\n", Label("3")),
        ("Zoë's cat, (2024)".encode(), Label("Zoë's cat, (2024)")),
        (b" \n", NONE),
        (b"\xff", Label("", "7.cls beside it is not UTF-8")),
        (b"a\nb", Label("", "7.cls beside it is no label but a longer text")),
        (b"a" * 1001, Label("", "7.cls beside it is no label but a longer text")),
    ],
)
def test_a_text_is_a_label(tmp_path, content, label):
    assert of(tmp_path, content, ending=".cls") == label


@pytest.mark.parametrize(
    ("content", "label"),
    [
        (b'{"label": "cat", "width": 9}', Label("cat")),
        (b'{"Class": 3}', Label("3")),
        (b'{"label": 3, "class": "3"}', Label("3")),
        (b'{"label": -1}', NONE),
        (b'{"label": true}', NONE),
        (b'{"label": ["cat"]}', NONE),
        (b"[3]", NONE),
        (b"{", Label("", "7.json beside it is no JSON")),
        (b"[" * 5000, Label("", "7.json beside it is no JSON")),
        (b"\xff\xfe", Label("", "7.json beside it is no JSON")),
        (b'{"label": "a\\nb"}', Label("", "7.json beside it has no label but a longer text")),
    ],
)
def test_json_has_a_key_for_the_label(tmp_path, content, label):
    assert of(tmp_path, content) == label


def test_of_two_keys_one_is_named(tmp_path):
    said = b'{"label": 3, "breed": "pug"}'
    with pytest.raises(UserError, match=r"7\.json: which key has the label \(label, breed\)\?"):
        of(tmp_path, said)
    assert of(tmp_path, said, "breed") == Label("pug")


@pytest.mark.parametrize(
    ("text", "said", "fault"),
    [("3", '{"label": 4}', "two labels: 3 in .cls and 4 in .json beside it"),
     ("3", '{"label": 3}', ""), ("03", '{"label": "3"}', ""), ("3", '{"label": "cat"}', "")],
)  # fmt: skip
def test_two_numbers_of_a_class_must_agree(tmp_path, text, said, fault):
    (tmp_path / "7.json").write_text(said, encoding="utf-8")
    label = sample_labels.agreed(Label(text), tmp_path / "7.json", None)
    assert label == (Label("", fault) if fault else Label(text))
