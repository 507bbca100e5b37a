"""The layers that train, arranged for a processor: the same variables, less work."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from thaw.features import tensorflow_engine

# Pairs of an input and an output place up to which the gradient of a depthwise kernel is faster by
# matrix products over all pairs: 10 x 10 places are too many, 7 x 7 are not.
MOST_PAIRS = 2500


def arrange(model: keras.Model) -> keras.Model:
    """Return a model of the same function and the same variables, faster on a processor.

    Training it trains `model`. 1 x 1 convolutions become matrix products, a frozen
    BatchNormalization is folded into the convolution before it within each step (so that gradients
    reach the kernel through it), and depthwise kernels get another form of their gradient where
    images have become small. All differ from Keras' own by rounding. On a GPU it is `model` itself.
    """
    if tensorflow_engine.gpus():
        return model
    chains = _chains(model)
    joined = {after.name for _, *rest in chains.values() for after in rest if after is not None}

    def call(layer: layers.Layer, x, *args, **kwargs):
        if layer.name in joined:
            return x  # which the convolution below it has done
        if layer.name in chains:
            return ArrangedConvolution(*chains[layer.name], name=layer.name)(x)
        return layer(x, *args, **kwargs)

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


class ArrangedConvolution(layers.Layer):
    """A convolution with the frozen normalization and the activation after it, or without (None).

    It shares the variables of these layers. Takes and returns float32 (n, height, width, channels).
    """

    def __init__(
        self,
        convolution: layers.Layer,
        normalization: layers.BatchNormalization | None,
        activation: layers.Layer | None,
        name: str,
    ):
        super().__init__(name=name)
        self.convolution, self.normalization = convolution, normalization
        self.activation = activation or convolution.activation
        self.built = True

    def copy(self) -> "ArrangedConvolution":
        """Return a layer that shares nothing with this one; its variables have first values."""
        convolution, normalization = (
            each if each is None else fresh(each) for each in (self.convolution, self.normalization)
        )
        return ArrangedConvolution(convolution, normalization, self.activation, self.name)

    def call(self, x):
        kernel, bias = self._kernel_and_bias()
        n, shape = ops.shape(x)[0], self.compute_output_shape(x.shape)
        if _is_product(self.convolution):
            flat = ops.reshape(x, (-1, x.shape[-1]))
            y = ops.matmul(flat, ops.reshape(kernel, kernel.shape[2:]))
        elif isinstance(self.convolution, layers.DepthwiseConv2D):
            y = self._depthwise(x, kernel)
        else:
            y = ops.conv(x, kernel, *self._options())
        y = self.activation(y if bias is None else tf.nn.bias_add(y, bias))
        return ops.reshape(y, (n, *shape[1:])) if _is_product(self.convolution) else y

    def compute_output_shape(self, shape):
        return self.convolution.compute_output_shape(shape)

    def _options(self) -> tuple:
        layer = self.convolution
        return layer.strides, layer.padding, layer.data_format, layer.dilation_rate

    def _kernel_and_bias(self):
        """Return kernel and bias with the normalization in them: (x - mean) * scale + beta."""
        layer, norm = self.convolution, self.normalization
        kernel, bias = layer.kernel, layer.bias if layer.use_bias else None
        if norm is None:
            return kernel, bias
        scale = ops.rsqrt(norm.moving_variance + norm.epsilon)
        scale = scale * norm.gamma if norm.scale else scale
        shift = -norm.moving_mean if bias is None else bias - norm.moving_mean
        shift = shift * scale + (norm.beta if norm.center else 0.0)
        if isinstance(layer, layers.DepthwiseConv2D):  # its kernel is (h, w, channels, times)
            scale = ops.reshape(scale, kernel.shape[2:])
        return kernel * scale, shift

    def _depthwise(self, x, kernel):
        """Convolve each channel by itself.

        The gradient of its kernel adds up products of input and upstream gradient over all pairs of
        places that a place of the kernel joins. With few places it is faster to multiply all pairs,
        a matrix product for each channel, and to add up after.
        """
        outputs = self.compute_output_shape(x.shape)
        count_in, count_out = x.shape[1] * x.shape[2], outputs[1] * outputs[2]
        if kernel.shape[3] > 1 or count_in * count_out > MOST_PAIRS:
            return ops.depthwise_conv(x, kernel, *self._options())
        joins = _joins(self.convolution, x.shape[1:3], outputs[1:3])

        def by_channel(values, count):
            return tf.transpose(tf.reshape(values, (-1, count, kernel.shape[2])), (2, 1, 0))

        @tf.custom_gradient
        def convolve(x, kernel):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = ops.depthwise_conv(x, kernel, *self._options())

            def gradient(upstream):
                pairs = tf.matmul(
                    by_channel(x, count_in), by_channel(upstream, count_out), transpose_b=True
                )
                sums = tf.matmul(tf.reshape(pairs, (kernel.shape[2], -1)), joins)
                of_kernel = tf.reshape(tf.transpose(sums), kernel.shape)
                return tape.gradient(y, x, upstream), of_kernel

            return y, gradient

        return convolve(x, kernel)


def fresh(layer: layers.Layer) -> layers.Layer:
    """Return a layer like this one, with variables of its own."""
    made = type(layer).from_config(layer.get_config())
    if layer.get_build_config():
        made.build_from_config(layer.get_build_config())
    for ours, theirs in zip(made._flatten_layers(), layer._flatten_layers(), strict=True):
        ours.trainable = theirs.trainable  # from_config forgets that of layers inside
    return made


def _joins(layer: layers.DepthwiseConv2D, inputs: tuple, outputs: tuple) -> np.ndarray:
    """Return which place of the kernel joins an input place and an output place.

    float32 0 or 1 (input places * output places, kernel places); `inputs` and `outputs`: height and
    width. Padding is TensorFlow's: the smaller half comes before.
    """
    kernel, strides, dilation = layer.kernel_size, layer.strides, layer.dilation_rate
    found = np.zeros((*inputs, *outputs, *kernel), "float32")
    before = [0, 0]
    if layer.padding == "same":
        reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilation)]
        before = [
            max((out - 1) * stride + size - side, 0) // 2
            for out, stride, size, side in zip(outputs, strides, reach, inputs)
        ]
    for row, column, i, j in np.ndindex(*outputs, *kernel):
        y = row * strides[0] + i * dilation[0] - before[0]
        x = column * strides[1] + j * dilation[1] - before[1]
        if 0 <= y < inputs[0] and 0 <= x < inputs[1]:
            found[y, x, row, column, i, j] = 1
    return found.reshape(-1, kernel[0] * kernel[1])


def _chains(model: keras.Model) -> dict[str, tuple]:
    """Return convolutions by name, each with the normalization and activation that alone follow."""
    users: dict[int, list] = {}
    for operation in model.operations:
        if not isinstance(operation, layers.InputLayer):
            for tensor in keras.tree.flatten(operation.input):
                users.setdefault(id(tensor), []).append(operation)
    ends = {id(tensor) for tensor in model.outputs}

    def alone_after(operation, fits):
        """Return the one operation that uses an output, where it fits."""
        following = users.get(id(operation.output), [])
        alone = len(following) == 1 and id(operation.output) not in ends
        return following[0] if alone and fits(following[0]) else None

    found = {}
    for layer in model.layers:
        if type(layer) not in (layers.Conv2D, layers.DepthwiseConv2D):
            continue
        normalization = activation = None
        if layer.activation is keras.activations.linear:
            normalization = alone_after(layer, _is_frozen)
            activation = alone_after(normalization or layer, _is_activation)
        few = isinstance(layer, layers.DepthwiseConv2D) and layer.trainable
        if normalization is not None or few or _is_product(layer):
            found[layer.name] = (layer, normalization, activation)
    return found


def _is_product(layer: layers.Layer) -> bool:
    """Return whether a convolution is a matrix product over its places."""
    return (
        type(layer) is layers.Conv2D
        and layer.kernel_size == layer.strides == (1, 1)
        and layer.groups == 1
    )


def _is_frozen(operation) -> bool:
    return isinstance(operation, layers.BatchNormalization) and not operation.trainable


def _is_activation(operation) -> bool:
    return isinstance(operation, (layers.Activation, layers.ReLU))
