"""The review over real HTTP, as its page and as others call it."""

import io

import pytest
import requests
from PIL import Image

from tests.tools.serving.test_app import answering
from thaw.data import corrections, manifest
from thaw.images.settings import Decoding
from thaw.project import files, params, paths, stage_run
from tools.reviewing import app
from tools.reviewing.ranking import Finding
from tools.reviewing.review import Review

CSV = "images/corrections.csv"
JSON = {"timeout": 60}


@pytest.fixture
def rows(split_images):
    rows = manifest.read(paths.MANIFEST)
    return rows.assign(split="train", source_label=rows["label"])


@pytest.fixture
def address(rows):
    findings = [Finding(3, ["label in doubt"], "red", 5), Finding(7, ["dark"], "", -1)]
    classes = ["blue sky", "green", "red"]
    found = Review(rows, findings, classes, params.load(Decoding, "images"))
    with answering(app.build(found, ["127.0.0.1"])) as address:
        yield address


def decided() -> list[list[str]]:
    with open(CSV, encoding="utf-8") as table:
        return [line.split(",") for line in table.read().splitlines()[1:]]


def test_the_list_has_what_the_page_shows(address, rows):
    said = requests.get(f"{address}/review", **JSON).json()
    assert said["classes"] == ["blue sky", "green", "red"]
    first, second = said["images"]
    assert first == {
        "path": rows["path"][3], "label": "blue sky", "split": "train",
        "reasons": ["label in doubt"], "suggested": "red", "decided": None,
        "other": {"path": rows["path"][5], "label": "blue sky"},
    }  # fmt: skip
    assert second["other"] is None
    shown = []
    for place in ("images/0", "images/0?other=true", "images/1"):
        answer = requests.get(f"{address}/{place}", **JSON)
        assert answer.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(answer.content)) as image:
            shown.append(image.size)
    sizes = rows.loc[[3, 5, 7], ["width", "height"]].astype(int).to_numpy().tolist()
    assert shown == [tuple(size) for size in sizes]
    for place in ("images/2", "images/-1", "images/1?other=true"):
        assert requests.get(f"{address}/{place}", **JSON).status_code == 404


def test_only_the_image_that_is_decided_is_shown(address, rows):
    """`dvc repro` may bring another one under its name while the page is open."""
    first, second = (paths.RAW / rows["path"][row] for row in (3, 7))
    first.write_bytes(second.read_bytes())
    second.unlink()
    answer = requests.get(f"{address}/images/0", **JSON)
    assert answer.status_code == 409
    assert "its content has changed" in answer.json()["error"]
    answer = requests.get(f"{address}/images/1", **JSON)
    assert answer.status_code == 404
    assert answer.json() == {"error": "no longer there; start the review again"}


def test_each_decision_is_written_at_once_and_can_be_taken_back(address, rows):
    def decide(number: int, label: str | None) -> dict:
        return requests.post(
            f"{address}/decide", json={"number": number, "label": label}, **JSON
        ).json()

    first, second = ([*rows.loc[row, ["path", "sha256"]]] for row in (3, 7))
    assert decide(0, "red") == {"decision": "relabel", "label": "red"}
    assert decided() == [[*first, "red", "relabel"]]
    assert params.read()["data"]["corrections"] == CSV
    assert decide(1, None) == {"decision": "leave_out", "label": ""}
    assert decide(0, "blue sky") == {"decision": "keep", "label": "blue sky"}
    assert decided() == [[*second, "", "leave_out"], [*first, "blue sky", "keep"]]
    said = requests.get(f"{address}/review", **JSON).json()["images"]
    assert [each["decided"]["decision"] for each in said] == ["keep", "leave_out"]
    assert requests.post(f"{address}/take_back", json={"number": 1}, **JSON).json() == {}
    assert decided() == [[*first, "blue sky", "keep"]]


def test_a_relabelled_image_that_is_kept_stays_relabelled(address, rows):
    """The label that it has by now is not its source's."""
    rows["source_label"] = "green"
    requests.post(f"{address}/decide", json={"number": 0, "label": "blue sky"}, **JSON)
    assert decided()[0][2:] == ["blue sky", "relabel"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("decide", {"json": {"number": 0, "label": "horse"}}, 422),
        ("decide", {"json": {"number": 0}}, 400),
        ("decide", {"json": {"number": 2, "label": "red"}}, 404),
        ("take_back", {"json": {"number": -1}}, 404),
        # what a form of another site may send without asking
        ("decide", {"data": '{"number": 0, "label": "red"}'}, 400),
        ("decide", {"data": '{"number": 0, "label": "red"}',
                    "headers": {"Content-Type": "text/plain"}}, 400),
        ("decide", {"json": {"number": 0, "label": "red"},
                    "headers": {"Host": "example.com"}}, 400),
        ("decide", {"data": "x" * 9000}, 413),
    ],
)  # fmt: skip
def test_what_is_no_decision_is_refused_and_nothing_written(address, path, body, status):
    assert requests.post(f"{address}/{path}", **body, **JSON).status_code == status
    assert not files.Path(CSV).exists()
    assert params.read()["data"]["corrections"] is None


def test_a_table_that_was_spoilt_meanwhile_is_told_and_kept(address):
    files.Path(CSV).write_text("path;digest\n", encoding="utf-8")
    answer = requests.post(f"{address}/decide", json={"number": 0, "label": "red"}, **JSON)
    assert answer.status_code == 409
    assert "images/corrections.csv has the columns path;digest and not" in answer.json()["error"]
    assert files.Path(CSV).read_text(encoding="utf-8") == "path;digest\n"
    assert params.read()["data"]["corrections"] is None


def test_nothing_is_written_while_a_stage_runs(address):
    first = {"json": {"number": 0, "label": "red"}}
    with stage_run.alone():
        assert requests.post(f"{address}/decide", **first, **JSON).status_code == 409
    assert not files.Path(CSV).exists()
    assert params.read()["data"]["corrections"] is None
    assert requests.post(f"{address}/decide", **first, **JSON).status_code == 200
    assert params.read()["data"]["corrections"] == CSV


def test_rows_of_other_images_stay(address, rows):
    other = f"x,{9:064x},red,keep"
    files.Path(CSV).write_text(f"path,digest,label,decision\n{other}\n", encoding="utf-8")
    requests.post(f"{address}/decide", json={"number": 0, "label": "red"}, **JSON)
    assert len(corrections.read(files.Path(CSV))) == 2
    assert ",".join(decided()[0]) == other
