import numpy as np
import pytest

from thaw.features import tensorflow_engine
from thaw.features.parity import check_parity
from thaw.project.errors import UserError

LOGITS = np.random.default_rng(0).normal(0, 5, (7, 3)).astype("float32")
SAID = "two ways", "run it"


def test_the_difference_is_relative_to_the_largest_logit():
    largest = np.abs(LOGITS).max()
    assert check_parity(LOGITS + 1e-3, LOGITS, *SAID) == pytest.approx(1e-3 / largest, rel=0.01)
    assert check_parity(LOGITS / 1e4, LOGITS / 1e4 + 5e-4, *SAID) == pytest.approx(5e-4, rel=0.01)


def test_what_differs_is_refused_by_the_coarsest_numbers_on_the_way():
    with pytest.raises(UserError, match=r"two ways differ by .* \(tolerance 0.001\); run it"):
        check_parity(LOGITS[::-1], LOGITS, *SAID)
    with pytest.raises(UserError, match="differ by nan"):
        check_parity(LOGITS * np.nan, LOGITS, *SAID)
    assert check_parity(LOGITS * 1.05, LOGITS, *SAID, "float16", "bfloat16") > 0.01
    with pytest.raises(UserError, match=r"tolerance 0.01\)"):
        check_parity(LOGITS * 1.05, LOGITS, *SAID, "float16")
    assert check_parity(LOGITS * 1.2, LOGITS, *SAID, "int8") > 0.1
    with pytest.raises(UserError, match=r"tolerance 0.5\)"):
        check_parity(LOGITS[::-1], LOGITS, *SAID, "int8")


def test_a_gpu_s_float32_may_be_off_as_far_as_float16(monkeypatch):
    monkeypatch.setattr(tensorflow_engine, "gpus", lambda: ["GPU:0"])
    assert check_parity(LOGITS * 1.005, LOGITS, *SAID) > 0.001
