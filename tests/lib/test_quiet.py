import subprocess
import sys

from tests.imports import ROOT


def test_importing_tensorflow_prints_nothing_and_later_errors_are_seen():
    code = "import stages.lib.quiet, sys, tensorflow as tf; tf.ones(3); sys.stderr.write('seen')"
    got = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (got.stdout, got.stderr, got.returncode) == ("", "seen", 0)


def test_the_garbage_collector_goes_on_but_not_through_what_was_imported():
    code = (
        "import stages.lib.quiet, gc, sys; assert gc.isenabled(); assert 'keras' in sys.modules\n"
        "assert gc.get_freeze_count() > 100_000 > len(gc.get_objects())"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
