"""Write the tables of docs/performance.md: `python -m benchmarks.tables`.

A table stands between two marks, <!-- NAME --> and <!-- /NAME -->, and comes from
benchmarks/NAME.json. The line above it has the command, the commit and the processor.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from benchmarks import paired
from benchmarks.timing import FOLDER
from thaw.export import markdown
from thaw.project import files
from thaw.project.cli import run
from thaw.project.errors import UserError

PAGE = Path("docs/performance.md")
FOUND = {  # what a benchmark says besides its rates
    "fraction_of_matrix_rate": "The first row reaches {} of the rate of large matrix products.",
    "mean_difference_of_a_pixel": "The first two rows differ by {} of 255 per pixel in the mean.",
    "largest_difference_from_keras": "No probability differs by more than {} from Keras'.",
    "seconds_for_one_image": "`python -m tools.predict` on one image takes {} seconds in all.",
}


def number(value: float) -> str:
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def interval(row: dict, name: str) -> str:
    return f"{row[name]:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def rates(measured: dict) -> str:
    """What `timing.rates` returned, and below it what else the benchmark found."""
    rows = [
        {
            "": name,
            "images per second": f"{row['images_per_second']:.0f}",
            "times the first's seconds": f"{row['ratio']:.2f}",
        }
        for name, row in measured["results"].items()
    ]
    found = measured.get("found", {})
    said = [text.format(found[key]) for key, text in FOUND.items() if key in found]
    return "\n\n".join([markdown.table(pd.DataFrame(rows)), *said])


def backbones(measured: dict) -> str:
    rows = [
        {
            "": name,
            "validation accuracy": interval(row, "accuracy"),
            "seconds to extract": number(row["seconds"]),
        }
        for name, row in measured["results"].items()
    ]
    return markdown.table(pd.DataFrame(rows))


def tutorial(measured: dict) -> str:
    """Seconds of all but the whole recipe, which has minutes and no run with the tuner off."""
    rows = []
    for name, row in measured["results"].items():
        long, short = ("seconds", "s") if "thaw_seconds" in row else ("minutes", "min")
        thaw, tutorial = (f"{number(row[f'{who}_{long}'])} {short}" for who in ("thaw", "tutorial"))
        if "thaw_accuracy" in row:
            thaw += f" (accuracy {row['thaw_accuracy']:.3f})"
            tutorial += f" (accuracy {row['tutorial_accuracy']:.3f})"
        if "caching_seconds" in row:
            thaw += f", and {number(row['caching_seconds'])} s once"
        cells = {"": name, "thaw": thaw, "tutorial": tutorial, "ratio": number(row["ratio"])}
        if "tuner_off_seconds" in row:
            cells["tutorial, tuner off"] = f"{number(row['tuner_off_seconds'])} s"
            cells["ratio, tuner off"] = number(row["tuner_off_ratio"])
        rows.append(cells)
    table = markdown.table(pd.DataFrame(rows).fillna(""))
    whole = measured["results"].get("whole recipe")
    if whole is None:
        return table
    minutes = whole["thaw"]["minutes"]
    ratio = whole["tutorial_minutes"] / minutes
    with_figures = f"With figures and exports thaw takes {minutes} min; the ratio is {ratio:.1f}."
    return f"{table}\n\n{with_figures}"


def growth(measured: dict) -> str:
    """A row for each stage: seconds, and the peak memory of its process."""
    table = pd.DataFrame(measured["results"])
    table["cost"] = [
        f"{number(seconds)} s, {megabytes:.0f} MB"
        for seconds, megabytes in zip(table["seconds"], table["megabytes"])
    ]
    table["images"] = [f"{count:,} images" for count in table["images"]]
    wide = table.pivot(index="stage", columns="images", values="cost")
    wide = wide.loc[table["stage"].unique(), table["images"].unique()]
    return markdown.table(wide.rename_axis("stage").reset_index())


def many_classes(measured: dict) -> str:
    """Seconds by stage and in all, and below them the memory."""
    found = measured["results"]
    rows = [*found["stages"].items(), ("all, with DVC", found["seconds"])]
    table = pd.DataFrame([(name, number(value)) for name, value in rows], columns=["", "seconds"])
    return (
        f"{markdown.table(table)}\n\n{found['classes']:,} classes, {found['images']:,} images of "
        f"{found['side']} px; no process took more than {found['megabytes']:,} MB."
    )


def fine_tuning_step(measured: dict) -> str:
    """Milliseconds of a step of both forms."""
    table = pd.DataFrame(measured["results"])
    for form in ("plain", "arranged"):
        table[form] = table[form].map(lambda value: f"{number(value)} ms")
    return markdown.table(table.rename(columns={"plain": "Keras"}))


def checkpoints(measured: dict) -> str:
    """Seconds of fine_tune with and without; below them their part, and what is repeated."""
    found = measured["results"]
    rows = [{"fine_tune": name, "seconds": number(found[name])} for name in ("with", "without")]
    return (
        f"{markdown.table(pd.DataFrame(rows))}\n\nThe ratio is {found['ratio']:.3f}. Taking and "
        f"writing checkpoints of {found['megabytes']} MB took {100 * found['fraction']:.2f} % of "
        f"the time. Killed after its epoch {found['killed_after']}, the stage went on after its "
        f"epoch {found['resumed_after']}."
    )


def rerun(measured: dict) -> str:
    rows = [
        {
            "a change of": name,
            "seconds": number(row["seconds"]),
            "of a whole run": f"{100 * row['fraction']:.1f} %",
        }
        for name, row in measured["results"].items()
    ]
    return markdown.table(pd.DataFrame(rows))


def run_seconds(measured: dict) -> str:
    """A row for each stage, with its seconds by what it is at, and one for all."""
    table = pd.DataFrame(measured["results"]["stages"]).T
    table.loc["all stages"] = table.sum()
    cells = table.map("{:.1f}".format).rename_axis("seconds").reset_index()
    whole = number(measured["results"]["seconds"])
    return f"{markdown.table(cells)}\n\n`make run` takes {whole} s, with what DVC adds."


def sweep(measured: dict) -> str:
    row = measured["results"]
    minutes = {
        "a whole run": row["whole_minutes"],
        f"a sweep of {row['runs']} heads": row["sweep_minutes"],
    }
    rows = [{"": name, "minutes": f"{value:.2f}"} for name, value in minutes.items()]
    return markdown.table(pd.DataFrame(rows)) + f"\n\nThe ratio is {row['ratio']}."


def recipes(measured: dict) -> str:
    rows = [
        {
            "recipe": f"`{name}`",
            "validation and test": interval(row, "validation_and_test"),
            "test, head": f"{row['head_test']:.3f}",
            "test, fine-tuned": f"{row['test']:.3f}",
            "minutes": number(row["minutes"]),
        }
        for name, row in measured["results"].items()
    ]
    return markdown.table(pd.DataFrame(rows))


def review(measured: dict) -> str:
    """Mean and standard deviation over the seeds, and how long a review takes."""
    rows = []
    for name, row in measured["results"].items():
        cells = {"": name}
        for key, title in {
            "found": "swapped among the first 5 %",
            "dirty": "accuracy, swapped",
            "corrected": "corrected",
        }.items():
            values = pd.Series(row[key])
            cells[title] = f"{values.mean():.3f} ± {values.std():.3f}"
        rows.append(cells | {"clean": f"{row['clean']:.3f}"})
    times = "; ".join(
        f"{name}: {row['images']:,} images in {number(row['seconds'])} s, "
        f"{number(row['processor_seconds'])} s of them on a processor"
        for name, row in measured["results"].items()
    )
    return f"{markdown.table(pd.DataFrame(rows))}\n\n{times}."


def augmented_copies(measured: dict) -> str:
    """Mean and standard deviation over the seeds."""
    rows = []
    for copies, seeds in pd.DataFrame(measured["results"]).groupby("augmented_copies"):
        accuracy, loss = (
            f"{seeds[key].mean():.4f} ± {seeds[key].std():.4f}" for key in ("accuracy", "loss")
        )
        epoch = f"{seeds['epoch'].mean():.0f}"
        rows.append((copies, accuracy, loss, epoch))
    head = ["augmented copies", "validation accuracy", "validation loss", "best epoch"]
    return markdown.table(pd.DataFrame(rows, columns=head))


def calibration(measured: dict) -> str:
    """Means over the seeds: a table of calibration errors, and one of unknown images."""
    rows = pd.DataFrame(measured["results"])
    means = rows.drop(columns=["seed", "unknown"]).groupby("model", sort=False).mean()
    errors, known = (means.dropna(subset=[name]) for name in ("ece", "auroc"))
    first = pd.DataFrame(
        {
            "": errors.index,
            "seeds": errors.index.map(rows["model"].value_counts()),
            "accuracy, before and after": errors["accuracy_after"].map("{:.4f}".format),
            "calibration error before": errors["ece"].map("{:.4f}".format),
            "after": errors["ece_after"].map("{:.4f}".format),
            "of exact answers": errors["ece_of_exact_answers"]
            .map("{:.4f}".format)
            .replace("nan", ""),
        }
    )
    asked = rows.groupby("model", sort=False)["unknown"].first()
    left_out = known.index.str.contains(" without ")
    known = pd.concat([known, known[left_out].mean().to_frame("mean without one class").T])
    second = pd.DataFrame(
        {
            "": known.index,
            "asked for": known.index.map(asked).fillna(""),
            "AUROC": known["auroc"].map("{:.3f}".format),
            "known images refused": known["refused_known"].map("{:.3f}".format),
            "unknown images refused": known["refused_unknown"].map("{:.3f}".format),
        }
    )
    return f"{markdown.table(first)}\n\n{markdown.table(second)}"


def label_next(measured: dict) -> str:
    """Labels needed in the active order and at random, for each set and target."""
    rows = []
    for name, found in measured["results"].items():
        for key, said in (("less_one_point", "less one point"), ("of_95_percent", "95 % of it")):
            of = f"{name}: {found['full']:.3f} on {found['pool']:,} labels, {said}"
            labels = {order: f"{found[key][order]:,}" for order in ("active", "random")}
            rows.append({"": of, **labels, "ratio": f"{found[key]['ratio']:.2f}"})
    return markdown.table(pd.DataFrame(rows))


def quality(measured: dict) -> str:
    """Accuracy and minutes of each recipe, and how many points it is from the tutorial's."""
    rows = []
    for row in paired.summary(pd.DataFrame(measured["results"])).to_dict("records"):
        mean, low, high = (100 * row[name] for name in ("difference", "low", "high"))
        points = [f"{mean:+.1f}", f"({low:+.1f} to {high:+.1f})"]
        beside = row["recipe"] != paired.BASIS and row["pairs"]
        spread = f" ± {row['spread']:.4f}" if row["seeds"] > 1 else ""
        rows.append(
            {
                "images": row["images"],
                "recipe": row["recipe"],
                "seeds": row["seeds"],
                "test accuracy": f"{row['accuracy']:.4f}{spread}",
                "points from the tutorial": " ".join(points[: row["pairs"]]) if beside else "",
                "seeds of both": row["pairs"] if beside else "",
                "minutes": number(row["seconds"] / 60),
                "of a processor": number(row["processor_seconds"] / 60),
                "times the tutorial's": f"{row['part']:.2f}" if beside else "",
            }
        )
    return markdown.table(pd.DataFrame(rows).sort_values("images", kind="stable"))


TABLES: dict[str, Callable[[dict], str]] = {
    "audit": rates,
    "augmented_copies": augmented_copies,
    "backbones": backbones,
    "calibration": calibration,
    "checkpoints": checkpoints,
    "decode": rates,
    "extract": rates,
    "extract_process": rates,
    "fine_tuning_step": fine_tuning_step,
    "forward": rates,
    "growth": growth,
    "label_next": label_next,
    "many_classes": many_classes,
    "predict": rates,
    "quality": quality,
    "recipes": recipes,
    "rerun": rerun,
    "review": review,
    "run": run_seconds,
    "sweep": sweep,
    "tutorial": tutorial,
}


def origin(measured: dict) -> str:
    """Say how a table was measured. What its JSON file has as null is not known."""
    facts = [
        f"commit {measured['commit']}" if measured["commit"] else "an earlier commit",
        measured["processor"] or "processor not noted",
    ]
    if measured["cores"]:
        facts.append(f"{measured['cores']} cores")
    if "draws" in measured:
        facts.append(f"{measured['draws']} draws")
    if "rounds" in measured:
        facts.append(f"medians of {measured['rounds']} rounds")
    return f"`{measured['command']}` ({'; '.join(facts)}):"


def block(name: str, folder: Path = FOLDER) -> str:
    """Return what stands between the marks of `name`: where the table is from, and the table."""
    measured = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return f"{origin(measured)}\n\n{TABLES[name](measured)}"


def page(text: str, folder: Path = FOLDER) -> str:
    """Return `text` with all tables written anew.

    Raises UserError where one does not have its two marks exactly once.
    """
    for name in TABLES:
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise UserError(f"{PAGE}: should have <!-- {name} --> and <!-- /{name} --> once")
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}{block(name, folder)}\n{end}{after}"
    return text


def main() -> None:
    written = page(PAGE.read_text(encoding="utf-8"))
    with files.replacing(PAGE) as partial:
        partial.write_text(written, encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    run(main)
