import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from tests.conftest import head_spec, set_params
from tests.imports import ROOT
from tests.tools.conftest import COLOURS_SIDE
from tests.tools.small_model import LABELS, SIDE, by_keras, export
from thaw.calibration import saved, temperature, unknown
from thaw.features import provenance
from thaw.features.settings import Extract
from thaw.features.store import open_store
from thaw.images.settings import Decoding
from thaw.models import backbones, classifier, heads, weights
from thaw.models.settings import Backbone
from thaw.project import params, paths
from thaw.project.errors import UserError
from thaw.project.settings import Runtime
from tools.serving import predictor as loading
from tools.serving.predictor import OUTPUT, load_predictor

PIXELS = np.random.default_rng(0).integers(0, 256, (17, SIDE, SIDE, 3)).astype("uint8")


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_an_export_says_what_keras_says(exported, engine):
    set_params(exported / "params.yaml", {"extract": {"engine": engine, "precision": "bfloat16"}})
    predictor = load_predictor()
    assert (predictor.name, predictor.labels, predictor.loader.size) == ("fine_tuned", LABELS, SIDE)
    assert predictor.loader.decoding == params.load(Decoding, "images")
    got, expected = predictor.probabilities(PIXELS), by_keras(paths.EXPORT, PIXELS)
    assert (got.shape, got.dtype) == ((17, 3), np.float32)
    assert got == pytest.approx(expected, abs=1e-5)
    assert got.std(axis=0).min() > 1e-3
    assert predictor.probabilities(PIXELS[:1]) == pytest.approx(expected[:1], abs=1e-5)


def test_batches_keep_their_places_and_threads_take_turns(exported):
    predictor = load_predictor()
    expected = by_keras(paths.EXPORT, PIXELS)
    batches = [(name, PIXELS[at : at + 3]) for at, name in enumerate("abcdefgh")]
    for at, (name, rows) in enumerate(predictor.probabilities.stream(batches)):
        assert name == "abcdefgh"[at]
        assert rows[OUTPUT] == pytest.approx(expected[at : at + 3], abs=1e-5)
    again, found = load_predictor(), []
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
    (exported / "dvc.lock").write_text(f"{json.dumps(lock)}\n")
    assert load_predictor().labels == LABELS
    trained["outs"][0]["md5"] = "2"
    (exported / "dvc.lock").write_text(f"{json.dumps(lock)}\n")
    with pytest.raises(UserError, match=r"^models/export: export was run with another .* there;"):
        load_predictor()
    assert load_predictor("models/export").labels == LABELS


def test_a_folder_and_a_file_can_lie_anywhere(exported):
    other = export(exported / "other place", ["a", "b"], seed=3)
    expected = by_keras(other, PIXELS)
    for place in ("other place", "other place/model.keras"):
        predictor = load_predictor(place)
        assert (predictor.name, predictor.labels) == (place, ["a", "b"])
        assert predictor.probabilities(PIXELS) == pytest.approx(expected, abs=1e-5)


def test_a_second_start_needs_no_tensorflow(exported):
    set_params(exported / "params.yaml", {"runtime": {"store": "kept"}})
    first = load_predictor().probabilities(PIXELS)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from tools.serving import predictor\n"
        "print(predictor.load_predictor().labels, 'tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{LABELS} False\n"
    shutil.rmtree(paths.EXPORT)
    export(paths.EXPORT, seed=5)
    second = load_predictor().probabilities(PIXELS)
    assert np.abs(second - first).max() > 0.01
    assert second == pytest.approx(by_keras(paths.EXPORT, PIXELS), abs=1e-5)


def small_backbone(spec: Backbone, _file: Path | None = None) -> keras.Model:
    """Stand in for a network of the registry, whose conversion takes seconds."""
    pixels = keras.Input((spec.size, spec.size, 3))
    x = keras.layers.Rescaling(1 / 40)(pixels)
    return keras.Model(pixels, keras.layers.Conv2D(9, 3, strides=4, activation="relu")(x))


def leave_a_head(labels=("blue", "red"), **of_head) -> keras.Model:
    """Leave what train_head leaves in the project; return pixels -> probabilities by Keras."""
    set_params(paths.PARAMS, {"head": of_head})
    spec, of_head = params.load(Backbone, "backbone"), head_spec(**of_head)
    keras.utils.set_random_seed(1)
    backbone = backbones.build(spec)
    shape = backbone.output_shape[1:] if of_head.pooling == "flatten" else (9,)
    head = heads.build(of_head, shape, len(labels))
    paths.BACKBONE.parent.mkdir()
    weights.save(backbone, paths.BACKBONE, {})
    decoding, settings = params.load(Decoding, "images"), params.load(Extract, "extract")
    of_features = provenance.of_features(spec, decoding, settings, paths.BACKBONE)
    weights.save(head, paths.HEAD, of_features)
    paths.MANIFEST.parent.mkdir()
    rows = [f"{label}/{number}.png,{label}\n" for label in labels for number in range(2)]
    paths.MANIFEST.write_text("path,label,mode\n" + "".join(rows))
    return classifier.with_probabilities(classifier.join(backbone, head, of_head.pooling))


@pytest.mark.parametrize("pooling", ["max", "flatten"])
def test_the_head_is_joined_with_its_backbone(project, monkeypatch, pooling):
    monkeypatch.setattr(backbones, "build", small_backbone)
    labels = ("blue", "red") if pooling == "max" else ("a", "b", "c")
    whole = leave_a_head(labels, pooling=pooling, dropout=0.0)
    predictor = load_predictor("head")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype("uint8")
    assert (predictor.labels, predictor.loader.size) == (list(labels), 32)
    got = predictor.probabilities(pixels)
    assert got == pytest.approx(whole.predict(pixels, verbose=0), abs=1e-4)
    assert got.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_a_head_of_other_settings_is_refused(project):
    of_backbone = provenance.of_backbone(
        params.load(Backbone, "backbone"), params.load(Decoding, "images")
    )
    paths.BACKBONE.parent.mkdir()
    paths.BACKBONE.write_bytes(b"not looked into")
    weights.save(heads.build(head_spec(), (5,), 2), paths.HEAD, of_backbone)
    paths.MANIFEST.parent.mkdir()
    paths.MANIFEST.write_text("path,label,mode\na.png,a,RGB\nb.png,b,RGB\n")
    set_params(project / "params.yaml", {"images": {"apply_exif_orientation": False}})
    with pytest.raises(UserError, match=r"head.weights.h5 was made with images .*train_head`"):
        load_predictor("head")


@pytest.mark.parametrize(
    ("model", "missing"), [("fine_tuned", "models/export"), ("head", "models/backbone")]
)
def test_a_missing_model_says_what_brings_it(project, model, missing):
    with pytest.raises(UserError, match=rf"^{missing}.* is missing; `dvc pull` brings .*`dvc repr"):
        load_predictor(model)


def test_missing_labels_are_named(exported):
    (paths.EXPORT / "labels.json").rename("elsewhere")
    with pytest.raises(UserError, match=r"^models/export/labels.json is missing; name a folder"):
        load_predictor(str(paths.EXPORT / "model.keras"))


@pytest.mark.parametrize("text", ["no JSON", '{"0": "cat"}', "[1, 2, 3]", '["a", "b"]'])
def test_labels_that_do_not_fit_are_refused(exported, text):
    (paths.EXPORT / "labels.json").write_text(text)
    with pytest.raises(UserError, match=r"labels.json is not a JSON list|\(3,\) and there are 2"):
        load_predictor()


def test_what_is_no_classifier_of_images_is_refused(exported):
    (exported / "text.keras").write_text("no model")
    (exported / "labels.json").write_text(json.dumps(LABELS))
    with pytest.raises(UserError, match=r"^text.keras: not a classifier .* that Keras reads \("):
        load_predictor("text.keras")
    for shape, layer in (((None, None, 3), keras.layers.GlobalMaxPooling2D()), ((9, 9, 3), None)):
        pixels = keras.Input(shape)
        keras.Model(pixels, layer(pixels) if layer else pixels + 1).save("odd.keras")
        with pytest.raises(UserError, match=r"odd.keras: .* \(its (in|out)put is \(None, (No|9)"):
            load_predictor("odd.keras")


def test_a_name_that_is_nothing_is_one_line(exported):
    with pytest.raises(UserError, match=r"^--model nonsense: neither head, fine_tuned, a path"):
        load_predictor("nonsense")


def test_an_export_is_decoded_as_it_says_by_itself(exported):
    beside = paths.EXPORT / "input.json"
    says = {"pixels": {"apply_exif_orientation": False, "background": [1, 2, 3]}}
    beside.write_text(json.dumps(says))
    decoding = load_predictor().loader.decoding
    assert (decoding.apply_exif_orientation, decoding.background) == (False, [1, 2, 3])
    assert decoding.reducing_gap == params.load(Decoding, "images").reducing_gap
    assert decoding.bits == "auto"
    assert decoding.fit == "stretch"  # as before images.fit
    says["pixels"]["fit"] = "pad"
    beside.write_text(json.dumps(says))
    assert load_predictor().loader.decoding.fit == "pad"
    says["pixels"]["fit"] = "shrink"
    beside.write_text(json.dumps(says))
    with pytest.raises(UserError, match=r"input.json does not say how images are decoded"):
        load_predictor()
    del says["pixels"]["fit"]
    says["pixels"]["sixteen_bits"] = {"fill": 12}
    beside.write_text(json.dumps(says))
    assert load_predictor().loader.decoding.bits == 12
    for damaged in ("", "[]", '{"pixels": {}}'):
        beside.write_text(damaged)
        with pytest.raises(UserError, match=r"^models/export/input.json does not say how images"):
            load_predictor()


def test_its_network_can_be_looked_into(exported):
    predictor = load_predictor()
    got = predictor.network()(PIXELS.astype("float32"))[OUTPUT]
    assert np.asarray(got) == pytest.approx(predictor.probabilities(PIXELS), abs=1e-5)


def test_what_was_read_is_what_was_hashed(exported, monkeypatch):
    """Something takes the file's place after its digest was taken; nothing is kept of it."""
    set_params(exported / "params.yaml", {"runtime": {"store": "kept"}})
    file, ready = paths.EXPORT / "model.keras", loading._ready
    whole = file.read_bytes()

    def swapped_first(*given):
        file.write_bytes(b"another")
        return ready(*given)

    monkeypatch.setattr(loading, "_ready", swapped_first)
    changed = r"^models/export/model\.keras changed after its digest was taken; run this again$"
    with pytest.raises(UserError, match=changed):
        load_predictor()
    with open_store(params.load(Runtime, "runtime")) as kept:
        assert kept.count() == 0
    file.write_bytes(whole)
    monkeypatch.setattr(loading, "_ready", ready)
    loaded = load_predictor()
    file.write_bytes(b"another")
    with pytest.raises(UserError, match=changed):
        loaded.network()


def test_of_another_revision_there_are_answers_and_no_network(exported, monkeypatch):
    def bring(revision, scratch):
        assert revision == "other"
        shutil.copy(paths.PARAMS, scratch)
        export(scratch / paths.EXPORT, seed=1)
        return scratch

    monkeypatch.setattr("tools.revisions.exported_model.bring", bring)
    predictor = load_predictor("other")
    assert predictor.probabilities(PIXELS).shape == (17, 3)
    with pytest.raises(UserError, match=r"^--model other: only .*; check this one out$"):
        predictor.network()


@pytest.mark.parametrize("model", ["fine_tuned", "head"])
def test_a_classifier_of_two_runs_is_refused(exported, monkeypatch, model):
    def loaded(*_, **__):
        (exported / "dvc.lock").write_text("stages: {export: {outs: []}}\n")

    monkeypatch.setattr("tools.serving.predictor._exported", loaded)
    monkeypatch.setattr("tools.serving.predictor._head", loaded)
    with pytest.raises(UserError, match="a run has replaced outputs while they were read; try"):
        load_predictor(model)


def leave_a_calibration() -> None:
    """Leave what calibrate leaves, of the backbone and the export in the project."""
    spec = params.load(Backbone, "backbone")
    backbone = backbones.build(spec)
    paths.BACKBONE.parent.mkdir(exist_ok=True)
    weights.save(backbone, paths.BACKBONE, {})
    before, truth = by_keras(paths.EXPORT, ASKED), np.arange(len(ASKED)) % 3
    features = backbone.predict(ASKED, verbose=0).mean(axis=(1, 2))
    told = unknown.fit(features[::2], features, before, 0.7)
    logits = np.log(before).astype("float32")
    found = saved.fit(truth, {"head": before, "fine_tuned": before}, logits, told, None)
    found._replace(temperature={"head": 1.9, "fine_tuned": 1.0}).write(paths.CALIBRATION)


ASKED = np.random.default_rng(1).integers(0, 256, (23, 32, 32, 3)).astype("uint8")


def test_the_run_s_own_model_tells_unknown_images(project, monkeypatch):
    monkeypatch.setattr(backbones, "build", small_backbone)
    export(paths.EXPORT, side=32)
    assert load_predictor().trust.tells == []
    leave_a_calibration()
    predictor, calibration = load_predictor(), saved.Calibration.read(paths.CALIBRATION)
    assert predictor.trust.tells == ["unknown"]
    got, known = predictor.ask(ASKED)
    expected = by_keras(paths.EXPORT, ASKED)
    assert got == pytest.approx(expected, abs=1e-5)
    frozen = backbones.load(params.load(Backbone, "backbone"), paths.BACKBONE)
    features = frozen.predict(ASKED, verbose=0).mean(axis=(1, 2))
    assert -known == pytest.approx(calibration.unknown.score(features, expected), abs=0.02)
    marked = [predictor.trust.marks(*each)["unknown"] for each in zip(got, known)]
    assert marked == calibration.is_unknown(features, expected).tolist()
    assert 0 < sum(marked) < 23
    assert list(predictor.network().output) == [OUTPUT]
    assert load_predictor(str(paths.EXPORT)).trust.tells == []
    paths.BACKBONE.unlink()
    assert load_predictor().trust.tells == []


def test_an_export_says_from_which_probability_on_it_is_sure(exported):
    contract = {
        "pixels": {"apply_exif_orientation": True, "background": [0, 0, 0]},
        "probabilities": {"unsure_below": 0.41},
    }
    (paths.EXPORT / "input.json").write_text(json.dumps(contract))
    trust = load_predictor(str(paths.EXPORT)).trust
    assert trust.marks(np.array([0.4, 0.3, 0.3]), None) == {"unsure": True}
    assert trust.marks(np.array([0.42, 0.3, 0.28]), None) == {"unsure": False}


def test_the_head_s_probabilities_are_calibrated(project, monkeypatch):
    monkeypatch.setattr(backbones, "build", small_backbone)
    whole = leave_a_head(("a", "b", "c"), pooling="avg", dropout=0.0)
    export(paths.EXPORT, side=32)
    kept = paths.BACKBONE.read_bytes()
    leave_a_calibration()
    paths.BACKBONE.write_bytes(kept)
    expected = temperature.apply(whole.predict(ASKED, verbose=0), 1.9)
    assert load_predictor("head").probabilities(ASKED) == pytest.approx(expected, abs=1e-4)


def test_int8_is_calibrated_on_the_training_images_of_the_run(answering):
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Conv2D(7, 3, activation="relu") for _ in range(2)]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
    size = (COLOURS_SIDE, COLOURS_SIDE, 3)
    x = inputs = keras.Input(size)
    for layer in [keras.layers.Rescaling(1 / 40), *layers]:
        x = layer(x)
    keras.Model(inputs, x).save(paths.EXPORT / "model.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (17, *size))
    exactly = by_keras(paths.EXPORT, pixels)
    for precision in ("bfloat16", "int8"):
        got = load_predictor("fine_tuned", precision).probabilities(pixels.astype("uint8"))
        assert 1e-6 < np.abs(got - exactly).max() < 0.05, precision
    split = pd.read_csv(paths.SPLIT)
    split.loc[split["split"] == "train", "split"] = "excluded"
    split.loc[3, "split"] = "train"
    split.to_csv(paths.SPLIT, index=False)
    one = load_predictor("fine_tuned", "int8").probabilities(pixels.astype("uint8"))
    assert not np.array_equal(one, got)


def test_int8_where_it_cannot_be_is_one_line(answering):
    with pytest.raises(UserError, match="no training images of models/export here to calibrate"):
        load_predictor("models/export", "int8")
    shutil.rmtree(paths.RAW)
    with pytest.raises(UserError, match=r"^--precision int8: data/raw is missing; `dvc pull`"):
        load_predictor("fine_tuned", "int8")
    set_params(answering / "params.yaml", {"extract": {"engine": "tensorflow"}})
    with pytest.raises(UserError, match=r"\[extract.engine\]: --precision int8 needs openvino"):
        load_predictor("fine_tuned", "int8")
