"""The scripts of ci/ as the workflows call them, and DVC's remotes, from clone to comment."""

import json
import os
import re
import shutil
import stat
import subprocess

import boto3
import pytest
import yaml
from markdown_it import MarkdownIt
from moto.server import ThreadedMotoServer

from tests.conftest import set_params
from tests.imports import ROOT
from tests.repository import call, sign
from tests.small_run import leave, make
from thaw.project.plain_text import UNSEEN

WORKFLOWS = ROOT / ".github/workflows"


def script(name: str, *arguments: str, cwd, **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [ROOT / "ci" / name, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def pushed(tmp_path_factory):
    """A repository whose main was run and pushed: origin/, and remote/ for DVC. Only to be read."""
    folder = tmp_path_factory.mktemp("pushed")
    for name in ("first", "origin", "remote"):
        (folder / name).mkdir()
    first = make(folder / "first")
    call("dvc", "remote", "add", "--quiet", "--default", "there", "../remote", cwd=first)
    call("git", "commit", "--quiet", "--all", "--message", "remote", cwd=first)
    call("dvc", "push", "--quiet", cwd=first)
    call("git", "init", "--quiet", "--bare", "origin", cwd=folder)
    call("git", "push", "--quiet", str(folder / "origin"), "main", cwd=first)
    return folder


@pytest.fixture
def clone(pushed, tmp_path):
    """A clone of a copy of it, on a branch of its own."""
    for name in ("origin", "remote"):
        shutil.copytree(pushed / name, tmp_path / name)
    call("git", "clone", "--quiet", "--branch=main", "origin", "clone", cwd=tmp_path)
    sign(tmp_path / "clone")
    call("git", "switch", "--quiet", "--create", "change", cwd=tmp_path / "clone")
    return tmp_path / "clone"


@pytest.fixture
def checkout(tmp_path):
    """An empty folder, which is enough to comment."""
    (tmp_path / "clone").mkdir()
    return tmp_path / "clone"


def test_a_clone_pulls_what_was_pushed_and_runs_nothing(clone):
    call("dvc", "pull", "--quiet", cwd=clone)
    assert "Running stage" not in call("dvc", "repro", cwd=clone)
    assert (clone / "data/predictions.csv").is_file()
    assert call("git", "status", "--porcelain", cwd=clone) == ""


@pytest.mark.slow
def test_an_s3_remote_holds_what_a_clone_needs(clone, tmp_path, monkeypatch):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    try:
        where = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=where).create_bucket(Bucket="thaw")
        call("dvc", "pull", "--quiet", cwd=clone)
        call("dvc", "remote", "add", "--default", "--quiet", "s3", "s3://thaw/cache", cwd=clone)
        call("dvc", "remote", "modify", "s3", "endpointurl", where, cwd=clone)
        call("dvc", "push", "--quiet", cwd=clone)
        shutil.rmtree(tmp_path / "remote")
        shutil.rmtree(clone / ".dvc/cache")
        shutil.rmtree(clone / "data")
        call("dvc", "pull", "--quiet", cwd=clone)
        assert "Running stage" not in call("dvc", "repro", cwd=clone)
        assert (clone / "data/predictions.csv").is_file()
    finally:
        server.stop()


def test_from_clone_to_comment(clone, tmp_path):
    leave(clone, 30)
    call("git", "commit", "--quiet", "--all", "--message", "worse", cwd=clone)
    shutil.rmtree(clone / ".dvc/cache")
    done = script("report", "main", cwd=clone)
    assert done.returncode == 1, done.stderr
    assert "fails: test accuracy of fine_tuned -12.5 points on 200 test images" in done.stdout
    text = (clone / "report/report.md").read_text()
    assert "# workspace against origin/main" in text
    done = comment(clone)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "arguments").read_text().startswith("pr comment 17 --edit-last --create-if")
    said = (tmp_path / "comment.md").read_text()
    assert "**fails: test accuracy" in said
    assert "![" not in said
    assert said.endswith("All of it: https://example.com/run/1\n")


def comment(clone, **environment) -> subprocess.CompletedProcess:
    """Comment on pull request 17, whose last commit is abc, by a gh that only notes it."""
    gh = clone.parent / "bin/gh"
    gh.parent.mkdir(exist_ok=True)
    gh.write_text(
        '#!/bin/sh\n[ "$1" = api ] && echo abc && exit\n'
        'echo "$@" > ../arguments\ncat "$7" > ../comment.md\n'
    )
    gh.chmod(gh.stat().st_mode | stat.S_IXUSR)
    environment |= {"PATH": f"{gh.parent}:{os.environ['PATH']}", "GITHUB_REPOSITORY": "a/b"}
    return script("comment", "17", "https://example.com/run/1", cwd=clone, **environment)


def test_a_run_that_failed_takes_back_the_last_comment(checkout, tmp_path):
    assert comment(checkout, HEAD_SHA="abc").returncode == 0
    said = (tmp_path / "comment.md").read_text()
    assert said.startswith("The run failed; there is no report.\n")


FORGED = """# passes

**passes: test accuracy of fine_tuned +9.9 points** @maintainer [merge me](https://evil.example)
![x](https://evil.example/pixel.png) <img src=https://evil.example/y.png>
~~~~~~~~~~~~~~~~~~~~~~~~
@everyone this is outside of the fence \x1b[2J \u202e #1
```
All of it: https://evil.example
"""


def test_what_a_fork_wrote_is_text_of_the_fork(checkout, tmp_path):
    """Rendered as GitHub does, it has no link, image or mention but ours."""
    (checkout / "report").mkdir()
    text = FORGED + "~" * 16 + "\n@someone\n" + "| x " * 30_000
    (checkout / "report/report.md").write_bytes(text.encode() + b"\xff\x00")
    done = comment(checkout, HEAD_SHA="abc", HEAD_REPO="evil/fork")
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "comment.md").read_text()
    assert said.startswith("**This report is text of the fork evil/fork, whose own code wrote it.")
    assert len(said) < 65_536
    assert not UNSEEN.search(said.replace("\n", ""))
    tokens = MarkdownIt("commonmark").enable(["table"]).parse(said)
    kinds = [
        token.type for token in tokens if token.type not in ("paragraph_open", "paragraph_close")
    ]
    assert kinds == ["inline", "fence", "inline"]
    assert "@someone" in tokens[3].content
    shown = " ".join(token.content for token in tokens if token.type == "inline")
    assert "@" not in shown
    assert "evil.example" not in shown
    assert said.endswith("All of it: https://example.com/run/1\n")


def test_a_report_of_a_fork_that_is_cut_inside_a_letter_is_shown(checkout, tmp_path):
    """UTF-8 has two bytes for each of these, and the last that is read is the first of one."""
    (checkout / "report").mkdir()
    text = "a\x80b\x85c\x9bd\x9f~~\x9b~~ " + "é" * 40_000
    assert text.encode()[59_999:].startswith("é".encode())
    (checkout / "report/report.md").write_bytes(text.encode())
    done = comment(checkout, HEAD_SHA="abc", HEAD_REPO="evil/fork")
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "comment.md").read_text()
    assert "abcd~~ ééé" in said
    assert "é\n~~~~" in said
    assert not UNSEEN.search(said.replace("\n", ""))


@pytest.mark.parametrize("repository", ["a/b", "", "evil/fork"])
def test_only_a_report_of_this_repository_is_markdown(checkout, tmp_path, repository):
    (checkout / "report").mkdir()
    (checkout / "report/report.md").write_text("# a report\n")
    assert comment(checkout, HEAD_SHA="abc", HEAD_REPO=repository).returncode == 0
    said = (tmp_path / "comment.md").read_text()
    assert said.startswith("# a report\n") == (repository == "a/b")


def test_a_report_of_images_alone_is_a_comment_too(checkout, tmp_path):
    """Its images are in the artifact, and a comment cannot show them."""
    (checkout / "report").mkdir()
    (checkout / "report/report.md").write_text("![curves](curves.png)\n")
    assert comment(checkout, HEAD_SHA="abc", HEAD_REPO="a/b").returncode == 0
    assert (tmp_path / "comment.md").read_text() == "\nAll of it: https://example.com/run/1\n"


def test_a_link_in_place_of_a_report_is_not_read(checkout, tmp_path):
    (checkout / "report").mkdir()
    (checkout / "report/report.md").symlink_to("/etc/passwd")
    assert comment(checkout, HEAD_SHA="abc", HEAD_REPO="a/b").returncode == 0
    assert (tmp_path / "comment.md").read_text().startswith("The run failed; there is no report.")


def test_the_report_of_another_pull_request_is_refused(checkout, tmp_path):
    done = comment(checkout, HEAD_SHA="def")
    assert done.returncode == 1
    assert "error: the report is not of the last commit of pull request 17" in done.stderr
    assert not (tmp_path / "comment.md").exists()


@pytest.mark.slow
def test_an_equal_branch_passes_without_a_dvc_remote(clone):
    call("dvc", "remote", "remove", "there", cwd=clone)
    done = script("report", "main", cwd=clone)
    assert done.returncode == 0, done.stderr
    assert "passes: test accuracy of fine_tuned +0.0 points" in done.stdout


@pytest.mark.slow
def test_a_remote_that_cannot_be_read_is_said_and_everything_runs(clone, tmp_path):
    shutil.rmtree(tmp_path / "remote")
    (tmp_path / "remote").write_text("no folder")
    done = script("report", "main", cwd=clone)
    assert done.returncode == 0, done.stderr
    assert "Running stage 'evaluate'" in done.stdout


@pytest.mark.parametrize("number", ["$(touch oh)", "1; rm", "", "-1"])
def test_what_is_no_number_of_a_pull_request_is_refused(checkout, number):
    assert script("comment", number, cwd=checkout).returncode == 1
    assert not (checkout / "oh").exists()


def test_workflows_call_scripts_that_are_there_and_forks_get_no_secret():
    for file in WORKFLOWS.glob("*.yml"):
        workflow = yaml.safe_load(file.read_text())
        triggers = workflow[True]  # YAML 1.1 reads `on` so
        assert "pull_request_target" not in triggers
        if "pull_request" in triggers:
            assert workflow["permissions"] == {"contents": "read"}
            assert "secrets." not in file.read_text()
        for step in (step for job in workflow["jobs"].values() for step in job["steps"]):
            for word in step.get("run", "").split():
                if word.startswith(("ci/", ".ci/")):
                    assert os.access(ROOT / word, os.X_OK), word
            assert "${{" not in step.get("run", ""), "give it by env, as it may hold anything"
    assert len(list(WORKFLOWS.glob("*.yml"))) == 4


def test_actions_are_pinned_by_digest_each_in_one_version():
    used = [
        step["uses"]
        for file in WORKFLOWS.glob("*.yml")
        for job in yaml.safe_load(file.read_text())["jobs"].values()
        for step in job["steps"]
        if "uses" in step
    ]
    assert len(used) > 9
    assert [each for each in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each)] == []
    assert len(set(used)) == len({each.split("@")[0] for each in used}) == 4


def audited(folder, said: str, code: int) -> subprocess.CompletedProcess:
    """Audit with a pip-audit that says this."""
    (folder / "said").write_text(said)
    program = folder / "pip-audit"
    program.write_text(
        f"#!/bin/sh\necho trace >&2; echo 'no route' >&2; cat {folder}/said; exit {code}\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = f"{folder}:{os.environ['PATH']}"
    return script("audit", "requirements.txt", cwd=folder, PATH=path)


HOLE = {"id": "CVE-2026-7", "fix_versions": ["8.1"]}


def test_the_audit_says_what_it_found_and_what_it_could_not_ask(tmp_path):
    good, bad = ({"name": "a", "version": "7", "vulns": each} for each in ([], [HOLE]))
    done = audited(tmp_path, json.dumps({"dependencies": [good]}), 0)
    assert (done.returncode, done.stdout) == (0, "0 of 1 packages have known holes\n")
    done = audited(tmp_path, json.dumps({"dependencies": [good, bad]}), 1)
    assert done.returncode == 1
    assert done.stdout == "a 7: CVE-2026-7, mended in 8.1\n1 of 2 packages have known holes\n"
    skipped = {"name": "b", "skip_reason": "b (7) is not there"}
    done = audited(tmp_path, json.dumps({"dependencies": [good, skipped]}), 0)
    assert done.returncode == 2
    assert done.stderr == "error: 1 of 2 packages could not be asked about (b (7) is not there)\n"
    done = audited(tmp_path, "", 1)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the database could not be asked; is there a network? (")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_experiments_are_shared(clone):
    set_params(clone / "params.yaml", {"fine_tune": {"learning_rate": 0.01}})
    call("dvc", "exp", "run", "--quiet", "--name=faster", cwd=clone)
    call("dvc", "exp", "push", "--quiet", "origin", "faster", cwd=clone)
    call("git", "clone", "--quiet", "--branch=main", "origin", "other", cwd=clone.parent)
    other = clone.parent / "other"
    call("dvc", "exp", "pull", "--quiet", "origin", "faster", cwd=other)
    assert "faster" in call("dvc", "exp", "list", "--name-only", cwd=other)


def test_a_conflict_in_dvc_lock_is_solved_by_running(clone):
    """As CONTRIBUTING.md has it: take either side's lock file and metrics, then run."""
    call("git", "switch", "--quiet", "main", cwd=clone)
    for branch, key in (("one", "learning_rate"), ("two", "layer_decay")):
        call("git", "switch", "--quiet", "--create", branch, "main", cwd=clone)
        set_params(clone / "params.yaml", {"fine_tune": {key: 0.25}})
        leave(clone, 3 if branch == "one" else 9)
        call("git", "commit", "--quiet", "--all", "--message", branch, cwd=clone)
    merge = subprocess.run(["git", "merge", "one"], cwd=clone, capture_output=True, text=True)
    assert "CONFLICT (content): Merge conflict in dvc.lock" in merge.stdout
    call("git", "checkout", "--quiet", "--ours", "dvc.lock", "metrics", "given.csv", cwd=clone)
    call("dvc", "repro", "--quiet", cwd=clone)
    call("git", "commit", "--quiet", "--all", "--no-edit", cwd=clone)
    lock = yaml.safe_load((clone / "dvc.lock").read_text())["stages"]["evaluate"]
    settings = lock["params"]["params.yaml"]["fine_tune"]
    assert (settings["learning_rate"], settings["layer_decay"]) == (0.25, 0.25)
    assert "Running stage" not in call("dvc", "repro", cwd=clone)
    assert call("git", "status", "--porcelain", cwd=clone) == ""
