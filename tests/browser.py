"""The system's Chromium, in which the tests open pages as a person does."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.imports import ROOT

SCREENSHOTS = ROOT / "screenshots"  # which CI keeps

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str:
    """Return Chromium's path. Skips the test where there is none, and fails it where CI runs."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    if os.environ.get("THAW_BROWSER") == "required":  # as .ci/run says
        pytest.fail(f"none of {', '.join(NAMES)} is installed, and CI must not skip this test")
    pytest.skip(f"needs a browser: none of {', '.join(NAMES)} is installed")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Give the browser, started; Playwright lets it run without its sandbox, which root needs."""
    path = find()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path)
        try:
            yield started
        finally:
            started.close()
