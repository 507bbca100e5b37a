"""Training on several hosts at once, each with all batches, of which it takes its part.

Keras 3.15.1's own `fit` does not work with several hosts (keras issue 20585).
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from thaw.project.errors import UserError
from thaw.training.checkpoints import Saver
from thaw.training.replicas import Replicas

# What TensorFlow raises when a host does not answer.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


class Hosts(Replicas):
    """Replicas on all devices of all hosts. They go through the same epochs; the first saves."""

    def fit(
        self, x, *, validation_data, initial_epoch, epochs, callbacks, class_weight=None, **options
    ) -> None:
        """Train as Keras' fit does."""
        if class_weight:
            table = tf.constant([class_weight[each] for each in range(len(class_weight))])
            x = x.map(lambda x, y: (x, y, tf.gather(table, y)))
        self._begin()
        for each in callbacks:
            if isinstance(each, Saver) and not self.distribute_strategy.extended.should_checkpoint:
                each.file = None
        called, self.stop_training = keras.callbacks.CallbackList(callbacks, model=self), False
        called.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            called.on_epoch_begin(epoch)
            scores = self._pass(self.train_function, x)
            called.on_test_begin()
            validation = self.evaluate(validation_data)
            called.on_test_end(validation)
            scores |= {f"val_{name}": value for name, value in validation.items()}
            called.on_epoch_end(epoch, scores)
            if self.stop_training:
                break
        called.on_train_end()

    def evaluate(self, x, **options) -> dict[str, float]:
        """Return loss and accuracy."""
        self._begin()
        return self._pass(self.test_function, x)

    def _begin(self) -> None:
        self._maybe_symbolic_build()
        self.train_function = self.train_function or self._on_all(self.train_step)
        self.test_function = self.test_function or self._on_all(self.test_step)

    def _on_all(self, step):
        def run(data):
            self.distribute_strategy.run(step, args=(data,))

        return tf.function(run, reduce_retracing=True)

    def _pass(self, function, batches: tf.data.Dataset) -> dict[str, float]:
        """Go through batches once, and return the metrics of all hosts."""
        self.reset_metrics()
        for batch in batches:
            function(self._parts(batch))
        return {name: float(value) for name, value in sorted(self.get_metrics_result().items())}

    def _parts(self, batch: tuple) -> tf.distribute.DistributedValues:
        """Return the part of a batch that each device of this host takes."""
        strategy = self.distribute_strategy
        edges = np.linspace(0, len(batch[0]), strategy.num_replicas_in_sync + 1).astype(int)

        def part(replica: tf.distribute.experimental.ValueContext) -> tuple:
            number = replica.replica_id_in_sync_group
            return tuple(each[edges[number] : edges[number + 1]] for each in batch)

        return strategy.experimental_distribute_values_from_function(part)


@contextmanager
def all_there() -> Iterator[None]:
    """Raise a UserError when a host is lost in the block.

    TensorFlow leaves a pool of threads unclosed in its frames then; they are cleared at once, since
    the pool complains where Python's end finds it.
    """
    try:
        yield
    except LOST as error:
        traceback.clear_frames(error.__traceback__)
        raise UserError(
            f"a host does not answer any more ({str(error).splitlines()[0][:200]})",
            hint="start all hosts again; training goes on after its last epoch",
        ) from None
