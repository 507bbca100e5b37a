import pandas as pd
import pytest

from tests.conftest import draw_images, set_params
from tests.imports import ROOT
from tests.repository import call
from thaw.project import params
from thaw.project.errors import UserError
from tools import ablate
from tools.experiments import dvc_experiments

STAGES = "download, split, backbone, extract, augment, train_head, fine_tune"


def test_every_switch_is_a_key_of_params_that_may_have_that_value():
    values = params.read(ROOT / "params.yaml")
    for off in ablate.INGREDIENTS.values():
        for key, value in off.items():
            *above, last = key.split(".")
            section = values
            for name in above:
                section = section[name]
            assert type(section[last]) is type(value), key


def test_only_what_is_on_is_switched_off():
    values = params.read(ROOT / "params.yaml")
    assert ablate.ingredients(values) == {
        "augmentation": {"augmentation.rotation": 0.0},
        "dropout": {"head.dropout": 0.0},
    }
    values["head"]["regularization"]["kernel_l2"] = 0.001
    values["extract"]["augmented_copies"] = 4
    values["augmentation"]["policy"] = "light"
    assert ablate.ingredients(values)["l2"] == {"head.regularization.kernel_l2": 0.0}
    assert ablate.ingredients(values)["augmented-copies"] == {"extract.augmented_copies": 0}
    off = ablate.ingredients(values)["augmentation"]
    assert {"extract.augmented_copies", "augmentation.policy"} < set(off)


def test_the_table_has_the_largest_contribution_first():
    rows = {"everything": (0.9, 0.3), "dropout": (0.91, 0.31), "fine-tuning": (0.8, 0.5)}
    scores = pd.DataFrame(rows, ["accuracy", "loss"]).T
    lines = ablate.table(scores, 200).splitlines()
    assert lines[0] == "everything: accuracy 0.9000, loss 0.3000 on 200 validation images"
    assert lines[2].split() == ["fine-tuning", "0.8000", "+0.1000", "0.5000"]
    assert lines[3].split() == ["dropout", "0.9100", "-0.0100", "0.3100"]
    assert lines[4] == "differences under 0.0588 may well be chance"


@pytest.mark.slow
def test_experiments_are_run_and_compared(repository, run_tool):
    set_params(repository / "params.yaml", {"augmentation": {"flip": "none", "rotation": 0.0}})
    call("git", "commit", "--quiet", "--all", "--message", "still", cwd=repository)
    tables = []
    for left in ("2 of 2 runs to do: download 1x, ", "0 of 2 runs to do: "):
        lines = run_tool(ablate).splitlines()
        assert any(f"as it is: {STAGES}" in line for line in lines)
        assert any(line.startswith(left) for line in lines)
        tables.append(
            lines[[line.startswith("everything: accuracy") for line in lines].index(True) :]
        )
        names = call("dvc", "exp", "list", "--name-only", cwd=repository).split()
        assert {name.rpartition("-")[0] for name in names} == {
            "ablate-dropout",
            "ablate-everything",
        }
    assert {line.split()[0] for line in tables[0][2:4]} == {"fine-tuning", "dropout"}
    assert tables[0] == tables[1]
    assert call("git", "diff", "--stat", cwd=repository) == ""


def test_dry_runs_nothing(repository, run_tool):
    lines = [line.partition("  ")[2] for line in run_tool(ablate, "--dry").splitlines()]
    assert lines[:3] == [
        f"as it is: {STAGES}",
        "head.dropout=0.0: train_head, fine_tune",
        "augmentation.flip=none, augmentation.rotation=0.0: augment, train_head, fine_tune",
    ]
    assert call("dvc", "exp", "list", "--name-only", cwd=repository) == ""


def test_images_that_a_checkout_would_not_have_are_refused(repository, run_tool):
    draw_images(repository / "images/mine")
    set_params(repository / "params.yaml", {"data": {"source": "images/mine"}})
    call("git", "commit", "--quiet", "--all", "--message", "mine", cwd=repository)
    with pytest.raises(UserError, match="has no images/mine; `dvc add images/mine` and") as raised:
        run_tool(ablate)
    assert raised.value.key == "data.source"


@pytest.mark.parametrize(
    ("wrong", "key"), [("loss:\n", "loss"), ("los:\n  label_smoothing: 0.1\n", "los")]
)
def test_params_that_do_not_fit_are_named(repository, run_tool, wrong, key):
    params_file = repository / "params.yaml"
    text = params_file.read_text()
    start = text.index("\nloss:")
    end = text.index("\ntrain_head:")
    params_file.write_text(f"{text[:start]}\n{wrong}{text[end:]}")
    with pytest.raises(UserError) as raised:
        run_tool(ablate)
    assert raised.value.key == key


def test_an_experiment_without_result_is_named(repository):
    with pytest.raises(UserError, match="experiment ablate-dropout has no result; see `dvc queue"):
        dvc_experiments.read("metrics/split.json", "ablate-dropout")


def test_what_dvc_refuses_is_one_line(repository):
    with pytest.raises(UserError, match=r"`dvc exp run --queue .*` failed, see above"):
        dvc_experiments.dvc_command("exp", "run", "--queue", "--set-param=head.no=1")
