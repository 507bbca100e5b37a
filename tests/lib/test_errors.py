import os
import signal

import pytest

from stages.lib.errors import UserError, run


@pytest.mark.parametrize("mistake", [UserError("bad\n  key"), OSError("bad\n  key")])
def test_a_mistake_is_one_line_and_exit_code_1(mistake, capsys):
    def main():
        raise mistake

    with pytest.raises(SystemExit) as stop:
        run(main)
    # sys.exit with text prints it to stderr and exits with 1
    assert isinstance(stop.value.code, str)
    assert stop.value.code.startswith("error: bad key")
    assert "\n" not in stop.value.code


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)


def test_ctrl_c_is_130(capsys):
    with pytest.raises(SystemExit) as stop:
        run(lambda: os.kill(os.getpid(), signal.SIGINT))
    assert stop.value.code == 130
    assert capsys.readouterr().err.count("\n") == 1
