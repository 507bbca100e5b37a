"""What DVC costs for many small files, and for shards: `python -m benchmarks.small_files`.

Makes JPEGs of 32 px and lets DVC run a stage that puts them into a folder: as files, and as a fixed
number of tar shards in which each image lies by its digest. Measures seconds, also those on a
processor, and peak memory of that first `dvc repro`, of one with nothing to do, of committing 1 %
more images, and of push, checkout and pull, with a remote in a folder. --images and --stores
measure a part, and the other rows in benchmarks/small_files.json stay.
"""

import argparse
import hashlib
import io
import itertools
import os
import subprocess
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import clone
from benchmarks.tables import block
from benchmarks.timing import save_rows
from thaw.project import files
from thaw.project.cli import run

IMAGES = (2000, 10_000)
SIDE, CLASSES, SHARDS = 32, 100, 256
PIPELINE = """\
stages:
  store:
    cmd: mv ../made raw
    outs: [raw]
  use:
    cmd: touch used
    deps: [raw]
    outs: [used]
"""


def jpegs(numbers: range) -> Iterator[tuple[str, bytes]]:
    """Give the images with these numbers: CLASS/NUMBER.jpg, and noise that the number seeds."""
    for number in tqdm(numbers, desc="images", disable=None):
        pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), "uint8")
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG")
        yield f"{number % CLASSES:02}/{number:07}.jpg", buffer.getvalue()


def write_files(numbers: range, folder: Path) -> None:
    for name, content in jpegs(numbers):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def write_shards(numbers: range, folder: Path) -> None:
    """Append each image to the shard that its digest names."""
    members = defaultdict(list)
    for name, content in jpegs(numbers):
        members[hashlib.sha256(content).digest()[0] * SHARDS // 256].append((name, content))
    folder.mkdir(exist_ok=True)
    for shard, inside in members.items():
        with tarfile.TarFile(folder / f"{shard:03}.tar", "a") as packed:
            for name, content in inside:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                packed.addfile(member, io.BytesIO(content))


STORES = {"files": write_files, "shards": write_shards}


def measure(store: str, images: int, scratch: Path) -> list[dict]:
    """Return a row for each thing that DVC does."""
    repository, raw = scratch / "repository", scratch / "repository/raw"
    repository.mkdir(parents=True)
    (repository / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    write = STORES[store]
    write(range(images), scratch / "made")
    subprocess.run(["git", "init", "--quiet"], cwd=repository, check=True)
    for each in ("init", "remote add --default there ../remote"):
        clone.measure(repository, "dvc", *each.split(), "--quiet")
    rows = []

    def step(what: str, *arguments: str) -> None:
        cost = clone.measure(repository, "dvc", *arguments, "--quiet")
        rows.append({
            "images": images, "store": store, "what": what,
            "seconds": round(cost.seconds, 2), "megabytes": round(cost.megabytes),
            "processor_seconds": round(cost.processor_seconds, 2),
        })  # fmt: skip

    step("repro, the first", "repro")
    step("repro, nothing to do", "repro")
    step("push", "push")
    files.remove(raw)
    step("checkout", "checkout")
    files.remove(raw)
    files.remove(repository / ".dvc/cache")
    step("pull", "pull")
    write(range(images, images + images // 100), raw)
    step("commit, 1 % more images", "commit", "--force", "store")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=IMAGES)
    parser.add_argument("--stores", choices=STORES, nargs="+", default=[*STORES])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch).resolve()
        os.environ |= {"HOME": str(home), "DVC_SITE_CACHE_DIR": str(home / "site")}
        os.environ.pop("XDG_CACHE_HOME", None)
        for images, store in itertools.product(options.images, options.stores):
            place = home / f"{images} {store}"
            save_rows("small_files", ("images", "store"), measure(store, images, place))
            files.remove(place)
    print(block("small_files"))


if __name__ == "__main__":
    run(main)
