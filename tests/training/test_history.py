import numpy as np
import pytest
from dvclive import Live

from thaw.project.errors import UserError
from thaw.training import history


def test_what_dvclive_writes_is_read_by_epoch(tmp_path):
    with Live(str(tmp_path / "log"), dvcyaml=None, report=None, save_dvc_exp=False) as live:
        for epoch, loss in enumerate((0.9, 0.5, 0.25)):
            live.step = epoch
            live.log_metric("validation/loss", loss)
            if epoch:  # before the first nothing has trained
                live.log_metric("train/loss", 2 * loss)
    found = history.read(tmp_path / "log")
    assert found.index.tolist() == [0, 1, 2]
    assert found.index.name == "epoch"
    assert found["validation/loss"].tolist() == [0.9, 0.5, 0.25]
    assert np.isnan(found["train/loss"][0])
    assert found["train/loss"].tolist()[1:] == [1.0, 0.5]


def test_without_a_log_there_is_no_epoch(tmp_path):
    assert len(history.read(tmp_path)) == 0


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"step\n1\n", b"step\tloss\n0\tx\n", b"a\tb\n1\t2\n"]
)
def test_a_damaged_log_is_one_line(tmp_path, content):
    file = tmp_path / "plots/metrics/train/loss.tsv"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"loss\.tsv is damaged .*run `dvc repro`"):
        history.read(tmp_path)
