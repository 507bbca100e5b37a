"""Which devices train: one, several of this machine, or those of several hosts."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from thaw.features import tensorflow_engine
from thaw.project.errors import UserError
from thaw.training.hosts import Hosts, all_there
from thaw.training.replicas import Replicas, assign, copied

CLUSTER = "TF_CONFIG"  # TensorFlow's own: names all hosts, and which of them this one is


def strategy(devices: str | int) -> tf.distribute.Strategy | None:
    """Return how several devices train together; None for one device.

    `devices`: so many of this machine, or auto, all GPUs. The environment's TF_CONFIG names several
    hosts, which wait for one another here. To be called before TensorFlow computes anything. Raises
    UserError for devices that are not there.
    """
    if _hosts() > 1:
        try:
            with all_there():
                return tf.distribute.MultiWorkerMirroredStrategy()
        except ValueError:  # of a cluster without a task
            raise _unreadable() from None
    if devices == 1 or (devices == "auto" and len(tensorflow_engine.gpus()) < 2):
        return None
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    wanted = len(found) if devices == "auto" else devices
    if wanted > len(found):
        kind = found[0].device_type
        raise UserError(
            f"{wanted} devices should train, and TensorFlow sees {len(found)} {kind} here",
            "runtime.devices",
            "set it to auto",
        )
    return tf.distribute.MirroredStrategy([device.name for device in found[:wanted]])


def _hosts() -> int:
    """Return how many hosts TF_CONFIG names, 1 without it. Raises UserError when it is no JSON."""
    try:
        cluster = json.loads(os.environ.get(CLUSTER) or "{}").get("cluster", {})
        return max(1, sum(len(cluster.get(kind, ())) for kind in ("chief", "worker")))
    except (ValueError, AttributeError, TypeError):
        raise _unreadable() from None


def _unreadable() -> UserError:
    return UserError(
        f"{CLUSTER} in the environment is not what TensorFlow reads",
        hint="unset it, or see docs/machines.md",
    )


def count(chosen: tf.distribute.Strategy | None) -> int:
    """Return how many devices train, those of all hosts."""
    return 1 if chosen is None else chosen.num_replicas_in_sync


@contextmanager
def on(chosen: tf.distribute.Strategy | None, model: keras.Model) -> Iterator[keras.Model]:
    """Give what is to be compiled and trained in the block, so that `model` has been trained after.

    That is `model` itself for one device, else a copy on all of them. `model`: pixels or
    activations -> logits. Raises UserError when a host is lost.
    """
    if chosen is None:
        yield model
        return
    kind = Hosts if isinstance(chosen, tf.distribute.MultiWorkerMirroredStrategy) else Replicas
    with all_there(), chosen.scope():
        copy = copied(model)
        yield kind(copy.inputs, copy.outputs)
    assign(model, copy)


def from_chief(chosen: tf.distribute.Strategy | None, file: Path, folder: Path) -> Path:
    """Return a checkpoint's file from which all hosts go on alike: the first host's.

    The others get a copy of it in `folder`; nothing else than `file` is needed on one host.
    """
    if not isinstance(chosen, tf.distribute.MultiWorkerMirroredStrategy):
        return file
    chief = chosen.extended.should_checkpoint
    content = file.read_bytes() if chief and file.exists() else b""
    # As int64, since bytes cannot be gathered; the first number is the count of bytes.
    padded = len(content).to_bytes(8, "little") + content + bytes(-len(content) % 8)
    nothing, mine = np.zeros(0, "<i8"), np.frombuffer(padded, "<i8")
    parts = chosen.experimental_distribute_values_from_function(
        lambda replica: tf.constant(nothing if replica.replica_id_in_sync_group else mine)
    )
    with all_there():
        count, *_ = found = chosen.gather(parts, axis=0).numpy()
    if chief:
        return file
    if count:
        (folder / file.name).write_bytes(found[1:].tobytes()[:count])
    return folder / file.name
