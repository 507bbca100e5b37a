"""Feed mutated inputs to all that reads what others bring: `python -m tests.fuzz --count 5000`.

Each input is a valid file with random changes. A reader may take it, or raise what it says that it
raises; anything else (another exception, too much memory or time, a file outside of its folder) is
printed with the number of the input, which `--only NUMBER` gives again.
"""

import argparse
import faulthandler
import io
import json
import resource
import signal
import struct
import sys
import tarfile
import tempfile
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd

from tests import shards
from tests.imports import ROOT
from thaw.data import manifest
from thaw.evaluation import metrics
from thaw.features import arrays
from thaw.labels import label_table, source_labels
from thaw.models import hdf5_file, keras_archive, torch_checkpoint
from thaw.project import files, params, timings
from thaw.project.errors import UserError
from thaw.project.plain_text import UNSEEN, one_line
from thaw.sources import archive, source_folder
from thaw.sources.settings import ArchiveLimits, Data, Labels
from thaw.training import history
from tools import params as all_params

MEMORY = 1 << 30  # bytes beyond what the libraries take
SECONDS = 20  # for one input
LIMITS = ArchiveLimits(max_gigabytes=0.01, max_ratio=50.0, max_members=200)
LABELS = ["cat", "dog"]
ROWS = pd.DataFrame(
    {"path": [f"{LABELS[n % 2]}/{n}.png" for n in range(7)], "label": [*(LABELS * 4)][:7]}
).assign(given_split="", group="", sha256="ab" * 32)


class Kind(NamedTuple):
    """A file of one kind: how it is called, what is valid, who reads it, and what that raises."""

    name: str
    make: Callable[[], bytes]
    read: Callable[[Path], object]
    raises: tuple[type[Exception], ...] = (UserError,)


def csv(table: pd.DataFrame, **options) -> bytes:
    return table.to_csv(index=False, **options).encode()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(35, dtype="float32").reshape(7, 5))
    return buffer.getvalue()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def pth() -> bytes:
    """A state dict of one tensor, as torch before 1.6 wrote it."""
    storage = (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x06"
    )
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"NtQK\0K\x02K\x03\x86K\x03K\x01\x86"
    )
    tensor += b"\x89ccollections\nOrderedDict\n)Rq\x01tR"
    state = b"\x80\x02ccollections\nOrderedDict\n)R(" + text("conv.weight") + tensor + b"u."
    magic = b"\x80\x02\x8a\n" + torch_checkpoint.MAGIC.to_bytes(10, "little") + b"."
    keys = b"\x80\x02](" + text("0") + b"e."
    values = struct.pack("<q6f", 6, *range(6))
    return magic + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + state + keys + values


def h5() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["layer_names"] = [b"conv", b"dense"]
        for layer in ("conv", "dense"):
            group = file.create_group(layer)
            group.attrs["weight_names"] = [b"kernel", b"bias"]
            group["kernel"], group["bias"] = np.ones((3, 5), "f4"), np.zeros(5, "f4")
    return buffer.getvalue()


CONFIG = {
    "config": {
        "layers": [
            {"class_name": "Conv2D", "config": {"name": "a"}},
            {"class_name": "Functional", "config": {"layers": [
                {"class_name": "Dense", "config": {"name": "b"}}]}},
        ]
    }
}  # fmt: skip


def keras_zip(random: Random | None = None) -> bytes:
    """A `.keras` file; with `random` one of the files in it is mutated, and checksums are right."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file["layers/conv2d/vars/0"] = np.ones((3, 5), "f4")
        file["layers/functional/layers/dense/vars/0"] = np.zeros(5, "f4")
    return zipped(
        {
            keras_archive.CONFIG: json.dumps(CONFIG).encode(),
            keras_archive.WEIGHTS: weights.getvalue(),
        },
        random,
    )


def zipped(files: dict[str, bytes], random: Random | None = None) -> bytes:
    chosen = random.choice([*files]) if random else None
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, mutated(content, random) if name == chosen else content)
    return buffer.getvalue()


def packed_zip() -> bytes:
    return zipped({path: b"\x89PNG pixels" for path in ROWS["path"]})


def packed_tar(mode: str) -> Callable[[], bytes]:
    def make() -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=f"w{mode}") as packed:
            for path in ROWS["path"]:
                member = tarfile.TarInfo(path)
                member.size = 5
                packed.addfile(member, io.BytesIO(b"\x89PNG "))
            link = tarfile.TarInfo("cat/link.png")
            link.type, link.linkname = tarfile.SYMTYPE, "0.png"
            packed.addfile(link)
        return buffer.getvalue()

    return make


def read_manifest(path: Path) -> None:
    rows = manifest.read(path)
    manifest.class_indices(rows)
    manifest.image_paths(rows, path.parent)


def read_labels(path: Path) -> None:
    for place in ROWS["path"]:
        (path.parent / place).parent.mkdir(exist_ok=True)
        (path.parent / place).touch()
    label_table.find(path.parent, Labels(table=path.name), "auto")


def read_history(path: Path) -> None:
    place = path.parent / "plots/metrics/train/loss.tsv"
    place.parent.mkdir(parents=True)
    path.rename(place)
    history.read(path.parent)


def read_timings(path: Path) -> None:
    timings.file = lambda: path
    for seconds in timings.last().values():
        f"{seconds:.0f}".isdecimal()


def read_h5(path: Path) -> None:
    with hdf5_file.opened(path) as file:
        for _, values in hdf5_file.classic_values(file):
            values[()]


def read_keras(path: Path) -> None:
    with keras_archive.opened(path) as found:
        for _, values in found:
            values[()]


def unpack(path: Path) -> None:
    out = path.parent / "out"
    out.mkdir()
    archive.unpack(path, out, LIMITS, path.name)


def read_shards(path: Path) -> None:
    """Unpack a folder with one shard, and read the labels in it."""
    place = path.parent / "source"
    place.mkdir()
    path.rename(place / path.name)
    values = params.read(ROOT / "params.yaml")
    values["data"] |= {"source": str(place), "archive": LIMITS.model_dump()}
    settings = params.check(Data, values, "data")
    with files.scratch(place.parent / "scratch") as scratch:
        source_labels.find(source_folder.fetch_source(settings, scratch, scratch), settings)


def tar_shard() -> bytes:
    """A tar of samples with labels of all kinds."""
    members = {f"{number}.png": shards.image(number) for number in range(6)}
    members |= {f"{number}.cls": str(number % 2) for number in range(5)}
    members |= {"0.json": '{"label": 0}', "1.txt": "a text"}
    return written(lambda path: shards.write_tar(path, members))


def parquet_shard() -> bytes:
    return written(lambda path: shards.write_parquet(path, [0, 1, 0, None, 1], LABELS))


def written(write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch, "x"))
        return Path(scratch, "x").read_bytes()


LOG = "step\tloss\n0\t0.9\n1\t0.5\n2\t0.25\n"
TIMINGS = '{"stage": "split", "seconds": 3.5, "folder": "/x"}\n' * 3
PREDICTIONS = ROWS[["path", "label"]].assign(
    head="cat", fine_tuned="dog", **{"p(cat)": 0.25, "p(dog)": 0.75}
)
TABLE = ROWS[["path", "label"]].assign(split=["train", "test", "train"] + ["test"] * 4)
KINDS = (
    Kind("manifest.csv", lambda: csv(ROWS), read_manifest),
    Kind("split.csv", lambda: csv(TABLE), lambda path: manifest.read_split(path, ROWS)),
    Kind("predictions.csv", lambda: csv(PREDICTIONS),
         lambda path: metrics.read_predictions(path, ROWS, LABELS)),
    Kind("labels.csv", lambda: csv(TABLE), read_labels),
    Kind("labels.tsv", lambda: csv(TABLE, sep="\t"), read_labels),
    Kind("loss.tsv", LOG.encode, read_history),
    Kind("timings.jsonl", TIMINGS.encode, read_timings),
    Kind("params.yaml", (ROOT / "params.yaml").read_bytes,
         lambda path: all_params.check(params.read(path))),
    Kind("avg.npy", npy, lambda path: arrays.load(path.parent, "avg", 7)),
    Kind("x.pth", pth, torch_checkpoint.read_state_dict, (ValueError,)),
    # the caller of these two takes any exception for a damaged file
    Kind("x.h5", h5, read_h5, (Exception,)),
    Kind("x.keras", keras_zip, read_keras, (Exception,)),
    Kind("pets.zip", packed_zip, unpack),
    Kind("pets.tar", packed_tar(""), unpack),
    Kind("pets.tar.gz", packed_tar(":gz"), unpack),
    Kind("pets.tar.xz", packed_tar(":xz"), unpack),
    Kind("train-0.tar", tar_shard, read_shards),
    *([Kind("train-0.parquet", parquet_shard, read_shards)] if find_spec("pyarrow") else []),
)  # fmt: skip
NUMBERS = [number.to_bytes(size, order) for size in (1, 2, 4, 8) for order in ("little", "big")
           for number in (0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), 2 ** (8 * size - 1) - 1)
           ]  # fmt: skip
WORDS = [
    *(bytes([each]) for each in b"\0\xff\n\r\t,\"';|:-#%/\\{}[]~.Rt"),
    *(text.encode() for text in (
        "..", "../../x", "&a ", "*a", "&a [*a]", "!!int ", "!!binary ", "<<: ", "? ", "nan",
        "1e999", "-1", "null", "true", "9" * 5_000, "[" * 3_000, "{" * 3_000, "(" * 3_000,
        "0x" + "f" * 3_000, "2001-99-99", "\u202e", "\ufeff", "\x1b[2J", "=1+1", "cos\nsystem\n",
    )),
    b"\xff\xfe", b"\xed\xa0\x80", b"\x85" * 3_000, b"q\xff", b"r\xff\xff\xff\x7f",
]  # fmt: skip


def mutated(data: bytes, random: Random) -> bytes:
    """Return data with one to eight changes: of bits, of numbers, of words, of whole pieces."""
    data = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3, 5, 8))):
        place = random.randrange(len(data) + 1)
        end = min(len(data), place + random.choice((1, 2, 4, 8, 64, 512)))
        way = random.randrange(7)
        if way == 0 and place < len(data):
            data[place] ^= 1 << random.randrange(8)
        elif way == 1:
            number = random.choice(NUMBERS)
            data[place : place + len(number)] = number
        elif way == 2:
            data[place:place] = random.choice(WORDS)
        elif way == 3:
            data[place:end] = random.choice(WORDS)
        elif way == 4:
            del data[place:end]
        elif way == 5:
            data[place:place] = data[place:end] * random.choice((1, 2, 50))
        elif random.random() < 0.3:
            del data[place:]
        else:
            data[place:end] = random.randbytes(end - place)
    return bytes(data)


def content_of(kind: Kind, random: Random) -> bytes:
    if kind.make is keras_zip and random.random() < 0.7:
        return keras_zip(random)
    return mutated(kind.make(), random)


def outcome(kind: Kind, content: bytes) -> str:
    """Return "taken" or "refused", or what is wrong."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch, "place")
        place.mkdir()
        path = place / kind.name
        path.write_bytes(content)
        try:
            signal.alarm(SECONDS)
            kind.read(path)
            said = "taken"
        except MemoryError:
            said = traceback.format_exc()
        except kind.raises as error:
            line = one_line(error)
            said = "refused" if line and not UNSEEN.search(line) else f"says {line!r}"
        except BaseException:
            said = traceback.format_exc()
        finally:
            signal.alarm(0)
        if [each.name for each in Path(scratch).iterdir()] != ["place"]:
            said = "wrote outside of its folder"
        return said


def fuzz(numbers: range | list[int], seed: int, kinds: tuple[Kind, ...] = KINDS) -> tuple:
    """Return how often each kind was taken and refused, and what was found: {number: what}."""
    counts, found = Counter(), {}
    for number in numbers:
        random = Random(f"{seed} {number}")
        kind = kinds[number % len(kinds)]
        said = outcome(kind, content_of(kind, random))
        if said in ("taken", "refused"):
            counts[kind.name, said] += 1
        else:
            found[number] = f"{kind.name}: {said}"
            print(f"--seed {seed} --only {number}: {found[number]}", flush=True)
    return counts, found


class TooSlow(BaseException):
    """No reader takes this for a fault of the file."""


def _too_slow(*_) -> None:
    raise TooSlow(f"over {SECONDS} seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of an input")
    options = parser.parse_args()
    faulthandler.enable()
    signal.signal(signal.SIGALRM, _too_slow)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    numbers = range(options.count) if options.only is None else [options.only]
    counts, found = fuzz(numbers, options.seed)
    for kind in KINDS:
        taken, refused = counts[kind.name, "taken"], counts[kind.name, "refused"]
        print(f"{kind.name:<16} {taken:6,} taken {refused:6,} refused")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{len(numbers):,} inputs, {len(found)} found, at most {most} MB of memory")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
