"""What 1e4, 1e6 and 1e8 images cost, by measured rates: `python -m benchmarks.scale`.

Takes rates from benchmarks/growth.json and small_files.json: what a stage, or DVC, takes for no
image at all, and for each further one. Prints what docs/SCALE.md explains, also for other inputs,
such as `--gpu-hour 3.1 --machines 100 --images 3e7`.
"""

import argparse

import pandas as pd

from benchmarks.scale_rates import Inputs, Measured, Rate, gigabytes, read, seconds
from benchmarks.speed_tables import number
from thaw.export import markdown
from thaw.project.cli import run

IMAGES = (1e4, 1e6, 1e8)
HOUR, DAY = 3600, 86_400


def costs(measured: Measured, sizes: tuple[float, ...], inputs: Inputs) -> str:
    """A column for each number of images: time, money, disk, and the largest stage's memory."""
    rows = {}
    prices = {
        "one box": ("box", inputs.box_hour),
        "one GPU": ("gpu", inputs.gpu_hour),
        f"{inputs.machines:g} boxes": ("cluster", inputs.box_hour * inputs.machines),
    }
    for name, (where, price) in prices.items():
        spent = [sum(seconds(measured, each, inputs, where).values()) for each in sizes]
        rows[f"{name}, a run"] = [
            f"{duration(each)}, {each / HOUR * price:,.2f} USD" for each in spent
        ]
    for what, rate in measured.dvc.items():
        rows[f"DVC: {what}"] = [duration(rate.at(each)) for each in sizes]
    disk = [gigabytes(measured, each) for each in sizes]
    rows["on the disk"] = [
        f"{size(each)}, {each * inputs.disk_month:,.2f} USD a month" for each in disk
    ]
    largest = [max(measured.memory, key=lambda stage: measured.memory[stage].at(each))
               for each in sizes]  # fmt: skip
    rows["most memory"] = [
        f"{size(measured.memory[stage].at(each))}, {stage}" for stage, each in zip(largest, sizes)
    ]
    head = ["", *(f"{each:,.0f} images" for each in sizes)]
    return markdown.table(
        pd.DataFrame([[name, *cells] for name, cells in rows.items()], columns=head)
    )


def stages(measured: Measured, sizes: tuple[float, ...], inputs: Inputs) -> str:
    """The time of each stage on one box."""
    columns = {f"{each:,.0f} images": seconds(measured, each, inputs, "box") for each in sizes}
    table = pd.DataFrame(columns).map(duration).rename_axis("stage").reset_index()
    table.insert(1, "for an image", [
        f"{1000 * rate.each * (inputs.epochs if stage == 'fine_tune' else 1):.2f} ms"
        for stage, rate in measured.seconds.items()
    ])  # fmt: skip
    return markdown.table(table)


def limits(measured: Measured, inputs: Inputs) -> str:
    """What breaks at how many images on one box, the first first, and what to switch."""
    none, one = (sum(seconds(measured, each, inputs, "box").values()) for each in (0, 1))
    empty, image = (gigabytes(measured, each) for each in (0, 1))
    stage = min(measured.memory, key=lambda each: measured.memory[each].reaches(inputs.memory))
    found = [
        (rate.reaches(limit), what, switch) for rate, limit, what, switch in (
            (measured.dvc["repro, nothing to do"], 60,
             "`dvc repro` with nothing to do takes a minute", "work on a sample, see below"),
            (Rate(none, one - none), DAY, "a run takes a day",
             "`make gpu`; several GPUs or hosts for fine_tune, see [machines.md](machines.md)"),
            (Rate(empty, image - empty), inputs.disk, f"{inputs.disk:,.0f} GB of disk are full",
             "a larger disk; `dvc config cache.type hardlink` saves DVC's copy"),
            (measured.memory[stage], inputs.memory,
             f"{stage} takes {inputs.memory:g} GB of memory", "a machine with more memory"),
        )
    ]  # fmt: skip
    rows = [(rounded(images), what, switch) for images, what, switch in sorted(found)]
    return markdown.table(pd.DataFrame(rows, columns=["images", "what breaks", "what to switch"]))


def rounded(images: float) -> str:
    """Return a number of images with its first two digits."""
    return "never" if images == float("inf") else f"{float(f'{images:.2g}'):,.0f}"


def shards() -> str:
    """What 1 % more images change of shards in which each image lies by its digest.

    Of k images in a shard none is new with a probability of 0.99 ** k.
    """
    rows = [
        (f"{each:,}", f"{1e6 / each:,.0f}", f"{100 * (1 - 0.99**each):.0f} %")
        for each in (1, 5, 10, 100, 1000)
    ]
    head = ["images in a shard", "files of 1,000,000 images", "written anew for 1 % more"]
    return markdown.table(pd.DataFrame(rows, columns=head))


def duration(value: float) -> str:
    for unit, length in (("days", DAY), ("h", HOUR), ("min", 60)):
        if value >= 2 * length:
            return f"{number(value / length)} {unit}"
    return f"{number(value)} s"


def size(value: float) -> str:
    """Say gigabytes."""
    return f"{number(value / 1000)} TB" if value >= 1000 else f"{number(value)} GB"


def given(inputs: Inputs) -> str:
    """Say the inputs."""
    said = {
        "box_hour": "an hour of the box costs {} USD", "gpu_hour": "one with a GPU {} USD",
        "disk_month": "a gigabyte {} USD a month", "gpu_times": "a GPU is {} times as fast",
        "machines": "the cluster has {} boxes", "memory": "the box has {} GB of memory",
        "disk": "and {} GB of disk", "epochs": "fine-tuning has {} epochs",
    }  # fmt: skip
    return (
        "Inputs: "
        + ", ".join(said[key].format(f"{value:g}") for key, value in inputs._asdict().items())
        + "."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=float, nargs="+", default=IMAGES)
    for name, value in Inputs()._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value)
    options = vars(parser.parse_args())
    sizes, inputs = tuple(options.pop("images")), Inputs(**options)
    measured = read()
    tables = costs(measured, sizes, inputs), stages(measured, sizes, inputs)
    print(given(inputs), *tables, limits(measured, inputs), sep="\n\n")


if __name__ == "__main__":
    run(main)
