import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.conftest import STAGES, TINY, decoding, run_stage, set_params
from tests.imports import ROOT
from thaw.calibration.saved import Calibration
from thaw.data import manifest
from thaw.evaluation import metrics
from thaw.export.formats import EXPORT_FORMATS, QUANTIZED
from thaw.images.loader import ImageLoader
from thaw.project import files, paths
from thaw.project.errors import UserError
from tools.serving import neighbours
from tools.serving.predictor import load_predictor

PHOTOS = ROOT.parent / "shared/datasets/cats_and_dogs_filtered.zip"
LABELS = ["blue sky", "green", "red"]
ALONE = """
import importlib.util, sys
import numpy as np
assert importlib.util.find_spec("stages") is None
pixels = np.load("pixels.npy")
{loading}
assert ("tensorflow" in sys.modules) == {tensorflow}
np.save("out.npy", probabilities)
"""

# as `python -m stages.export`, in a process that knows the network of the tests
EXPORT = (
    "import thaw.models.tf_setup, runpy; from tests import tiny; tiny.register();"
    "runpy.run_module('stages.export', run_name='__main__')"
)


def codes(folder: Path) -> list[str]:
    """Return the Python code of a folder's model card: from file to pixels, formats, the name."""
    return re.findall(r"```python\n(.*?)```", (folder / "MODEL_CARD.md").read_text(), re.S)


def call(code: str, folder: Path) -> str:
    """Run code in `folder`, by a Python that finds nothing of this project."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def alone(name: str, pixels: np.ndarray, exported: Path, folder: Path) -> np.ndarray:
    """Return what a format gives in a folder of its own, loaded as the model card says."""
    file = EXPORT_FORMATS[name].file
    [loading] = [code for code in codes(exported) if f'"{file}' in code]
    (shutil.copytree if (exported / file).is_dir() else shutil.copy)(exported / file, folder / file)
    np.save(folder / "pixels.npy", pixels)
    call(ALONE.format(loading=loading, tensorflow=name in ("keras", "saved_model")), folder)
    return np.load(folder / "out.npy")


def predicted(table: pd.DataFrame) -> np.ndarray:
    """Return the probabilities (n, classes) that evaluate wrote."""
    return table[[column for column in table if column.startswith("p(")]].to_numpy()


@pytest.fixture(scope="session")
def exported(finished_run, tmp_path_factory) -> Path:
    """A copy of the finished project whose export has all formats. Only to be read."""
    folder = tmp_path_factory.mktemp("exported") / "project"
    shutil.copytree(finished_run, folder)
    set_params(folder / "params.yaml", {"export": {"formats": list(EXPORT_FORMATS)}})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_stage("export")
    return folder


SLOW = ("keras", "saved_model")  # the README's snippet is tried with the first


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name
        for name in EXPORT_FORMATS
    ],
)
def test_each_format_gives_the_predictions_and_needs_none_of_our_code(exported, tmp_path, name):
    table = pd.read_csv(exported / "data/predictions.csv")
    pixels = []
    for path in table["path"]:
        with Image.open(exported / "data/raw" / path) as image:
            square = image.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
            pixels.append(np.asarray(square, "float32"))
    got = alone(name, np.stack(pixels), exported / "models/export", tmp_path)
    assert got.shape == (len(table), 3)
    assert got.dtype == "float32"
    assert np.abs(got - predicted(table)).max() < (0.2 if name in QUANTIZED else 1e-4)


def test_labels_and_contract_are_there(exported):
    folder = exported / "models/export"
    assert json.loads((folder / "labels.json").read_text()) == LABELS
    contract = json.loads((folder / "input.json").read_text())
    assert contract["pixels"]["shape"] == ["n", 32, 32, 3]
    assert sorted(each.name for each in folder.iterdir()) == sorted(
        [
            "labels.json",
            "input.json",
            "MODEL_CARD.md",
            *(each.file for each in EXPORT_FORMATS.values()),
        ]
    )


def test_the_report_describes_each_format(exported):
    report = json.loads((exported / "metrics/export.json").read_text())
    table = pd.read_csv(exported / "data/predictions.csv")
    assert list(report) == sorted(EXPORT_FORMATS)
    for name, row in report.items():
        assert set(row) == {
            "megabytes", "milliseconds", "accuracy", "agreement", "largest_difference",
        }  # fmt: skip
        assert row["largest_difference"] < (0.2 if name in QUANTIZED else 1e-4)
    assert report["keras"]["accuracy"] == round((table["label"] == table["fine_tuned"]).mean(), 4)
    assert report["keras"]["agreement"] == 1.0


def test_the_card_is_of_this_run_and_names_an_image(exported, tmp_path):
    folder = exported / "models/export"
    text = (folder / "MODEL_CARD.md").read_text()
    scores = json.loads((exported / "metrics/test.json").read_text())["fine_tuned"]
    assert f"{scores['accuracy']:.4f} ({scores['accuracy_low']:.4f} to" in text
    assert "Source: images. Of 59 images found" in text
    row = pd.read_csv(exported / "data/predictions.csv").iloc[-1]
    shutil.copy(exported / "data/raw" / row["path"], tmp_path / "cat.jpg")
    for name in ("model.onnx", "labels.json"):
        shutil.copy(folder / name, tmp_path)
    prepare, *loading, named = codes(folder)
    [onnx] = [code for code in loading if "onnxruntime" in code]
    label, probability = call(prepare + onnx + named, tmp_path).rsplit(" ", 1)
    assert label == row["fine_tuned"]
    assert float(probability) == pytest.approx(row[f"p({label})"], abs=1e-4)


@pytest.mark.slow
def test_all_but_the_time_is_the_same_in_a_second_run(after_run):
    """Except Keras' own files and ONNX, whose bytes, but not results, differ at every save."""
    set_params(after_run / "params.yaml", {"export": {"formats": ["litert_int8", "openvino"]}})
    written = []
    for _ in range(2):
        command = [sys.executable, "-c", EXPORT]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
        report = pd.read_json("metrics/export.json").drop(["milliseconds", "megabytes"])
        written.append((kept(after_run / "models/export"), report.to_dict()))
    for each, _ in written:
        del each["model.keras"]
    assert len(written[0][0]) == 6
    assert written[0] == written[1]


def kept(folder: Path) -> dict[str, str]:
    """Return the digest of each file in a folder."""
    written = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): files.sha256(path) for path in written}


def test_no_export_under_the_gate(after_run):
    set_params(after_run / "params.yaml", {"export": {"min_accuracy": 1.0}})
    scores = json.loads((after_run / "metrics/test.json").read_text())
    scores["fine_tuned"]["accuracy"] = 0.9999
    (after_run / "metrics/test.json").write_text(json.dumps(scores))
    before = kept(after_run / "models"), kept(after_run / "metrics")
    with pytest.raises(UserError, match="not exported") as error:
        run_stage("export")
    assert error.value.key == "export.min_accuracy"
    assert (kept(after_run / "models"), kept(after_run / "metrics")) == before


def test_no_export_outside_the_tolerance(after_run):
    before = kept(after_run / "models"), kept(after_run / "metrics")
    set_params(after_run / "params.yaml", {"export": {"formats": ["openvino"], "tolerance": 1e-12}})
    with pytest.raises(UserError, match="probabilities of openvino differ from Keras'") as error:
        run_stage("export")
    assert error.value.key == "export.tolerance"
    assert (kept(after_run / "models"), kept(after_run / "metrics")) == before


def test_a_missing_package_is_named_before_anything_is_read(after_run, monkeypatch):
    set_params(after_run / "params.yaml", {"export": {"formats": ["keras", "onnx"]}})
    for path in (paths.TEST, paths.MANIFEST, paths.FINE_TUNED):
        path.unlink()
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(UserError, match="onnx needs the package tf2onnx"):
        run_stage("export")


@pytest.mark.slow
def test_the_formats_agree_with_keras_on_200_photos(tmp_path, monkeypatch):
    """Two classes, the pretrained network, and each format alone, on test images."""
    if not PHOTOS.is_file():
        pytest.skip("the photos of cats and dogs are not there")
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(PHOTOS) as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".jpg"))[::6]:
            target = tmp_path / "images" / Path(name).parent.name / Path(name).name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(name))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    set_params(
        tmp_path / "params.yaml",
        {
            "data": TINY["data"],
            "split": {"test": 0.5},
            "backbone": {"image_size": 128},
            "fine_tune": {
                "epochs": 1,
                "warmup": 0.0,
                "averaging": 0.0,
                "learning_rate": 0.0001,
            },
            "runtime": {"store": None},
            "export": {"formats": list(EXPORT_FORMATS)},
        },
    )
    for name in STAGES:
        run_stage(name)
    rows = manifest.read(paths.MANIFEST)
    test = rows[manifest.read_split(paths.SPLIT, rows) == "test"].iloc[-200:]
    assert len(test) == 200
    images = manifest.image_paths(test, paths.RAW)
    pixels = ImageLoader(128, decoding(reducing_gap=3.0)).stack(images).astype("float32")
    truth = (test["label"] == "dogs").to_numpy()
    of_keras = predicted(pd.read_csv(paths.PREDICTIONS).iloc[-200:])
    accuracy = ((of_keras[:, 1] > 0.5) == truth).mean()
    assert accuracy > 0.85
    for name in EXPORT_FORMATS:
        (tmp_path / name).mkdir()
        got = alone(name, pixels, paths.EXPORT.absolute(), tmp_path / name)
        if name in QUANTIZED:
            assert ((got[:, 1] > 0.5) == truth).mean() >= accuracy - 0.015
        else:
            assert np.abs(got - of_keras).max() < 1e-4, name
    sizes = {
        name: row["megabytes"] for name, row in json.loads(paths.EXPORT_REPORT.read_text()).items()
    }
    assert sizes["litert_int8"] < sizes["litert"] / 3
    assert sizes["saved_model"] < 1.2 * sizes["litert"]  # each weight once


@pytest.mark.slow
@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_an_image_s_shape_is_the_same_from_the_first_stage_to_a_prediction(project, fit):
    """Of wide, tall and turned images; stages from fine_tune on compare it with those before."""
    random = np.random.default_rng(0)
    for folder in (project / "images").iterdir():
        for number in range(7):
            values = random.integers(0, 255, (20 + 13 * number, 90 - 10 * number, 3), "uint8")
            exif = Image.Exif()
            exif[0x0112] = 1 + number
            Image.fromarray(values).save(folder / f"{number}.jpg", exif=exif)
    changes = {"images": {"fit": fit}, "extract": {"augmented_copies": 1}}
    set_params(project / "params.yaml", changes)
    for name in STAGES:
        run_stage(name)
    for file in ("data/features", "data/augmented_copies"):
        assert json.loads((project / file / "provenance.json").read_text())["images"]["fit"] == fit
    table, predictor = pd.read_csv(project / "data/predictions.csv"), load_predictor()
    pixels = predictor.loader.stack([project / "data/raw" / path for path in table["path"]])
    assert np.abs(predictor.ask(pixels)[0] - predicted(table)).max() < 1e-4


@pytest.mark.slow
def test_twelve_bits_are_the_same_from_the_first_stage_to_a_prediction(project):
    """Each stage from fine_tune on compares its decoding with that of the stages before."""
    random = np.random.default_rng(0)
    for folder in (project / "images").iterdir():
        for number in range(5):
            values = random.integers(0, 4000 if number else 900, (40, 40)).astype("uint16")
            Image.fromarray(values).save(folder / f"{number}.png")
    set_params(project / "params.yaml", {"extract": {"augmented_copies": 1}})
    for name in STAGES:
        run_stage(name)
    for file in ("data/features", "data/augmented_copies"):
        assert json.loads((project / file / "provenance.json").read_text())["images"]["bits"] == 12
    says = json.loads((project / "models/export/input.json").read_text())["pixels"]
    assert says["sixteen_bits"]["fill"] == 12
    table = pd.read_csv(project / "data/predictions.csv")
    predictor = load_predictor()
    images = [project / "data/raw" / path for path in table["path"]]
    assert any(path.suffix == ".png" for path in images)
    got = predictor.probabilities(predictor.loader.stack(images))
    assert np.abs(got - predicted(table)).max() < 1e-4
    neighbours.nearest(neighbours.load(), images[0], 3)


@pytest.mark.slow
def test_with_unknown_each_format_but_int8_says_how_known_an_image_looks(after_run, tmp_path):
    set_params(after_run / "params.yaml", {"calibrate": {"known": 0.6}})
    export = {"formats": list(EXPORT_FORMATS), "unknown": True}
    set_params(after_run / "params.yaml", {"export": export})
    for name in ("calibrate", "evaluate", "export"):
        run_stage(name)
    table, rows = pd.read_csv(paths.PREDICTIONS), manifest.read(paths.MANIFEST)
    loader = ImageLoader(32, load_predictor().loader.decoding)
    pixels = loader.stack([paths.RAW / path for path in table["path"]])
    validation = (manifest.read_split(paths.SPLIT, rows) == "validation").to_numpy()
    shown = loader.stack([paths.RAW / path for path in rows["path"][validation]])
    calibration = Calibration.read(paths.CALIBRATION)
    features = np.load(paths.FEATURES / "avg.npy")[validation]
    expected = -calibration.unknown.score(features, metrics.to_probabilities(calibration.logits))
    report = json.loads(paths.EXPORT_REPORT.read_text())
    for name in EXPORT_FORMATS:
        file = paths.EXPORT / EXPORT_FORMATS[name].file
        if name in QUANTIZED:
            assert "largest_difference_of_known" not in report[name]
            continue
        got = EXPORT_FORMATS[name].open(file, "known")(shown.astype("float32"))
        assert (got.shape, got.dtype) == ((len(shown),), np.float32)
        assert got == pytest.approx(expected, abs=0.02), name
        assert report[name]["largest_difference_of_known"] < 0.01
    says = json.loads((paths.EXPORT / "input.json").read_text())["known"]
    assert says["unknown_below"] == -calibration.unknown.threshold
    shutil.copytree(paths.EXPORT, tmp_path / "elsewhere")
    predictor = load_predictor(str(tmp_path / "elsewhere"))
    probabilities, known = predictor.ask(pixels)
    marked = [predictor.trust.marks(*each)["unknown"] for each in zip(probabilities, known)]
    assert np.mean(marked) == pytest.approx(
        json.loads(paths.TEST.read_text())["refused"]["unknown"], abs=0.06
    )
    assert 0 < np.mean(marked) < 1
    alone_folder = tmp_path / "alone"
    alone_folder.mkdir()
    assert alone("keras", pixels.astype("float32"), paths.EXPORT, alone_folder) == pytest.approx(
        predicted(table), abs=1e-4
    )
