import pytest

from tests.soak import soak


@pytest.mark.slow
def test_thirty_kills_at_random_moments_leave_the_same_bytes(tmp_path):
    counts = soak(tmp_path, kills=30, seed=0)
    assert counts["kills"] == 30
    assert len(counts) > 3  # stages that were hit
