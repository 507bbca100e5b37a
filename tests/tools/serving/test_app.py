"""The application over real HTTP, as a program calls it."""

import contextlib
import http.client
import json
import re
import threading

import pytest
import requests
import uvicorn

from tests.server import running
from tests.tools import colours
from tests.tools.serving.test_responses import plain
from thaw.project import paths
from tools.reports import captions
from tools.serve import LOOPBACK, listen
from tools.serving import app, connection, web
from tools.serving.responses import Responder


def served(responder: Responder, missing: list[str] | None = None, with_run=True):
    return answering(app.build(responder, missing or [], LOOPBACK, with_run))


@contextlib.contextmanager
def answering(application):
    """Serve for the length of the block; give the address."""
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(connection.config(application, "critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture
def address(project):
    with served(colours.responder(), ["Something is missing."]) as address:
        yield address


def sent(address: str, content: bytes, path: str = "/predict", **others) -> requests.Response:
    return requests.post(address + path, files={"file": ("a.png", content)}, timeout=60, **others)


def test_an_image_has_its_answer_as_json(address):
    answer = sent(address, plain((200, 30, 20)))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"label", "probabilities"}
    assert answer.json()["label"] == "red"
    assert list(answer.json()["probabilities"]) == ["red", "green", "<b>blue</b>"]


@pytest.mark.parametrize("path", ["/predict", "/look"])
def test_an_invalid_file_is_an_error_and_the_next_is_answered(address, path):
    answer = sent(address, b"see attachment", path)
    assert answer.status_code == 422
    assert answer.json() == {"error": "invalid image: no known image format"}
    assert sent(address, plain((200, 30, 20)), path).json()["label"] == "red"


@pytest.mark.parametrize("told", [True, False])
def test_a_large_body_is_refused_before_it_has_come(address, told):
    """Whether it says beforehand how large it is or not."""
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    if told:
        connection.putheader("Content-Length", str(10**9))
        connection.endheaders()  # and nothing follows
    else:
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        for piece in (start, *[bytes(9999)] * (colours.LARGEST // 9999 + 2)):
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))  # and no end
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.load(answer) == {"error": "the file is larger than 0.300001 MB"}
    connection.close()
    assert sent(address, plain((200, 30, 20))).json()["label"] == "red"


def test_a_file_just_over_the_limit_is_refused_in_the_same_words(address):
    content = plain((200, 30, 20)).ljust(colours.LARGEST, b"\0")
    assert sent(address, content).json()["label"] == "red"
    answer = sent(address, content + b"\0")
    assert answer.json() == {"error": "the file is larger than 0.300001 MB"}
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "request_body",
    [
        {},
        {"data": b"\x89PNG"},
        {"data": {"file": "text"}},
        {"files": {"image": b"\x89PNG"}},
    ],
)
def test_a_request_without_a_file_says_what_to_send(address, request_body):
    answer = requests.post(address + "/predict", timeout=60, **request_body)
    assert answer.status_code == 400
    assert answer.json() == {"error": "send one image as the multipart field `file`"}


def test_what_is_no_multipart_is_an_error_too(address):
    headers = {"Content-Type": "multipart/form-data"}
    answer = requests.post(address + "/predict", b"--x\r\n", headers=headers, timeout=60)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_other_paths_and_methods_are_errors_in_json(address):
    assert requests.get(address + "/nothing", timeout=60).json() == {"error": "Not Found"}
    assert requests.get(address + "/predict", timeout=60).status_code == 405
    for place in ("/docs", "/redoc"):  # whose pages load scripts from elsewhere
        assert requests.get(address + place, timeout=60).status_code == 404
    described = requests.get(address + "/openapi.json", timeout=60).json()
    assert list(described["paths"]) == ["/predict"]


def test_a_failure_of_ours_is_not_told_to_the_world(project):
    def fails(pixels):
        raise RuntimeError(f"secret in {project}")

    with served(colours.responder(probabilities=fails)) as address:
        answer = sent(address, plain((200, 30, 20)))
        assert answer.status_code == 500
        assert answer.json() == {"error": "the server failed at this; its terminal says why"}
        assert requests.get(address, timeout=60).status_code == 200


def test_the_run_is_told_as_it_was_at_the_start(project):
    for name in (paths.FIGURES / "roc.png", paths.SPLIT_FIGURES / "counts.png"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(plain((1, 2, 3)))
    (project / paths.EXPORT).mkdir(parents=True)
    (project / app.CARD).write_text(
        "# Card\n\n<script>alert(1)</script>\n\n| a | b |\n|:--|--:|\n|1|2|"
    )
    with served(colours.responder(), ["Something is missing."]) as address:
        (project / app.CARD).write_text("# Another run's")
        (project / paths.SPLIT_FIGURES / "counts.png").unlink()
        told = requests.get(address + "/run", timeout=60).json()
        figure = requests.get(f"{address}/figures/counts.png", timeout=60)
    card = told.pop("card")
    assert told == {
        "model": "colours",
        "classes": 3,
        "size": 9,
        "megabytes": 0.300001,
        "megapixels": 64.0,
        "missing": ["Something is missing."],
        "figures": [
            {
                "title": "ROC",
                "caption": captions.CAPTIONS[paths.FIGURES / "roc.png"],
                "source": "figures/roc.png",
            },
            {
                "title": "Counts",
                "caption": "Images by class and split.",
                "source": "figures/counts.png",
            },
        ],
    }
    assert "<h1>Card</h1>" in card
    assert "<td>1</td>" in card
    assert "<script>" not in card
    assert "style" not in card  # which the page's own policy forbids
    assert figure.content == plain((1, 2, 3))
    assert figure.headers["content-type"] == "image/png"


def test_a_model_of_elsewhere_has_no_run_beside_it(project):
    (project / paths.EXPORT).mkdir(parents=True)
    (project / app.CARD).write_text("# Card of another model")
    with served(colours.responder(), with_run=False) as address:
        told = requests.get(address + "/run", timeout=60).json()
    assert (told["card"], told["figures"]) == ("", [])


def test_a_run_without_card_says_how_to_get_one(address):
    assert "dvc repro export" in requests.get(address + "/run", timeout=60).json()["card"]


@pytest.mark.parametrize(
    "path",
    [
        "/figures/../params.yaml",
        "/figures/%2e%2e/params.yaml",
        "/figures/..%2fparams.yaml",
        "/static/..%2f..%2fREADME.md",
        "/static/%2e%2e/serve.py",
    ],
)
def test_only_the_figures_and_the_page_can_be_read(address, project, path):
    request = requests.Request("GET", address).prepare()
    request.url = address + path  # as it stands: requests would tidy it
    with requests.Session() as session:
        assert session.send(request, timeout=60).status_code == 404


def test_nothing_is_loaded_from_elsewhere(address):
    answer = requests.get(address, timeout=60)
    assert answer.headers["content-security-policy"].startswith("default-src 'self'; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    links = re.findall(r'(?:src|href)="([^"#][^"]*)"', answer.text)
    assert links == ["data:,", "static/page.css", "static/dom.js", "static/page.js"]
    for name in links[1:]:
        assert requests.get(f"{address}/{name}", timeout=60).status_code == 200
    for file in web.PAGE.iterdir():
        assert "://" not in file.read_text(), file


def test_another_site_s_name_does_not_reach_it(address):
    names = {"evil.example": 400, "localhost": 200, "127.0.0.1": 200, "[::1]": 200}
    for name, status in names.items():
        answer = requests.get(address + "/run", headers={"Host": f"{name}:8000"}, timeout=60)
        assert answer.status_code == status


FORMS = [b"%s", b"<svg><image href='%s'/></svg>", b"version https://git-lfs.github.com/spec/v1\n%s"]


@pytest.mark.parametrize("form", FORMS)
def test_no_client_makes_the_page_fetch_an_address(address, form):
    """Not even of this machine: what is sent is an image, or is refused."""
    with running() as elsewhere:
        url = f"{elsewhere.url}/good"
        answer = requests.post(f"{address}/predict", files={"file": (url, form % url.encode())})
        assert answer.status_code == 422
        for body in ({"data": {"file": url}}, {"json": {"url": url}}, {"params": {"file": url}}):
            assert requests.post(f"{address}/predict", **body).status_code == 400
        assert elsewhere.requests == []
