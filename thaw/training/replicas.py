"""A network on several devices that learns what it would on one, but for rounding."""

import threading

import keras
import tensorflow as tf
from keras import layers

from thaw.training.processor_form import ArrangedConvolution, fresh

PART = threading.local()  # `first` and `total`: what of its batch this device's thread is at


class Replicas(keras.Model):
    """A copy of a network on each device of the strategy in whose scope it is made.

    A device takes a part of each batch, however many rows that has, and the gradient is that of
    the whole batch's mean loss. Dropout draws for the whole batch.
    """

    def compile(self, optimizer: keras.optimizers.Optimizer, *args, **kwargs) -> None:
        # Keras 3.15.1 adds up gradients after it has clipped those of each device; train_step does
        # it before.
        optimizer._all_reduce_sum_gradients = list
        # Nor can it take several steps in a call on several devices.
        super().compile(optimizer, *args, **kwargs | {"steps_per_execution": 1})

    def train_step(self, data):
        """Take the step of a whole batch, of which `data` is this device's part.

        Keras' own averages devices' means, which is another gradient where parts differ in size.
        """
        x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        replica = tf.distribute.get_replica_context()
        count = tf.cast(tf.shape(y)[0], "float32")
        total = _begin_part(replica, count)
        share = count * replica.num_replicas_in_sync / total
        weights = share * (tf.ones(tf.shape(y)[:1]) if weight is None else weight)
        with tf.GradientTape() as tape:
            logits = self(x, training=True)
            loss = self.compute_loss(x, y, logits, weights, training=True)  # its part of the mean
        gradients = tape.gradient(loss, self.trainable_variables)
        gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        self.optimizer.apply(gradients, self.trainable_variables)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(tf.math.divide_no_nan(loss * total, count), count)
            else:
                metric.update_state(y, logits)
        return self.get_metrics_result()

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Build by shapes. Keras 3.15.1 begins an epoch for that, so the next has another order."""
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=(self.inputs[0], keras.Input((), dtype="int32")))


def _begin_part(replica: tf.distribute.ReplicaContext, count: tf.Tensor) -> tf.Tensor:
    """Note which part of a batch this device has, `count` rows; return how many the batch has."""
    number, devices = replica.replica_id_in_sync_group, replica.num_replicas_in_sync
    mine = tf.one_hot(number, devices, on_value=count)
    counts = replica.all_reduce(tf.distribute.ReduceOp.SUM, mine)
    PART.first = tf.cast(tf.reduce_sum(counts[:number]), "int32")
    PART.total = tf.cast(tf.reduce_sum(counts), "int32")
    return tf.reduce_sum(counts)


class WholeBatchDropout(layers.Layer):
    """A layer that drops or keeps by what it draws for the whole batch; this device has a part."""

    def __init__(self, dropout: layers.Layer):
        super().__init__(name=dropout.name)
        self.dropout = dropout

    def call(self, x, training=False):
        if not training:
            return x
        factors = self.dropout(tf.ones([PART.total, *x.shape[1:]]), training=True)
        return x * factors[PART.first : PART.first + tf.shape(x)[0]]

    def compute_output_shape(self, shape):
        return shape


def copied(network: keras.Model) -> keras.Model:
    """Return a copy with variables of its own, of the same values, in the scope it is made in."""
    copy = keras.models.clone_model(network, clone_function=_copy, call_function=_call)
    assign(copy, network)
    return copy


def assign(network: keras.Model, other: keras.Model) -> None:
    """Give a network the values of another one's variables."""
    for ours, theirs in zip(network.variables, other.variables, strict=True):
        ours.assign(theirs.numpy())


def _copy(layer: layers.Layer) -> layers.Layer:
    if isinstance(layer, keras.Model):
        return copied(layer)
    return layer.copy() if isinstance(layer, ArrangedConvolution) else fresh(layer)


def _call(layer: layers.Layer, x, *args, **kwargs):
    if isinstance(layer, layers.Dropout) or type(layer).__name__ == "StochasticDepth":  # ConvNeXt's
        return WholeBatchDropout(layer)(x)
    return layer(x, *args, **kwargs)
