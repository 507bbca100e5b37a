"""A step of fine-tuning, as thaw arranges it and as Keras has it.

`python -m benchmarks.fine_tuning_step`: each turn is a process of its own that trains the upper
35 % of a network by Keras' fit, on numbers as activations of 32 images of 160 px. The turns
alternate. It is measured as this processor is, and as one with AVX2 only: oneDNN is held to AVX2
there, and Keras runs without oneDNN, as TensorFlow decides there. Writes
benchmarks/fine_tuning_step.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from thaw.models.tf_setup import keep_freed_memory, make_deterministic
from benchmarks.tables import block
from benchmarks.timing import processor, save
from thaw.models import backbones
from thaw.models.settings import Backbone
from thaw.project.cli import run
from thaw.project.errors import UserError
from thaw.training import frozen_activations, processor_form, unfreezing

NETWORKS = ("EfficientNetLite0", "MobileNetV2", "ResNet50")
FORMS = ("plain", "arranged")
ON, OFF = {"TF_ENABLE_ONEDNN_OPTS": "1"}, {"TF_ENABLE_ONEDNN_OPTS": "0"}
HELD = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
PROCESSORS = {
    "this processor": {"plain": ON if "AVX-512" in processor() else OFF, "arranged": ON},
    "AVX2 only": {"plain": HELD | OFF, "arranged": HELD | ON},
}
SIDE, BATCH, UNFROZEN = 160, 32, 0.35
STEPS, EPOCHS = 6, 3  # the first epoch is not counted


def step(name: str, form: str) -> float:
    """Return the median milliseconds of a step, in this process."""
    make_deterministic(1)
    keep_freed_memory()
    network = backbones.build(Backbone(name=name, weights=None, image_size=SIDE))
    first = unfreezing.unfreeze(network, UNFROZEN)
    top = frozen_activations.cut_below(network, first).top
    top = processor_form.arrange(top) if form == "arranged" else top
    pooled = keras.layers.GlobalAveragePooling2D()(top.output)
    model = keras.Model(top.input, keras.layers.Dense(5)(pooled))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-4), loss, steps_per_execution=STEPS // 2)
    random = np.random.default_rng(0)
    pixels = random.normal(0, 1, (BATCH, *model.input_shape[1:])).clip(0).astype("float32")
    batches = tf.data.Dataset.from_tensors((pixels, random.integers(0, 5, BATCH))).repeat(STEPS)
    options = tf.data.Options()
    options.autotune.enabled = False  # its wait at the end of an epoch hides the difference
    seconds = []
    for _ in range(EPOCHS):
        began = time.perf_counter()
        model.fit(batches.with_options(options), shuffle=False, verbose=0)
        seconds.append((time.perf_counter() - began) / STEPS)
    return 1000 * statistics.median(seconds[1:])


def in_process(name: str, form: str, environment: dict[str, str]) -> float:
    command = [sys.executable, "-m", "benchmarks.fine_tuning_step", "--step", name, form]
    ended = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, encoding="utf-8"
    )
    if ended.returncode:
        raise UserError(f"`{' '.join(command[1:])}` failed: {ended.stderr.strip()[-300:]}")
    return float(ended.stdout.split()[-1])


def measure(rounds: int) -> list[dict]:
    found = []
    for name in NETWORKS:
        for kind, environments in PROCESSORS.items():
            times: dict[str, list[float]] = {form: [] for form in FORMS}
            for _ in tqdm(range(rounds), desc=f"{name}, {kind}", disable=None):
                for form in FORMS:
                    times[form].append(in_process(name, form, environments[form]))
            ratios = [plain / arranged for plain, arranged in zip(*times.values())]
            medians = {form: round(statistics.median(each), 1) for form, each in times.items()}
            ratio = round(statistics.median(ratios), 2)
            found.append({"network": name, "processor": kind, **medians, "ratio": ratio})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--step", nargs=2, metavar=("NETWORK", "FORM"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(step(*options.step)))
        return
    save("fine_tuning_step", measure(options.rounds), rounds=options.rounds)
    print(block("fine_tuning_step"))


if __name__ == "__main__":
    run(main)
