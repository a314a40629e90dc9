"""TensorFlow 1's uint8: what its files hold, with the answers of LiteRT's reference kernels.

TFLM has no kernels for uint8. Weights have one scale and a zero point; where some are further than an int8 from it,
the name says `wide`.
"""

import numpy as np

from . import litert
from .model import ACTIVATIONS, PADDINGS, Graph
from .numbers import window
from .suite import rng_of


def filters(rng, shape, zero_point, wide):
    """Weights around their zero point: within int8 of it, or a few of them up to the ends of uint8."""
    low, high = max(0, zero_point - 128), min(255, zero_point + 127)
    values = np.clip(np.round(rng.normal(zero_point, 45, shape)), low, high).astype(np.int64)
    if wide == "all":
        return rng.integers(0, 256, shape)
    if wide == "last":
        # The last tap of all channels, and in three parts.
        values[:, -1, -1, :] = 255 if zero_point < 128 else 0
    elif wide:
        far = 255 if zero_point < 128 else 0
        for place in rng.choice(values.size, min(values.size, 3), replace=False):
            values.flat[place] = far - np.sign(far - zero_point) * int(rng.integers(0, 3))
    return values


CONV = {
    "conv": {},
    "conv_wide": dict(zw=90, wide=True),
    "conv_wide_low": dict(zw=200, wide=True, padding="valid", stride=(2, 2), shape=(1, 7, 6, 3)),
    "conv_wide_all": dict(zw=30, wide="all", gain=0.5),
    "conv_zero_points_at_ends": dict(zw=0, wide="all", zp=(0, 255), gain=0.5),
    "conv_weights_all_low": dict(zw=255, wide="all", zp=(255, 0), gain=0.5),
    "conv_pointwise": dict(kernel=(1, 1), shape=(1, 5, 6, 9), out=7),
    "conv_pointwise_wide": dict(kernel=(1, 1), shape=(1, 5, 6, 9), out=7, zw=110, wide=True),
    "conv_pointwise_wide_batch": dict(kernel=(1, 1), shape=(3, 3, 3, 8), out=12, zw=150, wide=True),
    "conv_wide_dilation": dict(dilation=(2, 1), shape=(1, 8, 6, 3), zw=90, wide=True),
    "conv_wide_column": dict(kernel=(3, 1), shape=(1, 9, 1, 4), zw=90, wide=True),
    "conv_wide_rows": dict(kernel=(1, 5), shape=(1, 1, 23, 5), zw=160, wide=True),
    "conv_relu6": dict(act="relu6", zw=140, wide=True),
    "conv_multiplier_above_one": dict(kernel=(1, 1), shape=(1, 3, 3, 2), s_in=0.5, s_w=0.25, s_out=0.02, zw=120),
    "conv_no_bias_wide": dict(zw=90, wide=True, with_bias=False),
    "conv_wide_deep": dict(shape=(1, 3, 3, 40), out=6, zw=100, wide=True),
    "conv_bias_large": dict(zw=90, wide=True, bias=1 << 19),
}

DEPTHWISE = {
    "depthwise": dict(shape=(1, 6, 5, 4)),
    "depthwise_wide": dict(shape=(1, 6, 5, 4), zw=90, wide=True),
    "depthwise_wide_16": dict(shape=(1, 9, 8, 16), zw=160, wide=True),
    "depthwise_wide_stride_2": dict(shape=(1, 7, 8, 6), stride=(2, 2), zw=90, wide=True),
    "depthwise_wide_all": dict(shape=(1, 6, 5, 3), zw=30, wide="all", gain=0.5),
    "depthwise_wide_multiplier_2": dict(shape=(1, 6, 5, 3), out=2, zw=170, wide=True, act="relu6"),
    "depthwise_wide_5x5": dict(shape=(1, 9, 9, 3), kernel=(5, 5), zw=100, wide=True),
    "depthwise_wide_of_one": dict(shape=(1, 6, 6, 1), out=4, zw=90, wide=True),
    "depthwise_wide_dilation": dict(shape=(1, 8, 8, 3), dilation=(2, 2), zw=90, wide=True),
    "depthwise_wide_above_image": dict(shape=(1, 2, 3, 4), kernel=(5, 5), zw=90, wide=True),
    "depthwise_wide_batch": dict(shape=(2, 4, 5, 4), zw=90, wide=True),
    "depthwise_wide_last_tap": dict(shape=(1, 5, 6, 3), zw=0, wide="last", gain=0.5),
    "depthwise_wide_one_tap": dict(shape=(1, 5, 4, 6), kernel=(1, 1), zw=90, wide=True),
    "depthwise_wide_one_tap_last": dict(shape=(1, 4, 5, 5), kernel=(1, 1), stride=(2, 2), zw=255, wide="last"),
    "depthwise_wide_two_taps": dict(shape=(1, 4, 5, 3), kernel=(1, 2), zw=0, wide="last", gain=0.5),
    "depthwise_wide_whole_image": dict(shape=(1, 4, 4, 5), kernel=(4, 4), padding="valid", zw=90, wide=True),
}

DEFAULTS = dict(
    shape=(1, 5, 4, 3), out=4, kernel=(3, 3), stride=(1, 1), dilation=(1, 1), padding="same", act=None,
    with_bias=True, zp=(120, 140), zw=128, wide=False, gain=1.0, s_in=0.05, s_out=0.047, s_w=None, bias=None,
)


def scale_and_bias(rng, g, case, terms, channels):
    """The scale of weights that fill the output's range, and the bias operand."""
    s_w = case["s_w"]
    if s_w is None:
        s_w = case["gain"] * 45.0 * case["s_out"] / (np.sqrt(terms) * 73.0 * 50.0 * case["s_in"])
    s_w = float(np.float32(s_w))
    reach = case["bias"] or max(2, int(np.sqrt(terms) * 73 * 50))
    values = rng.integers(-reach, reach + 1, channels)
    return s_w, g.const(values, np.float32(case["s_in"]) * np.float32(s_w), dtype="i32")


def add_conv(suite, name, depthwise, given):
    """CONV_2D or DEPTHWISE_CONV_2D."""
    case, name = DEFAULTS | ({"out": 1} if depthwise else {}) | given, f"uint8/{name}"
    rng, g = rng_of(name), Graph()
    n, h, w, depth = case["shape"]
    (kh, kw), (sh, sw), (dh, dw) = case["kernel"], case["stride"], case["dilation"]
    channels = depth * case["out"] if depthwise else case["out"]
    shape = (1, kh, kw, channels) if depthwise else (channels, kh, kw, depth)
    terms = kh * kw * (1 if depthwise else depth)
    x = g.input(case["shape"], case["s_in"], case["zp"][0], "u8")
    s_w, b = scale_and_bias(rng, g, case, terms, channels)
    f = g.const(filters(rng, shape, case["zw"], case["wide"]), s_w, case["zw"], "u8")
    out = (n, window(h, kh, sh, dh, case["padding"]), window(w, kw, sw, dw, case["padding"]), channels)
    y = g.output(out, case["s_out"], case["zp"][1], "u8")
    fields = dict(padding=PADDINGS[case["padding"]], strideH=sh, strideW=sw, dilationHFactor=dh, dilationWFactor=dw,
                  fusedActivationFunction=ACTIVATIONS[case["act"]])
    inputs = [x, f, b]
    if not case["with_bias"]:
        inputs[2] = g.const(np.zeros(channels), np.float32(case["s_in"]) * np.float32(s_w), dtype="i32")
    if depthwise:
        g.op("DEPTHWISE_CONV_2D", inputs, [y], "DepthwiseConv2DOptions", depthMultiplier=case["out"], **fields)
    else:
        g.op("CONV_2D", inputs, [y], "Conv2DOptions", **fields)
    suite.add(name, g, runner=litert)


def add_dense(suite, name, rows=1, inputs=17, outputs=6, **given):
    """FULLY_CONNECTED."""
    case, name = DEFAULTS | given, f"uint8/{name}"
    rng, g = rng_of(name), Graph()
    x = g.input((rows, inputs), case["s_in"], case["zp"][0], "u8")
    s_w, b = scale_and_bias(rng, g, case, inputs, outputs)
    f = g.const(filters(rng, (outputs, inputs), case["zw"], case["wide"]), s_w, case["zw"], "u8")
    y = g.output((rows, outputs), case["s_out"], case["zp"][1], "u8")
    g.op("FULLY_CONNECTED", [x, f, b], [y], "FullyConnectedOptions",
         fusedActivationFunction=ACTIVATIONS[case["act"]])
    suite.add(name, g, runner=litert)


def add_transposed(suite, name, **given):
    """TRANSPOSE_CONV."""
    case, name = DEFAULTS | dict(stride=(2, 2), shape=(1, 3, 4, 5)) | given, f"uint8/{name}"
    rng, g = rng_of(name), Graph()
    n, h, w, depth = case["shape"]
    (kh, kw), (sh, sw) = case["kernel"], case["stride"]
    out = (n, h * sh, w * sw, case["out"])
    shape = g.ints(list(out))
    s_w, _ = scale_and_bias(rng, g, case, kh * kw * depth / (sh * sw), case["out"])
    f = g.const(filters(rng, (case["out"], kh, kw, depth), case["zw"], case["wide"]), s_w, case["zw"], "u8")
    x = g.input(case["shape"], case["s_in"], case["zp"][0], "u8")
    y = g.output(out, case["s_out"], case["zp"][1], "u8")
    g.op("TRANSPOSE_CONV", [shape, f, x], [y], "TransposeConvOptions", padding=PADDINGS["same"], strideH=sh, strideW=sw)
    suite.add(name, g, runner=litert)


def add_one(suite, name, operator, shapes, out, options=None, constants=(), first=False, s_in=(0.05, 0.03),
            zp_in=(120, 131), s_out=0.047, zp_out=140, dtype="u8", **fields):
    """An operator of some inputs, and constants behind them or before, with one result or several."""
    name = f"uint8/{name}"
    g = Graph()
    xs = [g.input(shape, s_in[i % len(s_in)], zp_in[i % len(zp_in)], "u8") for i, shape in enumerate(shapes)]
    cs = [g.ints(c) for c in constants]
    outs = out if isinstance(out, list) else [out]
    ys = [g.output(shape, s_out, zp_out, dtype) for shape in outs]
    g.op(operator, cs + xs if first else xs + cs, ys, options, **fields)
    suite.add(name, g, samples=10, runner=litert)


def pool(suite, name, operator, size, kernel, stride, padding="valid", act=None):
    h, w, c = size
    out = (1, window(h, kernel[0], stride[0], 1, padding), window(w, kernel[1], stride[1], 1, padding), c)
    add_one(suite, name, operator, [(1, h, w, c)], out, "Pool2DOptions", s_in=(0.05,), zp_in=(120,), s_out=0.05,
            zp_out=120, padding=PADDINGS[padding], filterHeight=kernel[0], filterWidth=kernel[1], strideH=stride[0],
            strideW=stride[1], fusedActivationFunction=ACTIVATIONS[act])


def small_network(suite):
    """As MobileNets of TensorFlow 1: uint8 from end to end, all weights with a zero point of their own."""
    name = "uint8/network"
    rng, g = rng_of(name), Graph()
    x, s_x, z_x, size, depth = g.input((1, 12, 12, 3), 1 / 128, 128, "u8"), 1 / 128, 128, 12, 3
    for number, (kind, out, stride) in enumerate(
        [("conv", 8, 2), ("depthwise", 8, 1), ("conv1", 16, 1), ("depthwise", 16, 2), ("conv1", 16, 1)]
    ):
        k = 1 if kind == "conv1" else 3
        zw, size = [118, 141, 97, 160, 131][number], -(-size // stride)
        depthwise = kind == "depthwise"
        case = DEFAULTS | dict(s_in=s_x, s_out=6 / 255)
        s_w, b = scale_and_bias(rng, g, case, k * k * (1 if depthwise else depth), out)
        f = g.const(filters(rng, (1, k, k, out) if depthwise else (out, k, k, depth), zw, True), s_w, zw, "u8")
        y = g.tensor((1, size, size, out), "u8", 6 / 255, 0)
        fields = dict(padding=PADDINGS["same"], strideH=stride, strideW=stride, dilationHFactor=1, dilationWFactor=1,
                      fusedActivationFunction=ACTIVATIONS["relu6"])
        if depthwise:
            g.op("DEPTHWISE_CONV_2D", [x, f, b], [y], "DepthwiseConv2DOptions", depthMultiplier=1, **fields)
        else:
            g.op("CONV_2D", [x, f, b], [y], "Conv2DOptions", **fields)
        x, s_x, z_x, depth = y, 6 / 255, 0, out
    y = g.tensor((1, size, size, depth), "u8", 0.031, 10)
    g.op("ADD", [x, x], [y], "AddOptions", fusedActivationFunction=0)
    x = g.tensor((1, 1, 1, depth), "u8", 0.031, 10)
    kernel = dict(filterHeight=size, filterWidth=size)
    g.op("AVERAGE_POOL_2D", [y], [x], "Pool2DOptions", padding=PADDINGS["valid"], strideH=1, strideW=1, **kernel)
    y = g.tensor((1, depth), "u8", 0.031, 10)
    g.op("RESHAPE", [x, g.ints([1, depth])], [y], "ReshapeOptions", newShape=[1, depth])
    s_w, b = scale_and_bias(rng, g, DEFAULTS | dict(s_in=0.031, s_out=0.1), depth, 5)
    f = g.const(filters(rng, (5, depth), 105, True), s_w, 105, "u8")
    x = g.tensor((1, 5), "u8", 0.1, 128)
    g.op("FULLY_CONNECTED", [y, f, b], [x], "FullyConnectedOptions", fusedActivationFunction=0)
    y = g.output((1, 5), 1 / 256, 0, "u8")
    g.op("SOFTMAX", [x], [y], "SoftmaxOptions", beta=1.0)
    suite.add(name, g, samples=8, runner=litert)


def cases(suite):
    """All of them."""
    for name, given in CONV.items():
        add_conv(suite, name, False, given)
    for name, given in DEPTHWISE.items():
        add_conv(suite, name, True, given)
    add_dense(suite, "dense")
    add_dense(suite, "dense_wide", zw=90, wide=True)
    add_dense(suite, "dense_wide_rows", rows=5, zw=160, wide=True, act="relu")
    add_dense(suite, "dense_wide_all", rows=2, inputs=40, zw=10, wide="all", gain=0.5)
    add_transposed(suite, "transposed")
    add_transposed(suite, "transposed_wide", zw=90, wide=True)

    four, none = (1, 3, 5, 7), dict(fusedActivationFunction=0)
    add_one(suite, "add", "ADD", [four, four], four, "AddOptions", **none)
    add_one(suite, "add_broadcast_relu6", "ADD", [four, (1, 1, 1, 7)], four, "AddOptions", fusedActivationFunction=3)
    add_one(suite, "sub", "SUB", [four, four], four, "SubOptions", **none)
    add_one(suite, "mul", "MUL", [four, four], four, "MulOptions", s_out=0.1, zp_out=128, **none)
    same = dict(s_in=(0.05,), zp_in=(120,), s_out=0.05, zp_out=120)
    add_one(suite, "maximum", "MAXIMUM", [four, four], four, "MaximumMinimumOptions", **same)
    add_one(suite, "minimum", "MINIMUM", [four, four], four, "MaximumMinimumOptions", **same)
    pool(suite, "average_pool_2x2", "AVERAGE_POOL_2D", (6, 8, 5), (2, 2), (2, 2))
    pool(suite, "average_pool_3x3_same", "AVERAGE_POOL_2D", (6, 7, 5), (3, 3), (1, 1), "same")
    pool(suite, "average_pool_2x3_relu", "AVERAGE_POOL_2D", (6, 9, 4), (2, 3), (2, 3), act="relu")
    pool(suite, "average_pool_whole", "AVERAGE_POOL_2D", (7, 7, 9), (7, 7), (1, 1))
    pool(suite, "average_pool_whole_even", "AVERAGE_POOL_2D", (6, 4, 9), (6, 4), (1, 1))
    pool(suite, "max_pool", "MAX_POOL_2D", (6, 7, 5), (3, 2), (2, 2), "same")
    every = (1, 256)
    softmax = dict(s_out=1 / 256, zp_out=0)
    add_one(suite, "softmax", "SOFTMAX", [(4, 10)], (4, 10), "SoftmaxOptions", s_in=(0.1,), beta=1.0, **softmax)
    add_one(suite, "softmax_steep", "SOFTMAX", [(2, 33)], (2, 33), "SoftmaxOptions", s_in=(0.7,), beta=1.0, **softmax)
    add_one(suite, "logistic", "LOGISTIC", [every], every, s_in=(0.07,), **softmax)
    add_one(suite, "logistic_wide", "LOGISTIC", [every], every, s_in=(0.15,), zp_in=(60,), **softmax)
    add_one(suite, "tanh", "TANH", [every], every, s_in=(0.04,), s_out=1 / 128, zp_out=128)
    for name, operator, zero_point, out in [
        ("logistic_near_tie", "LOGISTIC", 128, softmax), ("tanh_near_tie", "TANH", 0, dict(s_out=1 / 128, zp_out=128))
    ]:
        add_one(suite, name, operator, [every], every, s_in=(1 / 256,), zp_in=(zero_point,), **out)
    add_one(suite, "relu", "RELU", [every], every)
    add_one(suite, "relu6", "RELU6", [every], every, s_out=6 / 255, zp_out=0)
    add_one(suite, "relu_n1_to_1", "RELU_N1_TO_1", [every], every)
    add_one(suite, "leaky_relu", "LEAKY_RELU", [every], every, "LeakyReluOptions", alpha=0.1)
    add_one(suite, "leaky_relu_ties", "LEAKY_RELU", [every], every, "LeakyReluOptions", alpha=0.25, s_in=(0.07,),
            s_out=0.028)
    add_one(suite, "mul_ties", "MUL", [every, every], every, "MulOptions", s_in=(0.07, 0.05), s_out=0.014, zp_out=128,
            **none)
    add_one(suite, "hard_swish", "HARD_SWISH", [every], every, "HardSwishOptions")
    join = dict(axis=3, fusedActivationFunction=0)
    add_one(suite, "concatenation", "CONCATENATION", [four, four], (1, 3, 5, 14), "ConcatenationOptions", **same, **join)
    add_one(suite, "concatenation_scales_differ", "CONCATENATION", [four, (1, 3, 5, 2), four], (1, 3, 5, 16),
            "ConcatenationOptions", s_in=(0.05, 0.03, 0.047), zp_in=(120, 131, 140), **join)
    add_one(suite, "pad", "PAD", [four], (1, 5, 8, 7), "PadOptions", constants=[[[0, 0], [1, 1], [1, 2], [0, 0]]], **same)
    add_one(suite, "mean", "MEAN", [(1, 5, 5, 6)], (1, 6), "ReducerOptions", constants=[[1, 2]])
    add_one(suite, "mean_same_scale", "MEAN", [(1, 4, 6, 6)], (1, 6), "ReducerOptions", constants=[[1, 2]], **same)
    add_one(suite, "mean_keep_dims", "MEAN", [(1, 4, 6, 6)], (1, 1, 1, 6), "ReducerOptions", constants=[[1, 2]],
            keepDims=True, **same)
    add_one(suite, "mean_channels", "MEAN", [(1, 4, 6, 6)], (1, 4, 6), "ReducerOptions", constants=[[3]], **same)
    for name, shape, out, fields in [
        ("twice", (1, 4, 5, 3), (8, 10), {}),
        ("corners", (1, 5, 5, 3), (17, 9), dict(alignCorners=True)),
        ("half_pixels", (1, 4, 4, 3), (8, 8), dict(halfPixelCenters=True)),
        ("thirds", (1, 4, 5, 3), (12, 7), {}),
        ("smaller", (1, 9, 8, 3), (4, 5), {}),
        ("corners_odd", (1, 4, 6, 2), (11, 13), dict(alignCorners=True)),
    ]:
        add_one(suite, f"resize_bilinear_{name}", "RESIZE_BILINEAR", [shape], (1, *out, shape[3]),
                "ResizeBilinearOptions", constants=[list(out)], **same, **fields)
    add_one(suite, "resize_nearest", "RESIZE_NEAREST_NEIGHBOR", [(1, 4, 5, 3)], (1, 8, 7, 3),
            "ResizeNearestNeighborOptions", constants=[[8, 7]], **same)
    add_one(suite, "strided_slice", "STRIDED_SLICE", [four], (1, 2, 2, 7), "StridedSliceOptions",
            constants=[[0, 1, 0, 0], [1, 3, 4, 7], [1, 1, 2, 1]], **same)
    add_one(suite, "split", "SPLIT", [(1, 3, 5, 8)], [(1, 3, 5, 4)] * 2, "SplitOptions", constants=[3], first=True,
            numSplits=2, **same)
    add_one(suite, "transpose", "TRANSPOSE", [four], (1, 7, 3, 5), "TransposeOptions", constants=[[0, 3, 1, 2]], **same)
    add_one(suite, "reshape", "RESHAPE", [four], (1, 105), "ReshapeOptions", constants=[[1, 105]], newShape=[1, 105],
            **same)
    add_one(suite, "quantize", "QUANTIZE", [every], every, "QuantizeOptions")
    add_one(suite, "dequantize", "DEQUANTIZE", [every], every, "DequantizeOptions", s_out=None, dtype="f32")
    add_one(suite, "arg_max", "ARG_MAX", [(3, 9)], (3,), "ArgMaxOptions", constants=[1], s_out=None, dtype="i32",
            outputType=2)
    small_network(suite)
