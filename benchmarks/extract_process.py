"""Extraction as a whole process: `python -m benchmarks.extract_process FOLDER_OR_ARCHIVE`.

The stage extract by the default network with an empty cache, and a plain OpenVINO script
(`benchmarks/openvino_script.py`) whose network was converted before. They alternate, each a process
of its own, imports included. Writes benchmarks/extract_process.json.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import clone
from benchmarks.tables import block
from benchmarks.timing import alternate, rates, save
from thaw.features import inference, lite_network
from thaw.models import lite_file
from thaw.project import paths
from thaw.project.cli import run

FEWEST = ["download", "backbone"]


def process(folder: Path, cache: Path, *arguments: object) -> None:
    subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def cold(folder: Path, scratch: Path) -> None:
    """Run the stage extract with a cache that is empty."""
    with tempfile.TemporaryDirectory(dir=scratch) as cache:
        process(folder, Path(cache), "stages.extract")


def write_network(folder: Path, size: int, file: Path) -> None:
    """Write the frozen network of a clone as OpenVINO's files, for the script."""
    values = lite_file.load(0, folder / paths.BACKBONE)
    model = lite_network.build(0, size, values, feature_maps=False)
    inference.imported().save_model(model, file, compress_to_fp16=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        folder, file, out = scratch / "thaw", scratch / "network.xml", scratch / "avg.npy"
        source = {"source": str(options.source.resolve())}
        clone.make(folder, {"data": source, "backbone": {"image_size": options.size}})
        clone.repro(folder, FEWEST)
        write_network(folder, options.size, file)
        script = "benchmarks.openvino_script", folder / paths.RAW, file, out
        contestants = {
            "extract, nothing kept": lambda: cold(folder, scratch),
            "OpenVINO script, network converted before": lambda: process(folder, scratch, *script),
        }
        seconds = alternate(contestants, options.rounds)
        features = np.load(folder / paths.FEATURES / "avg.npy")
        difference = float(np.abs(np.sort(features, 0) - np.sort(np.load(out), 0)).max())
    save("extract_process", rates(seconds, len(features)), rounds=options.rounds)
    print(block("extract_process"))
    print(f"the same features but for {difference:.1e}")


if __name__ == "__main__":
    run(main)
