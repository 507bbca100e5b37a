"""What benchmarks of accuracy measured, as tables of Markdown; see `tables`."""

import pandas as pd

from benchmarks import paired
from benchmarks.speed_tables import number
from thaw.export import markdown


def interval(row: dict, name: str) -> str:
    return f"{row[name]:.3f} ({row['low']:.3f} to {row['high']:.3f})"


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
