"""Load weights files, all of them or none. Keras is imported only by those who have a model."""

import json
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from thaw.models import hdf5_file, keras_archive
from thaw.project import files
from thaw.project.errors import UserError

if TYPE_CHECKING:
    import keras

BESIDE = 4096  # bytes at most that a file has for a variable besides its values
PROVENANCE = "provenance"  # the attribute of a file that says what it was made with


def save(model: "keras.Model", path: Path, provenance: dict | None = None) -> None:
    """Save all weights as `.weights.h5`, with the provenance of what they belong to, if it has one.

    Raises OSError where the disk has no room for them.
    """
    values = sum(variable.numpy().nbytes for variable in model.variables)
    files.reserve(path, values + BESIDE * len(model.variables))
    model.save_weights(path)
    if provenance is None:
        return
    with h5py.File(path, "r+") as file:
        file.attrs[PROVENANCE] = json.dumps(provenance, sort_keys=True)


def read_provenance(path: Path) -> dict:
    """Return what `save` said of a file; {} for a file that says nothing.

    Raises UserError when the file is missing or damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            return dict(json.loads(file.attrs.get(PROVENANCE, "{}")))
    except (OSError, ValueError, TypeError, RuntimeError, RecursionError):
        raise UserError(f"{path} is missing or damaged; let `dvc repro` make it again") from None


def load(model: "keras.Model", path: Path) -> None:
    """Set every weight of `model` from a `.weights.h5` file of the same model.

    Raises UserError when the file is damaged or not of this model. Keras 3.15 only warns of some
    layers that it skips; here that is an error too.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if h5py.is_hdf5(path):
                with hdf5_file.opened(path):
                    pass
            model.load_weights(path)
        except Exception as error:  # h5py and Keras raise all kinds for a damaged or foreign file
            raise _refusal(model, path, error) from None
    skipped = [each.message for each in caught if issubclass(each.category, UserWarning)]
    if skipped:
        raise _refusal(model, path, skipped[0])


def load_pretrained(model: "keras.Model", path: Path) -> None:
    """Set every weight of a network without top from a file of any of Keras' kinds.

    These are `.weights.h5`, the classic `.h5` and `.keras`; the last two with or without a top of
    dense layers, which is left out. The kind is told by content. A file is read as data only: no
    code in it is run, no other file is read, and shapes are compared before values are read, so
    that it takes no more memory than the network twice, or than the file has bytes. Raises
    UserError that names the first layer which differs, or says what the file is instead.
    """
    try:
        if zipfile.is_zipfile(path):
            with keras_archive.opened(path) as values:
                _assign(model, values)
        elif h5py.is_hdf5(path):
            with hdf5_file.opened(path) as file:
                values = hdf5_file.classic_values(file)
                if values:
                    _assign(model, values)
            if not values:
                _load_own_kind(model, path)
        else:
            raise ValueError("neither HDF5 nor .keras")
    except UserError:
        raise
    except Exception as error:  # h5py and Keras raise all kinds for a damaged or foreign file
        raise _refusal(model, path, error) from None


def _refusal(model: "keras.Model", path: Path, error: Warning | Exception) -> UserError:
    cause = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(
        f"{path}: not the weights of this {model.name} ({cause}); use a file saved from the same "
        "network (.weights.h5, .h5 or .keras), or let `dvc repro` make it again"
    )


def _load_own_kind(model: "keras.Model", path: Path) -> None:
    """Load a `.weights.h5` file, or raise ValueError for the first layer that differs.

    Keras itself says of the layers that it cannot load how many they are, and names any of them.
    """
    try:
        load(model, path)
    except UserError:
        _compare(model, path)
        raise


def _compare(model: "keras.Model", path: Path) -> None:
    """Raise ValueError for the first layer that the file has in other shapes, or not at all."""
    import keras

    theirs = {}
    with h5py.File(path) as file:
        for group in file["layers"].values():
            values = group["vars"]
            shapes = [values[number].shape for number in sorted(values, key=int)]
            theirs[values.attrs["name"]] = shapes
    for layer in model.layers:
        if isinstance(layer, keras.Model):  # whose layers the file has elsewhere
            continue
        ours = [tuple(variable.shape) for variable in layer.weights]
        if ours and layer.name not in theirs:
            raise ValueError(f"the file has no layer {layer.name}")
        if ours and theirs[layer.name] != ours:
            raise ValueError(
                f"layer {layer.name} has weights of shapes {ours}, the file's {theirs[layer.name]}"
            )


def _variables(model: "keras.Model") -> Iterator[tuple[str, "keras.Variable"]]:
    """Yield (layer's name, variable) from the input on, in the order of the classic files."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _variables(layer)
        else:
            for variable in [*layer.trainable_weights, *layer.non_trainable_weights]:
                yield layer.name, variable


def _assign(model: "keras.Model", values: list[tuple[str, h5py.Dataset]]) -> None:
    """Set each variable from the value at its place, or none and raise ValueError.

    Values that are left over must be those of a top: of dense layers, so of one or two dimensions.
    """
    variables = list(_variables(model))
    for (ours, variable), (theirs, value) in zip(variables, values):
        if tuple(variable.shape) != value.shape:
            raise ValueError(
                f"layer {ours} has a weight of shape {tuple(variable.shape)}, the file's layer "
                f"{theirs} {value.shape}"
            )
    if len(values) < len(variables):
        raise ValueError(f"the file ends before layer {variables[len(values)][0]}")
    left = values[len(variables) :]
    if any(value.ndim > 2 for _, value in left):
        raise ValueError(f"the file goes on with layer {left[0][0]}, which is no top")
    assign(model, [value[()] for _, value in values[: len(variables)]])


def assign(model: "keras.Model", values: list[np.ndarray]) -> None:
    """Set all weights, in the order of `_variables`.

    Normalization computes with copies of its weights, which only `finalize_state` renews:
    `set_weights` alone would leave it as it was built.
    """
    import keras

    for (_, variable), value in zip(_variables(model), values, strict=True):
        variable.assign(value)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def copy(source: "keras.Model", target: "keras.Model") -> None:
    """Give `target` the weights of `source`, layer by layer in their order.

    Raises ValueError when their numbers differ.
    """
    assign(target, [variable.numpy() for _, variable in _variables(source)])
