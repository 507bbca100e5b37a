"""What benchmarks of speed and memory measured, as tables of Markdown; see `tables`."""

import pandas as pd

from thaw.export import markdown

FOUND = {  # what a benchmark says besides its rates
    "fraction_of_matrix_rate": "The first row reaches {} of the rate of large matrix products.",
    "mean_difference_of_a_pixel": "The first two rows differ by {} of 255 per pixel in the mean.",
    "largest_difference_from_keras": "No probability differs by more than {} from Keras'.",
    "seconds_for_one_image": "`python -m tools.predict` on one image takes {} seconds in all.",
}


def number(value: float) -> str:
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


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


def by_size(measured: dict, row: str = "stage") -> str:
    """A row for each stage, a column for each size: seconds, for an image, and the peak memory."""
    table = pd.DataFrame(measured["results"])
    table["cost"] = [
        f"{number(each.seconds)} s ({1000 * each.seconds / each.images:.2f} ms), "
        f"{each.megabytes:.0f} MB"
        for each in table.itertuples()
    ]
    table["size"] = [f"{count:,} images" for count in table["images"]]
    if "store" in table:
        table["size"] += " in " + table["store"]
    wide = table.pivot(index=row, columns="size", values="cost")
    wide = wide.loc[table[row].unique(), table["size"].unique()]
    return markdown.table(wide.rename_axis("" if row == "what" else row).reset_index())


def small_files(measured: dict) -> str:
    """Seconds on a processor, which hold on a busy machine, too."""
    rows = [row | {"seconds": row["processor_seconds"]} for row in measured["results"]]
    return by_size({"results": rows}, "what")


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
