"""The sections `augmentation`, `loss`, `train_head` and `fine_tune` of params.yaml."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from thaw.project.params import Section

Fraction = Annotated[float, Field(ge=0, le=0.5)]
UNFREEZE_FORMS = (
    "'all', a fraction in (0, 1], a count of layers, 'N blocks', 'from N' (a layer's index) or a "
    "layer's name"
)


class Augmentation(Section):
    """How far training images are changed at random; 0 and none for not at all."""

    policy: Literal["none", "light", "strong", "mixed"]
    flip: Literal["none", "horizontal", "vertical", "horizontal_and_vertical"]
    rotation: Fraction
    translation: Fraction
    zoom: Fraction
    shear: Fraction
    brightness: Fraction
    contrast: Fraction
    fill_mode: Literal["nearest", "reflect", "wrap", "constant"]


def _to_names(weights: object) -> object:
    """Return class weights with text for keys: YAML reads a class name 0 or true as no text."""
    if not isinstance(weights, dict):
        return weights
    return {
        str(name).lower() if isinstance(name, bool) else str(name): weight
        for name, weight in weights.items()
    }


ClassWeights = Literal["none", "balanced"] | dict[str, Annotated[float, Field(gt=0)]]


class Loss(Section):
    """What is minimised, by the head and by fine-tuning alike."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    class_weights: Annotated[ClassWeights, BeforeValidator(_to_names)]


class Training(Section):
    """How to train: the keys that train_head and fine_tune share."""

    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"]
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    schedule: Literal["constant", "cosine", "exponential", "reduce_on_plateau"]
    warmup: Annotated[float, Field(ge=0)]
    weight_decay: Annotated[float, Field(ge=0, lt=1)]
    global_clipnorm: Annotated[float, Field(gt=0)] | None
    averaging: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    epochs: Annotated[int, Field(ge=1)]
    patience: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=2)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]

    @model_validator(mode="after")
    def _one_who_changes_the_rate(self) -> "Training":
        if self.warmup and self.schedule == "reduce_on_plateau":
            raise ValueError("warmup should be 0 with schedule reduce_on_plateau")
        return self


def _check_unfreeze(value: str | int | float) -> str | int | float:
    if isinstance(value, bool) or (isinstance(value, float) and not 0 < value <= 1):
        raise ValueError(f"should be {UNFREEZE_FORMS}")
    if isinstance(value, int) and value < 1:
        raise ValueError("should be a count of at least 1 layer")
    return value


class FineTune(Training):
    """What to train of the backbone, and how."""

    unfreeze: Annotated[
        str | int | float, Field(union_mode="smart"), AfterValidator(_check_unfreeze)
    ]
    layer_decay: Annotated[float, Field(gt=0, le=1)]
    epochs_per_block: Annotated[int, Field(ge=0)]
    cache_activations: Literal["auto", "never"]
    augmented_copies: Annotated[int, Field(ge=1, le=100)]
    activations_dtype: Literal["float32", "float16"]
    activations_gigabytes: Annotated[float, Field(gt=0)]
