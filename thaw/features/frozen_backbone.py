"""The frozen network as an engine runs it.

OpenVINO needs it converted, which takes TensorFlow and seconds, most of what a few new images cost.
So what was converted once is kept in the feature store, and TensorFlow only imported to convert.
EfficientNet Lite, which is built of few kinds of layers, needs neither.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from thaw.features import inference, int8, lite_network, provenance, store, tensorflow_engine
from thaw.features.image_source import ImageSource
from thaw.features.settings import Extract
from thaw.features.store import FeatureStore
from thaw.models import lite_file
from thaw.models.registry import LITE
from thaw.models.settings import Backbone
from thaw.project import snapshots
from thaw.project.errors import UserError

if TYPE_CHECKING:
    import keras
    import openvino


class FrozenNetwork(NamedTuple):
    """What turns pixels into named outputs.

    size: side of the images in pixels. shapes: of the outputs by name, but for the batch.
    provenance: what they depend on besides the images; it names the engine and the precision.
    ready: makes the engine ready, which takes seconds; called when there is something to compute.
    packed: gives the network in one piece, for `unpacked` elsewhere.
    """

    size: int
    shapes: dict[str, tuple[int, ...]]
    provenance: dict
    ready: Callable[[], inference.Forward]
    packed: Callable[[], bytes] | None = None


def of_model(model: "keras.Model", provenance: dict) -> FrozenNetwork:
    """Return a model with named outputs, to be run by the engine that `provenance` names."""
    if provenance["engine"] == "tensorflow":
        at_once = tensorflow_engine.images_at_once(model)
        provenance = provenance | {"device": inference.tensorflow_device(), "at_once": at_once}
    shapes = {name: tuple(model.output[name].shape[1:]) for name in sorted(model.output)}
    how = provenance["engine"], provenance["precision"]
    ready = functools.cache(lambda: inference.forward(model, *how))
    pack = tensorflow_engine.packed if provenance["engine"] == "tensorflow" else inference.convert
    packed = functools.partial(pack, model)
    return FrozenNetwork(model.input_shape[1], shapes, provenance, ready, packed)


def unpacked(data: bytes, shapes: dict[str, tuple[int, ...]], provenance: dict) -> FrozenNetwork:
    """Return a network that was packed on another host: its `packed()`, shapes and provenance.

    Raises UserError where TensorFlow has another device here.
    """
    if provenance["engine"] == "tensorflow":
        network = of_model(tensorflow_engine.unpacked(data), provenance)
        if network.provenance != provenance:
            raise UserError(
                f"a host of Ray computes on {network.provenance['device']} instead of "
                f"{provenance['device']}, so last digits may differ",
                hint="let all hosts have the same GPU, or none",
            )
        return network
    model = inference.read(data)
    ready = functools.cache(lambda: inference.compiled(model, provenance["precision"]))
    size = model.inputs[0].partial_shape[1].get_length()
    return FrozenNetwork(size, shapes, provenance, ready, lambda: data)


def of_lower(model: "keras.Model", last: str, provenance: dict) -> FrozenNetwork:
    """Return what `of_model` does of the lower layers of a backbone, up to the layer `last`."""
    name = provenance.get("backbone")
    if provenance["engine"] == "tensorflow" or name not in LITE:
        return of_model(model, provenance)
    values = {layer.name: layer.get_weights() for layer in model.layers}
    [output] = model.output
    size = model.input_shape[1]
    return _of_openvino(
        lite_network.lower(LITE.index(name), size, values, last, output), provenance
    )


def of_backbone(
    spec: Backbone, settings: Extract, weights: Path, features: dict, kept: FeatureStore,
    source: ImageSource | None = None,
) -> FrozenNetwork:  # fmt: skip
    """Return the backbone with pooled features as its outputs, and whole maps as `settings` say.

    `weights`: its file; `features`: what these depend on, as `provenance.of_features` gives it;
    `source`: as for `converted_once`.
    Raises UserError when the weights are not this network's or not those of `features`, or the
    engine is not installed.
    """
    digest = features["weights_sha256"]
    network = provenance.of_network(spec) | {"weights_sha256": digest}
    if features["engine"] == "openvino" and spec.name in LITE:
        number = LITE.index(spec.name)
        with snapshots.copied(weights, digest) as copy:
            values = lite_file.load(number, copy)
        built = lite_network.build(number, spec.size, values, settings.feature_maps)
        return _of_openvino(built, _with_ranges(built, network, features, kept, source))
    model = {"converted": network, "feature_maps": settings.feature_maps}

    def make() -> "keras.Model":
        with snapshots.copied(weights, digest) as copy:
            return _pooled(spec, copy, settings.feature_maps)

    return converted_once(make, model, features, kept, source)


def converted_once(
    make: Callable[[], "keras.Model"], model_provenance: dict, provenance: dict, kept: FeatureStore,
    source: ImageSource | None = None,
    hold: Callable[["keras.Model", FrozenNetwork], None] = lambda *_: None,
) -> FrozenNetwork:  # fmt: skip
    """Return the model with named outputs that `make` makes, which needs TensorFlow.

    OpenVINO's form of it is kept in the store, and `make` only called where it lacks it.
    `model_provenance`: all that the model depends on besides the software, as JSON can hold it;
    `provenance` as in `FrozenNetwork`. For int8 it may have the ranges of the layers' inputs; else
    the training images of `source` tell them, once, and the result's has them.
    `hold` raises UserError when a form that was just converted differs from the model; then it is
    not kept.
    """
    if provenance["engine"] == "tensorflow":
        return of_model(make(), provenance)
    [key] = store.keys(model_provenance, [""])
    converted = kept.get([key]).get(key)

    def as_network(converted: bytes) -> FrozenNetwork:
        read = inference.read(converted)
        return _of_openvino(read, _with_ranges(read, model_provenance, provenance, kept, source))

    if converted is not None:
        return as_network(converted)
    model = make()
    converted = inference.convert(model)
    network = as_network(converted)
    hold(model, network)
    kept.put([(key, converted)])
    return network


def _with_ranges(
    model: "openvino.Model", model_provenance: dict, provenance: dict, kept: FeatureStore,
    source: ImageSource | None,
) -> dict:  # fmt: skip
    """Return `provenance`, for int8 with the ranges, which are computed once; else as it is."""
    if provenance["precision"] != "int8" or "ranges" in provenance:
        return provenance
    images = source.calibrating()
    about = {"ranges_of": model_provenance, "images": images.decoding.model_dump()}
    [key] = store.keys(about, [" ".join(images.digests)])
    packed = kept.get([key]).get(key)
    if packed is None:
        packed = json.dumps(int8.ranges(model, images.pixels(_size(model)))).encode()
        kept.put([(key, packed)])
    return provenance | {"ranges": json.loads(packed)}


def _size(model: "openvino.Model") -> int:
    return model.inputs[0].partial_shape[1].get_length()


def _of_openvino(model: "openvino.Model", provenance: dict) -> FrozenNetwork:
    if provenance["precision"] == "int8":
        model = int8.quantized(model, provenance["ranges"])
    return FrozenNetwork(
        _size(model),
        inference.shapes(model),
        provenance,
        functools.cache(lambda: inference.compiled(model, provenance["precision"])),
        functools.partial(inference.packed, model),
    )


def _pooled(spec: Backbone, weights: Path, feature_maps: bool) -> "keras.Model":
    from thaw.models.tf_setup import make_deterministic  # isort: skip  first, before Keras
    from thaw.models import backbones

    make_deterministic()
    return backbones.pooled(backbones.load(spec, weights), feature_maps)
