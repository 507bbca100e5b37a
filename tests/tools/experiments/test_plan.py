import itertools
import json

import pytest

from tests.conftest import STAGES
from tests.imports import ROOT
from thaw.project import params
from thaw.project.errors import UserError
from tools.experiments import dvc_experiments, plan
from tools.experiments.plan import Configuration, PlannedRun

BASE = params.read(ROOT / "params.yaml")
YAML = ROOT / "dvc.yaml"
NETWORKS, RATES = ("EfficientNetLite0", "EfficientNetLite1"), (0.1, 0.01, 0.003, 0.001)


def grid(**lists) -> list[Configuration]:
    combinations = [
        dict(zip(lists, each, strict=True)) for each in itertools.product(*lists.values())
    ]
    keyed = [
        {key.replace("__", "."): value for key, value in each.items()} for each in combinations
    ]
    return [
        Configuration(json.dumps(each), each, dvc_experiments.changed(BASE, each)) for each in keyed
    ]


def test_the_stages_that_a_stage_needs_and_the_params_that_decide_it():
    everything = plan.stages(None, YAML)
    assert [stage.name for stage in everything] == list(STAGES)
    assert set(everything[-1].sections) == set(BASE) - {"runtime", "figures"}
    head = plan.stages("train_head", YAML)
    assert [stage.name for stage in head] == list(STAGES[:6])
    sections = {stage.name: stage.sections for stage in head}
    assert sections["split"] == ("data", "images", "split")
    assert sections["extract"] == ("backbone", "data", "extract", "images", "split")
    assert set(sections["train_head"]) > {"augmentation", "backbone", "head", "loss", "split"}
    with pytest.raises(UserError, match="--until heads: no such stage; there are download, split"):
        plan.stages("heads", YAML)


def test_each_backbone_is_extracted_once_before_others_use_it():
    """The order in which they are given is that of the rates; they are run by backbone."""
    chosen = grid(train_head__learning_rate=RATES, backbone__name=NETWORKS)
    runs = plan.plan(chosen, plan.stages("train_head", YAML), BASE, ())
    assert len(runs) == 8
    owners = [run for run in runs if "extract" in run.stages]
    assert [run.changes["backbone.name"] for run in owners] == list(NETWORKS)
    assert all(run.stages == ("train_head",) for run in runs if run not in owners)
    for owner in owners:
        network = owner.changes["backbone.name"]
        of_it = [run for run in runs if run.changes["backbone.name"] == network]
        assert len(of_it) == 4
        assert all(run.wave > owner.wave for run in of_it if run is not owner)


def test_what_an_earlier_run_ended_is_nobody_s_to_wait_for():
    """As of a search's earlier trials; what another run has begun beside it, is."""
    until = plan.stages("fine_tune", YAML)
    chosen = grid(head__dropout=(0.11, 0.12), fine_tune__learning_rate=(0.001, 0.002))
    runs = plan.plan(chosen[1:], until, BASE, STAGES, [chosen[0].params])
    assert [(run.stages, run.wave) for run in runs] == [
        (("fine_tune",), 0),
        (("train_head", "fine_tune"), 0),
        (("fine_tune",), 1),
    ]


def test_what_has_been_run_is_not_run_again():
    chosen = grid(train_head__learning_rate=(0.002, BASE["train_head"]["learning_rate"]))
    runs = plan.plan(chosen, plan.stages("train_head", YAML), BASE, STAGES)
    assert [run.stages for run in runs] == [("train_head",), ()]
    assert {run.wave for run in runs} == {0}
    stale = plan.plan(chosen, plan.stages("train_head", YAML), BASE, ("download",))
    assert stale[0].stages == STAGES[1:6]
    assert [run.wave for run in stale] == [0, 1]


def test_a_chain_of_what_is_shared_takes_several_waves():
    chosen = grid(train_head__learning_rate=(0.1, 0.2), fine_tune__learning_rate=(0.01, 0.02))
    runs = plan.plan(chosen, plan.stages(None, YAML), BASE, STAGES[:5])
    assert [run.stages[0] for run in runs] == ["train_head", "train_head", "fine_tune", "fine_tune"]
    assert [run.wave for run in runs] == [0, 0, 1, 1]


def test_seconds_by_wave_and_by_jobs():
    runs = [
        PlannedRun("a", {}, ("extract", "train_head"), 0),
        PlannedRun("b", {}, ("train_head",), 1),
        PlannedRun("c", {}, ("train_head",), 1),
        PlannedRun("d", {}, ("train_head",), 1),
    ]
    known = {"extract": 10.0, "train_head": 2.0}
    assert plan.seconds(runs, known, 1) == 18.0
    assert plan.seconds(runs, known, 2) == 15.0
    assert plan.seconds(runs, known, 2, start=4.0) == 25.0
    assert plan.seconds(runs, known, 8) == 14.0
    assert plan.seconds(runs, {"extract": 10.0}, 1) is None
    assert plan.seconds([], {}, 1) == 0.0
