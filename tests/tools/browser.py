"""The system's Chromium, in which the tests open the page as a person does."""

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str:
    """Return Chromium's path. Skips the test where there is none, and fails it where CI runs."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    if os.environ.get("THAW_BROWSER") == "required":  # as .ci/run says
        pytest.fail(f"none of {', '.join(NAMES)} is installed, and CI must not skip this test")
    pytest.skip(f"needs a browser: none of {', '.join(NAMES)} is installed")
