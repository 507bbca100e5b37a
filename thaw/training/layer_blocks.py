"""The blocks of a network: what fine-tuning counts in, when it unfreezes one after the other."""

import re

import keras
from keras import layers

# What a block's layers have in their names. Where a family numbers only the last layer of each
# block (the concatenations of the Inceptions) that one closes it.
BLOCK = re.compile(
    r"""
      ^block\d+(?:[a-z]|_\d+)?           # EfficientNet block1a, VGG block1, Inception block35_1
    | ^(?:.+_)?(?:transformer|encoder)_block_\d+ | ^layers_\d+$  # KerasHub's transformers
    | ^block_\d+_\d+$ | ^stack\d+_block\d+  # its MobileNetV3 and ResNet
    | ^(?:edge_residual|universal_inverted_residual|mobile_attention)(?:_\d+)?$  # MobileNetV5
    | ^conv\d+_block\d+                  # ResNet, DenseNet
    | ^block_\d+ | ^expanded_conv(?:_\d+)?  # MobileNetV2 and V3
    | ^conv_(?:dw|pw|pad)_(?P<number>\d+)   # MobileNet
    | ^mixed(?:\d+$|_\d[a-z])            # InceptionV3, InceptionResNetV2
    | stage_\d+_blocks?_\d+              # ConvNeXt; of KerasHub Swin, HGNetV2 and CSPNet
    | ^(?:normal|reduction)_concat_(?P<cell>\w+)  # NASNet
    """,
    re.VERBOSE,
)


def of(network: keras.Model) -> list[list[layers.Layer]]:
    """Return the layers of a backbone as blocks, in order, none left out.

    Layers before the first block are in it, those after the last in that, and those between two in
    the later one.
    """
    blocks, pending, known = [], [], set()
    for layer in network.layers:
        pending.append(layer)
        found = BLOCK.search(layer.name)
        if found:
            name = next(filter(None, found.groups()), found[0])
            if name not in known:
                known.add(name)
                blocks.append([])
            blocks[-1] += pending
            pending = []
    blocks[-1] += pending
    return blocks
