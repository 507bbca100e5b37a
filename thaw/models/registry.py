"""The table of pretrained networks: all of keras.applications and EfficientNet Lite; and presets.

Sizes and accuracies are those that their authors published (keras.io/api/applications; for Lite the
TensorFlow Blog of March 2020; for MobileNetV3 Howard and others 2019, arXiv:1905.02244).
"""

import math
from typing import NamedTuple


class NetworkFacts(NamedTuple):
    """A network without top.

    preprocess: what becomes of the pixels RGB 0..255 before they enter, a key of
    `backbones.PREPROCESSING`, or preset. size, smallest: sides of the images in pixels, as it was
    trained and as it can be built. parameters: how many, without top. top1: published accuracy on
    ImageNet with its own size, in %.
    """

    preprocess: str
    size: int
    smallest: int
    parameters: int
    top1: float

    @property
    def channel_order(self) -> str:
        """The order in which its first layer takes the colours, RGB or BGR."""
        return "BGR" if self.preprocess == "caffe" else "RGB"


MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB on 0..1
# The preprocessing `torch`: pixels of 0..255 times SCALE, plus OFFSET, which for those of ImageNet
# gives a mean of 0 and a deviation of 1.
SCALE = [1 / (255 * deviation) for deviation in DEVIATION]
OFFSET = [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION)]

# name, preprocessing, size, smallest size, parameters, top1
_APPLICATIONS = [
    ("ConvNeXtTiny", "inside", 224, 32, 27_820_128, 81.3),
    ("ConvNeXtSmall", "inside", 224, 32, 49_454_688, 82.3),
    ("ConvNeXtBase", "inside", 224, 32, 87_566_464, 85.3),
    ("ConvNeXtLarge", "inside", 224, 32, 196_230_336, 86.3),
    ("ConvNeXtXLarge", "inside", 224, 32, 348_147_968, 86.7),
    ("DenseNet121", "torch", 224, 32, 7_037_504, 75.0),
    ("DenseNet169", "torch", 224, 32, 12_642_880, 76.2),
    ("DenseNet201", "torch", 224, 32, 18_321_984, 77.3),
    ("EfficientNetB0", "efficientnet", 224, 32, 4_049_571, 77.1),
    ("EfficientNetB1", "efficientnet", 240, 32, 6_575_239, 79.1),
    ("EfficientNetB2", "efficientnet", 260, 32, 7_768_569, 80.1),
    ("EfficientNetB3", "efficientnet", 300, 32, 10_783_535, 81.6),
    ("EfficientNetB4", "efficientnet", 380, 32, 17_673_823, 82.9),
    ("EfficientNetB5", "efficientnet", 456, 32, 28_513_527, 83.6),
    ("EfficientNetB6", "efficientnet", 528, 32, 40_960_143, 84.0),
    ("EfficientNetB7", "efficientnet", 600, 32, 64_097_687, 84.3),
    ("EfficientNetV2B0", "inside", 224, 32, 5_919_312, 78.7),
    ("EfficientNetV2B1", "inside", 240, 32, 6_931_124, 79.8),
    ("EfficientNetV2B2", "inside", 260, 32, 8_769_374, 80.5),
    ("EfficientNetV2B3", "inside", 300, 32, 12_930_622, 82.0),
    ("EfficientNetV2S", "inside", 384, 32, 20_331_360, 83.9),
    ("EfficientNetV2M", "inside", 480, 32, 53_150_388, 85.3),
    ("EfficientNetV2L", "inside", 480, 32, 117_746_848, 85.7),
    ("InceptionResNetV2", "tf", 299, 75, 54_336_736, 80.3),
    ("InceptionV3", "tf", 299, 75, 21_802_784, 77.9),
    ("MobileNet", "tf", 224, 32, 3_228_864, 70.4),
    ("MobileNetV2", "tf", 224, 32, 2_257_984, 71.3),
    ("MobileNetV3Large", "inside", 224, 32, 2_996_352, 75.2),
    ("MobileNetV3Small", "inside", 224, 32, 939_120, 67.4),
    ("NASNetLarge", "tf", 331, 32, 84_916_818, 82.5),
    ("NASNetMobile", "tf", 224, 32, 4_269_716, 74.4),
    ("ResNet50", "caffe", 224, 32, 23_587_712, 74.9),
    ("ResNet101", "caffe", 224, 32, 42_658_176, 76.4),
    ("ResNet152", "caffe", 224, 32, 58_370_944, 76.6),
    ("ResNet50V2", "tf", 224, 32, 23_564_800, 76.0),
    ("ResNet101V2", "tf", 224, 32, 42_626_560, 77.2),
    ("ResNet152V2", "tf", 224, 32, 58_331_648, 78.0),
    ("VGG16", "caffe", 224, 32, 14_714_688, 71.3),
    ("VGG19", "caffe", 224, 32, 20_024_384, 71.3),
    ("Xception", "tf", 299, 71, 20_861_480, 79.0),
]
_LITE = [
    ("EfficientNetLite0", "torch", 224, 32, 3_413_024, 75.1),
    ("EfficientNetLite1", "torch", 240, 32, 4_189_344, 76.7),
    ("EfficientNetLite2", "torch", 260, 32, 4_869_168, 77.6),
]

NETWORKS = {name: NetworkFacts(*facts) for name, *facts in (*_APPLICATIONS, *_LITE)}
LITE = tuple(name for name, *_ in _LITE)  # in the order of their numbers
HUB = "hub:"  # before the name of a preset that KerasHub lists
_PRESET = NetworkFacts("preset", 0, 32, 0, math.nan)  # which itself knows the rest


def is_preset(name: str) -> bool:
    """Return whether a name is that of a preset: hub:NAME, an address, or the path of a folder."""
    return name.startswith(HUB) or "/" in name


def is_folder(name: str) -> bool:
    """Return whether a name is the path of a preset's folder."""
    return "/" in name and "://" not in name and not name.startswith(HUB)


def facts(name: str) -> NetworkFacts:
    """Return the facts of a network or a preset. Raises KeyError for a name of neither."""
    return _PRESET if is_preset(name) else NETWORKS[name]
