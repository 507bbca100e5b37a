import numpy as np
import pandas as pd
import pytest

from benchmarks import accuracy_tables, paired


def rows(recipe: str, *accuracies: float, seconds: float = 90.0) -> list[dict]:
    return [
        {
            "images": "birds",
            "recipe": recipe,
            "seed": seed,
            "accuracy": accuracy,
            "seconds": seconds,
            "processor_seconds": 2 * seconds,
        }
        for seed, accuracy in enumerate(accuracies, 1)
    ]


def test_a_difference_is_of_the_seeds_that_both_have():
    measured = rows("best", 0.93, 0.95, 0.97, 0.1) + rows("tutorial", 0.9, 0.93, 0.96, seconds=360)
    best, tutorial = paired.summary(pd.DataFrame(measured)).to_dict("records")
    assert (best["seeds"], best["pairs"], best["part"]) == (4, 3, 0.25)
    assert best["difference"] == pytest.approx(0.02)
    assert best["low"] == pytest.approx(0.02 - 4.302653 * 0.01 / 3**0.5)  # t of two degrees
    assert best["high"] == pytest.approx(0.02 + 4.302653 * 0.01 / 3**0.5)
    assert tutorial["spread"] == pytest.approx(0.03)
    assert (tutorial["difference"], tutorial["seconds"]) == (0, 360)


def test_one_pair_has_no_interval():
    assert np.isnan(paired.interval(np.array([0.03]))).all()


def test_the_table_says_nothing_of_what_was_not_measured():
    measured = rows("default", 0.91) + rows("best", 0.95, 0.97) + rows("tutorial", 0.93)
    table = accuracy_tables.quality({"results": measured}).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert cells[2] == ["birds", "default", "1", "0.9100", "-2.0", "1", "1.5", "3.0", "1.00"]
    assert cells[3][2:6] == ["2", "0.9600 ± 0.0141", "+2.0", "1"]
    assert cells[4][1:6] == ["tutorial", "1", "0.9300", "", ""]
    alone = accuracy_tables.quality({"results": rows("best", 0.95)})
    assert alone.splitlines()[2].replace(" ", "") == "|birds|best|1|0.9500|||1.5|3.0||"
    both = accuracy_tables.quality(
        {"results": rows("best", 0.95, 0.97) + rows("tutorial", 0.94, 0.95)}
    )
    assert "+1.5 (-4.9 to +7.9)" in both
