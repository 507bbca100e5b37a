import sys
from pathlib import Path

import pytest

from tests.shards import image, write_parquet
from thaw.project.errors import UserError
from thaw.sources import bounded_writer, parquet
from thaw.sources.bounded_writer import Writer
from thaw.sources.settings import ArchiveLimits, Labels

LIMITS = ArchiveLimits(max_gigabytes=0.1, max_ratio=50.0, max_members=20)


def unpacked(path: Path, labels: Labels | None = None) -> dict[str, bytes]:
    out = path.parent / "out"
    out.mkdir()
    parquet.unpack(path, out, path.name, labels, Writer(LIMITS))
    return {each.name: each.read_bytes() for each in sorted(out.iterdir())}


def test_without_pyarrow_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"^a\.parquet is .* needs pyarrow; `make parquet`$"):
        unpacked(tmp_path / "a.parquet")


class TestWithPyarrow:
    @pytest.fixture(autouse=True)
    def needed(self):
        pytest.importorskip("pyarrow")

    def test_images_and_the_names_of_their_classes(self, tmp_path):
        names = ["tench, Tinca", "a/b ü", "never"]
        files = unpacked(write_parquet(tmp_path / "a.parquet", [1, 0, None, -1, 1], names))
        assert files == {
            **{f"000000{row}.png": image(row) for row in range(5)},
            **{
                f"000000{row}.cls": names[label].encode() for row, label in ((0, 1), (1, 0), (4, 1))
            },
        }

    def test_a_plain_column_of_texts_or_numbers_has_the_labels(self, tmp_path):
        files = unpacked(write_parquet(tmp_path / "a.parquet", ["cat", "dog"]))
        assert [files[f"000000{row}.cls"] for row in (0, 1)] == [b"cat", b"dog"]

    @pytest.mark.parametrize(
        ("labels", "texts"),
        [
            ([b"cat", b"\xff", None], [b"cat", b"\xff", None]),
            ([float("nan"), -1.0, 2.0], [None, None, b"2.0"]),
        ],
    )
    def test_texts_in_bytes_and_numbers_that_are_none(self, tmp_path, labels, texts):
        files = unpacked(write_parquet(tmp_path / "a.parquet", labels))
        assert [files.get(f"000000{row}.cls") for row in range(3)] == texts

    @pytest.mark.parametrize("labels", [[[0, 1], [1]], [{"a": 1}, {"a": 2}]])
    def test_several_labels_of_an_image_are_refused(self, tmp_path, labels):
        with pytest.raises(UserError, match=r"a\.parquet: column 'label' holds no labels; name"):
            unpacked(write_parquet(tmp_path / "a.parquet", labels))

    def test_of_two_columns_one_is_named(self, tmp_path):
        path = write_parquet(tmp_path / "a.parquet", [0, 1], None, breed=["x", "y"])
        with pytest.raises(UserError, match=r"which column has the labels\? \(label, breed\)"):
            unpacked(path)
        (tmp_path / "out").rmdir()
        files = unpacked(path, Labels(table="*.parquet", label="breed"))
        assert files["0000001.cls"] == b"y"

    def test_a_column_that_is_not_there_is_named(self, tmp_path):
        path = write_parquet(tmp_path / "a.parquet", [0, 1])
        with pytest.raises(UserError, match="has no column 'kind'"):
            unpacked(path, Labels(table="*.parquet", label="kind"))

    def test_a_label_without_a_name_is_refused(self, tmp_path):
        path = write_parquet(tmp_path / "a.parquet", [0, 0, 2], ["cat", "dog"])
        with pytest.raises(
            UserError, match=r"a\.parquet: row 2 has label 2, and there are 2 names"
        ):
            unpacked(path)

    def test_a_row_without_an_image_gives_an_empty_file(self, tmp_path):
        import pyarrow as pa
        from pyarrow import parquet as writer

        images = [{"path": "../0.png", "bytes": image(0)}, {"path": "1.jpg", "bytes": None}, None]
        table = pa.table({"image": images, "label": ["cat", "dog", "dog"]})
        writer.write_table(table, tmp_path / "a.parquet")
        files = unpacked(tmp_path / "a.parquet")
        assert files["0000000.png"] == image(0)
        assert files["0000001.jpg"] == files["0000002"] == b""

    def test_what_is_no_image_is_refused(self, tmp_path):
        import pyarrow as pa
        from pyarrow import parquet as writer

        writer.write_table(pa.table({"x": [1], "label": [1]}), tmp_path / "a.parquet")
        with pytest.raises(UserError, match=r"a\.parquet: which column has the images\?"):
            unpacked(tmp_path / "a.parquet")
        (tmp_path / "out").rmdir()
        with pytest.raises(UserError, match="column 'x' holds no images"):
            unpacked(tmp_path / "a.parquet", Labels(table="*.parquet", path="x"))

    @pytest.mark.parametrize("size", [4, 100, -1])
    def test_a_file_that_is_cut_is_refused(self, tmp_path, size):
        path = write_parquet(tmp_path / "a.parquet", [0, 1], ["cat", "dog"])
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(UserError, match=r"^a\.parquet: damaged Parquet file: .*fetch it again"):
            unpacked(path)

    def test_odd_metadata_is_not_taken(self, tmp_path):
        import pyarrow as pa
        from pyarrow import parquet as writer

        table = pa.table({"image": [image(0)], "label": [7]})
        for said in ("[", "[]", '{"info": {"features": [1]}}', '{"info": null}', "[" * 9000):
            writer.write_table(
                table.replace_schema_metadata({"huggingface": said}), tmp_path / "a.parquet"
            )
            files = unpacked(tmp_path / "a.parquet")
            assert files == {"0000000": image(0), "0000000.cls": b"7"}
            for each in (tmp_path / "out").iterdir():
                each.unlink()
            (tmp_path / "out").rmdir()

    def test_the_limits_hold_for_what_a_dictionary_repeats(self, tmp_path, monkeypatch):
        import pyarrow as pa
        from pyarrow import parquet as writer

        table = pa.table({"image": [bytes(200_000)] * 9, "label": ["cat"] * 9})
        monkeypatch.setattr(bounded_writer, "RATIO_FROM", 1)
        writer.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(UserError, match=r"a\.parquet: over 50 times its size unpacked"):
            unpacked(tmp_path / "a.parquet")
