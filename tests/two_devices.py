"""Fine-tune on one device and on two, and say how far apart the weights end.

`python -m tests.two_devices FOLDER` does so in a finished run, on two virtual devices of the
processor. It is a process of its own, as TensorFlow has them from its start or not at all. Prints
JSON: of each variant how far the weights, relative to their size and to what training changed, and
the logged scores are apart, and whether a training that was interrupted ended with other bytes.
"""

import functools
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from tests.conftest import run_stage, set_params
from tests.training.test_checkpoints import interrupted
from thaw.project import paths
from thaw.training import checkpoints, devices, history

SGD = {"optimizer": "sgd", "schedule": "constant", "learning_rate": 0.02, "epochs": 2}
VARIANTS = {
    "cached copies, mixed": {
        "augmentation": {"policy": "mixed"},
        "loss": {"label_smoothing": 0.1, "class_weights": "balanced"},
        "fine_tune": {**SGD, "unfreeze": 5, "augmented_copies": 1},
    },
    "all layers and augmentation in each epoch": {
        "augmentation": {"policy": "light", "rotation": 0.1, "zoom": 0.2},
        "fine_tune": {**SGD, "unfreeze": "all", "cache_activations": "never"},
    },
    "limited gradient, decay and multipliers": {
        "head": {"regularization": dict.fromkeys(("kernel_l1", "kernel_l2"), 0.001)
                 | dict.fromkeys(("activity_l1", "activity_l2"), 0.0)},
        "fine_tune": {**SGD, "unfreeze": "all", "global_clipnorm": 0.3, "layer_decay": 0.7,
                      "optimizer": "adamw", "learning_rate": 0.001, "weight_decay": 0.01},
    },
}  # fmt: skip


def weights(file: Path) -> list[np.ndarray]:
    found = []
    with h5py.File(file) as opened:
        opened.visititems(
            lambda _, each: found.append(each[()]) if isinstance(each, h5py.Dataset) else None
        )
    return [each for each in found if each.dtype.kind == "f"]


def trained(count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Fine-tune; return weights and the log."""
    set_params(paths.PARAMS, {"runtime": {"devices": count}})
    run_stage("fine_tune")
    return weights(paths.FINE_TUNED), history.read(paths.FINE_TUNE_LOG).to_numpy()


def apart(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """Return how far two networks are apart, relative to the first one."""
    total = sum(float(np.sum((a - b) ** 2, dtype="float64")) for a, b in zip(ours, theirs))
    return (total / sum(float(np.sum(a**2, dtype="float64")) for a in ours)) ** 0.5


def differences() -> dict[str, float]:
    (one, log), (two, log_of_two) = trained(1), trained(2)
    set_params(paths.PARAMS, {"fine_tune": {"learning_rate": 1e-12, "epochs": 1}})
    start, _ = trained(1)
    assert apart(one, start) > 0
    return {
        "weights": apart(one, two),
        "change": apart(one, two) / apart(one, start),
        "log": float(np.abs(log - log_of_two)[1:].max()),
    }


def interrupted_too() -> bool:
    """Return whether an interrupted training on two devices ends with other bytes."""
    set_params(paths.PARAMS, {"fine_tune": {"epochs": 3}})
    trained(2)
    whole, plain = paths.FINE_TUNED.read_bytes(), checkpoints.Saver
    checkpoints.Saver = interrupted(2, False)
    with suppress(KeyboardInterrupt):
        trained(2)
    checkpoints.Saver = plain
    trained(2)
    return paths.FINE_TUNED.read_bytes() != whole


def main() -> None:
    [processor] = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(processor, two)
    # A second strategy would give its collective operations the numbers of the first one's.
    devices.strategy = functools.cache(devices.strategy)
    os.chdir(sys.argv[1])
    before, found = paths.PARAMS.read_bytes(), {}
    for name, changes in VARIANTS.items():
        set_params(paths.PARAMS, changes)
        run_stage("train_head")
        found[name] = differences()
        paths.PARAMS.write_bytes(before)
        set_params(paths.PARAMS, changes)
        found[name]["interrupted"] = interrupted_too()
        paths.PARAMS.write_bytes(before)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
