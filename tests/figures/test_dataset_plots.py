import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.conftest import decoding
from thaw.figures import dataset_plots, style

SETTINGS = decoding()


def test_sizes_have_a_dot_each():
    manifest = pd.DataFrame({"width": ["500", "20", "500"], "height": ["9", "30", "9"]})
    axis = dataset_plots.sizes(manifest).axes[0]
    dots = axis.collections[0]
    assert sorted(dots.get_offsets().tolist()) == [[20, 30], [500, 9]]
    assert axis.get_title() == "3 images, 2 sizes; 2 have 500 x 9"
    assert dots.get_sizes().max() == dots.get_sizes()[0]  # the more frequent one


def test_quarantined_files_have_name_and_reason(tmp_path):
    Image.new("RGB", (40, 30), (200, 0, 0)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("<html>")
    reasons = ["a moving WEBP; save the frame that is meant", "an HTML page"]
    quarantine = pd.DataFrame({"path": ["a.png", "b.png"], "reason": reasons})
    figure = dataset_plots.quarantined(quarantine, tmp_path, SETTINGS, 10_000)
    first, second, third, _ = figure.axes
    assert first.get_title() == "a.png\na moving WEBP; save the frame\nthat is meant"
    assert first.images[0].get_array()[5, 5].tolist() == [200, 0, 0]
    assert second.images[0].get_array()[5, 5].tolist() == [225, 225, 225]
    assert (third.get_title(), len(third.images)) == ("", 0)
    assert figure.get_suptitle() == "2 quarantined"


def test_an_image_over_the_limit_is_not_decoded(tmp_path):
    Image.new("RGB", (40, 30), (200, 0, 0)).save(tmp_path / "a.png")
    quarantine = pd.DataFrame({"path": ["a.png"], "reason": ["large"]})
    axis = dataset_plots.quarantined(quarantine, tmp_path, SETTINGS, 1199).axes[0]
    assert axis.images[0].get_array()[5, 5].tolist() == [225, 225, 225]


def test_the_title_says_what_is_left_out(tmp_path):
    none = pd.DataFrame({"path": [], "reason": []})
    figure = dataset_plots.quarantined(none, tmp_path, SETTINGS, 9)
    assert [text.get_text() for text in figure.texts] == ["nothing is quarantined"]
    assert figure.axes == []
    many = pd.DataFrame({"path": [f"{i}.png" for i in range(31)], "reason": "empty file"})
    figure = dataset_plots.quarantined(many, tmp_path, SETTINGS, 9)
    assert figure.get_suptitle() == "31 quarantined, the first 24"


@pytest.mark.parametrize("classes", [2, 60, 1000])
def test_counts_have_a_bar_for_each_class_or_the_largest_and_the_smallest(tmp_path, classes):
    names = [f"class number {i:04} with a long name" for i in range(classes)]
    values = pd.DataFrame({"train": 60, "validation": 20, "test": 20, "excluded": 0}, index=names)
    values.iloc[-1, 0] = 70
    figure = dataset_plots.counts(values)
    axis, shown = figure.axes[0], min(classes, 60)
    assert len(axis.patches) == len(axis.texts) == 3 * shown
    assert [text.get_text() for text in axis.get_legend().texts] == ["train", "validation", "test"]
    named = [text.get_text() for text in axis.get_yticklabels()]
    assert len(set(named)) == shown
    assert ("0999" in named[0]) == (classes == 1000)
    assert ("of 1,000 classes the 30 largest and the 30 small" in axis.get_title()) == (
        shown < classes
    )
    style.save(figure, tmp_path / "counts.png")
    with Image.open(tmp_path / "counts.png") as image:
        assert np.asarray(image).std() > 10
        assert image.height <= 2200
