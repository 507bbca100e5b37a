"""How many labels an order saves: `python -m benchmarks.label_next FOLDER_OR_ARCHIVE...`.

Replays labelling on labelled images, by their frozen features at 160 px. Of each draw, 70 % of the
images are the pool and the others score. Four random images of each class are labelled at first. A
head is trained on what is labelled, and chooses a fifth more, by `label_choice.choose` or at
random, until the whole pool is labelled. The head is a logistic regression on 256 principal
components of the features, which is as good as thaw's own and faster to train again and again.
Writes benchmarks/label_next.json: the labels at which the accuracy, the mean over draws, first
reaches that of a head on the whole pool less one point, and 95 % of it.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from benchmarks import clone, recipes
from benchmarks.tables import block
from benchmarks.timing import save
from thaw.data import manifest
from thaw.features import arrays
from thaw.project import paths
from thaw.project.cli import run
from tools.labelling import label_choice

DRAWS, POOL = 15, 0.7  # with five draws of cats and dogs the ratio is anything from 0.5 to 0.8
FIRST = 4  # images of each class
STEP, LEAST = 0.2, 10  # of what is labelled, and images at least, that are labelled next
COMPONENTS, STRENGTH = 256, 10.0  # of the head: its inputs, and the inverse of its regularization
ORDERS = ("active", "random")


def extract(source: Path, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the features, float32 (n, d) of length 1, and the class of each image."""
    clone.make(folder, recipes.DEFAULT | {"data": {"source": str(source.resolve())}})
    clone.repro(folder, ["extract"])
    features = np.load(folder / paths.FEATURES / "avg.npy")
    return arrays.directions(features), manifest.class_indices(
        manifest.read(folder / paths.MANIFEST)
    )


def head(features: np.ndarray, classes: np.ndarray) -> LogisticRegression:
    return LogisticRegression(C=STRENGTH, max_iter=300).fit(features, classes)


def replay(
    order: str, features: np.ndarray, classes: np.ndarray, pool: np.ndarray, seed: int
) -> dict:
    """Label the pool step by step; return the accuracy on the other images by labels."""
    random, test = np.random.default_rng(seed), np.setdiff1d(np.arange(len(classes)), pool)
    own = (pool[classes[pool] == label] for label in np.unique(classes))
    labelled = np.concatenate([random.choice(each, FIRST, replace=False) for each in own])
    curve = {}
    while True:
        trained = head(features[labelled], classes[labelled])
        curve[len(labelled)] = trained.score(features[test], classes[test])
        rest = np.setdiff1d(pool, labelled)
        if not len(rest):
            return curve
        count = min(max(LEAST, int(STEP * len(labelled))), len(rest))
        if order == "random":
            chosen = random.choice(len(rest), count, replace=False)
        else:
            probabilities = trained.predict_proba(features[rest])
            chosen = label_choice.choose(probabilities, features[rest], count)
        labelled = np.concatenate([labelled, rest[chosen]])


def needed(labels: np.ndarray, accuracy: np.ndarray, target: float) -> int:
    """Return how many labels first reach the target, between two that were measured."""
    place = int(np.argmax(accuracy >= target))
    if not place:
        return int(labels[0])
    steps = slice(place - 1, place + 1)
    return round(float(np.interp(target, accuracy[steps], labels[steps])))


def measure(features: np.ndarray, classes: np.ndarray) -> dict:
    curves = {order: [] for order in ORDERS}
    for seed in tqdm(range(DRAWS), desc="draws", disable=None):
        rows = np.random.default_rng(seed).permutation(len(classes))
        pool = np.sort(rows[: round(POOL * len(rows))])
        small = PCA(COMPONENTS, svd_solver="randomized", random_state=0).fit(features[pool])
        inputs = small.transform(features).astype("float32")
        for order in ORDERS:
            curves[order].append(replay(order, inputs, classes, pool, seed))
    labels = np.array([*curves["random"][0]])
    mean = {
        order: np.mean([[*each.values()] for each in curves[order]], axis=0) for order in ORDERS
    }
    full = float(mean["random"][-1])
    found = {"images": len(classes), "pool": int(labels[-1]), "full": round(full, 4)}
    for name, target in (("less_one_point", full - 0.01), ("of_95_percent", 0.95 * full)):
        counts = {order: needed(labels, mean[order], target) for order in ORDERS}
        found[name] = {**counts, "ratio": round(counts["active"] / counts["random"], 2)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="+", type=Path)
    options = parser.parse_args()
    results = {}
    for source in options.sources:
        with tempfile.TemporaryDirectory() as scratch:
            results[source.stem] = measure(*extract(source, Path(scratch) / "clone"))
    save("label_next", results, draws=DRAWS)
    print(block("label_next"))


if __name__ == "__main__":
    run(main)
