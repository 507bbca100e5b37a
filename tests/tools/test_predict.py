import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.imports import ROOT
from tests.tools.small_model import LABELS, SIDE, by_keras
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.project import params, paths
from thaw.project.errors import UserError
from tools import predict
from tools.serving.predictor import load_predictor

GOOD = [f"images/red/{number}.jpg" for number in range(7)]


@pytest.fixture
def with_text(exported):
    """A project with an export, and a file that is no image."""
    (exported / "text.jpg").write_text("no image")
    return exported


@pytest.fixture
def called(monkeypatch, capfd):
    """Call the tool; return what it printed. `refusal` gets the UserError, if there was one."""

    def call(*arguments: str, lines: bytes = b"", refusal: list | None = None) -> str:
        monkeypatch.setattr("sys.argv", ["predict", *arguments])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines), "utf-8"))
        try:
            predict.main()
        except UserError as error:
            if refusal is None:
                raise
            refusal.append(str(error))
        return capfd.readouterr().out

    return call


def expected(files: list[str] = GOOD) -> np.ndarray:
    loader = ImageLoader(SIDE, params.load(Decoding, "images"))
    return by_keras(paths.EXPORT, loader.stack([Path(file) for file in files]))


def test_a_table_has_a_row_for_each_image(exported, called):
    header, *rows = called(*GOOD).splitlines()
    assert header == "path              class     probability"
    for row, file, probabilities in zip(rows, GOOD, expected(), strict=True):
        path, label, probability = row[:16], row[18:26].rstrip(), row[28:]
        assert (path, label) == (file, LABELS[probabilities.argmax()])
        assert float(probability) == pytest.approx(probabilities.max(), abs=1e-4)
        assert len(row) == len(header)


def test_csv_keeps_names_that_look_like_nothing_and_has_the_likeliest(exported, called):
    said = called("--format", "csv", "--top", "99", *GOOD, "images/green/3.jpg")
    table = pd.read_csv(io.StringIO(said), dtype=str, keep_default_na=False)
    columns = ["class", "probability", "class_2", "probability_2", "class_3", "probability_3"]
    assert list(table) == ["path", *columns, "error"]
    assert list(table["path"]) == [*GOOD, "images/green/3.jpg"]
    for row, probabilities in zip(table.itertuples(index=False), expected([*GOOD, GOOD[0]])):
        if row.path in GOOD:
            order = np.argsort(-probabilities)
            assert [row[1], row[3], row[5]] == [LABELS[each] for each in order]
            assert [float(row[at]) for at in (2, 4, 6)] == pytest.approx(
                probabilities[order], abs=1e-4
            )
    assert set(table["error"]) == {""}
    assert {"NA", "cat, dog", "z"} == set(table[["class", "class_2", "class_3"]].iloc[0])


def test_json_is_a_list_of_objects(with_text, called):
    refusal = []
    said = called("--format", "json", "--top", "2", "text.jpg", *GOOD, refusal=refusal)
    invalid, *found = json.loads(said)
    assert invalid == {"path": "text.jpg", "error": "no known image format"}
    assert [each["path"] for each in found] == GOOD
    for each, probabilities in zip(found, expected()):
        best = [(one["class"], one["probability"]) for one in each["predictions"]]
        assert [label for label, _ in best] == [LABELS[at] for at in np.argsort(-probabilities)[:2]]
        assert best[0][1] == pytest.approx(probabilities.max(), abs=1e-4)
    assert refusal == ["1 of 8 images are invalid; fix or remove them"]


@pytest.mark.parametrize("kind", ["table", "csv"])
def test_an_invalid_image_has_a_row_of_its_own_and_the_others_are_classified(
    with_text, called, kind
):
    Image.new("L", (9001, 9001)).save(with_text / "large.png")
    refusal = []
    places = [GOOD[0], "text.jpg", "large.png", "images/red", GOOD[1]]
    said = called("--format", kind, *places, refusal=refusal).splitlines()
    assert refusal == ["2 of 23 images are invalid; fix or remove them"]
    assert len(said) == 24
    assert said[2].startswith("text.jpg")
    assert said[2].endswith("no known image format")
    assert "9001 x 9001 pixels are more than data.max_megapixels (64) allows" in said[3]
    assert sum("images/red/" in line and "format" not in line for line in said) == 21


def test_standard_input_lists_paths(exported, called):
    odd = os.fsdecode(b"odd \xff, name.jpg")
    Path(odd).write_bytes(Path(GOOD[3]).read_bytes())
    lines = f"{GOOD[1]}\r\n\n{GOOD[2]}\nmissing.jpg\n".encode() + os.fsencode(odd)
    refusal = []
    said = called("--format", "csv", "-", lines=lines, refusal=refusal)
    rows = list(csv.reader(io.StringIO(said)))[1:]
    assert [row[0] for row in rows] == [GOOD[1], GOOD[2], "missing.jpg", rows[3][0]]
    assert rows[2][1:] == ["", "", "No such file or directory"]
    assert rows[3][1] in LABELS
    assert refusal == ["1 of 4 images are invalid; fix or remove them"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nothing"], "^no such file or folder: nothing$"),
        (["empty"], "^no files in empty$"),
        (["images/*/*.png"], r"^no file matches images/\*/\*.png$"),
        (["-"], "^standard input names no images"),
        (["--model", "nonsense", "images"], "^--model nonsense: neither head, fine_tuned, a"),
        (["--model", "empty", "images"], "^empty/model.keras is missing"),
        (["--model", "head", "images"], "^models/backbone.weights.h5 is missing; `dvc pull` br"),
        (["--precision", "int8", "images"], "^--precision int8: data/manifest.csv is missing; `"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_printed(exported, called, arguments, line, capfd):
    (exported / "empty").mkdir()
    with pytest.raises(UserError, match=line):
        called(*arguments)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("top", ["0", "-1", "many", "1.5"])
def test_top_is_a_number_of_classes(exported, called, capfd, top):
    with pytest.raises(SystemExit) as stop:
        called(f"--top={top}", "images")
    assert stop.value.code == 2
    assert f"--top: '{top}' is not a number of classes, 1 or more" in capfd.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("count", "terminal"), [(10, True), (11, True), (11, False)])
def test_a_bar_moves_on_a_terminal_when_there_are_many(
    exported, called, monkeypatch, count, terminal
):
    said = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    assert len(called(*["images/red/0.jpg"] * count).splitlines()) == count + 1
    assert ("/11 [" in said.getvalue()) == (terminal and count == 11)
    assert terminal or said.getvalue() == ""


def run(*arguments: str) -> subprocess.Popen:
    """Start the tool as a command, with a network that is converted, so that it takes a second."""
    load_predictor()
    command = [sys.executable, "-m", "tools.predict", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.slow
def test_an_interrupted_call_says_so_and_leaves_whole_rows(exported):
    called = run("--format", "csv", *["images"] * 400)
    lines = [called.stdout.readline() for _ in range(2000)]
    called.send_signal(signal.SIGINT)
    rest, said = called.communicate(timeout=60)
    assert called.returncode == 130
    assert said.startswith("interrupted: ")
    assert len(said.splitlines()) == 1
    rows = list(csv.reader(io.StringIO("".join(lines) + rest)))
    assert {len(row) for row in rows} == {4}
    assert 2000 <= len(rows) < 400 * 59


@pytest.mark.slow
def test_a_reader_who_has_read_enough_gets_no_traceback(exported):
    called = run("--format", "csv", *["images"] * 300)
    assert called.stdout.readline().startswith("path,class")
    called.stdout.close()
    assert called.wait(60) == 1
    assert called.stderr.read() == ""


def test_compare_says_in_a_line_whether_images_are_like_those_of_the_run(
    answering, monkeypatch, capfd
):
    for number in range(14):
        file = answering / f"odd/{number}.png"
        file.parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 40), (240, 240 - number, 20 + number)).save(file)
    for place, said in (("images/red", "like the training images, as far as 19 images can tell"),
                        ("odd", "UNLIKE the training images (p = ")):  # fmt: skip
        monkeypatch.setattr("sys.argv", ["predict", "--compare", "--format", "csv", place])
        predict.main()
        out, err = capfd.readouterr()
        assert len(list(csv.reader(io.StringIO(out)))) == 1 + len(list(Path(place).iterdir()))
        assert err.startswith(said)
        assert len(err.splitlines()) == 1


def test_compare_needs_a_model_of_this_run(exported, called):
    with pytest.raises(UserError, match="--compare: models/export is not of the run in this"):
        called("--compare", "--model", str(paths.EXPORT), "images/red/0.jpg")
