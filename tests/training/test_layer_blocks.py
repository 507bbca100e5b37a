from thaw.models import backbones
from thaw.training import layer_blocks


def test_what_is_outside_of_blocks_goes_with_the_next_or_the_last():
    network = backbones.network("EfficientNetLite0", 32)
    found = layer_blocks.of(network)
    assert [layer.name for layer in found[0][:3]] == ["pixels", "preprocess", "stem_conv"]
    assert found[-1][0].name == "block7a_expand_conv"
    assert found[-1][-1].name == "top_activation"
