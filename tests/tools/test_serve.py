"""The page as a person uses it: started by its command, opened in Chromium, ended by Ctrl-C."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from tests import browser
from tests.browser import SCREENSHOTS, chromium
from tests.imports import ROOT
from thaw.project.errors import UserError
from tools import serve

IMAGE = Path("images/green/3.jpg")
LOADED = 60_000  # milliseconds at most until an image is answered, the first on a busy machine


def called(monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["serve", *map(str, arguments)])
    serve.main()


def test_a_port_that_is_taken_is_one_line(project, monkeypatch):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UserError, match=r"^port \d+ is taken; choose another with --port$"),
    ):
        called(monkeypatch, "--port", taken.getsockname()[1])


def test_a_host_that_is_not_of_this_machine_is_one_line(project, monkeypatch):
    with pytest.raises(UserError, match=r"^cannot listen on 192\.0\.2\.7, port 0 \(.+\); choose"):
        called(monkeypatch, "--host", "192.0.2.7", "--port", 0)  # of a network for examples


@pytest.mark.parametrize(
    "arguments", [["--port", "65536"], ["--max-megabytes", "0"], ["--max-megabytes", "nan"]]
)
def test_limits_that_make_no_sense_are_refused(project, monkeypatch, capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        called(monkeypatch, *arguments)
    assert stop.value.code == 2
    assert f"argument {arguments[0]}: invalid" in capsys.readouterr().err


def test_what_the_page_needs_besides_is_named(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UserError, match=r"^the page needs uvicorn: .*`make serve`$"):
        called(monkeypatch)


def test_without_a_model_there_is_no_page(project, monkeypatch):
    with pytest.raises(UserError, match=r"^models/export\b.* is missing"):
        called(monkeypatch, "--port", 0)


@pytest.mark.slow
def test_a_model_that_is_nothing_is_one_line(project):
    command = [sys.executable, "-m", "tools.serve", "--port", "0", "--model", "nothing"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: --model nothing: ")
    assert done.stderr.count("\n") == 1


def test_it_is_this_machine_s_alone_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr("sys.argv", ["serve"])
    options = serve.arguments()
    assert (options.host, options.port, options.model) == ("127.0.0.1", 8000, "fine_tuned")
    with serve.listen(options.host, 0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"


def test_what_is_missing_does_not_keep_the_rest_from_being_shown(exported, monkeypatch):
    monkeypatch.setattr("sys.argv", ["serve", "--max-megabytes", "1.5"])
    responder, missing = serve.load(serve.arguments())
    [sentence] = missing
    assert sentence.startswith("The nearest training images are not shown: data/manifest.csv, ")
    assert sentence.endswith(" models/backbone.weights.h5`.")
    answer = responder.look(IMAGE.read_bytes())
    assert (responder.largest, answer["nearest"]) == (1_500_000, [])
    assert answer["overlay"]


def test_a_missing_browser_is_a_failure_in_ci_only(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.delenv("THAW_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="chromium"):
        browser.find()
    monkeypatch.setenv("THAW_BROWSER", "required")
    with pytest.raises(pytest.fail.Exception, match="chromium"):
        browser.find()
    ci = (ROOT / ".ci/run").read_text()
    assert re.search(r"^export THAW_BROWSER=required$", ci, re.M)
    assert re.search(r"^for tool in .*\bchromium\b", ci, re.M)


# as `python -m tools.serve`, in a process that knows the network of the tests
SERVE = (
    "import thaw.models.tf_setup, runpy; from tests import tiny; tiny.register();"
    "runpy.run_module('tools.serve', run_name='__main__')"
)


@contextlib.contextmanager
def running(*options: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Run the command in the current folder; give the address that it prints, and the process."""
    command = [sys.executable, "-c", SERVE, "--port", "0", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        try:
            lines = iter(process.stdout.readline, "")
            said = next((line for line in lines if "is ready" in line), None)
            assert said, process.stderr.read()
            yield said.split()[0], process
        finally:
            process.kill()


def upload(page: Page, *chosen: Path) -> None:
    """Choose files on the page, and wait until all are answered."""
    page.set_input_files("#files", list(chosen))
    waiting = page.locator(".waiting:visible")
    expect(waiting).to_have_count(0, timeout=LOADED)


def drop(page: Page, file: Path) -> None:
    """Drop a file onto the page, as from a folder's window."""
    content = list(file.read_bytes())
    dragged = page.evaluate_handle(
        """([name, content]) => {
            const dragged = new DataTransfer();
            dragged.items.add(new File([new Uint8Array(content)], name));
            return dragged;
        }""",
        [file.name, content],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": dragged})


@pytest.mark.slow
def test_images_are_answered_and_other_files_refused(after_run):
    (after_run / "notes.txt").write_text("see attachment")
    (after_run / "large.jpg").write_bytes(bytes(1_000_001))
    with running("--max-megabytes", "1") as (address, process), chromium() as started:
        page = started.new_page(viewport={"width": 1200, "height": 800})
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(error))
        page.on("console", lambda said: errors.append(said.text))
        page.goto(address)
        upload(page, IMAGE, after_run / "notes.txt", after_run / "large.jpg")
        good, text, large = page.locator(".answer").all()

        with IMAGE.open("rb") as file:
            said = requests.post(f"{address}/predict", files={"file": file}, timeout=60).json()
        assert said["label"] == "green"
        expect(good.locator("h2")).to_have_text("3.jpg")
        expect(good.locator(".label")).to_have_text(list(said["probabilities"]))
        fractions = [f"{100 * fraction:.1f} %" for fraction in said["probabilities"].values()]
        expect(good.locator(".probability")).to_have_text(fractions)
        expect(good.locator(".overlay img")).to_have_js_property("naturalWidth", 224)
        expect(good.locator(".overlay figcaption")).to_have_text("where it sees “green”")
        expect(good.locator(".nearest img")).to_have_count(5)
        expect(good.locator(".error")).to_be_hidden()
        expect(text.locator(".error")).to_have_text("invalid image: no known image format")
        expect(text.locator(".said")).to_be_hidden()
        expect(large.locator(".error")).to_have_text("the file is larger than 1 MB")
        page.screenshot(path=SCREENSHOTS / "page.png", full_page=True)

        page.get_by_role("tab", name="The run").click()
        expect(page.locator("#card")).to_be_visible()
        expect(page.locator("#drop")).to_be_hidden()
        expect(page.locator("#figures figcaption")).to_contain_text(["Confusion matrix"])
        for figure in page.locator("#figures img").all():
            figure.scroll_into_view_if_needed()
            expect(figure).not_to_have_js_property("naturalWidth", 0)
        page.screenshot(path=SCREENSHOTS / "run.png", full_page=True)

        page.set_viewport_size({"width": 400, "height": 800})
        expect(page.locator("html")).to_have_js_property("scrollWidth", 400)
        page.get_by_role("tab", name="Images").click()
        drop(page, IMAGE)  # the server has gone on
        expect(page.locator(".answer")).to_have_count(4)
        expect(page.locator(".waiting:visible")).to_have_count(0, timeout=LOADED)
        expect(page.locator(".answer .label").first).to_have_text("green")
        expect(page.locator("html")).to_have_js_property("scrollWidth", 400)
        page.screenshot(path=SCREENSHOTS / "phone.png", full_page=True)

        expect(page.locator(".verdict:visible")).to_have_count(0)
        for name, words in (("unknown", "it looks like none of the classes"), ("unsure", "no cl")):
            answer = said | {"image": "data:,", "overlay": None, "nearest": [], name: True}
            page.route("**/look", lambda route, _, answer=answer: route.fulfill(json=answer))
            page.set_input_files("#files", IMAGE)
            expect(page.locator(".verdict").first).to_contain_text(f"{name.title()}: {words}")
            page.unroute("**/look")

        assert [str(each) for each in errors if "status of 422" not in str(each)] == []
        assert [url for url in asked if not url.startswith((address, "data:"))] == []
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
