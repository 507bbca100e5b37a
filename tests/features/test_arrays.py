import re
from pathlib import Path

import numpy as np
import pytest

from thaw.features import arrays
from thaw.project.errors import UserError


def test_features_that_are_missing_or_of_another_manifest_are_refused(tmp_path):
    (tmp_path / "f").mkdir()
    np.save(tmp_path / "f" / "avg.npy", np.zeros((17, 5), "float32"))
    with pytest.raises(
        UserError, match=r"\[head.pooling\]: 'flatten' needs .* extract.feature_maps"
    ):
        arrays.load(tmp_path / "f", "flatten", 17)
    with pytest.raises(UserError, match=r"of shape \(17, 5\) of float32 instead of 16"):
        arrays.load(tmp_path / "f", "avg", 16)
    with pytest.raises(UserError, match=r"avg\.npy is missing; run `dvc repro extract`"):
        arrays.load(tmp_path / "none", "avg", 17)
    np.save(tmp_path / "f" / "avg.npy", np.zeros((17, 5)))
    with pytest.raises(UserError, match=r"of float64"):
        arrays.load(tmp_path / "f", "avg", 17)


DAMAGE = {
    "cut": (lambda whole: whole[:-1], r"\(mmap length is greater than file"),
    "cut to its header": (lambda whole: whole[:128], r"\(mmap length is greater"),
    "cut in its header": (lambda whole: whole[:50], r"\(EOF: reading array header"),
    "empty": (lambda whole: b"", r"\(EOF: reading magic string"),
    "zeros": (lambda whole: b"\0" * len(whole), r"\(the magic string is not correct; .*\)"),
    "of a shape that no disk has": (
        lambda whole: whole.replace(b"5), }" + b" " * 22, b"5" + b"0" * 22 + b"), }"),
        r"is cut, or no \.npy file",
    ),
    "of a single number": (
        lambda whole: whole[:128].replace(b"(17, 5)", b"()     ") + b"\0" * 4,
        r"holds an array of shape \(\) of float32 instead of 17 rows of float32",
    ),
    "longer": (lambda whole: whole + b"\0", r"avg\.npy has more bytes than its shape \(17, 5\) "),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, damage):
    file, (change, said) = tmp_path / "avg.npy", DAMAGE[damage]
    np.save(file, np.ones((17, 5), "float32"))
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(UserError, match=said) as caught:
        arrays.load(tmp_path, "avg", 17)
    assert str(caught.value).startswith(f"{file} ")
    assert str(caught.value).endswith("; run `dvc repro --force --single-item extract`")
    assert "\n" not in str(caught.value)


def test_python_objects_are_not_read(tmp_path):
    np.save(tmp_path / "avg.npy", np.array([{}] * 17), allow_pickle=True)
    with pytest.raises(UserError, match=r"no \.npy file \(Array can't be memory-mapped"):
        arrays.load(tmp_path, "avg", 17)


def test_augmented_rows_are_of_an_image_or_one_of_its_copies():
    plain = np.arange(10, dtype="float32")[:, None]
    rows = np.array([1, 4, 7])
    copies = np.stack([plain[rows] + 0.1, plain[rows] + 0.2], axis=1)
    augmented = arrays.AugmentedRows(plain, copies, rows, seed=1)
    got = np.stack([augmented[rows] for _ in range(300)])[..., 0]
    for place, row in enumerate(rows):
        values, counts = np.unique(got[:, place].round(1), return_counts=True)
        assert values == pytest.approx([row, row + 0.1, row + 0.2])
        assert counts.min() > 60  # of 300, a third each


def mapped_megabytes() -> float:
    """What this process has of files in its memory."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssFile:\s+(\d+) kB", status)[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells")
def test_what_was_read_of_a_mapped_file_leaves_the_memory(tmp_path):
    written = np.arange(2**24, dtype="float32").reshape(2**14, 2**10)
    np.save(tmp_path / "large.npy", written)
    mapped = np.load(tmp_path / "large.npy", mmap_mode="r")
    before = mapped_megabytes()
    for start in range(0, len(mapped), 1000):
        rows = np.arange(start, min(start + 1000, len(mapped)))
        assert np.array_equal(arrays.take(mapped, rows), written[rows])
    assert mapped_megabytes() < before + 8  # of 64
    assert np.array_equal(mapped, written)
    assert mapped_megabytes() > before + 48


def test_arrays_in_memory_are_taken_from_too():
    values = np.arange(12).reshape(4, 3)
    assert arrays.take(values, np.array([2, 0])).tolist() == [[6, 7, 8], [0, 1, 2]]
    assert arrays.take(values[1:], np.array([0])).tolist() == [[3, 4, 5]]


def test_directions_have_length_one_and_zeros_stay():
    values = np.array([[3, 4], [0, 0], [0, -7]], "float32")
    found = arrays.directions(values)
    assert found == pytest.approx(np.array([[0.6, 0.8], [0, 0], [0, -1]]))
    assert found.dtype == np.float32


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


HOSTILE = [
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 5)}"),
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (17, 99999999999999999999)}"),
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-17, -5)}", bytes(340)),
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", bytes(4)),
    npy("{'descr': '|O', 'fortran_order': False, 'shape': (17,)}", b"cos\nsystem\n"),
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (17, 5)}", bytes(339)),
    npy("(" * 9_000),
    npy("__import__('os').system('touch oh')"),
    b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
    b"PK\x03\x04" + bytes(60),
    b"\x80\x04.",
]


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_array_is_one_line_and_runs_nothing(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "avg.npy").write_bytes(content)
    with pytest.raises(
        UserError, match=r"^avg\.npy.*run `dvc repro --force --single-item extract`$"
    ):
        arrays.load(Path(), "avg", 17)
    assert [path.name for path in tmp_path.iterdir()] == ["avg.npy"]
