import difflib
import shutil

import pytest
from ruamel.yaml import YAML

from tests.conftest import STAGES, TINY, draw_images, run_stage, set_params
from tests.imports import ROOT
from thaw.project import stage_run
from thaw.project.errors import UserError
from tools import look, params, recipe

NAMES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(monkeypatch, *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["recipe", *words])
    recipe.main()


@pytest.mark.parametrize("name", NAMES)
def test_each_recipe_fits_and_keeps_all_comments(here, monkeypatch, name):
    before = (here / "params.yaml").read_text().splitlines()
    call(monkeypatch, name)
    params.check(params.params.read())
    after = (here / "params.yaml").read_text().splitlines()
    wanted = YAML(typ="safe", pure=True).load(ROOT / f"recipes/{name}.yaml")
    got = YAML(typ="safe", pure=True).load(here / "params.yaml")
    assert {s: {k: got[s][k] for k in keys} for s, keys in wanted.items()} == wanted
    changed = [
        line
        for line in difflib.unified_diff(before, after, lineterm="", n=0)
        if line[0] in "+-" and not line.startswith(("+++", "---"))
    ]
    assert changed
    assert not any(line[1:].lstrip().startswith("#") for line in changed)
    assert len(changed) <= 2 * sum(len(keys) for keys in wanted.values())


def test_show_and_list_change_nothing(here, monkeypatch, capsys):
    before = (here / "params.yaml").read_text()
    call(monkeypatch, "tf-tutorial", "--show")
    assert capsys.readouterr().out == (ROOT / "recipes/tf-tutorial.yaml").read_text()
    call(monkeypatch)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == NAMES
    assert (here / "params.yaml").read_text() == before


def test_an_unknown_name_or_key_is_named(here, monkeypatch):
    with pytest.raises(UserError, match=r"no recipe 'tf-tutrial'; did you mean tf-tutorial\?"):
        call(monkeypatch, "tf-tutrial")
    with pytest.raises(UserError, match=r"no recipe 'zzz'; there are best, birds, cifar10, "):
        call(monkeypatch, "zzz")
    with pytest.raises(UserError, match="unknown key; fix the recipe") as raised:
        recipe.apply((here / "params.yaml").read_text(), {"head": {"colour": "red"}})
    assert raised.value.key == "head.colour"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_recipe_runs_from_end_to_end(here, monkeypatch, name):
    """On a handful of images, with random weights, small images and two epochs."""
    call(monkeypatch, name)
    draw_images(here / "images")
    small = {"epochs": 2, "batch_size": 16}
    set_params(
        here / "params.yaml",
        {
            "data": TINY["data"],
            "split": TINY["split"],
            "runtime": TINY["runtime"],
            "export": TINY["export"],
            "backbone": {"weights": None, "image_size": 32},
            "train_head": small,
            "fine_tune": small,
        },
    )
    for stage in STAGES:
        run_stage(stage)
    assert (here / "models/export/model.keras").is_file()


def test_params_are_not_changed_under_a_stage(tmp_path, monkeypatch):
    """It reads its section when it begins, and DVC notes what the file has when it has ended."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    with stage_run.alone():
        for tool, arguments in ((recipe, ["tf-tutorial"]), (look, ["images", "--use"])):
            monkeypatch.setattr("sys.argv", ["tool", *arguments])
            with pytest.raises(UserError, match=r"is at work in this folder.*; wait until it has"):
                tool.main()
    assert (tmp_path / "params.yaml").read_text() == (ROOT / "params.yaml").read_text()
