import subprocess
import sys

from tests.imports import ROOT


def test_importing_tensorflow_prints_nothing_and_later_errors_are_seen():
    code = "import stages.lib.quiet, sys, tensorflow as tf; tf.ones(3); sys.stderr.write('seen')"
    got = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (got.stdout, got.stderr, got.returncode) == ("", "seen", 0)
