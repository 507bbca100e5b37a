import keras
import numpy as np
import pytest

from thaw.features import tensorflow_engine
from thaw.project.errors import UserError
from thaw.training import parity


@pytest.mark.parametrize(
    ("off", "coarse"), [(5e-4, ()), (0.005, ("float16",)), (0.05, ("bfloat16",)), (0.2, ("int8",))]
)
def test_as_far_off_as_the_coarsest_numbers_and_no_farther(off, coarse):
    assert parity_of(off, *coarse) == pytest.approx(off, rel=0.01)
    with pytest.raises(UserError, match=r"differ by .* \(tolerance .*run it again"):
        parity_of(10 * off, *coarse)


def test_a_gpu_s_float32_may_be_off_as_far_as_float16(monkeypatch):
    monkeypatch.setattr(tensorflow_engine, "gpus", lambda: ["GPU:0"])
    assert parity_of(0.005) == pytest.approx(0.005, rel=0.01)


def parity_of(off: float, *coarse: str) -> float:
    """Return the difference of logits 5 and 3 from those of inputs that are so far off."""
    head = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    head.set_weights([np.ones((1, 1))])
    features = np.array([[5.0], [-3.0]])
    return parity.check_parity(head, head, features * (1 + off), features, "run it again", *coarse)
