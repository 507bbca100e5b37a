import json

import pandas as pd
import pytest

from benchmarks import timing
from tests.imports import ROOT


def test_rates_are_of_the_first_contestant_in_the_same_round():
    seconds = pd.DataFrame({"first": [1.0, 2.0, 4.0], "second": [3.0, 3.0, 4.0]})
    assert timing.rates(seconds, 10) == {
        "first": {"seconds": 2.0, "images_per_second": 5.0, "ratio": 1.0},
        "second": {"seconds": 3.0, "images_per_second": 3.3, "ratio": 1.5},
    }


def test_the_command_names_no_place_of_this_machine(tmp_path):
    (tmp_path / "my photos.zip").touch()
    arguments = [str(tmp_path / "my photos.zip"), "--size", "160"]
    said = timing.command(str(tmp_path / "extract.py"), arguments)
    assert said == "python -m benchmarks.extract 'my photos.zip' --size 160"


@pytest.mark.parametrize(
    ("flags", "vectors"), [("sse avx2 avx512f", ", AVX-512"), ("sse avx2", ", AVX2"), ("sse", "")]
)
def test_the_processor_is_named_with_its_vectors(tmp_path, flags, vectors):
    one = f"processor\t: 0\nmodel name\t: Fast 3000\nflags\t\t: {flags}\n\n"
    (tmp_path / "cpuinfo").write_text(one * 2)
    assert timing.processor(tmp_path / "cpuinfo") == f"Fast 3000{vectors}"
    assert timing.processor(tmp_path / "none") != ""


def test_what_is_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "FOLDER", tmp_path)
    monkeypatch.chdir(ROOT)
    timing.save("audit", {"ours": {"seconds": 1.5}}, rounds=5)
    saved = json.loads((tmp_path / "audit.json").read_text())
    assert list(saved) == [
        "command",
        "commit",
        "processor",
        "cores",
        "seconds",
        "rounds",
        "results",
    ]
    assert saved["seconds"] > 0
    assert saved["results"] == {"ours": {"seconds": 1.5}}
    assert saved["commit"].split("-")[0]


def test_a_part_that_is_measured_leaves_the_other_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "FOLDER", tmp_path)
    monkeypatch.chdir(ROOT)
    rows = [{"images": images, "stage": stage, "seconds": 1.0}
            for images in (1000, 4000) for stage in ("split", "export")]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["benchmarks/growth.py", "photos.zip"])
    timing.save_rows("growth", ("images",), rows)
    monkeypatch.setattr("sys.argv", ["benchmarks/growth.py", "photos.zip", "--images", "1000"])
    timing.save_rows("growth", ("images",), [{**rows[0], "seconds": 2.0}])
    saved = json.loads((tmp_path / "growth.json").read_text())
    assert saved["command"] == "python -m benchmarks.growth photos.zip"
    assert saved["results"] == [{**rows[0], "seconds": 2.0}, *rows[2:]]
