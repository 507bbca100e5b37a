"""Presets of a few thousand random weights, one of each family of KerasHub's that is known."""

import io
from collections.abc import Callable
from pathlib import Path
from string import ascii_lowercase

import numpy as np

SIZE = 40  # side of their images in pixels; 5 x 5 patches
SCALE, OFFSET = [0.017, 0.018, 0.019], [-2.1, -2.0, -1.8]
WIDTH = 16
TRANSFORMER = {"num_layers": 3, "num_heads": 2, "hidden_dim": WIDTH}
SEEING = TRANSFORMER | {"image_shape": (SIZE, SIZE, 3), "patch_size": 8}
TEXTS = TRANSFORMER | {"vocabulary_size": 60, "embedding_dim": WIDTH, "intermediate_dim": 10}
LONGEST = 21  # tokens of a text for CLIP and MetaCLIP
IN_TWO = {"stackwise_num_blocks": [1, 2], "stackwise_num_filters": [[8], [16, 16]]}


def _with_texts(models, name: str, **options):
    seeing = getattr(models, f"{name}VisionEncoder")(intermediate_dim=10, **SEEING)
    texts = TEXTS | (
        {"projection_dim": WIDTH} if name == "SigLIP" else {"max_sequence_length": LONGEST}
    )
    reading = getattr(models, f"{name}TextEncoder")(**texts)
    return getattr(models, f"{name}Backbone")(seeing, reading, **options)


def _efficientnet(models):
    return models.EfficientNetBackbone(
        stackwise_width_coefficients=[1.0, 1.0], stackwise_depth_coefficients=[1.0, 1.0],
        stackwise_kernel_sizes=[3, 3], stackwise_num_repeats=[1, 2],
        stackwise_input_filters=[8, 8], stackwise_output_filters=[8, 16],
        stackwise_expansion_ratios=[1, 4], stackwise_squeeze_and_excite_ratios=[0.25, 0.25],
        stackwise_strides=[1, 2], stackwise_block_types=["v1", "unfused"],
    )  # fmt: skip


def _mobilenet(models):
    return models.MobileNetBackbone(
        **IN_TWO, stackwise_expansion=[[8], [24, 16]], stackwise_kernel_size=[[3], [5, 3]],
        stackwise_num_strides=[[1], [2, 1]], stackwise_se_ratio=[[0.25], [None, 0.25]],
        stackwise_activation=[["relu"], ["hard_swish", "hard_swish"]],
        stackwise_padding=[[1], [2, 1]], output_num_filters=32, depthwise_filters=8,
        depthwise_stride=1, depthwise_residual=False, last_layer_filter=24,
    )  # fmt: skip


def _mobilenet_v5(models):
    return models.MobileNetV5Backbone(
        **IN_TWO, stackwise_block_types=[["er"], ["uir", "mqa"]], stackwise_strides=[[2], [2, 1]],
        stackwise_act_layers=[["gelu"], ["gelu", "gelu"]],
        stackwise_exp_ratios=[[2.0], [2.0, 1.0]], stackwise_se_ratios=[[0.0], [0.0, 0.0]],
        stackwise_dw_kernel_sizes=[[0], [3, 0]], stackwise_dw_start_kernel_sizes=[[0], [3, 0]],
        stackwise_dw_end_kernel_sizes=[[0], [0, 0]], stackwise_exp_kernel_sizes=[[3], [0, 0]],
        stackwise_pw_kernel_sizes=[[1], [0, 0]], stackwise_num_heads=[[0], [0, 2]],
        stackwise_key_dims=[[0], [0, 8]], stackwise_value_dims=[[0], [0, 8]],
        stackwise_kv_strides=[[0], [0, 1]], stackwise_use_cpe=[[False], [False, False]],
        num_features=24, msfa_output_resolution=5, layer_scale_init_value=0.1, drop_path_rate=0.1,
    )  # fmt: skip


def _hgnet(models):
    return models.HGNetV2Backbone(
        depths=[1, 2], embedding_size=8, hidden_sizes=[16, 24], stem_channels=[3, 8, 8],
        hidden_act="relu", use_learnable_affine_block=True,
        stackwise_stage_filters=[(8, 8, 16, 1, 2, 3), (16, 8, 24, 2, 2, 3)],
        apply_downsample=[False, True], use_lightweight_conv_block=[False, True],
    )  # fmt: skip


def _cspnet(models):
    return models.CSPNetBackbone(
        stem_filters=8, stem_kernel_size=3, stem_strides=1, stackwise_depth=[1, 2],
        stackwise_strides=[2, 2], stackwise_num_filters=[16, 24], block_type="dark_block",
        stage_type="csp", expand_ratio=[2.0, 1.0], bottle_ratio=[0.5, 1.0],
        block_ratio=[1.0, 0.5], down_growth=True,
    )  # fmt: skip


def _swin(models):
    return models.SwinTransformerBackbone(
        image_shape=(SIZE, SIZE, 3), embed_dim=8, depths=(1, 2), num_heads=(2, 4), window_size=5,
    )  # fmt: skip


BACKBONES: dict[str, Callable] = {
    "ViT": lambda models: models.ViTBackbone(mlp_dim=10, **SEEING),
    "DeiT": lambda models: models.DeiTBackbone(intermediate_dim=10, **SEEING),
    "DINOv2": lambda models: models.DINOV2Backbone(
        intermediate_dim=10, num_register_tokens=2, position_embedding_shape=(72, 72, 3), **SEEING
    ),
    "DINOv3": lambda models: models.DINOV3Backbone(intermediate_dim=10, **SEEING),
    "CLIP": lambda models: _with_texts(models, "CLIP", projection_dim=7),
    "MetaCLIP": lambda models: _with_texts(models, "MetaCLIP2", projection_dim=7),
    "SigLIP": lambda models: _with_texts(models, "SigLIP"),
    "Swin": _swin,
    "ResNet": lambda models: models.ResNetBackbone([64], [7], [64], [2], [1], "basic_block"),
    "ResNet-D": lambda models: models.ResNetBackbone(
        [8, 8, 8], [3, 3, 3], [64, 8], [1, 1], [1, 2], "bottleneck_block_vd"
    ),
    "EfficientNet": _efficientnet,
    "MobileNetV3": _mobilenet,
    "MobileNetV5": _mobilenet_v5,
    "HGNetV2": _hgnet,
    "CSPNet": _cspnet,
}
WITH_CLASS_TOKEN = ("ViT", "DeiT", "DINOv2", "DINOv3", "CLIP", "MetaCLIP", "SigLIP")


def _clip_tokenizer(models):
    ends = [f"{letter}</w>" for letter in ascii_lowercase]
    special = ["ca", "cat</w>", "<|startoftext|>", "<|endoftext|>"]  # the last is pooled at
    vocabulary = {token: at for at, token in enumerate([*ascii_lowercase, *ends, *special])}
    return models.CLIPTokenizer(vocabulary=vocabulary, merges=["c a", "ca t</w>"])


def _letters(**ids: int) -> bytes:
    """Return a model of SentencePiece that takes each letter for a token."""
    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([ascii_lowercase, "a photo of a cat"]), model_writer=written,
        vocab_size=31, model_type="CHAR", hard_vocab_limit=False, minloglevel=2, **ids,
    )  # fmt: skip
    return written.getvalue()


WITH_TEXTS: dict[str, Callable] = {
    "CLIP": lambda models, converter: models.CLIPPreprocessor(
        _clip_tokenizer(models), converter, sequence_length=LONGEST
    ),
    "MetaCLIP": lambda models, converter: models.MetaCLIP2CausalLMPreprocessor(
        models.MetaCLIP2Tokenizer(_letters(unk_id=0, bos_id=1, eos_id=2, pad_id=-1)),
        converter,
        sequence_length=LONGEST,
    ),
    "SigLIP": lambda models, converter: models.SigLIPPreprocessor(
        models.SigLIPTokenizer(_letters(unk_id=0, eos_id=1, bos_id=-1, pad_id=-1)), converter
    ),
}


def save(family: str, folder: Path) -> Path:
    """Save a preset, with what makes its inputs, as KerasHub does; return the folder."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(3)
    backbone = BACKBONES[family](keras_hub.models)
    random = np.random.default_rng(5)
    for variable in backbone.weights:
        if variable.path.endswith("position_ids"):
            variable.assign(np.arange(variable.shape[1])[None])
        elif not variable.path.endswith("moving_variance"):
            noise = random.normal(0, 0.1, variable.shape)  # so that none is 0, as biases are
            variable.assign_add(noise.astype("float32"))
    backbone.save_to_preset(str(folder))
    converter = keras_hub.layers.ImageConverter((SIZE, SIZE), SCALE, OFFSET)
    converter.save_to_preset(str(folder))
    if family in WITH_TEXTS:
        WITH_TEXTS[family](keras_hub.models, converter).save_to_preset(str(folder))
    return folder
