import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom

from thaw.evaluation import slices

PLACES = ["site 1/cat/a.jpg", "cat/site 2/b.jpg", "cat/c.jpg", "a/b/cat/d.jpg", "e.jpg"]


def rows(count: int = 5) -> pd.DataFrame:
    """As the manifest has them: every cell is text."""
    values = {
        "path": (PLACES * count)[:count],
        "label": ["cat"] * count,
        "width": [str(100 + number) for number in range(count)],
        "height": ["104"] * count,
        "format": (["JPEG", "PNG"] * count)[:count],
        "mode": ["RGB"] * count,
        "group": ([""] * count)[:count],
    }
    return pd.DataFrame(values)


def test_brightness_is_noted_while_images_pass():
    pixels = np.zeros((5, 2, 2, 3), "uint8")
    pixels[3], pixels[4, 0, 0, 0] = 255, 120
    batches = [(slice(0, 3), pixels[:3]), (slice(3, 5), pixels[3:])]
    brightness = slices.Brightness()
    passed = list(brightness.noted(batches))
    assert [rows for rows, _ in passed] == [slice(0, 3), slice(3, 5)]
    assert np.array_equal(np.concatenate([pixels for _, pixels in passed]), pixels)
    assert brightness.values == [0, 0, 0, 255, 10]


def test_the_folder_of_a_class_is_none_also_where_an_image_was_relabelled():
    manifest = rows()
    manifest["path"] = ["cat/1.jpg", "dog/2.jpg", "a/cat/3.jpg", "a/dog/4.jpg", "5.jpg"]
    manifest["label"] = ["cat", "dog", "dog", "cat", "cat"]  # the third and fourth by a person
    assert slices.parts(manifest, [0.0] * 5)["folder"].tolist() == ["", "", "a", "a", ""]


def test_images_are_cut_by_what_they_are_like():
    manifest = rows()
    manifest["width"], manifest["height"] = ["100", "500", "30", "104", "9"], ["104"] * 5
    parts = slices.parts(manifest, [0.4, 10.0, 20.0, 30.0, 254.6])
    assert parts["shape"].tolist() == ["square", "wide", "tall", "square", "tall"]
    assert parts["folder"].tolist() == ["site 1", "site 2", "", "a/b", ""]
    assert parts["format"].tolist() == ["JPEG", "PNG", "JPEG", "PNG", "JPEG"]
    assert parts["brightness"].tolist() == [
        "up to 10 of 255", "up to 10 of 255", "10 to 20 of 255",
        "20 to 30 of 255", "over 30 of 255",
    ]  # fmt: skip
    assert set(slices.parts(rows(5).assign(height="8"), [7.0] * 5)["size"]) == {"up to 8 px"}


def test_further_columns_are_taken_by_path_and_numbers_by_their_quarters():
    manifest = rows(40).assign(path=[f"{number}.jpg" for number in range(40)])
    columns = pd.DataFrame({"path": [f"{number}.jpg" for number in range(39, 1, -1)]})
    columns["camera"] = ["b"] * 20 + ["a"] * 18
    columns["age"] = [f"{number / 2}" for number in range(38)]
    columns["floor"] = [str(number % 3) for number in range(38)]
    columns["size"] = "x"
    parts = slices.parts(manifest, [1.0] * 40, columns)
    assert parts["column camera"].tolist() == ["", "", *["a"] * 18, *["b"] * 20]
    ages = parts["column age"].value_counts().to_dict()
    assert ages == {
        "": 2, "up to 4.5": 10, "4.5 to 9": 9, "9 to 13.5": 9, "over 13.5": 10,
    }  # fmt: skip
    assert set(parts["column floor"]) == {"", "0", "1", "2"}
    assert parts["size"][0] != "x"
    assert set(slices.parts(manifest, [1.0] * 40)) == {*parts} - {
        f"column {name}" for name in columns
    }


def test_a_part_that_is_worse_comes_first_with_its_interval_and_corrected_p_value():
    manifest = rows(60).assign(group=["one"] * 23 + ["two"] * 31 + ["few"] * 6)
    correct = np.ones(60, bool)
    correct[:9] = False
    parts = slices.parts(manifest, [100.0] * 60)[["format", "group", "mode"]]
    table = slices.table(parts, correct, 0.95)
    first = table.iloc[0]
    assert (first["by"], first["part"], first["images"]) == ("group", "one", 23)
    assert first["accuracy"] == pytest.approx(14 / 23, abs=1e-4)
    assert first["low"] < first["accuracy"] < first["high"] < first["rest"] == 1
    # 9 wrong ones of 60, all among 23; four parts are large enough and leave others outside
    assert len(table) == 4
    assert first["p_value"] == pytest.approx(4 * hypergeom(60, 9, 23).pmf(9), rel=1e-3)
    assert "few" not in set(table["part"])
    assert "mode" not in set(table["by"])
    assert table["p_value"].is_monotonic_increasing
    assert table["p_value"].max() == 1


def test_parts_of_chance_are_seldom_called_worse():
    random, called = np.random.default_rng(0), 0
    for _ in range(40):
        manifest = rows(200).assign(group=random.integers(0, 12, 200).astype(str))
        parts = slices.parts(manifest, random.normal(100, 20, 200).tolist())
        table = slices.table(parts, random.random(200) < 0.8, 0.95)
        called += table["p_value"].min() < slices.SIGNIFICANT
    assert called <= 4


def test_too_few_images_have_no_parts():
    table = slices.table(slices.parts(rows(15), [1.0] * 15), np.ones(15, bool), 0.95)
    assert len(table) == 0
    assert list(table) == ["by", "part", *slices.NUMBERS]
