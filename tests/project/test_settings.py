import os
from pathlib import Path

from tests.conftest import runtime


def test_no_number_of_workers_is_one_per_core():
    assert runtime(workers=0).threads == os.cpu_count()
    assert runtime(workers=3).threads == 3


def test_where_the_store_is(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert runtime(store=None).store_file is None
    assert runtime(store="here").store_file == Path("here/features.sqlite")
    assert runtime(store="default").store_file.name == "features.sqlite"
    assert "thaw" in runtime(store="default").store_file.parts
