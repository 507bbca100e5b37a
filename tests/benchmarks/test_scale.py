import json

import pytest

from benchmarks import scale, scale_rates
from benchmarks.scale_rates import Inputs, Measured, Rate
from tests.imports import ROOT
from thaw.project.errors import UserError

INPUTS = Inputs(
    box_hour=0.5, gpu_hour=3.0, disk_month=0.1, gpu_times=10.0, machines=4.0, memory=7.0,
    disk=100.0, epochs=3.0,
)  # fmt: skip
MEASURED = Measured(
    seconds={"download": Rate(3.0, 0.01), "extract": Rate(5.0, 0.04), "fine_tune": Rate(7.0, 0.1)},
    memory={"download": Rate(0.5, 1e-6), "extract": Rate(1.0, 0.0), "fine_tune": Rate(1.0, 1e-9)},
    disk={"download": Rate(0.0, 1e-4), "extract": Rate(0.5, 1e-5), "fine_tune": Rate(0.1, 0.0)},
    dvc={"repro, nothing to do": Rate(1.0, 1e-4), "push": Rate(0.0, 0.001)},
)


def test_the_page_has_what_shards_would_cost():
    page = (ROOT / "docs/SCALE.md").read_text(encoding="utf-8")
    assert f"<!-- shards -->\n{scale.shards()}\n<!-- /shards -->" in page


def test_measurements_of_an_earlier_code_are_refused(tmp_path):
    rows = {"results": [{"images": 1000, "stage": "split", "seconds": 1.0, "megabytes": 9}]}
    for name in ("growth", "small_files"):
        (tmp_path / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    with pytest.raises(UserError, match=r"run `python -m benchmarks\.growth`"):
        scale_rates.read(tmp_path)


def test_a_rate_is_that_between_the_smallest_and_the_largest_size():
    rows = [{"stage": stage, "images": images, "seconds": seconds} for stage, images, seconds in (
        ("split", 5000, 12.0), ("split", 1000, 3.0), ("split", 9000, 19.0), ("export", 1000, 9.0),
        ("export", 9000, 8.0))]  # fmt: skip
    found = scale_rates.rates(rows, "stage", "seconds")
    assert found["split"] == Rate(pytest.approx(1.0), pytest.approx(0.002))
    assert found["export"] == Rate(9.0, 0.0)
    assert found["split"].at(2000) == pytest.approx(5.0)
    assert found["split"].reaches(5.0) == pytest.approx(2000)
    assert found["export"].reaches(99.0) == float("inf")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("box", {"download": 13.0, "extract": 45.0, "fine_tune": 307.0}),
        # ten times as fast are 0.004 s, but decoding takes 0.01
        ("gpu", {"download": 13.0, "extract": 15.0, "fine_tune": 37.0}),
        ("cluster", {"download": 13.0, "extract": 15.0, "fine_tune": 82.0}),
    ],
)
def test_seconds_of_a_thousand_images(where, expected):
    assert scale_rates.seconds(MEASURED, 1000, INPUTS, where) == pytest.approx(expected)


def test_raw_images_are_there_twice():
    assert scale_rates.gigabytes(MEASURED, 1e4) == pytest.approx(1.0 * 2 + 0.6 + 0.1)


def test_a_column_says_what_a_run_costs():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in scale.costs(MEASURED, (1e3, 1e7), INPUTS).splitlines()
    ]
    assert rows[0] == ["", "1,000 images", "10,000,000 images"]
    assert rows[2:] == [
        ["one box, a run", "6.1 min, 0.05 USD", "40.5 days, 486.11 USD"],
        ["one GPU, a run", "65.0 s, 0.05 USD", "5.8 days, 416.68 USD"],
        ["4 boxes, a run", "110 s, 0.06 USD", "11.0 days, 527.79 USD"],
        ["DVC: repro, nothing to do", "1.1 s", "16.7 min"],
        ["DVC: push", "1.0 s", "2.8 h"],
        ["on the disk", "0.8 GB, 0.08 USD a month", "2.1 TB, 210.06 USD a month"],
        ["most memory", "1.0 GB, fine_tune", "10.5 GB, download"],
    ]


def test_what_breaks_first_comes_first():
    lines = scale.limits(MEASURED, INPUTS).splitlines()[2:]
    said = [[cell.strip() for cell in line.strip("|").split("|")][:2] for line in lines]
    assert said == [
        ["250,000", "a run takes a day"],
        ["470,000", "100 GB of disk are full"],
        ["590,000", "`dvc repro` with nothing to do takes a minute"],
        ["6,500,000", "download takes 7 GB of memory"],
    ]
