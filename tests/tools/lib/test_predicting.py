import json
import shutil
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest

from stages.lib import backbones, building, classifier, fingerprints, heads, params, paths, weights
from stages.lib.errors import UserError
from stages.lib.pictures import Pictures
from tests.conftest import head_spec, set_params
from tests.imports import ROOT
from tests.tools.small_model import LABELS, SIDE, by_keras, export
from tools.lib import predicting

PIXELS = np.random.default_rng(0).integers(0, 256, (17, SIDE, SIDE, 3)).astype("uint8")


@pytest.fixture
def exported(project):
    """A project with an export and nothing else."""
    export(paths.EXPORT)
    return project


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_an_export_says_what_keras_says(exported, engine):
    set_params(exported / "params.yaml", {"extract": {"engine": engine, "precision": "bfloat16"}})
    predictor = predicting.load()
    assert (predictor.name, predictor.labels, predictor.size) == ("fine_tuned", LABELS, SIDE)
    assert predictor.decoding == params.load(Pictures, "pictures")
    got, expected = predictor.probabilities(PIXELS), by_keras(paths.EXPORT, PIXELS)
    assert (got.shape, got.dtype) == ((17, 3), np.float32)
    assert got == pytest.approx(expected, abs=1e-5)
    assert got.std(axis=0).min() > 1e-3
    assert predictor.probabilities(PIXELS[:1]) == pytest.approx(expected[:1], abs=1e-5)


def test_batches_keep_their_places_and_threads_take_turns(exported):
    predictor = predicting.load()
    expected = by_keras(paths.EXPORT, PIXELS)
    batches = [(name, PIXELS[at : at + 3]) for at, name in enumerate("abcdefgh")]
    for at, (name, rows) in enumerate(predictor.probabilities.stream(batches)):
        assert name == "abcdefgh"[at]
        assert rows == pytest.approx(expected[at : at + 3], abs=1e-5)
    again, found = predicting.load(), []
    threads = [
        threading.Thread(target=lambda: found.append(again.probabilities(PIXELS))) for _ in range(7)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert len(found) == 7
    assert all(np.array_equal(each, found[0]) for each in found)


def test_an_export_of_another_run_is_not_the_last_ones(exported):
    """As after `dvc exp apply` of an experiment that did not export."""
    trained = {"outs": [{"path": "models/fine_tuned.weights.h5", "md5": "1"}]}
    export = {"deps": [{"path": "models/fine_tuned.weights.h5", "md5": "1"}]}
    lock = {"stages": {"fine_tune": trained, "export": export}}
    (exported / "dvc.lock").write_text(json.dumps(lock))
    assert predicting.load().labels == LABELS
    trained["outs"][0]["md5"] = "2"
    (exported / "dvc.lock").write_text(json.dumps(lock))
    with pytest.raises(UserError, match=r"^models/export: export was run with another .* there;"):
        predicting.load()
    assert predicting.load("models/export").labels == LABELS


def test_a_folder_and_a_file_can_lie_anywhere(exported):
    other = export(exported / "other place", ["a", "b"], seed=3)
    expected = by_keras(other, PIXELS)
    for place in ("other place", "other place/model.keras"):
        predictor = predicting.load(place)
        assert (predictor.name, predictor.labels) == (place, ["a", "b"])
        assert predictor.probabilities(PIXELS) == pytest.approx(expected, abs=1e-5)


def test_a_second_start_needs_no_tensorflow(exported):
    set_params(exported / "params.yaml", {"runtime": {"store": "kept"}})
    first = predicting.load().probabilities(PIXELS)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from tools.lib import predicting\n"
        "print(predicting.load().labels, 'tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{LABELS} False\n"
    shutil.rmtree(paths.EXPORT)
    export(paths.EXPORT, seed=5)
    second = predicting.load().probabilities(PIXELS)
    assert np.abs(second - first).max() > 0.01
    assert second == pytest.approx(by_keras(paths.EXPORT, PIXELS), abs=1e-5)


def leave_a_head(labels=("blue", "red"), **of_head) -> keras.Model:
    """Leave what train_head leaves in the project; return pixels -> probabilities by Keras."""
    set_params(paths.PARAMS, {"head": of_head})
    spec, of_head = params.load(backbones.Backbone, "backbone"), head_spec(**of_head)
    keras.utils.set_random_seed(1)
    backbone = building.build(spec)
    shape = backbone.output_shape[1:] if of_head.pooling == "flatten" else (1280,)
    head = heads.build(of_head, shape, len(labels))
    paths.BACKBONE.parent.mkdir()
    weights.save(backbone, paths.BACKBONE, {})
    decoding = params.load(Pictures, "pictures")
    made_with = fingerprints.with_weights(backbones.fingerprint(spec, decoding), paths.BACKBONE)
    weights.save(head, paths.HEAD, made_with | {"engine": "openvino"})
    paths.MANIFEST.parent.mkdir()
    rows = [f"{label}/{number}.png,{label}\n" for label in labels for number in range(2)]
    paths.MANIFEST.write_text("path,label\n" + "".join(rows))
    return classifier.with_probabilities(classifier.join(backbone, head, of_head))


@pytest.mark.parametrize("pooling", ["max", pytest.param("flatten", marks=pytest.mark.slow)])
def test_the_head_is_joined_with_its_backbone(project, pooling):
    labels = ("blue", "red") if pooling == "max" else ("a", "b", "c")
    whole = leave_a_head(labels, pooling=pooling, dropout=0.0)
    predictor = predicting.load("head")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype("uint8")
    assert (predictor.labels, predictor.size) == (list(labels), 32)
    got = predictor.probabilities(pixels)
    assert got == pytest.approx(whole.predict(pixels, verbose=0), abs=1e-4)
    assert got.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_a_head_of_other_settings_is_refused(project):
    leave_a_head(dropout=0.0)
    set_params(project / "params.yaml", {"pictures": {"upright": False}})
    with pytest.raises(UserError, match=r"head.weights.h5 was made with pictures .*train_head`"):
        predicting.load("head")


@pytest.mark.parametrize(
    ("model", "missing"), [("fine_tuned", "models/export"), ("head", "models/backbone")]
)
def test_a_missing_model_says_what_brings_it(project, model, missing):
    with pytest.raises(UserError, match=rf"^{missing}.* is missing; `dvc pull` brings .*`dvc repr"):
        predicting.load(model)


def test_missing_labels_are_named(exported):
    (paths.EXPORT / "labels.json").rename("elsewhere")
    with pytest.raises(UserError, match=r"^models/export/labels.json is missing; name a folder"):
        predicting.load(str(paths.EXPORT / "model.keras"))


@pytest.mark.parametrize("text", ["no JSON", '{"0": "cat"}', "[1, 2, 3]", '["a", "b"]'])
def test_labels_that_do_not_fit_are_refused(exported, text):
    (paths.EXPORT / "labels.json").write_text(text)
    with pytest.raises(UserError, match=r"labels.json is not a JSON list|\(3,\) and there are 2"):
        predicting.load()


def test_what_is_no_classifier_of_pictures_is_refused(exported):
    (exported / "text.keras").write_text("no model")
    (exported / "labels.json").write_text(json.dumps(LABELS))
    with pytest.raises(UserError, match=r"^text.keras: not a classifier .* that Keras reads \("):
        predicting.load("text.keras")
    for shape, layer in (((None, None, 3), keras.layers.GlobalMaxPooling2D()), ((9, 9, 3), None)):
        pixels = keras.Input(shape)
        keras.Model(pixels, layer(pixels) if layer else pixels + 1).save("odd.keras")
        with pytest.raises(UserError, match=r"odd.keras: .* \(its (in|out)put is \(None, (No|9)"):
            predicting.load("odd.keras")


def test_a_name_that_is_nothing_is_one_line(exported):
    with pytest.raises(UserError, match=r"^--model nonsense: neither head, fine_tuned, a path"):
        predicting.load("nonsense")


def test_an_export_is_decoded_as_it_says_by_itself(exported):
    beside = paths.EXPORT / "input.json"
    says = {"pixels": {"upright": False, "background": [1, 2, 3]}}
    beside.write_text(json.dumps(says))
    decoding = predicting.load().decoding
    assert (decoding.upright, decoding.background) == (False, [1, 2, 3])
    assert decoding.reducing_gap == params.load(Pictures, "pictures").reducing_gap
    for damaged in ("", "[]", '{"pixels": {}}'):
        beside.write_text(damaged)
        with pytest.raises(UserError, match=r"^models/export/input.json does not say how pictures"):
            predicting.load()


def test_its_network_can_be_looked_into(exported):
    predictor = predicting.load()
    got = predictor.network()(PIXELS.astype("float32"))[predicting.OUTPUT]
    assert np.asarray(got) == pytest.approx(predictor.probabilities(PIXELS), abs=1e-5)


def test_of_another_revision_there_are_answers_and_no_network(exported, monkeypatch):
    def bring(revision, scratch):
        assert revision == "other"
        shutil.copy(paths.PARAMS, scratch)
        export(scratch / paths.EXPORT, seed=1)
        return scratch

    monkeypatch.setattr("tools.lib.exports.bring", bring)
    predictor = predicting.load("other")
    assert predictor.probabilities(PIXELS).shape == (17, 3)
    with pytest.raises(UserError, match=r"^--model other: only .*; check this one out$"):
        predictor.network()
