"""Say whether more images would help: `python -m tools.learning_curve`.

Trains the head of params.yaml, as train_head does, on 5, 10, 20, 40, 70 and 100 % of the training
images of each class, several times on other ones, and scores it on the validation images. A power
law fitted to that says what twice the images would bring, and the F1 of each class which ones need
them most. Test images are not looked at. Needs the features of the last `dvc repro`. Writes the
figure learning_curve.png.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from thaw.figures import style
from thaw.project import files
from thaw.project.cli import run
from thaw.project.plain_text import visible
from tools import crossval
from tools.experiments.rows import Rows, read_rows
from tools.labelling import training_parts, training_size, training_size_plot
from tools.labelling.training_size import Forecast, Measured

FRACTIONS = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
FIGURE = Path("learning_curve.png")
NAMED = 3  # classes in the sentence
LISTED = 10  # classes in the table
POINTS = 100  # of accuracy


def parts(rows: Rows, seed: int) -> list[np.ndarray]:
    """Return training rows for each of FRACTIONS, as `training_parts.draw` does.

    All have the same fraction of each class, and at least one image of it.
    """
    takes = [lambda own, part=fraction: max(1, round(part * own)) for fraction in FRACTIONS]
    return training_parts.draw(rows, takes, seed)


def measure(rows: Rows, draws: int) -> Measured:
    """Train a head on each part of each draw; each has a seed of its own."""
    validation = np.flatnonzero(rows.split == "validation")
    drawn = [parts(rows, seed) for seed in range(draws)]
    predicted = np.empty((len(FRACTIONS), draws, len(validation)), int)
    chosen = crossval.sections({})
    with tqdm(
        total=predicted[..., 0].size, desc="learning_curve", unit=" heads", disable=None
    ) as bar:
        for draw, part in np.ndindex(draws, len(FRACTIONS)):
            settings = chosen["train_head"]
            seeded = settings.model_copy(update={"seed": settings.seed + draw})
            split = np.where(rows.split == "train", "left out", rows.split)
            split[drawn[draw][part]] = "train"
            found = crossval.predict(rows, split, validation, chosen | {"train_head": seeded})
            predicted[part, draw] = found.probabilities.argmax(axis=1)
            bar.update()
    of_class = [np.bincount(rows.classes[each], minlength=len(rows.names)) for each in drawn[0]]
    images = np.array([len(each) for each in drawn[0]])
    return Measured(images, np.array(of_class), rows.classes[validation], predicted)


def table(measured: Measured) -> str:
    """Return accuracy by number of images, mean and standard deviation over draws."""
    columns = {
        "training images": [f"{count:,}" for count in measured.images],
        "validation accuracy": training_parts.written(measured.accuracy),
    }
    return pd.DataFrame(columns).to_string(index=False)


def class_table(classes: pd.DataFrame, names: list[str]) -> str:
    """Return the classes that gain most, of what `training_size.by_class` gave."""
    some = classes.head(LISTED)
    columns = {
        "class": [visible(names[label]) for label in some["class"]],
        "images": some["images"],
        "F1": some["f1"].map("{:.3f}".format),
        "by twice the images": [
            f"{gain:+.3f} ({low:+.3f} to {high:+.3f})"
            for gain, low, high in zip(some["gain"], some["low"], some["high"])
        ],
    }
    return pd.DataFrame(columns).to_string(index=False)


def sentence(
    measured: Measured, forecast: Forecast, classes: pd.DataFrame, names: list[str]
) -> str:
    """Say what twice the images would bring, and which classes need them most."""
    twice = f"twice the training images ({2 * measured.images[-1]:,})"
    gain, low, high = (POINTS * each for each in (forecast.gain, forecast.low, forecast.high))
    brings = f"{twice} would bring about {gain:+.1f} points of accuracy ({low:.1f} to {high:.1f})"
    need = [
        f"'{visible(names[label])}'" for label in classes.loc[classes["low"] > 0, "class"][:NAMED]
    ]
    if not need:
        return f"{brings}; no class stands out"
    most = need[0] if len(need) == 1 else f"{', '.join(need[:-1])} and {need[-1]}"
    return f"{brings}; {most} need{'s' * (len(need) == 1)} them most"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=5, help="how often to draw the images")
    options = parser.parse_args()
    training_parts.check_draws(options.draws)
    rows = read_rows()
    measured = measure(rows, options.draws)
    forecast, classes = training_size.forecast(measured), training_size.by_class(measured)
    names = style.class_names(rows.names)
    figure = training_size_plot.draw(measured, forecast, classes, names)
    with files.replacing(FIGURE) as partial:
        style.save(figure, partial)
    print(table(measured), class_table(classes, rows.names), sep="\n\n", end="\n\n")
    print(sentence(measured, forecast, classes, rows.names))
    print(f"the figure is {FIGURE}")


if __name__ == "__main__":
    run(main)
