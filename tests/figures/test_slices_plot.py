import numpy as np
import pandas as pd
import pytest

from thaw.evaluation import slices
from thaw.figures import slices_plot, style


def scored(groups: int, count: int = 1203) -> pd.DataFrame:
    """The first group is worse than the others."""
    random = np.random.default_rng(groups)
    group = np.arange(count) % groups
    correct = random.random(count) < np.where(group == 0, 0.3, 0.9)
    parts = pd.DataFrame({"group": [f"$group {each}$" for each in group], "mode": "RGB"})
    return slices.table(parts, correct, 0.95)


@pytest.mark.parametrize("groups", [1, 2, 60])
def test_parts_have_a_line_each_and_the_worse_ones_are_orange(groups, tmp_path):
    table = scored(groups)
    figure = slices_plot.draw(table, 0.85)
    axis = figure.axes[0]
    shown = [text.get_text() for text in axis.get_yticklabels()]
    assert len(shown) == (min(groups, slices_plot.SHOWN) if groups > 1 else 0)
    if groups > 1:
        assert shown[0] == "group: $group 0$"
        [orange] = [line for line in axis.lines if line.get_color() == style.ORANGE]
        assert orange.get_xdata() == pytest.approx(table["accuracy"][:1])
    title = axis.get_title()
    assert ("large enough" in title, "24 most doubtful of 60" in title) == (
        groups == 1, groups == 60
    )  # fmt: skip
    style.save(figure, tmp_path / "slices.png")
    assert (tmp_path / "slices.png").stat().st_size > 3000
