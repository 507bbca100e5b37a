"""What is said of two test sets, by their digests and their predictions."""

from types import SimpleNamespace

import pandas as pd
import pytest

from tools.reports import yardstick

PATHS = ["a.jpg", "b.jpg", "c.jpg"]


def run(digest: str | None, names: list[str], labels: str = "xyx") -> SimpleNamespace:
    table = pd.DataFrame({"path": names, "label": list(labels)})
    return SimpleNamespace(name="run", test_set=digest, predictions=table, corrections={})


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (run("1", PATHS), run("1", ["d.jpg", *PATHS[1:]]), ""),  # another name
        (run("1", PATHS), run("2", PATHS), "its images are others."),
        (run("1", PATHS), run("2", PATHS, "xyy"), "1 images have another label."),
        (run(None, PATHS), run("2", PATHS), ""),
        (run(None, PATHS), run("2", PATHS[:2], "xy"), "1 images are gone."),
    ],
)
def test_what_has_moved(before, after, said):
    told = yardstick.moved(before, after)
    assert bool(told) == bool(said)
    assert said in told
