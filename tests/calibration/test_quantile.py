import math

import numpy as np

from thaw.calibration import quantile


def test_it_lets_the_wanted_fraction_pass():
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 20.0))  # 19 of them
    assert quantile.upper(scores, 0.95) == 19.0  # as the 19 are 95 % of 20
    assert quantile.upper(scores, 0.7) == 14.0
    assert quantile.upper(scores, 0.96) == math.inf  # as nobody knows
    assert quantile.upper(np.arange(99.0), 0.55) == 54.0  # the 55th, whatever 100 * 0.55 is
