"""Let a .keras file that the installed Keras wrote be loaded by earlier releases of Keras 3.

The file is a zip with the arguments of every layer in config.json. Keras writes all of them, and
refuses those that it does not know, so each release that adds one makes files that no earlier one
loads. Where such an argument has its default, the file means the same without it.
"""

import json
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from thaw.project import files

if TYPE_CHECKING:
    import keras

CONFIG = "config.json"
HUB = "keras_hub"
OLDEST = "3.4"  # that loads a file; before it, Keras wrote outputs in another way
ADDED = {  # arguments that came after it, and their defaults
    "quantization_config": None,  # 3.13, of Dense and others
    "renorm": False,  # 3.14, of BatchNormalization, as the next two
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
    "input_axes": None,  # 3.15, of initializers, as the next
    "output_axes": None,
}
OPERATIONS = "keras.src.ops."  # take a name since 3.11; the graph has it beside the arguments


def needs(model: "keras.Model") -> str:
    """Return what has to be installed to load a model's .keras file."""
    if any(type(layer).__module__.startswith(HUB) for layer in model._flatten_layers()):
        return f"keras >= {metadata.version('keras')} and keras-hub >= {metadata.version(HUB)}"
    return f"keras >= {OLDEST}"


def leave_out_defaults(file: Path) -> None:
    """Take the arguments of ADDED out of a .keras file where they have their defaults."""
    with (
        files.replacing(file) as partial,
        zipfile.ZipFile(file) as old,
        zipfile.ZipFile(partial, "w") as new,
    ):
        for member in old.infolist():
            content = old.read(member)
            if member.filename == CONFIG:
                content = json.dumps(_without(json.loads(content))).encode()
            new.writestr(member, content)


def _without(config: object) -> object:
    if isinstance(config, list):
        return [_without(each) for each in config]
    if not isinstance(config, dict):
        return config
    kept = {
        key: _without(value)
        for key, value in config.items()
        if key not in ADDED or value != ADDED[key]
    }
    if str(kept.get("module")).startswith(OPERATIONS):
        kept["config"].pop("name", None)
    return kept
