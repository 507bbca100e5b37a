"""How accurate, and how fast: `python -m benchmarks.quality ARCHIVE... --minutes 60`.

Three recipes with five seeds each: the TensorFlow tutorial's (benchmarks/tutorial_script.py), the
`default` (params.yaml at 160 px with mirrored images) and recipes/best.yaml. A seed is that of the
split and of the training, so the three of a seed have the same images to train, to choose the epoch
and to test. Time is up to the test scores, from empty caches on; the tutorial gets its split for
nothing.

Each run is written to benchmarks/quality.json once it has ended, and the same command goes on with
what is missing there or is of earlier code. With --minutes none begins that took longer than what
is left. So all fit into parts: run it until it says that nothing is left.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import clone, recipes, timing
from benchmarks.all import is_current
from benchmarks.tables import block
from thaw.data import manifest
from thaw.project import paths
from thaw.project.cli import run
from thaw.project.errors import UserError

RECIPES = ("default", "best", "tutorial")
SEEDS = range(1, 6)


class Run(NamedTuple):
    """One run: a recipe with a seed, on the images of an archive (its name without ending)."""

    images: str
    recipe: str
    seed: int


def read(keep: bool) -> list[dict]:
    """Return the rows that were written before; of another code only with `keep`."""
    file = timing.FOLDER / "quality.json"
    if not file.is_file():
        return []
    rows = json.loads(file.read_text(encoding="utf-8"))["results"]
    current = {commit: keep or is_current(commit) for commit in {row["commit"] for row in rows}}
    return [row for row in rows if current[row["commit"]]]


def save(rows: list[dict], archives: list[Path]) -> None:
    """Write benchmarks/quality.json. The commit is null where rows are of several.

    The command is that of the recipes and seeds in `rows`, so that it takes about their seconds.
    """
    commits, recipe_names, seeds = (
        {row[name] for row in rows} for name in ("commit", "recipe", "seed")
    )
    words = [*map(str, archives)]
    if recipe_names != {*RECIPES}:
        words += ["--recipes", *(name for name in RECIPES if name in recipe_names)]
    if seeds != {*SEEDS}:
        words += ["--seeds", *map(str, sorted(seeds))]
    timing.save(
        "quality",
        rows,
        command=timing.command(sys.argv[0], words),
        commit=commits.pop() if len(commits) == 1 else None,
        seconds=round(sum(row["seconds"] for row in rows)),
    )


def expected(rows: list[dict], wanted: Run) -> float:
    """Return the most seconds that such a run took; of other images where there is none, else 0."""
    of_recipe = [row for row in rows if row["recipe"] == wanted.recipe]
    of_images = [row for row in of_recipe if row["images"] == wanted.images]
    return max((row["seconds"] for row in of_images or of_recipe), default=0.0)


def measure(archive: Path, wanted: Run) -> dict:
    """Run it in a clone of the last commit; return its row, but the commit."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, cache = Path(scratch) / "clone", Path(scratch) / "cache"
        name = "default" if wanted.recipe == "tutorial" else wanted.recipe
        changes = recipes.params_of(name, archive)
        for section in ("split", "train_head", "fine_tune"):
            changes[section] = changes.get(section, {}) | {"seed": wanted.seed}
        clone.make(folder, changes)
        if wanted.recipe == "tutorial":
            accuracy, cost = tutorial(folder, cache, wanted.seed)
        else:
            cost = clone.measure(folder, "dvc", "repro", "--quiet", "evaluate", cache=cache)
            scores = json.loads((folder / paths.TEST).read_text(encoding="utf-8"))
            accuracy = scores["fine_tuned"]["accuracy"]
        split = manifest.read_table(folder / paths.SPLIT)["split"]
    return {
        **wanted._asdict(),
        "accuracy": round(accuracy, 4),
        "test_images": int((split == "test").sum()),
        "seconds": round(cost.seconds, 1),
        "processor_seconds": round(cost.processor_seconds, 1),
    }


def tutorial(folder: Path, cache: Path, seed: int) -> tuple[float, clone.Cost]:
    """Run the tutorial's recipe on the images of the clone in `folder`, by the clone's split."""
    clone.measure(folder, "dvc", "repro", "--quiet", "split", cache=cache)
    parted, out = folder.parent / "parted", folder.parent / "tutorial.json"
    link(folder, parted)
    words = (str(parted), "--seed", str(seed), "--out", str(out))
    cost = clone.measure(folder, "benchmarks.tutorial_script", *words, cache=cache)
    return json.loads(out.read_text(encoding="utf-8"))["accuracy"], cost


def link(folder: Path, parted: Path) -> None:
    """Lay links to the images of a checkout into `parted`: SPLIT/CLASS/."""
    rows = manifest.read_table(folder / paths.SPLIT)
    for number, row in rows.iterrows():
        image = (folder / paths.RAW / row["path"]).resolve()
        place = parted / row["split"] / row["label"]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}{image.suffix}").symlink_to(image)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archives", type=Path, nargs="+")
    parser.add_argument("--recipes", nargs="+", default=RECIPES, choices=RECIPES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--keep", action="store_true", help="also rows of earlier code")
    options = parser.parse_args()
    archives = {archive.stem: archive for archive in options.archives}
    for archive in archives.values():
        if not archive.exists():
            raise UserError(f"no such folder or archive: {archive}")
    commit = timing.commit()
    if commit.endswith("-dirty"):
        raise UserError("what runs is the last commit, and not all is committed; commit or stash")
    rows, end = read(options.keep), time.monotonic() + 60 * options.minutes
    wanted = [
        Run(images, name, seed)
        for seed in options.seeds
        for name in options.recipes
        for images in archives
    ]
    done = {Run(row["images"], row["recipe"], row["seed"]) for row in rows}
    left = [each for each in wanted if each not in done]
    for each in [*left]:
        if time.monotonic() + expected(rows, each) > end:
            continue
        rows.append(measure(archives[each.images], each) | {"commit": commit})
        save(rows, [*archives.values()])
        left.remove(each)
        print(f"{each.images}, {each.recipe}, seed {each.seed}: {rows[-1]['accuracy']}", flush=True)
    print(block("quality"))
    print("nothing is left" if not left else f"{len(left)} left")


if __name__ == "__main__":
    run(main)
