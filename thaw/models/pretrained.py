"""Give the backbone the pretrained weights that the params ask for."""

from pathlib import Path
from urllib.parse import urlsplit

import keras
from keras import applications

from thaw.models.tf_setup import make_deterministic
from thaw.models import efficientnet_lite, lite_layers, presets, weights
from thaw.models.backbones import build
from thaw.models.registry import LITE, is_preset
from thaw.models.settings import Backbone, Weights
from thaw.project.errors import UserError
from thaw.sources import fetch, source_folder

RANDOM_SEED = 0  # of `weights: null`


def load(spec: Backbone, scratch: Path, texts: Path | None = None) -> keras.Model:
    """Build the network with the weights that the params ask for.

    A weights file with an address is fetched into the folder `scratch`. What a preset has for texts
    is written into the folder `texts`. Raises UserError when the weights cannot be had, have
    another digest than `spec` says, or are not this network's.
    """
    make_deterministic(RANDOM_SEED)
    if is_preset(spec.name):
        return presets.load(spec, texts)
    model = build(spec)
    if spec.weights is None:
        return model
    if spec.weights.file == "imagenet":
        _load_imagenet(model, spec)
    else:
        weights.load_pretrained(model, _file(spec.weights, scratch))
    return model


def _file(wanted: Weights, scratch: Path) -> Path:
    place = wanted.file
    if place.startswith(("http://", "https://")):
        # its ending says of which kind it is
        file = scratch / (Path(urlsplit(place).path).name.strip(".") or "weights")
        found = fetch.download(place, file, wanted.sha256, key="backbone.weights")
        if not wanted.sha256:
            print(f"{place} has no known digest; to accept these bytes only, put into params.yaml:")
            print(f"  weights: {{file: {place}, sha256: {found}}}", flush=True)
        return file
    if not Path(place).is_file():
        raise UserError(
            f"no such file: {place!r}",
            "backbone.weights",
            "give the path or address of a weights file, imagenet or null",
        )
    source_folder.check_digest(Path(place), wanted.sha256, place, "backbone.weights")
    return Path(place)


def _load_imagenet(model: keras.Model, spec: Backbone) -> None:
    if spec.name in LITE:
        number = LITE.index(spec.name)
        file = lite_layers.package_file(number)
        efficientnet_lite.load_package_weights(number, model, file)
        return
    build_application = getattr(applications, spec.name)
    shape = (spec.size, spec.size, 3)  # MobileNets have weights of their own for some sizes
    try:
        source = build_application(include_top=False, weights="imagenet", input_shape=shape)
    except Exception as error:  # keras.utils.get_file raises bare Exception when a download fails
        raise UserError(
            f"Keras cannot download {spec.name}'s ImageNet weights ({error})",
            "backbone.weights",
            "set it to the path of a weights file, or backbone.name to EfficientNetLite0, which "
            "needs no download",
        ) from None
    weights.copy(source, model)
