import csv
import json

import numpy as np
import pytest

from tools.serving import rows
from tools.serving.batch_predict import Prediction
from tools.serving.rows import Notes
from tools.serving.trust import Trust

NOTES = Notes(["a", "b, c", "d"], Trust(unsure=0.5, known=-2.0), limit=0.75)
ASKED = [
    Prediction("1.jpg", np.array([0.1, 0.6, 0.3]), None, known=-1.9),
    Prediction("2.jpg", np.array([0.45, 0.2, 0.35]), None, known=-2.1),
    Prediction("3.jpg", None, "no image"),
]


def text(kind: str, notes: Notes = NOTES) -> str:
    return "".join(rows.OUTPUT_FORMATS[kind](ASKED, notes, 1, [each.place for each in ASKED]))


def test_a_table_marks_what_is_unsure_and_unknown_and_shows_sets():
    _, first, second, third = text("table").splitlines()
    assert first == "1.jpg  b, c        0.6000  {b, c, d}"
    assert second == "2.jpg  a           0.4500  {a, d}  unsure  unknown"
    assert third == "3.jpg  error: no image"


def test_csv_has_columns_for_what_the_classifier_tells():
    header, *found = csv.reader(text("csv").splitlines())
    assert header == ["path", "class", "probability", "unsure", "unknown", "set", "error"]
    assert found[0][1:6] == ["b, c", "0.6", "false", "false", '["b, c", "d"]']
    assert found[1][3:6] == ["true", "true", '["a", "d"]']
    assert found[2] == ["3.jpg", "", "", "", "", "", "no image"]
    only = text("csv", Notes(NOTES.labels, Trust(known=-2.0))).splitlines()
    assert only[0] == "path,class,probability,unknown,error"
    assert only[2] == "2.jpg,a,0.45,true,"


def test_json_has_the_same():
    first, second, third = json.loads(text("json"))
    assert (first["unsure"], first["unknown"], first["set"]) == (False, False, ["b, c", "d"])
    assert (second["unsure"], second["unknown"], second["set"]) == (True, True, ["a", "d"])
    assert third == {"path": "3.jpg", "error": "no image"}


@pytest.mark.parametrize("kind", rows.OUTPUT_FORMATS)
def test_a_model_that_tells_neither_is_asked_nothing(kind):
    said = text(kind, Notes(NOTES.labels))
    assert not any(name in said for name in ("unsure", "unknown", "set", "{b"))


def test_what_moves_the_cursor_is_not_printed():
    predictions = [Prediction("a\nb\x1b[2J.jpg", None, "no\rimage")]
    text = "".join(rows.as_table(predictions, Notes(["x\ty"]), 1, ["a\nb\x1b[2J.jpg"]))
    assert text.splitlines()[1] == r"a\nb\x1b[2J.jpg  error: no\rimage"


def test_one_long_path_does_not_move_all_columns():
    odd = [Prediction(place, np.array([0.25, 0.75]), None) for place in ("b.jpg", "x" * 300)]
    lines = list(rows.as_table(odd, Notes(["a", "b"]), 2, [each.place for each in odd]))
    assert lines[0] == "path   class  probability  class  probability\n"
    assert lines[1] == "b.jpg  b           0.7500  a           0.2500\n"
    assert lines[2] == "x" * 300 + "  b           0.7500  a           0.2500\n"


def test_text_comes_while_images_are_read():
    """No format waits for the last of 100,000 predictions, or keeps them."""
    for kind in rows.OUTPUT_FORMATS.values():
        predictions = iter([Prediction("a.jpg", np.array([0.25, 0.75]), None)] * 100_000)
        text = kind(predictions, Notes(["a", "b"]), 1, [])
        for _ in range(4):
            next(text)
        assert sum(1 for _ in predictions) > 99_990
