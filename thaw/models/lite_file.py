"""The `.weights.h5` file of EfficientNet Lite as Keras saves it, without Keras."""

from collections import Counter
from pathlib import Path

import h5py
import numpy as np

from thaw.models import hdf5_file, lite_layers
from thaw.project import files
from thaw.project.errors import UserError

# What Keras calls a group of weights, by the kind of its layer.
CLASSES = {
    "conv": "conv2d",
    "depthwise": "depthwise_conv2d",
    "norm": "batch_normalization",
    "relu6": "re_lu",
    "add": "add",
}
ROOM = 1 << 20  # bytes for what is beside the values


def save(number: int, values: dict[str, list[np.ndarray]], path: Path) -> None:
    """Save the weights of Lite0, 1 or 2 by layer, as `lite_layers.package_values` gives them.

    Raises OSError where the disk has no room for them.
    """
    files.reserve(path, ROOM + sum(value.nbytes for each in values.values() for value in each))
    of = [("input_layer", "pixels"), ("rescaling", "preprocess")]
    of += [(CLASSES[each.kind], each.name) for each in lite_layers.layers(number)]
    seen = Counter()
    with h5py.File(path, "w") as file:
        for kind, name in of:
            place = f"layers/{kind}_{seen[kind]}" if seen[kind] else f"layers/{kind}"
            seen[kind] += 1
            group = file.create_group(f"{place}/vars")
            group.attrs["name"] = name
            for index, value in enumerate(values.get(name, [])):
                group[str(index)] = value
        file.create_group("vars").attrs["name"] = f"efficientnetlite{number}"


def load(number: int, path: Path) -> dict[str, list[np.ndarray]]:
    """Return the weights of Lite0, 1 or 2 by layer. Raises UserError when the file has others."""
    try:
        with hdf5_file.opened(path) as file:
            groups = [group["vars"] for group in file["layers"].values()]
            values = {
                group.attrs["name"]: [group[index][()] for index in sorted(group, key=int)]
                for group in groups
                if len(group)
            }
        lite_layers.check(number, values)
    except Exception as error:  # h5py raises all kinds for a damaged or foreign file
        raise UserError(
            f"{path}: not the weights of this efficientnetlite{number} "
            f"({' '.join(str(error).split())[:200]}); let `dvc repro` make it again"
        ) from None
    return values
