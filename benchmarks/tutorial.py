"""Against the TensorFlow tutorial's recipe: `python -m benchmarks.tutorial FOLDER_OR_ARCHIVE`.

The same weights and pictures on both sides, which are those of an archive with train and validation
folders. Compares, in one process, the time to a head with that of the tutorial's ten frozen epochs,
and an epoch of fine-tuning with its; then, with --whole, the whole recipe by `dvc repro` with the
tutorial as a script, process starts included. Writes benchmarks/tutorial.json. "unhindered" is the
tutorial without a wait of TensorFlow's own at the end of each epoch.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import stages.lib.quiet  # noqa: F401  first, before Keras
from benchmarks import recipes, tutorial_script
from benchmarks.backbones import score, source
from benchmarks.photos import unpacked
from benchmarks.timing import alternate
from stages.lib import (
    augmenting,
    backbones,
    building,
    classifier,
    extraction,
    features,
    feeding,
    fine_tuning,
    frozen,
    heads,
    layout,
    optimizing,
    params,
    training,
    trunk,
)
from stages.lib.determinism import make_deterministic
from stages.lib.errors import UserError, run

MADE_WITH = {"engine": "openvino", "precision": "float32"}


class Ours:
    """Pictures with their classes (0 or 1) and given split, and the pretrained network."""

    def __init__(self, root: Path, size: int, folder: Path):
        found = layout.find(root)[0]
        self.paths, self.folder = [each.path for each in found], folder
        self.classes = pd.Categorical([each.label for each in found]).codes.astype("int32")
        self.split = pd.Series([each.given for each in found])
        spec = backbones.Backbone(name="EfficientNetLite0", weights="imagenet", image_size=size)
        self.backbone = building.pretrained(spec, folder)

    def head(self) -> dict[str, float]:
        """Extract all features and train a head on them; return its best epoch's scores."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            model = building.pooled(self.backbone, maps=False)
            out = Path(folder) / "features"
            extraction.write(frozen.of_model(model, MADE_WITH), source(self.paths), out)
            inputs = features.load(out, "avg", len(self.paths))
            return score(inputs, self.classes, self.split.to_numpy(), Path(folder) / "log")

    def epochs(self, unfreeze: float | str) -> tuple[Callable[[], object], float]:
        """Return what trains the top for an epoch, and the seconds to compute the trunk for it."""
        settings = params.load(fine_tuning.FineTune, "fine_tune")
        settings = settings.model_copy(update={"unfreeze": unfreeze})
        augmentation = params.load(augmenting.Augmentation, "augmentation")
        augmentation = augmentation.model_copy(update={"flip": "horizontal"})
        first = fine_tuning.unfreeze(self.backbone, unfreeze)
        plan = trunk.plan(self.backbone, first, settings, True, self.split)
        if plan is None:
            raise UserError("params.yaml [fine_tune]: with these keys nothing is computed once")
        folder = self.folder / f"trunk {unfreeze}"
        began = time.perf_counter()
        inputs, varied = trunk.activations(
            plan, MADE_WITH, source(self.paths), self.split, settings, augmentation, folder
        )
        seconds = time.perf_counter() - began
        head_spec = params.load(heads.Head, "head")
        channels = self.backbone.output_shape[-1:]
        model = classifier.join(plan.parts.top, heads.build(head_spec, channels, 2), head_spec)
        train, validation = feeding.train_and_validation(
            inputs, self.classes, self.split, settings, varied
        )
        training.keep_freed_memory()
        training.prepare(model, train, settings, params.load(optimizing.Loss, "loss"))
        return lambda: fit(model, train, validation), seconds


def fit(model, train, validation) -> None:
    model.fit(train, validation_data=validation, verbose=0, shuffle=False)


def to_head(ours: Ours, root: Path, size: int) -> dict:
    """Time the tutorial's frozen epochs, and our way to a head before, between and after them."""
    seconds, theirs, best = [], [], {}

    def head() -> None:
        began = time.perf_counter()
        best.update(ours.head())
        seconds.append(time.perf_counter() - began)

    head()
    written = tutorial_script.data(root, size)
    for train, validation in (written, tutorial_script.unhindered(written)):
        make_deterministic(1)
        model = tutorial_script.network(ours.backbone)
        began = time.perf_counter()
        model.fit(train, epochs=tutorial_script.EPOCHS, validation_data=validation, verbose=0)
        theirs.append(time.perf_counter() - began)
        head()
    return compared(np.mean(seconds), *theirs) | {
        "ours_accuracy": best["accuracy"],
        "theirs_accuracy": round(model.evaluate(validation, verbose=0)[1], 4),
    }


def thawed(ours: Ours, root: Path, size: int, unfreeze: float | str, rounds: int) -> dict:
    """Time epochs of fine-tuning, training and validation, alternating."""
    epoch, once = ours.epochs(unfreeze)
    written = tutorial_script.data(root, size)
    model = tutorial_script.network(ours.backbone)
    tutorial_script.thaw(model, ours.backbone, unfreeze)
    contestants = {
        "ours": epoch,
        "theirs": lambda: fit(model, *written),
        "unhindered": lambda: fit(model, *tutorial_script.unhindered(written)),
    }
    medians = alternate(contestants, rounds).median()
    return compared(*medians) | {"trunk_seconds_once": round(once, 1)}


def compared(ours: float, theirs: float, unhindered: float) -> dict:
    """Return seconds and ratios; `unhindered`: theirs without the wait for tf.data's tuner."""
    return {
        "ours_seconds": round(float(ours), 1),
        "theirs_seconds": round(float(theirs), 1),
        "ratio": round(float(theirs / ours), 1),
        "unhindered_seconds": round(float(unhindered), 1),
        "unhindered_ratio": round(float(unhindered / ours), 1),
    }


def whole(archive: Path, root: Path, size: int) -> dict:
    """Run the whole recipe of both, once, as processes of their own, to the test scores.

    Ours makes figures and exports after that, as "ours" says.
    """
    ours = recipes.measure("default", archive)
    began = time.perf_counter()
    script = [sys.executable, "-m", "benchmarks.tutorial_script", root, "--size", str(size)]
    done = subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True)
    minutes = (time.perf_counter() - began) / 60
    return {
        "ours_minutes": ours["minutes_to_test"],
        "theirs_minutes": round(minutes, 2),
        "ratio": round(minutes / ours["minutes_to_test"], 2),
        "ours_accuracy": ours["both"],
        "theirs_accuracy": round(json.loads(done.stdout.splitlines()[-1])["accuracy"], 4),
        "ours": ours,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    results = {}
    with unpacked(options.source) as folder, tempfile.TemporaryDirectory() as scratch:
        root = layout.find(folder)[0][0].path.parents[2]
        ours = Ours(root, options.size, Path(scratch))
        results["to a head"] = to_head(ours, root, options.size)
        for name, unfreeze in (("upper 35 % thawed", 0.35), ("last block thawed", "1 block")):
            results[f"an epoch, {name}"] = thawed(
                ours, root, options.size, unfreeze, options.rounds
            )
        if options.whole:
            results["whole recipe"] = whole(options.source, root, options.size)
    Path("benchmarks/tutorial.json").write_text(json.dumps(results, indent=2) + "\n")
    print(pd.DataFrame(results).T.drop(columns="ours", errors="ignore").to_string())


if __name__ == "__main__":
    run(main)
