"""Operators on int16 with scales, as TFLM has them: symmetric, and with int8 weights."""

import numpy as np

from .model import ACTIVATIONS, NONE, PADDINGS, Graph
from .numbers import weights, window
from .suite import rng_of

# Every 37th number, the ends, and those around zero.
ALL = np.unique(np.concatenate([np.arange(-32768, 32768, 37), np.arange(-40, 41), [32766, 32767]])).astype(np.int16)

# builtin: {case: (input scale, output scale)}
UNARY = {
    "RELU": {"usual": (0.001, 0.001), "rescales": (0.001, 0.0007), "shrinks": (0.001, 0.0031), "tie": (0.5, 1.0)},
    "RELU6": {"usual": (0.001, 0.001), "scales_differ": (0.001, 0.0007), "fine": (0.0002, 0.0002)},
    "LEAKY_RELU": {
        "usual": (0.001, 0.001), "rescales": (0.001, 0.0007), "tie": (0.5, 1.0), "alpha_negative": (0.001, 0.001),
        "alpha_above_one": (0.001, 0.002), "alpha_zero": (0.001, 0.001),
    },
    "ABS": {"usual": (0.001, 0.001), "rescales": (0.001, 0.0007), "tie": (0.5, 1.0)},
    "LOGISTIC": {
        "usual": (0.0011, 1 / 32768), "scale_4096": (1 / 4096, 1 / 32768), "scale_2048": (1 / 2048, 1 / 32768),
        "scale_8192": (1 / 8192, 1 / 32768), "scale_large": (0.9, 1 / 32768), "scale_tiny": (1e-7, 1 / 32768),
    },
    "TANH": {
        "usual": (0.0011, 1 / 32768), "scale_4096": (1 / 4096, 1 / 32768), "scale_2048": (1 / 2048, 1 / 32768),
        "scale_8192": (1 / 8192, 1 / 32768), "scale_large": (0.9, 1 / 32768), "scale_tiny": (1e-7, 1 / 32768),
    },
    "RSQRT": {"usual": (0.001, 0.001), "fine": (0.4, 0.0001), "coarse": (0.00001, 0.02)},
}
ALPHA = {"alpha_negative": -0.4, "alpha_above_one": 1.7, "alpha_zero": 0.0, "tie": 0.5}

# name: (left, right, scales of both and of the result, activation, which one is constant)
MUL = {
    "same_shape": ((1, 3, 4, 5), (1, 3, 4, 5), (0.001, 0.0007, 0.004), None, None),
    "channels": ((5,), (1, 3, 4, 5), (0.001, 0.0007, 0.02), None, None),
    "scalar": ((2, 3, 4), (1,), (0.001, 0.0007, 0.02), None, 1),
    "both_broadcast": ((1, 3, 1, 5), (2, 1, 4, 1), (0.001, 0.0007, 0.02), None, None),
    "constant": ((1, 3, 4, 5), (5,), (0.001, 0.0007, 0.02), None, 1),
    "saturates": ((1, 3, 4, 5), (1, 3, 4, 5), (0.01, 0.01, 0.001), None, None),
    "relu": ((1, 3, 4, 5), (1, 3, 4, 5), (0.001, 0.0007, 0.02), "relu", None),
    "relu6": ((1, 3, 4, 5), (1, 3, 4, 5), (0.001, 0.0007, 0.02), "relu6", None),
    "tie": ((1, 3, 4, 5), (1, 3, 4, 5), (0.5, 0.5, 0.5), None, None),
}


def numbers(rng, shape, count=6):
    """Samples over the full range, near zero, and at both ends."""
    arrays = rng.integers(-32768, 32768, (count, *shape))
    arrays[1::2] //= 512
    arrays[0], arrays[2].flat[::2] = -32768, 32767
    return arrays.astype(np.int16)


def unary(suite):
    """Functions of one number."""
    for builtin, table in UNARY.items():
        for case, (s_in, s_out) in table.items():
            g = Graph()
            values = ALL[ALL >= 0] if builtin == "RSQRT" else ALL
            x, y = g.input((1, values.size), s_in, 0, "i16"), g.output((1, values.size), s_out, 0, "i16")
            if builtin == "LEAKY_RELU":
                g.op(builtin, [x], [y], "LeakyReluOptions", alpha=ALPHA.get(case, 0.2))
            else:
                g.op(builtin, [x], [y])
            suite.add(f"{builtin.lower()}/int16_{case}", g, inputs=[values[None, None]])


def products(suite):
    """MUL."""
    for case, (left, right, scales, act, constant) in MUL.items():
        name, g = f"mul/int16_{case}", Graph()
        rng, operands, arrays = rng_of(name), [], []
        for place, shape in enumerate((left, right)):
            array = numbers(rng, shape)
            if constant == place:
                operands.append(g.const(array[4], scales[place], 0, "i16"))
            else:
                operands.append(g.input(shape, scales[place], 0, "i16"))
                arrays.append(array)
        y = g.output(np.broadcast_shapes(left, right), scales[2], 0, "i16")
        g.op("MUL", operands, [y], "MulOptions", fusedActivationFunction=ACTIVATIONS[act])
        suite.add(name, g, inputs=arrays)


LAYER = dict(
    shape=(1, 5, 4, 3), out=4, kernel=(3, 3), stride=(1, 1), dilation=(1, 1), padding="same", act=None, per_channel=True,
    gain=1.0, bias="i64", groups=1, s_in=0.001, s_out=0.0013, s_w=None, fixed=None,
)

CONV = {
    "same": {},
    "valid": dict(padding="valid"),
    "pointwise": dict(kernel=(1, 1), shape=(1, 3, 5, 7), out=5),
    "stride_2": dict(stride=(2, 2), shape=(1, 7, 6, 3)),
    "dilation_2": dict(dilation=(2, 2), shape=(1, 7, 6, 3)),
    "kernel_rectangular": dict(kernel=(1, 5), shape=(1, 4, 7, 2)),
    "kernel_above_image": dict(kernel=(5, 5), shape=(1, 2, 3, 3)),
    "per_tensor": dict(per_channel=False),
    "no_bias": dict(bias=None),
    "bias_int32": dict(bias="i32"),
    "batch_3": dict(shape=(3, 4, 3, 3)),
    "groups_2": dict(groups=2, shape=(1, 4, 4, 6)),
    "relu": dict(act="relu"),
    "relu6": dict(act="relu6", gain=4.0, s_out=0.0003),
    "saturates": dict(gain=20.0),
    "deep": dict(kernel=(1, 1), shape=(1, 2, 2, 600), out=2),
    "multiplier_above_one": dict(kernel=(1, 1), shape=(1, 3, 3, 1), s_in=0.5, s_w=0.25, s_out=0.02,
                                 fixed=[[1], [-1], [2], [3]], bias=None),
    "tie_half": dict(kernel=(1, 1), shape=(1, 8, 16, 1), s_in=0.5, s_w=0.5, s_out=0.5, fixed=[[1], [-1], [3], [-3]],
                     bias=None),
    "tie_half_int32": dict(kernel=(1, 1), shape=(1, 8, 16, 1), s_in=0.5, s_w=0.5, s_out=0.5,
                           fixed=[[1], [-1], [3], [-3]], bias="i32"),
}

DEPTHWISE = {
    "same": {},
    "valid": dict(padding="valid"),
    "multiplier_2": dict(out=2),
    "stride_2": dict(stride=(2, 2), shape=(1, 7, 6, 4)),
    "dilation_2": dict(dilation=(2, 2), shape=(1, 7, 6, 3)),
    "per_tensor": dict(per_channel=False),
    "relu": dict(act="relu"),
    "depth_19": dict(shape=(1, 3, 4, 19)),
}

TRANSPOSED = {
    "stride_1": {},
    "stride_2_same": dict(stride=(2, 2)),
    "stride_2_valid": dict(stride=(2, 2), padding="valid"),
    "stride_3_kernel_2": dict(stride=(3, 3), kernel=(2, 2), shape=(1, 3, 2, 3), padding="valid"),
    "stride_rectangular": dict(stride=(1, 2), kernel=(3, 4), shape=(1, 3, 4, 2)),
    "kernel_even_same": dict(kernel=(4, 4), stride=(2, 2), shape=(1, 4, 3, 2)),
    "no_bias": dict(bias=None, stride=(2, 2)),
    "bias_int16": dict(bias="i16", stride=(2, 2)),
    "per_tensor": dict(per_channel=False, stride=(2, 2)),
    "batch_2": dict(shape=(2, 3, 2, 3), stride=(2, 2)),
}

DENSE = {
    "odd": dict(shape=(1, 7), out=5),
    "per_channel": dict(shape=(1, 7), out=6, channels=True),
    "rows": dict(shape=(4, 6), out=5),
    "wide": dict(shape=(1, 137), out=11),
    "no_bias": dict(shape=(1, 7), out=5, bias=None),
    "relu": dict(shape=(2, 9), out=5, act="relu"),
    "keep_dims": dict(shape=(2, 3, 5), out=4, keep=True),
    "saturates": dict(shape=(1, 7), out=5, gain=20.0),
    "tie_half": dict(shape=(64, 1), out=4, s_in=0.5, s_w=0.5, s_out=0.5, fixed=[[1], [-1], [3], [-3]], bias=None),
}

# (left, right, which operands are stored the other way round, which one is constant)
MATMUL = {
    "plain": ((2, 3, 5), (2, 5, 4), (False, False), None),
    "adj_x": ((2, 5, 3), (2, 5, 4), (True, False), None),
    "adj_y": ((2, 3, 5), (2, 4, 5), (False, True), None),
    "broadcast": ((2, 1, 3, 4), (1, 3, 4, 2), (False, False), None),
    "constant": ((3, 5), (5, 4), (False, False), 1),
}


def scales_of(rng, case, channels, terms):
    """Scales of weights with which sums fill about the output's range."""
    if case["s_w"] is not None:
        return np.float32([case["s_w"]] * (channels if case["per_channel"] else 1))
    middle = case["gain"] * 0.6 * case["s_out"] / (np.sqrt(terms) * 73.0 * case["s_in"])
    if not case["per_channel"]:
        return np.float32([middle])
    return (middle * 2.0 ** rng.uniform(-3, 1, channels)).astype(np.float32)


def add_bias(rng, g, case, channels, terms, s_w):
    """The bias of a layer, of about the size of the sums; of int16 near zero."""
    reach = 30000 if case["bias"] == "i16" else max(2, int(np.sqrt(terms) * 73 * 18000))
    values = rng.integers(-reach, reach + 1, channels)
    return g.const(values, np.float32(case["s_in"]) * s_w, dtype=case["bias"])


def layer(suite, kind, builtin, case_name, given):
    """A layer with weights over images."""
    case, name = LAYER | given, f"{builtin.lower()}/int16_{case_name}"
    rng, g = rng_of(name), Graph()
    n, h, w, depth = case["shape"]
    (kh, kw), (sh, sw), (dh, dw) = case["kernel"], case["stride"], case["dilation"]
    channels, terms = case["out"], kh * kw * depth // case["groups"]
    shape = (channels, kh, kw, depth // case["groups"])
    if kind == "depthwise":
        channels = depth * given.get("out", 1)
        terms, shape = kh * kw, (1, kh, kw, channels)
    values = weights(rng, shape) if case["fixed"] is None else np.reshape(case["fixed"], shape)
    s_w = scales_of(rng, case, channels, terms)
    out = (n, window(h, kh, sh, dh, case["padding"]), window(w, kw, sw, dw, case["padding"]), channels)
    fields = dict(padding=PADDINGS[case["padding"]], strideH=sh, strideW=sw,
                  fusedActivationFunction=ACTIVATIONS[case["act"]])
    before = []
    if kind == "transposed":
        length = {"same": lambda n, k, s: n * s, "valid": lambda n, k, s: (n - 1) * s + max(k, s)}[case["padding"]]
        out = (n, length(h, kh, sh), length(w, kw, sw), channels)
        before = [g.ints(out)]
    else:
        fields |= dict(dilationHFactor=dh, dilationWFactor=dw)
    x = g.input(case["shape"], case["s_in"], 0, "i16")
    f = g.const(values, s_w, qdim=3 if kind == "depthwise" else 0)
    inputs = [*before, f, x] if before else [x, f]
    if case["bias"]:
        inputs.append(add_bias(rng, g, case, channels, terms, s_w))
    options = {"conv": "Conv2DOptions", "depthwise": "DepthwiseConv2DOptions", "transposed": "TransposeConvOptions"}
    if kind == "depthwise":
        fields |= dict(depthMultiplier=given.get("out", 1))
    y = g.output(out, case["s_out"], 0, "i16")
    g.op(builtin, inputs, [y], options[kind], **fields)
    suite.add(name, g, inputs=[numbers(rng, case["shape"])])


def dense(suite, case_name, channels=False, keep=False, **given):
    """FULLY_CONNECTED."""
    case, name = LAYER | given, f"fully_connected/int16_{case_name}"
    case["per_channel"] = channels
    rng, g = rng_of(name), Graph()
    depth = case["shape"][-1]
    values = weights(rng, (case["out"], depth)) if case["fixed"] is None else np.array(case["fixed"])
    s_w = scales_of(rng, case, case["out"], depth)
    x, f = g.input(case["shape"], case["s_in"], 0, "i16"), g.const(values, s_w)
    b = add_bias(rng, g, case, case["out"], depth, s_w) if case["bias"] else NONE
    rows = int(np.prod(case["shape"])) // depth
    y = g.output((*case["shape"][:-1], case["out"]) if keep else (rows, case["out"]), case["s_out"], 0, "i16")
    g.op("FULLY_CONNECTED", [x, f, b], [y], "FullyConnectedOptions", keepNumDims=keep,
         fusedActivationFunction=ACTIVATIONS[case["act"]])
    suite.add(name, g, inputs=[numbers(rng, case["shape"])])


def matmul(suite, case_name, left, right, adjoint, constant):
    """BATCH_MATMUL."""
    name, g = f"batch_matmul/int16_{case_name}", Graph()
    rng, operands, arrays, scales = rng_of(name), [], [], (0.001, 0.0005, 0.02)
    for place, shape in enumerate((left, right)):
        array = numbers(rng, shape)
        if constant == place:
            operands.append(g.const(array[4], scales[place], 0, "i16"))
        else:
            operands.append(g.input(shape, scales[place], 0, "i16"))
            arrays.append(array)
    rows = left[-1] if adjoint[0] else left[-2]
    columns = right[-2] if adjoint[1] else right[-1]
    y = g.output((*np.broadcast_shapes(left[:-2], right[:-2]), rows, columns), scales[2], 0, "i16")
    g.op("BATCH_MATMUL", operands, [y], "BatchMatMulOptions", adjX=adjoint[0], adjY=adjoint[1])
    suite.add(name, g, inputs=arrays)


# name: (shape, kernel, stride, padding, activation)
POOL = {
    "valid": ((1, 5, 4, 3), (2, 2), (1, 1), "valid", None),
    "same": ((1, 5, 4, 3), (3, 3), (1, 1), "same", None),
    "stride_2": ((1, 7, 5, 2), (2, 2), (2, 2), "same", None),
    "whole": ((1, 5, 4, 3), (5, 4), (1, 1), "valid", None),
    "large": ((1, 25, 20, 2), (25, 20), (1, 1), "valid", None),
    "batch_2": ((2, 3, 4, 3), (2, 2), (1, 1), "same", None),
    "two_values": ((1, 4, 16, 1), (1, 2), (1, 2), "valid", None),
    "relu": ((1, 5, 4, 3), (2, 2), (1, 1), "valid", "relu"),
    "relu6": ((1, 5, 4, 3), (2, 2), (1, 1), "valid", "relu6"),
}


def pools(suite):
    """AVERAGE_POOL_2D and MAX_POOL_2D."""
    for builtin in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        for case, (shape, (kh, kw), (sh, sw), padding, act) in POOL.items():
            name, g = f"{builtin.lower()}/int16_{case}", Graph()
            x = g.input(shape, 0.001, 0, "i16")
            out = (shape[0], window(shape[1], kh, sh, 1, padding), window(shape[2], kw, sw, 1, padding), shape[3])
            y = g.output(out, 0.001, 0, "i16")
            g.op(builtin, [x], [y], "Pool2DOptions", padding=PADDINGS[padding], strideH=sh, strideW=sw, filterHeight=kh,
                 filterWidth=kw, fusedActivationFunction=ACTIVATIONS[act])
            suite.add(name, g, inputs=[numbers(rng_of(name), shape)])


# name: (shape, axes, keep dimensions, scales)
REDUCE = {
    "image": ((1, 5, 4, 3), [1, 2], False, (0.001, 0.001)),
    "image_keep": ((1, 5, 4, 3), [1, 2], True, (0.001, 0.0008)),
    "last": ((2, 3, 7), [2], True, (0.001, 0.001)),
    "first": ((4, 6), [0], False, (0.001, 0.0009)),
    "all": ((2, 3, 5), [0, 1, 2], False, (0.001, 0.001)),
    "apart": ((2, 3, 4, 5), [1, 3], True, (0.001, 0.0011)),
}


def reductions(suite):
    """MEAN and SUM."""
    for builtin in ("MEAN", "SUM"):
        for case, (shape, axes, keep, (s_in, s_out)) in REDUCE.items():
            name, g = f"{builtin.lower()}/int16_{case}", Graph()
            x = g.input(shape, s_in, 0, "i16")
            out = [1 if d in axes else n for d, n in enumerate(shape) if keep or d not in axes]
            count = np.prod([shape[axis] for axis in axes])
            y = g.output(out, s_out * (count if builtin == "SUM" else 1), 0, "i16")
            g.op(builtin, [x, g.ints(axes)], [y], "ReducerOptions", keepDims=keep)
            suite.add(name, g, inputs=[numbers(rng_of(name), shape)])


# name: (shape, scale, beta)
SOFTMAX = {
    "rows": ((4, 10), 0.0005, 1.0),
    "two_classes": ((4, 2), 0.0002, 1.0),
    "one_class": ((3, 1), 0.0002, 1.0),
    "hundred_classes": ((1, 100), 0.0003, 1.0),
    "many_classes": ((1, 1500), 0.0001, 1.0),
    "four_dimensional": ((1, 2, 3, 4), 0.0005, 1.0),
    "beta_half": ((4, 10), 0.0005, 0.5),
    "scale_tiny": ((4, 10), 1e-7, 1.0),
    "scale_large": ((4, 10), 0.3, 1.0),
}


def softmax(suite):
    """SOFTMAX."""
    for case, (shape, scale, beta) in SOFTMAX.items():
        name, g = f"softmax/from_int16_{case}", Graph()
        x, y = g.input(shape, scale, 0, "i16"), g.output(shape, 1 / 32768, 0, "i16")
        g.op("SOFTMAX", [x], [y], "SoftmaxOptions", beta=beta)
        suite.add(name, g, inputs=[numbers(rng_of(name), shape, 8)])


def cases(suite):
    """All of them."""
    unary(suite)
    products(suite)
    for name, case in CONV.items():
        layer(suite, "conv", "CONV_2D", name, case)
    for name, case in DEPTHWISE.items():
        layer(suite, "depthwise", "DEPTHWISE_CONV_2D", name, case)
    for name, case in TRANSPOSED.items():
        layer(suite, "transposed", "TRANSPOSE_CONV", name, case)
    for name, case in DENSE.items():
        dense(suite, name, **case)
    for name, case in MATMUL.items():
        matmul(suite, name, *case)
    pools(suite)
    reductions(suite)
    softmax(suite)
