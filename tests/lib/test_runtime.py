import os

from stages.lib.runtime import Runtime


def test_no_number_of_workers_is_one_per_core():
    assert Runtime(workers=0, batch_size=8).threads == os.cpu_count()
    assert Runtime(workers=3, batch_size=8).threads == 3
