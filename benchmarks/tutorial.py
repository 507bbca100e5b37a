"""Against the TensorFlow tutorial's recipe: `python -m benchmarks.tutorial FOLDER_OR_ARCHIVE`.

Both have the same weights and the same images, of an archive with train and validation folders. In
one process it compares the time to a head with that of the tutorial's ten frozen epochs, and an
epoch of fine-tuning with the tutorial's. With --whole it then compares the whole recipe by
`dvc repro` with the tutorial as a script, process starts included. "tuner off" is the tutorial
without the wait for tf.data's tuner at the end of each epoch. Writes benchmarks/tutorial.json.
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

from thaw.models.tf_setup import keep_freed_memory, make_deterministic
from benchmarks import recipes, tutorial_script
from benchmarks.backbones import image_source, score
from benchmarks.photos import unpacked
from benchmarks.tables import block
from benchmarks.timing import alternate, save
from thaw.features import arrays, extract, frozen_backbone, store
from thaw.labels import layout
from thaw.models import backbones, classifier, heads, pretrained
from thaw.models.settings import Backbone, Head
from thaw.project import params
from thaw.project.cli import run
from thaw.project.errors import UserError
from thaw.training import frozen_activations, loop, losses, optimizers, unfreezing
from thaw.training.batches import train_and_validation
from thaw.training.frozen_activations import FineTuningImages
from thaw.training.settings import Augmentation, FineTune, Loss

PROVENANCE = {"engine": "openvino", "precision": "float32"}


class Thaw:
    """Images with their classes (0 or 1) and given split, and the pretrained network."""

    def __init__(self, root: Path, size: int, folder: Path):
        found = layout.find(root).found
        self.paths, self.folder = [each.path for each in found], folder
        self.classes = pd.Categorical([each.label for each in found]).codes.astype("int32")
        self.split = pd.Series([each.given for each in found])
        spec = Backbone(name="EfficientNetLite0", weights="imagenet", image_size=size)
        self.backbone = pretrained.load(spec, folder)

    def head(self) -> dict[str, float]:
        """Extract all features and train a head on them; return its best epoch's scores."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            model = backbones.pooled(self.backbone, feature_maps=False)
            network, out = frozen_backbone.of_model(model, PROVENANCE), Path(folder) / "features"
            source = image_source(self.paths)
            with store.open_store(source.runtime) as kept:
                extract.run_network(network, source, out, kept)
            inputs = arrays.load(out, "avg", len(self.paths))
            return score(inputs, self.classes, self.split.to_numpy(), Path(folder) / "log")

    def epochs(self, unfreeze: float | str) -> tuple[Callable[[], object], float]:
        """Return what trains the top for an epoch, and the seconds to cache its activations."""
        settings = params.load(FineTune, "fine_tune")
        settings = settings.model_copy(update={"unfreeze": unfreeze})
        augmentation = params.load(Augmentation, "augmentation")
        augmentation = augmentation.model_copy(update={"flip": "horizontal"})
        first = unfreezing.unfreeze(self.backbone, unfreeze)
        plan = frozen_activations.plan(self.backbone, first, settings, True, self.split)
        if plan is None:
            raise UserError("with these keys no activations are cached", "fine_tune")
        images = FineTuningImages(image_source(self.paths), self.split, augmentation)
        folder = self.folder / f"activations {unfreeze}"
        began = time.perf_counter()
        inputs, augmented = frozen_activations.activations(
            plan, PROVENANCE, images, settings, folder
        )
        seconds = time.perf_counter() - began
        spec, channels = params.load(Head, "head"), self.backbone.output_shape[-1:]
        model = classifier.join(plan.cut.top, heads.build(spec, channels, 2), spec.pooling)
        train, validation, _ = train_and_validation(
            inputs, self.classes, self.split, settings, augmented
        )
        keep_freed_memory()
        optimizer = optimizers.build(settings, len(train))
        objective = losses.build(params.load(Loss, "loss"), model.output_shape[-1])
        loop.compile_for_training(model, optimizer, objective, train, settings)
        return lambda: fit(model, train, validation), seconds


def fit(model, train, validation) -> None:
    model.fit(train, validation_data=validation, verbose=0, shuffle=False)


def to_head(thaw: Thaw, root: Path, size: int) -> dict:
    """Time the tutorial's frozen epochs, and thaw's head before, between and after them."""
    seconds, of_tutorial, best = [], [], {}

    def head() -> None:
        began = time.perf_counter()
        best.update(thaw.head())
        seconds.append(time.perf_counter() - began)

    head()
    written = tutorial_script.data(root, size)
    for train, validation in (written, tutorial_script.without_tuner(written)):
        make_deterministic(1)
        model = tutorial_script.network(thaw.backbone)
        began = time.perf_counter()
        model.fit(train, epochs=tutorial_script.EPOCHS, validation_data=validation, verbose=0)
        of_tutorial.append(time.perf_counter() - began)
        head()
    return compared(np.mean(seconds), *of_tutorial) | {
        "thaw_accuracy": best["accuracy"],
        "tutorial_accuracy": round(model.evaluate(validation, verbose=0)[1], 4),
    }


def fine_tuning(thaw: Thaw, root: Path, size: int, unfreeze: float | str, rounds: int) -> dict:
    """Time epochs of fine-tuning, training and validation, alternating."""
    epoch, caching = thaw.epochs(unfreeze)
    written = tutorial_script.data(root, size)
    model = tutorial_script.network(thaw.backbone)
    tutorial_script.unfreeze(model, thaw.backbone, unfreeze)
    contestants = {
        "thaw": epoch,
        "tutorial": lambda: fit(model, *written),
        "tutorial, tuner off": lambda: fit(model, *tutorial_script.without_tuner(written)),
    }
    medians = alternate(contestants, rounds).median()
    return compared(*medians) | {"caching_seconds": round(caching, 1)}


def compared(thaw: float, tutorial: float, tuner_off: float) -> dict:
    """Return seconds and ratios; `tuner_off`: the tutorial without the wait for tf.data's tuner."""
    return {
        "thaw_seconds": round(float(thaw), 1),
        "tutorial_seconds": round(float(tutorial), 1),
        "ratio": round(float(tutorial / thaw), 1),
        "tuner_off_seconds": round(float(tuner_off), 1),
        "tuner_off_ratio": round(float(tuner_off / thaw), 1),
    }


def whole(archive: Path, root: Path, size: int) -> dict:
    """Run the whole recipe of both, once, as processes of their own, to the test scores.

    thaw makes figures and exports after that; "thaw" has the minutes of these, too.
    """
    thaw = recipes.measure("default", archive)
    began = time.perf_counter()
    script = [sys.executable, "-m", "benchmarks.tutorial_script", root, "--size", str(size)]
    done = subprocess.run(script, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    minutes = (time.perf_counter() - began) / 60
    return {
        "thaw_minutes": thaw["minutes_to_test"],
        "tutorial_minutes": round(minutes, 2),
        "ratio": round(minutes / thaw["minutes_to_test"], 2),
        "thaw_accuracy": thaw["validation_and_test"],
        "tutorial_accuracy": round(json.loads(done.stdout.splitlines()[-1])["accuracy"], 4),
        "thaw": thaw,
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
        root = layout.find(folder).found[0].path.parents[2]
        thaw = Thaw(root, options.size, Path(scratch))
        results["to a head"] = to_head(thaw, root, options.size)
        for name, unfreeze in (("upper 35 % unfrozen", 0.35), ("last block unfrozen", "1 block")):
            results[f"an epoch, {name}"] = fine_tuning(
                thaw, root, options.size, unfreeze, options.rounds
            )
        if options.whole:
            results["whole recipe"] = whole(options.source, root, options.size)
    save("tutorial", results)
    print(block("tutorial"))


if __name__ == "__main__":
    run(main)
