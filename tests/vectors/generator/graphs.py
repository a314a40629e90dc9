"""Small models of several operators: what a converter fuses, removes, shares or places in memory."""

import numpy as np

from .model import ACTIVATIONS, PADDINGS, Graph
from .numbers import bias, weight_scales, weights
from .suite import rng_of

S, Z = 0.05, -7


class Layers(Graph):
    """A graph with layers that make up their own weights."""

    def __init__(self, name):
        super().__init__()
        self.rng = rng_of(name)

    def value(self, shape, final=False, scale=S, zero_point=Z, dtype="i8"):
        """A tensor between operators, or a graph output."""
        return (self.output if final else self.tensor)(shape, scale=scale, zero_point=zero_point, dtype=dtype)

    def conv(self, x, out, kernel=1, final=False, act=None, padding="same", y=None):
        """CONV_2D with stride 1."""
        n, h, w, depth = self.specs[x][0]
        s_in, s_out = self.specs[x][2], S
        terms = kernel * kernel * depth
        s_w = weight_scales(self.rng, out, terms, s_in, s_out, 1.0, True)
        f = self.const(weights(self.rng, (out, kernel, kernel, depth)), s_w)
        b = bias(self.rng, self, out, terms, s_in, s_w)
        less = 0 if padding == "same" else kernel - 1
        y = self.value((n, h - less, w - less, out), final) if y is None else y
        self.op("CONV_2D", [x, f, b], [y], "Conv2DOptions", padding=PADDINGS[padding], strideH=1, strideW=1,
                dilationHFactor=1, dilationWFactor=1, fusedActivationFunction=ACTIVATIONS[act])
        return y

    def dense(self, x, out, final=False, act=None):
        """FULLY_CONNECTED on rows."""
        rows, depth = self.specs[x][0]
        s_w = weight_scales(self.rng, out, depth, self.specs[x][2], S, 1.0, False)
        f = self.const(weights(self.rng, (out, depth)), s_w)
        b = bias(self.rng, self, out, depth, self.specs[x][2], s_w)
        y = self.value((rows, out), final)
        self.op("FULLY_CONNECTED", [x, f, b], [y], "FullyConnectedOptions", fusedActivationFunction=ACTIVATIONS[act])
        return y

    def add(self, a, b, final=False, act=None, shape=None):
        """ADD of two values."""
        y = self.value(shape or self.specs[a][0], final)
        self.op("ADD", [a, b], [y], "AddOptions", fusedActivationFunction=ACTIVATIONS[act])
        return y

    def unary(self, builtin, x, final=False, scale=S, zero_point=Z, **options):
        """An operator without parameters."""
        y = self.value(self.specs[x][0], final, scale, zero_point)
        self.op(builtin, [x], [y], **options)
        return y

    def softmax(self, x, final=True):
        """SOFTMAX with the scale it must have."""
        return self.unary("SOFTMAX", x, final, 1 / 256, -128, options="SoftmaxOptions", beta=1.0)

    def reshape(self, x, shape, final=False):
        """RESHAPE; an entry may be -1."""
        y = self.value(np.empty(self.specs[x][0]).reshape(shape).shape, final, *self.specs[x][2:])
        self.op("RESHAPE", [x, self.ints(shape)], [y], "ReshapeOptions", newShape=list(shape))
        return y

    def pad(self, x, paddings):
        """PAD with the zero point."""
        shape = [d + a + b for d, (a, b) in zip(self.specs[x][0], paddings)]
        y = self.value(shape, False, *self.specs[x][2:])
        self.op("PAD", [x, self.ints(paddings)], [y], "PadOptions")
        return y

    def concat(self, parts, axis, final=False):
        """CONCATENATION."""
        shape = np.concatenate([np.empty(self.specs[p][0]) for p in parts], axis).shape
        y = self.value(shape, final)
        self.op("CONCATENATION", parts, [y], "ConcatenationOptions", axis=axis)
        return y


def residual(g):
    """Two convolutions and a skip around them."""
    x = g.input((1, 5, 4, 3), S, Z)
    a = g.conv(x, 4, 1, act="relu")
    b = g.conv(a, 4, 3)
    g.add(a, b, final=True, act="relu")


def residual_chain(g):
    """Three blocks in a row: values that live long beside values that do not."""
    x = g.conv(g.input((1, 4, 4, 2), S, Z), 5)
    for block in range(3):
        x = g.add(x, g.conv(g.conv(x, 3, act="relu6"), 5, 3), final=block == 2)


def pad_conv(g):
    """A PAD that a converter may fuse in the convolution."""
    x = g.input((1, 5, 4, 3), S, Z)
    g.conv(g.pad(x, [[0, 0], [1, 0], [0, 1], [0, 0]]), 4, 3, final=True, padding="valid")


def pad_shared(g):
    """The padded value is used twice, and once by an operator that cannot pad."""
    p = g.pad(g.input((1, 3, 3, 2), S, Z), [[0, 0], [1, 1], [1, 1], [0, 0]])
    g.conv(p, 3, 3, final=True, padding="valid")
    g.unary("LOGISTIC", p, True, 1 / 256, -128)


def pad_channels_conv(g):
    """Channels are padded too: not a convolution's own padding."""
    x = g.input((1, 3, 4, 2), S, Z)
    g.conv(g.pad(x, [[0, 0], [1, 1], [1, 1], [0, 2]]), 3, 3, final=True, padding="valid")


def branches(g):
    """SPLIT, one branch per part, CONCATENATION."""
    x = g.input((1, 3, 4, 6), S, Z)
    parts = [g.value((1, 3, 4, 3)) for _ in range(2)]
    g.op("SPLIT", [g.ints(3), x], parts, "SplitOptions", numSplits=2)
    g.concat([g.conv(parts[0], 2, 3), parts[1], g.conv(parts[1], 4)], 3, final=True)


def split_output(g):
    """One part of a SPLIT is a graph output, one is used, one is not."""
    x = g.input((1, 2, 3, 6), S, Z)
    parts = [g.value((1, 2, 3, 2), final=i == 0) for i in range(3)]
    g.op("SPLIT", [g.ints(3), x], parts, "SplitOptions", numSplits=3)
    g.conv(parts[2], 3, final=True)


def input_twice(g):
    """The model's input feeds two operators, and both operands of one."""
    x = g.input((1, 4, 3, 3), S, Z)
    g.add(g.add(x, x), g.conv(x, 3, 3), final=True)


def inner_output(g):
    """An output that a later operator reads as well."""
    x = g.input((1, 4, 3, 3), S, Z)
    y = g.conv(x, 4, final=True, act="relu")
    g.conv(y, 2, 3, final=True)


def two_in_two_out(g):
    """Two inputs of different shapes, two outputs in the reverse order of their making."""
    a = g.input((1, 3, 4, 2), S, Z)
    b = g.input((1, 1, 1, 4), 0.03, 11)
    first = g.conv(a, 4)
    second = g.add(first, b)
    g.conv(second, 3, final=True)
    g.unary("TANH", second, True, 1 / 128, 0)
    g.outputs.reverse()


def constant_operand(g):
    """Constants on both sides of binary operators."""
    x = g.input((1, 3, 4, 3), S, Z)
    y = g.add(g.const(g.rng.integers(-128, 128, (3,)), 0.04, 5), x, shape=(1, 3, 4, 3))
    z = g.value((1, 3, 4, 3), final=True, scale=0.2)
    g.op("MUL", [y, g.const([[[[77]]]], 0.02, -3)], [z], "MulOptions")


def reshapes(g):
    """Reshapes in a row, between layers and at both ends."""
    x = g.reshape(g.input((24,), S, Z), (1, 2, 4, 3))
    y = g.reshape(g.reshape(g.conv(x, 5), (1, 40)), (5, 8))
    z = g.dense(y, 3, act="relu")
    g.reshape(g.reshape(z, (1, -1)), (1, 3, 5), final=True)


def reshape_of_input(g):
    """The output of a RESHAPE of the input is an output, and the input is used again."""
    x = g.input((1, 2, 3, 2), S, Z)
    g.reshape(x, (1, 12), final=True)
    g.conv(x, 3, final=True)


def classifier(g):
    """Convolution, pooling, dense layer, softmax: the usual small network."""
    x = g.conv(g.input((1, 6, 6, 1), S, Z), 4, 3, act="relu", padding="valid")
    y = g.value((1, 2, 2, 4))
    g.op("MAX_POOL_2D", [x], [y], "Pool2DOptions", padding=PADDINGS["valid"], strideH=2, strideW=2, filterHeight=2,
         filterWidth=2)
    g.softmax(g.dense(g.reshape(y, (1, 16)), 5))


def float_borders(g):
    """Float input and output around an int8 body."""
    x = g.input((1, 4, 3, 3), dtype="f32")
    q = g.value((1, 4, 3, 3))
    g.op("QUANTIZE", [x], [q], "QuantizeOptions")
    y = g.conv(q, 4, 3)
    g.op("DEQUANTIZE", [y], [g.output((1, 4, 3, 4), dtype="f32")], "DequantizeOptions")


def uint8_borders(g):
    """uint8 input and output, as older converters write."""
    x = g.input((1, 4, 3, 3), S, 121, "u8")
    q = g.value((1, 4, 3, 3))
    g.op("QUANTIZE", [x], [q], "QuantizeOptions")
    y = g.conv(q, 4, 3)
    g.op("QUANTIZE", [y], [g.output((1, 4, 3, 4), S, 121, "u8")], "QuantizeOptions")


def int16_borders(g):
    """int16 input, int32 output."""
    x = g.input((1, 3, 5), 0.0002, 0, "i16")
    q = g.value((1, 3, 5))
    g.op("QUANTIZE", [x], [q], "QuantizeOptions")
    y = g.unary("RELU", q)
    g.op("QUANTIZE", [y], [g.output((1, 3, 5), 0.0001, 0, "i32")], "QuantizeOptions")


def int16_sums(g):
    """Sums and differences of int16, widened from int8 and narrowed to it, moved between and at a border."""
    a, b = g.input((1, 3, 5), S, Z), g.input((1, 3, 5), 0.0004, 0, "i16")
    wide, sums, moved = g.tensor((1, 3, 5), "i16", 0.0003), g.tensor((1, 3, 5), "i16", 0.0005), g.tensor((15,), "i16", 0.0006)
    g.op("QUANTIZE", [a], [wide], "QuantizeOptions")
    g.op("ADD", [wide, b], [sums], "AddOptions")
    less = g.tensor((1, 3, 5), "i16", 0.0006)
    row = g.const(g.rng.integers(-20000, 20000, 5), 0.0001, dtype="i16")
    g.op("SUB", [sums, row], [less], "SubOptions", fusedActivationFunction=ACTIVATIONS["relu"])
    g.op("RESHAPE", [less, g.ints([15])], [moved], "ReshapeOptions", newShape=[15])
    g.op("ADD", [moved, moved], [g.output((15,), 0.001, 0, "i16")], "AddOptions")
    g.op("QUANTIZE", [less], [g.output((1, 3, 5), 0.1, -20)], "QuantizeOptions")


def class_index(g):
    """ARG_MAX as the last layer: an int32 output beside an int8 one."""
    scores = g.dense(g.input((2, 7), S, Z), 6, final=True)
    y = g.output((2,), dtype="i32")
    g.op("ARG_MAX", [scores, g.ints([1])], [y], "ArgMaxOptions", outputType=2)


def transposes(g):
    """NHWC to NCHW and back around an elementwise operator: what an exporter leaves behind."""
    x = g.input((1, 3, 4, 2), S, Z)
    a = g.value((1, 2, 3, 4))
    g.op("TRANSPOSE", [x, g.ints([0, 3, 1, 2])], [a], "TransposeOptions")
    b = g.unary("HARD_SWISH", a, scale=0.04, zero_point=-100)
    c = g.value((1, 3, 4, 2), scale=0.04, zero_point=-100)
    g.op("TRANSPOSE", [b, g.ints([0, 2, 3, 1])], [c], "TransposeOptions")
    g.conv(c, 3, final=True)


def activation_apart(g):
    """Activations as operators of their own after layers that could have fused them."""
    x = g.conv(g.input((1, 3, 4, 3), S, Z), 4, 3)
    y = g.conv(g.unary("RELU", x), 3)
    g.unary("RELU6", g.add(y, y), True)


def activation_shared(g):
    """The value before a RELU is needed as well."""
    x = g.conv(g.input((1, 3, 4, 3), S, Z), 4)
    g.add(x, g.unary("RELU", x), final=True)


def dead_branch(g):
    """An operator whose result nobody reads."""
    x = g.input((1, 3, 4, 3), S, Z)
    g.conv(x, 8, 3)
    g.conv(x, 2, final=True)


def dead_channels(g):
    """Output channels with zero weights: constants for the next layer, whose window crosses the border."""
    x = g.input((1, 4, 4, 2), S, Z)
    values = weights(g.rng, (5, 1, 1, 2))
    values[[1, 4]] = 0
    s_w = weight_scales(g.rng, 5, 2, S, S, 1.0, True)
    y = g.value((1, 4, 4, 5))
    g.op("CONV_2D", [x, g.const(values, s_w), bias(g.rng, g, 5, 2, S, s_w)], [y], "Conv2DOptions",
         padding=PADDINGS["same"], strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1,
         fusedActivationFunction=ACTIVATIONS["relu"])
    g.conv(y, 3, 3, final=True)


def shared_weights(g):
    """Two layers read the same weight and bias tensors."""
    x = g.input((1, 3, 4, 3), S, Z)
    s_w = weight_scales(g.rng, 3, 3, S, S, 1.0, True)
    f = g.const(weights(g.rng, (3, 1, 1, 3)), s_w)
    b = bias(g.rng, g, 3, 3, S, s_w)
    for final in (False, True):
        y = g.value((1, 3, 4, 3), final)
        g.op("CONV_2D", [x, f, b], [y], "Conv2DOptions", padding=PADDINGS["same"], strideH=1, strideW=1,
             dilationHFactor=1, dilationWFactor=1)
        x = y


def attention(g):
    """A product of two values, a softmax between: a small attention head."""
    x = g.input((1, 4, 6), S, Z)
    scores = g.value((1, 4, 4), scale=0.9, zero_point=3)
    g.op("BATCH_MATMUL", [x, x], [scores], "BatchMatMulOptions", adjX=False, adjY=True)
    y = g.softmax(scores, final=False)
    g.op("BATCH_MATMUL", [y, x], [g.value((1, 4, 6), True)], "BatchMatMulOptions", adjX=False, adjY=False)


def squeeze_and_excite(g):
    """MEAN over the image, two 1x1 convolutions, LOGISTIC, and MUL broadcast over the image."""
    x = g.conv(g.input((1, 4, 3, 3), S, Z), 5, act="relu")
    m = g.value((1, 1, 1, 5))
    g.op("MEAN", [x, g.ints([1, 2])], [m], "ReducerOptions", keepDims=True)
    gate = g.unary("LOGISTIC", g.conv(g.conv(m, 2, act="relu"), 5), False, 1 / 256, -128)
    g.op("MUL", [x, gate], [g.value((1, 4, 3, 5), True)], "MulOptions")


def looked_up(g):
    """A function of one number as CAST, ADD 128 and GATHER from its results; the cast has another reader as well."""
    x = g.conv(g.input((1, 3, 2, 3), S, Z), 4)
    shape = g.specs[x][0]
    whole, places = g.tensor(shape, "i32"), g.tensor(shape, "i32")
    g.op("CAST", [x], [whole], "CastOptions")
    g.op("ADD", [whole, g.ints([128])], [places], "AddOptions")
    results = g.const(g.rng.permutation(256) - 128, 0.02, 5)
    y = g.value(shape, False, 0.02, 5)
    g.op("GATHER", [results, places], [y], "GatherOptions")
    g.conv(y, 3, 2, final=True)
    other = g.tensor(shape, "i32")
    g.op("ADD", [g.ints([128]), whole], [other], "AddOptions")
    g.op("GATHER", [g.const(g.rng.integers(-128, 128, 256), S, Z), other], [g.value(shape, True)], "GatherOptions")


def words(g):
    """A classifier of words: their rows of a table, the mean over them, two dense layers."""
    ids = g.input((1, 7), dtype="i32")
    rows = g.value((1, 7, 5))
    g.op("GATHER", [g.const(g.rng.integers(-128, 128, (30, 5)), S, Z), ids], [rows], "GatherOptions")
    mean = g.value((1, 5))
    g.op("MEAN", [rows, g.ints([1])], [mean], "ReducerOptions")
    g.softmax(g.dense(g.dense(mean, 6, act="relu"), 3))


GRAPHS = (
    residual, residual_chain, pad_conv, pad_shared, pad_channels_conv, branches, split_output, input_twice,
    inner_output, two_in_two_out, constant_operand, reshapes, reshape_of_input, classifier, float_borders,
    uint8_borders, int16_borders, int16_sums, class_index, transposes, activation_apart, activation_shared, dead_branch,
    dead_channels, shared_weights, attention, squeeze_and_excite, looked_up, words,
)


def cases(suite):
    """Each function above is one case of its name."""
    for build in GRAPHS:
        name = f"graphs/{build.__name__}"
        g = Layers(name)
        build(g)
        inputs = [g.rng.integers(0, 30, (5, 1, 7)).astype(np.int32)] if build is words else None
        suite.add(name, g, samples=5, inputs=inputs)
