import keras
import numpy as np
import pytest
from keras import layers

from tests.conftest import head_spec
from thaw.evaluation import gradcam
from thaw.models import backbones, classifier, heads

SIDE = 35
CORNERS = {0: (slice(0, 14), slice(0, 14)), 1: (slice(21, 35), slice(21, 35))}  # by class


def one_region_matters(outputs: int) -> tuple[keras.Model, keras.Model]:
    """Return (backbone, head): red speaks for class 1 and blue against it, wherever they are.

    The head has one logit for two classes, or one per class of three: blue, red, nothing.
    """
    pixels, features = keras.Input((SIDE, SIDE, 3)), keras.Input((2,))
    # two feature maps of 7 x 7: how much red there is, and how much blue
    feature_maps = layers.Conv2D(2, 5, strides=5, use_bias=False)(pixels)
    backbone = keras.Model(pixels, layers.ReLU()(feature_maps), name="backbone")
    kernel = np.zeros((5, 5, 3, 2))
    kernel[..., 0, 0] = kernel[..., 2, 1] = 1 / 6375
    backbone.set_weights([kernel])
    head = keras.Model(features, layers.Dense(outputs, use_bias=False)(features), name="head")
    kernel = [[4.0], [-4.0]] if outputs == 1 else [[0.0, 3.0, 0.0], [3.0, 0.0, 0.0]]
    head.set_weights([np.array(kernel)])
    return backbone, head


def blue_and_red(count: int) -> np.ndarray:
    """Return images float32 with blue above on the left, red below on the right; grey between."""
    pixels = np.zeros((count, SIDE, SIDE, 3), "float32")
    pixels[:, *CORNERS[0], 2] = 255
    pixels[:, *CORNERS[1], 0] = 255
    return pixels


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("last", ["logits", "probabilities"])
@pytest.mark.parametrize("frozen", [False, True])
def test_only_the_region_that_matters_is_hot(outputs, last, frozen):
    backbone, head = one_region_matters(outputs)
    backbone.trainable = not frozen
    model = classifier.join(backbone, head, "avg")
    if last == "probabilities":
        model = classifier.with_probabilities(model)
    classes = np.arange(19) % 2  # more than a batch
    heat = gradcam.heatmaps(model, blue_and_red(19), classes)
    assert (heat.shape, heat.dtype) == ((19, 7, 7), np.dtype("float32"))
    assert (heat.max(axis=(1, 2)) == 1).all()
    for name, corner in {0: heat[0, :3, :3], 1: heat[1, 4:, 4:]}.items():
        assert corner.min() > 0.4
        assert heat[name].sum() == pytest.approx(corner.sum())
    assert (heat[18] == heat[0]).all()


def test_nothing_is_hot_where_nothing_speaks_for_the_class():
    model = classifier.join(*one_region_matters(3), "avg")
    pixels = np.zeros((2, SIDE, SIDE, 3), "float32")
    assert not gradcam.heatmaps(model, pixels, np.array([0, 2])).any()


def test_a_certain_prediction_is_explained_as_well():
    """The gradient of a probability that is 1 in float32 is 0."""
    backbone, head = one_region_matters(3)
    head.set_weights([head.get_weights()[0] * 1000])
    model = classifier.with_probabilities(classifier.join(backbone, head, "avg"))
    pixels = blue_and_red(2)
    pixels[:, :14, :14] = 0
    assert model.predict(pixels, verbose=0)[0].tolist() == [0, 1, 0]
    assert gradcam.heatmaps(model, pixels, np.array([1, 1]))[0, 5, 5] == 1


@pytest.mark.parametrize("kind", ["pooled inside", "sequential", "flat"])
def test_feature_maps_are_found_inside_a_nested_model(kind):
    backbone, head = one_region_matters(1)
    pool = layers.GlobalAveragePooling2D()
    if kind == "pooled inside":
        inner = keras.Model(backbone.input, pool(backbone.output))
        model = keras.Model(backbone.input, head(inner(backbone.input)))
    elif kind == "sequential":
        inner = keras.Sequential([*backbone.layers, pool])
        model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), inner, head])
    else:
        model = keras.Model(backbone.input, head(pool(backbone.output)))
    heat = gradcam.heatmaps(model, blue_and_red(1), np.array([1]))
    assert heat[0, 5, 5] == 1
    assert heat[0, :4].sum() == 0


def test_small_feature_maps_give_way_to_larger_ones_before():
    backbone, head = one_region_matters(1)
    small = keras.Model(backbone.input, layers.MaxPooling2D(3)(backbone.output))  # 2 x 2
    model = classifier.join(small, head, "avg")
    assert gradcam.heatmaps(model, blue_and_red(1), np.array([1])).shape == (1, 7, 7)


def test_a_branch_does_not_explain_the_whole_network():
    """Both branches see red; the later one is blind."""
    backbone, head = one_region_matters(1)
    blind = layers.Conv2D(2, 1, kernel_initializer="zeros", name="blind")(backbone.output)
    small = [layers.MaxPooling2D(3)(each) for each in (backbone.output, blind)]
    branched = keras.Model(backbone.input, layers.Add()(small))
    model = classifier.join(branched, head, "avg")
    heat = gradcam.heatmaps(model, blue_and_red(1), np.array([1]))
    assert heat.shape == (1, 7, 7)
    assert heat[0, 5, 5] == 1
    # where the layer before the branches is far finer, the branch has to do
    fine = keras.Model(branched.input, branched.output)
    pixels = keras.Input((4 * SIDE, 4 * SIDE, 3))
    scaled = layers.ReLU(name="fine")(pixels)
    skipped = layers.GlobalMaxPooling2D()(layers.MaxPooling2D(99)(scaled))
    pooled = layers.GlobalMaxPooling2D()(fine(layers.AveragePooling2D(4)(scaled)))
    skipping = keras.Model(pixels, layers.Dense(1)(layers.Concatenate()([skipped, pooled])))
    many = np.repeat(np.repeat(blue_and_red(1), 4, axis=1), 4, axis=2)
    assert gradcam.heatmaps(skipping, many, np.array([1])).shape == (1, 7, 7)


def test_a_model_without_feature_maps_is_refused():
    model = keras.Sequential([keras.Input((7,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="no feature maps of at least 4 x 4"):
        gradcam.heatmaps(model, np.zeros((1, 7), "float32"), np.array([1]))


def with_attention(side: int) -> keras.Model:
    """A network to feature maps of 4 x 4, whose channels are weighted as in MobileNetV3."""
    pixels = keras.Input((side, side, 3), name="pixels")
    x = layers.Conv2D(8, 3, strides=side // 4, padding="same")(layers.Rescaling(1 / 255)(pixels))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    attention = layers.Dense(8, "sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Add()([x, layers.Multiply()([x, attention])])
    return keras.Model(pixels, x)


@pytest.mark.parametrize(("pooling", "classes"), [("avg", 2), ("flatten", 3)])
@pytest.mark.parametrize(
    "make",
    [
        with_attention,
        pytest.param(
            lambda side: backbones.network("MobileNetV3Small", side), marks=pytest.mark.slow
        ),
    ],
    ids=["small", "MobileNetV3Small"],
)
def test_joined_and_exported_network_agree(make, pooling, classes, tmp_path):
    keras.utils.set_random_seed(3)
    backbone = make(64)
    shape = backbone.output_shape[1:] if pooling == "flatten" else backbone.output_shape[-1:]
    settings = head_spec(pooling=pooling, dropout=0.5)
    joined = classifier.join(backbone, heads.build(settings, shape, classes), pooling)
    classifier.with_probabilities(joined).save(tmp_path / "model.keras")
    exported = keras.saving.load_model(tmp_path / "model.keras")
    before = joined.predict(np.full((2, 64, 64, 3), 7.0), verbose=0)
    pixels = np.random.default_rng(1).uniform(0, 255, (3, 64, 64, 3)).astype("float32")
    asked = np.array([0, 1, classes - 1])
    heat = gradcam.heatmaps(joined, pixels, asked)
    assert heat.shape == (3, 4, 4)
    assert heat.max() == 1
    assert gradcam.heatmaps(exported, pixels, asked) == pytest.approx(heat, abs=1e-4)
    assert (gradcam.heatmaps(joined, pixels, asked) == heat).all()
    after = joined.predict(np.full((2, 64, 64, 3), 7.0), verbose=0)  # nothing of it has changed
    assert (before == after).all()
    joined.save(tmp_path / "again.keras")


def test_overlay_covers_hot_places_and_keeps_the_rest():
    pixels = np.full((2, 21, 21, 3), 100, "uint8")
    heat = np.zeros((2, 3, 3), "float32")
    heat[0, 2, 2] = 1
    laid = gradcam.overlay(pixels, heat)
    assert (laid.shape, laid.dtype) == (pixels.shape, np.dtype("uint8"))
    assert (laid[1] == 70).all()
    assert laid[0, 2, 2].tolist() == [70, 70, 70]
    red, green, blue = laid[0, 19, 19].astype(int)
    assert min(red, green) > 150 > blue  # yellow
    assert (pixels == 100).all()
