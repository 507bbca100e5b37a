"""A network of a few layers, so that tests of stages wait for none of 155.

Its weights are random; blocks and layers are named as in the networks of the registry.
"""

import inspect
import sys
from pathlib import Path

from thaw.models.registry import NETWORKS, NetworkFacts

NAME = "Tiny"
CHANNELS = (8, 12, 16, 24)


def register() -> None:
    """Let stages in this process know the network; its builder once Keras is imported."""
    NETWORKS[NAME] = NetworkFacts("tf", 32, 32, 0, 0.0)
    if "keras" in sys.modules:
        sys.modules["keras"].applications.Tiny = build_tiny


def install(folder: Path) -> None:
    """Let the copy of the library in `folder` know the network, for stages that DVC runs there."""
    models = folder / "thaw/models"
    with (models / "registry.py").open("a") as registry:
        registry.write(f'\n\nNETWORKS["{NAME}"] = NetworkFacts("tf", 32, 32, 0, 0.0)\n')
    with (models / "backbones.py").open("a") as backbones:
        builder = inspect.getsource(build_tiny)
        backbones.write(f"\n\nCHANNELS = {CHANNELS}\n{builder}\napplications.Tiny = build_tiny\n")


def pooled(name: str = NAME, size: int = 32):
    """Return a network with its pooled features and maps, and the same random weights each time."""
    import keras

    from thaw.models import backbones

    register()
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    return backbones.pooled(backbones.network(name, size), feature_maps=True)


def build_tiny(include_top: bool, weights: None, input_tensor):
    """Return the network as those of keras.applications are built; 13 layers from the pixels on."""
    from keras import Model, layers
    from keras.utils import get_source_inputs

    x = input_tensor
    for number, channels in enumerate(CHANNELS, 1):
        strides = 2 if number in (2, 4) else 1
        x = layers.Conv2D(
            channels, 3, strides, padding="same", use_bias=False, name=f"block{number}a_conv"
        )(x)
        x = layers.BatchNormalization(name=f"block{number}a_bn")(x)
        x = layers.ReLU(name=f"block{number}a_relu")(x)
    return Model(get_source_inputs(input_tensor), x, name="tiny")
