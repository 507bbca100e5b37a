"""Checkpoints of a training: after a kill it goes on from its last epoch, and ends the same.

They lie in the user's cache, as DVC deletes outputs before a stage starts, and runs experiments in
folders of their own. They can be lost at any time.
"""

import hashlib
import json
import sys
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from platformdirs import user_cache_path

from thaw.features import inference
from thaw.project import files, software
from thaw.project.params import Section
from thaw.training.best_epoch import BestEpoch

OLDEST = 14 * 24 * 3600  # seconds
PLATEAU = ("best", "wait", "cooldown_counter")  # what Keras' ReduceLROnPlateau remembers


def place(
    stage: str, inputs: Iterable[Path], settings: Iterable[Section], devices: int = 1
) -> Path:
    """Return the checkpoint's file for a training of this stage on these files and settings.

    Another input, setting, code (with its number of threads), version, processor, device or number
    of devices is another file, so that a training never goes on from a different one. Removes
    others of over 14 days.
    """
    folder = user_cache_path("thaw") / "checkpoints"
    made_of = {
        "stage": stage,
        "inputs": [_digest(path) for path in inputs],
        "settings": [each.model_dump() for each in settings],
        "device": inference.tensorflow_device(),
        "devices": devices,
        **software.identity([".", f"../stages/{stage}.py"]),
    }
    key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    file = folder / f"{stage}-{key[:32]}.npz"
    for each in folder.glob("*"):  # also what was half-written
        with suppress(OSError):  # another process may remove it, too
            old = time.time() - each.stat().st_mtime > OLDEST  # or the clock is wrong
            if old and each != file:
                files.remove(each)
    return file


def _digest(path: Path) -> str:
    """Return the digest of a file, or of all in a folder."""
    if path.is_dir():
        return " ".join(files.sha256(each) for each in sorted(path.rglob("*")) if each.is_file())
    return files.sha256(path)


class Checkpoint(NamedTuple):
    """A training after an epoch: numbers by name, and what JSON holds."""

    arrays: dict[str, list[np.ndarray]]
    rest: dict


def read(file: Path) -> Checkpoint | None:
    """Return a checkpoint, or None where there is none or it is damaged."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            rest = json.loads(str(stored["rest"]))
            arrays = {
                name: [stored[f"{name}{number}"] for number in range(count)]
                for name, count in rest["counts"].items()
            }
    except Exception:  # whatever a damaged zip file raises; without it training begins anew
        return None
    return Checkpoint(arrays, rest)


def write(checkpoint: Checkpoint, file: Path) -> None:
    """Write a checkpoint in place of an earlier one."""
    counts = {name: len(each) for name, each in checkpoint.arrays.items()}
    rest = json.dumps({**checkpoint.rest, "counts": counts})
    named = {
        f"{name}{number}": array
        for name, each in checkpoint.arrays.items()
        for number, array in enumerate(each)
    }
    with files.replacing(file) as partial:
        np.savez(partial, rest=np.array(rest), **named)


class Saver(keras.callbacks.Callback):
    """Writes checkpoints after epochs, and lets a training begin where an earlier one ended.

    `file`: None for neither. `generators`: those that draw the training batches. A thread writes
    while the next epoch trains. An epoch that ends before it is done is left out, so writing cannot
    hold up training; `write` makes up for that when training ends or is interrupted.
    """

    def __init__(
        self,
        file: Path | None,
        best: BestEpoch,
        plateau: list[keras.callbacks.Callback],
        generators: list[np.random.Generator],
    ):
        super().__init__()
        self.file, self.best, self.plateau, self.generators = file, best, plateau, generators
        self.found = read(file) if file else None
        self.last: Checkpoint | None = None
        self.thread, self.writing = ThreadPoolExecutor(1), Future()
        self.writing.set_result(None)  # none to wait for
        self.failed = False
        if self.found:
            best.resume(**self.found.rest["best"], weights=self.found.arrays["best"])
            print(f"an interrupted training goes on after its epoch {best.epoch}", flush=True)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._restore()

    def on_train_end(self, logs: dict | None = None) -> None:
        self._restore()  # where no epoch was left to train; the optimizer is in the model's file

    def _restore(self) -> None:
        """Restore all, once Keras has set up what it sets up at the start of training."""
        if self.found is None:
            return
        arrays, rest = self.found
        self.found = None
        for name, variables in self._variables().items():
            for variable, value in zip(variables, arrays[name], strict=True):
                variable.assign(value)
        for generator, state in zip(self.generators, rest["generators"], strict=True):
            generator.bit_generator.state = state
        for callback, state in zip(self.plateau, rest["plateau"], strict=True):
            vars(callback).update(state)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.file is None:
            return
        variables = self._variables()
        arrays = {name: [each.numpy() for each in all_] for name, all_ in variables.items()}
        rest = {
            "best": {"rows": [*self.best.rows], "scores": {**self.best.scores}},  # as of now
            "generators": [each.bit_generator.state for each in self.generators],
            "plateau": [
                {name: float(getattr(each, name)) for name in PLATEAU} for each in self.plateau
            ],
        }
        self.last = Checkpoint({**arrays, "best": self.best.weights}, rest)
        if self.writing.done():
            self._begin_to_write()

    def write(self) -> None:
        """Write the last epoch's checkpoint, if it is not written, and wait for it."""
        if self.last is not None:
            self._begin_to_write()
        self.writing.result()

    def _begin_to_write(self) -> None:
        self.writing, self.last = self.thread.submit(self._write, self.last), None

    def _write(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint. A full disk is only said, once; it may have room after the next."""
        try:
            write(checkpoint, self.file)
        except (OSError, MemoryError) as error:
            if not self.failed:
                print(f"no checkpoint: {error}", file=sys.stderr)
            self.failed = True

    def _variables(self) -> dict[str, list[keras.Variable]]:
        optimizer = self.model.optimizer
        return {"model": self.model.variables, "optimizer": optimizer.variables}
