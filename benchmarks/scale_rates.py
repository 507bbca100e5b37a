"""What stages and DVC take for an image, and what that comes to on other machines."""

import json
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmarks.timing import FOLDER
from thaw.project.errors import UserError

SPREAD = ("extract", "augment", "fine_tune")  # stages that several machines share
ON_GPU = SPREAD  # stages that a GPU makes faster
COPIES = 2  # of data/raw: there and in DVC's cache, without links


class Inputs(NamedTuple):
    """What is not measured here. Prices are in US dollars and examples of November 2026."""

    box_hour: float = 0.10  # a machine such as the measured one
    gpu_hour: float = 2.50  # a machine with one GPU
    disk_month: float = 0.02  # a gigabyte for a month
    gpu_times: float = 20.0  # how much faster a GPU runs and trains the network than the box
    machines: float = 32.0  # boxes in the cluster
    memory: float = 16.0  # gigabytes, of the box
    disk: float = 1000.0  # gigabytes, of the box
    epochs: float = 6.0  # of fine-tuning


class Rate(NamedTuple):
    """What something takes for no image, and for each further one."""

    none: float
    each: float

    def at(self, images: float) -> float:
        return self.none + self.each * images

    def reaches(self, limit: float) -> float:
        """Return the number of images at which it comes to `limit`; infinite for a flat rate."""
        return (limit - self.none) / self.each if self.each > 0 else float("inf")


def rates(rows: list[dict], what: str, value: str) -> dict[str, Rate]:
    """Return the rate of `value` of each `what`, from its smallest and its largest measurement."""
    found = {}
    for name, sizes in pd.DataFrame(rows).groupby(what, sort=False):
        small, large = (
            sizes.loc[each] for each in (sizes["images"].idxmin(), sizes["images"].idxmax())
        )
        each = (large[value] - small[value]) / (large["images"] - small["images"])
        each = max(each, 0.0)
        found[name] = Rate(max(small[value] - each * small["images"], 0.0), each)
    return found


class Measured(NamedTuple):
    """Rates by stage, and those of DVC by what it does. disk: gigabytes that stages leave.

    Those of DVC are seconds on a processor, as it also waits for the disk.
    """

    seconds: dict[str, Rate]
    memory: dict[str, Rate]
    disk: dict[str, Rate]
    dvc: dict[str, Rate]


def read(folder: Path = FOLDER) -> Measured:
    """Return the rates, with memory and disk in gigabytes. Raises UserError where none is known."""
    growth, small_files = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["results"]
        for name in ("growth", "small_files")
    )
    if not all("disk" in row for row in growth):
        raise UserError("growth.json is of an earlier code; run `python -m benchmarks.growth`")
    stages = [
        row | {"memory": row["megabytes"] / 1000, "disk": row["disk"] / 1000}
        for row in growth if "," not in row["stage"]
    ]  # fmt: skip
    single = [row for row in small_files if row["store"] == "files"]
    return Measured(
        *(rates(stages, "stage", value) for value in ("seconds", "memory", "disk")),
        rates(single, "what", "processor_seconds"),
    )


def seconds(measured: Measured, images: float, inputs: Inputs, where: str) -> dict[str, float]:
    """Return the seconds of each stage on one `box`, one `gpu`, or a `cluster` of boxes.

    A stage takes none + each x images; fine_tune its epochs times as much for each image. On a GPU
    the network's stages are gpu_times as fast, but no faster than images are decoded, for which
    download's time for each stands. In a cluster each machine has its part.
    """
    found = {}
    for stage, rate in measured.seconds.items():
        each = rate.each * (inputs.epochs if stage == "fine_tune" else 1)
        if where == "gpu" and stage in ON_GPU:
            decoding = measured.seconds["download"].each if stage != "fine_tune" else 0.0
            each = max(each / inputs.gpu_times, min(each, decoding))
        if where == "cluster" and stage in SPREAD:
            each /= inputs.machines
        found[stage] = rate.none + each * images
    return found


def gigabytes(measured: Measured, images: float) -> float:
    """Return what a run leaves on the disk, DVC's copy of data/raw included."""
    disk = {stage: rate.at(images) for stage, rate in measured.disk.items()}
    return sum(disk.values()) + (COPIES - 1) * disk["download"]
