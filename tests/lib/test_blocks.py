import keras
import pytest

from stages.lib import blocks, networks

COUNTS = {  # of residual blocks, dense layers, modules or cells, as their papers have them
    "ConvNeXtTiny": 18,
    "DenseNet121": 58,
    "EfficientNetB0": 16,
    "EfficientNetLite2": 21,
    "EfficientNetV2B0": 21,
    "InceptionResNetV2": 43,
    "InceptionV3": 11,
    "MobileNet": 13,
    "MobileNetV2": 17,
    "MobileNetV3Large": 15,
    "NASNetMobile": 16,
    "ResNet50": 16,
    "ResNet50V2": 16,
    "VGG16": 5,
    "VGG19": 5,
    "Xception": 14,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTS)
def test_every_family_falls_into_its_blocks(name):
    keras.utils.clear_session()
    network = networks.build(name, networks.NETWORKS[name].smallest)
    found = blocks.of(network)
    assert len(found) == COUNTS[name]
    assert [layer for block in found for layer in block] == network.layers
    assert all(any(layer.weights for layer in block) for block in found)


def test_what_is_outside_of_blocks_goes_with_the_next_or_the_last():
    network = networks.build("EfficientNetLite0", 32)
    found = blocks.of(network)
    assert [layer.name for layer in found[0][:3]] == ["pixels", "preprocess", "stem_conv"]
    assert found[-1][0].name == "block7a_expand_conv"
    assert found[-1][-1].name == "top_activation"
