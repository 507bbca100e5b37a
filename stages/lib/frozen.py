"""The frozen network as an engine runs it.

OpenVINO needs it converted, which takes TensorFlow and seconds, most of what a few new pictures
cost; so what was converted once is kept in the feature store, and TensorFlow only imported to
convert.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stages.lib import backbones, engines, store
from stages.lib.backbones import Backbone
from stages.lib.features import Extract
from stages.lib.runtime import Runtime

if TYPE_CHECKING:
    import keras


class Network(NamedTuple):
    """What turns pixels into named outputs.

    size: side of the pictures in pixels. shapes: of the outputs by name, but for the batch.
    made_with: what they depend on besides the pictures; it names the engine and the precision.
    ready: makes the engine ready, which takes seconds; called when there is something to compute.
    """

    size: int
    shapes: dict[str, tuple[int, ...]]
    made_with: dict
    ready: Callable[[], engines.Forward]


def of_model(model: "keras.Model", made_with: dict) -> Network:
    """Return a model with named outputs, to be run by the engine that `made_with` names."""
    shapes = {name: tuple(model.output[name].shape[1:]) for name in sorted(model.output)}
    how = made_with["engine"], made_with["precision"]
    return Network(
        model.input_shape[1],
        shapes,
        made_with,
        functools.cache(lambda: engines.forward(model, *how)),
    )


def of_backbone(
    spec: Backbone, settings: Extract, weights: Path, made_with: dict, runtime: Runtime
) -> Network:
    """Return the backbone with pooled features as its outputs, and whole maps as `settings` say.

    `weights`: its file; `made_with`: has the file's digest. Raises UserError when the weights are
    not this network's, or the engine is not installed.
    """
    of_network = backbones.fingerprint(spec) | {"weights_sha256": made_with["weights_sha256"]}
    made_of = {"converted": of_network, "maps": settings.maps}
    make = functools.partial(_pooled, spec, weights, settings.maps)
    return converted_once(make, made_of, made_with, runtime)


def converted_once(
    make: Callable[[], "keras.Model"], made_of: dict, made_with: dict, runtime: Runtime
) -> Network:
    """Return the model with named outputs that `make` makes, which needs TensorFlow.

    OpenVINO's form of it is kept in the feature store, and `make` only called where it lacks it.
    `made_of`: all that the model depends on besides the software, as JSON can hold it; `made_with`
    as in `Network`.
    """
    if made_with["engine"] == "tensorflow":
        return of_model(make(), made_with)
    [key] = store.keys(made_of, [""])
    with store.Store(runtime.store_file, runtime.store_gigabytes) as kept:
        converted = kept.get([key]).get(key)
        if converted is None:
            converted = engines.convert(make())
            kept.put([(key, converted)])
    model = engines.read(converted)
    return Network(
        model.inputs[0].partial_shape[1].get_length(),
        engines.shapes(model),
        made_with,
        functools.cache(lambda: engines.compiled(model, made_with["precision"])),
    )


def _pooled(spec: Backbone, weights: Path, maps: bool) -> "keras.Model":
    import stages.lib.quiet  # noqa: F401  first, before Keras
    from stages.lib import building
    from stages.lib.determinism import make_deterministic

    make_deterministic()
    return building.pooled(building.load(spec, weights), maps)
