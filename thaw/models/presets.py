"""Presets of KerasHub: read with their weights and the scaling of their pixels, by its own loader.

`backbone.name` names one as hub:NAME (of KerasHub's list), by an address such as hf://timm/NAME, or
by the path of a folder.
"""

import hashlib
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import keras

from thaw.models import hdf5_file, preset_network, texts
from thaw.models.preset_families import FAMILIES
from thaw.models.registry import HUB, is_folder
from thaw.models.settings import Backbone
from thaw.project import files
from thaw.project.errors import UserError

if TYPE_CHECKING:
    import keras_hub

KEY = "backbone.name"
READ = (".json", ".h5", ".safetensors")  # endings of the files of a preset that are read
# What leaves out whole blocks at random. Some of KerasHub's layers draw for that from one generator
# of the process, so an interrupted training would end with other bytes.
DROP_PATHS = ("drop_path", "drop_path_rate")


def load(spec: Backbone, texts_folder: Path | None = None) -> keras.Model:
    """Return a preset as a network, with its weights, or with random ones for `weights: null`.

    What it has for texts, of its own weights, is written into `texts_folder`. Raises UserError when
    it cannot be had, has another digest than `spec` says, or is of no family that is known.
    """
    hub = preset_network.imported()
    name = spec.name.removeprefix(HUB)
    if is_folder(spec.name):
        _check_folder(Path(name), spec.weights and spec.weights.sha256)
    try:
        converter = hub.layers.ImageConverter.from_preset(name)
        random = _vision(hub.models.Backbone.from_preset(name, load_weights=False, dtype="float32"))
    except Exception as error:  # of the loader, of h5py, of Kaggle's and Hugging Face's packages
        raise _refusal(hub, spec.name, error) from None
    description = preset_network.describe(random, converter.scale, converter.offset)
    shape = _shape(description, spec.size)
    source = random
    if spec.weights:
        try:
            whole = hub.models.Backbone.from_preset(name, dtype="float32", **shape)
        except Exception as error:
            raise _refusal(hub, spec.name, error) from None
        source = _vision(whole)
        if texts_folder and source is not whole:
            _save_texts(hub, spec.name, whole, texts_folder)
    description["config"] = _settled(description["config"] | shape)
    backbone = preset_network.create(description)
    _copy(source, backbone)
    return preset_network.of_backbone(backbone, description, spec.size)


def _save_texts(
    hub: "keras_hub", name: str, whole: "keras_hub.models.Backbone", folder: Path
) -> None:
    """Write what a preset has for texts into a folder, or say why it has no use without more."""
    try:
        preprocessor = hub.models.CausalLMPreprocessor.from_preset(name.removeprefix(HUB))
    except Exception as error:
        if not is_folder(name):
            raise _refusal(hub, name, error) from None
        cause = " ".join(str(error).split())[:200]
        print(f"{name}: no texts, for its tokenizer cannot be read ({cause})", flush=True)
        return
    texts.save(whole, preprocessor, folder)


def digest(folder: Path) -> str:
    """Return the SHA-256 of what `sha256sum *.h5 *.json *.safetensors` prints, sorted by name."""
    names = sorted(each.name for each in folder.iterdir() if each.suffix in READ)
    lines = "".join(f"{files.sha256(folder / name)}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def _check_folder(folder: Path, sha256: str | None) -> None:
    """Raise UserError for a folder that is no preset, or another one than `sha256` is of."""
    if not (folder / "config.json").is_file():
        raise UserError(
            f"{str(folder)!r} is no preset: it has no config.json",
            KEY,
            "give a folder that KerasHub's `save_to_preset` wrote, or hub:NAME",
        )
    found = digest(folder)
    if sha256 and found != sha256:
        raise UserError(
            f"{folder}: its SHA-256 is {found} and not {sha256}, so these are other bytes",
            "backbone.weights",
            "check the folder and this key",
        )
    if not sha256:
        print(f"to accept these bytes of {folder} only, put into params.yaml:")
        print(f"  weights: {{file: imagenet, sha256: {found}}}", flush=True)
    for file in folder.glob("*.h5"):
        try:
            with hdf5_file.opened(file):
                pass
        except (OSError, ValueError) as error:
            raise UserError(f"{file}: {error}", KEY, "save the preset again") from None


def _vision(backbone: "keras_hub.models.Backbone") -> "keras_hub.models.Backbone":
    """Return the network for images; CLIP, MetaCLIP and SigLIP have one for texts beside it."""
    return getattr(backbone, "vision_encoder", backbone)


def _shape(description: dict, size: int) -> dict:
    """Return the `image_shape` to build a network with, where it can be any."""
    config, any_size = description["config"], FAMILIES[description["kind"]].any_size
    if not any_size or "image_shape" not in config:
        return {}
    if any_size is True:
        return {"image_shape": [None, None, 3]}
    step = config[any_size]
    side = max(1, round(size / step)) * step
    return {"image_shape": [side, side, 3]}


def _settled(config: dict) -> dict:
    """Return a configuration without what would make a network another one when it is loaded.

    Embeddings of positions are of its own size of images: DINOv2 else keeps those of the size that
    it was trained with, and interpolates them whenever it is loaded, and back whenever it is saved.
    """
    changes = dict.fromkeys(config.keys() & DROP_PATHS, 0.0)
    if "position_embedding_shape" in config:
        changes["position_embedding_shape"] = config["image_shape"]
    return config | changes


def _copy(source: "keras_hub.models.Backbone", target: "keras_hub.models.Backbone") -> None:
    """Give a network the weights of one that is alike but for the size of its images."""
    for ours, theirs in zip(target.weights, source.weights, strict=True):
        if ours.shape == theirs.shape:
            ours.assign(theirs)
    of_positions = getattr(getattr(target, "embeddings", None), "position_embeddings", None)
    if of_positions is not None:
        of_positions.assign(target.embeddings.interpolated_position_embeddings)


def _refusal(hub: "keras_hub", name: str, error: Exception) -> UserError:
    """Say why a preset cannot be had, and how to bring it."""
    known = hub.models.Backbone.presets
    cause = " ".join(str(error).split())[:200] or type(error).__name__
    bare = name.removeprefix(HUB)
    if bare != name and bare not in known:
        near = get_close_matches(bare, known, n=1)
        hint = f"did you mean {HUB}{near[0]}?" if near else "keras.io/keras_hub/presets lists them"
        return UserError(f"{name} is no preset of KerasHub", KEY, hint)
    if is_folder(name):
        return UserError(
            f"KerasHub cannot read {name} ({cause})", KEY, "save it again, with its image converter"
        )
    if name.startswith("hf://"):
        bring = f"`hf download {name.removeprefix('hf://')} --local-dir preset`"
    else:
        handle = known[bare]["kaggle_handle"] if bare in known else name
        handle = handle.removeprefix("kaggle://")
        bring = f"`python -c \"import kagglehub; print(kagglehub.model_download('{handle}'))\"`"
    return UserError(
        f"KerasHub cannot bring {name} ({cause})",
        KEY,
        f"where there is a network, {bring} brings it; set this key to the path of that folder",
    )
