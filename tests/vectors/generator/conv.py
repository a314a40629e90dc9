"""CONV_2D, DEPTHWISE_CONV_2D and TRANSPOSE_CONV."""

import numpy as np

from .model import ACTIVATIONS, NONE, PADDINGS, Graph
from .numbers import bias, weight_scales, weights, window
from .suite import rng_of

# Names of the arguments are those of the cases below.
DEFAULTS = dict(
    shape=(1, 5, 4, 3), out=4, kernel=(3, 3), stride=(1, 1), dilation=(1, 1), padding="same",
    act=None, with_bias=True, per_channel=True, zp=(-3, 5), gain=1.0, groups=1, s_in=0.05,
    s_out=0.047, s_w=None, fixed=None, bias_values=None,
)

CONV = {
    "odd_same": {},
    "odd_valid": dict(padding="valid"),
    "pointwise": dict(kernel=(1, 1), shape=(1, 3, 5, 7), out=5),
    "pointwise_one_to_one": dict(kernel=(1, 1), shape=(1, 1, 1, 1), out=1),
    "pointwise_stride_2": dict(kernel=(1, 1), stride=(2, 2), shape=(1, 5, 6, 3)),
    "pointwise_16_to_8": dict(kernel=(1, 1), shape=(1, 3, 3, 16), out=8),
    "pointwise_17_to_9": dict(kernel=(1, 1), shape=(1, 2, 3, 17), out=9),
    "depth_1": dict(shape=(1, 6, 5, 1), out=3),
    "depth_5": dict(shape=(1, 4, 5, 5), out=7),
    "one_output_channel": dict(shape=(1, 5, 5, 4), out=1),
    "stride_2_same": dict(stride=(2, 2), shape=(1, 7, 6, 3)),
    "stride_2_valid": dict(stride=(2, 2), padding="valid", shape=(1, 7, 6, 3)),
    "stride_2_even_same": dict(stride=(2, 2), shape=(1, 8, 8, 3)),
    "stride_above_kernel": dict(stride=(3, 4), kernel=(2, 2), shape=(1, 8, 9, 2)),
    "stride_above_kernel_valid": dict(stride=(3, 4), kernel=(2, 2), shape=(1, 8, 9, 2), padding="valid"),
    "stride_rectangular": dict(stride=(1, 2), kernel=(3, 2), shape=(1, 5, 7, 2)),
    "kernel_rectangular": dict(kernel=(1, 5), shape=(1, 4, 7, 2)),
    "kernel_tall": dict(kernel=(10, 4), stride=(2, 2), shape=(1, 13, 7, 1), out=3),
    "kernel_even_same": dict(kernel=(2, 4), shape=(1, 5, 5, 3)),
    "kernel_above_image": dict(kernel=(5, 5), shape=(1, 2, 3, 3)),
    "kernel_equals_image": dict(kernel=(3, 4), shape=(1, 3, 4, 3), padding="valid"),
    "dilation_2_same": dict(dilation=(2, 2), shape=(1, 7, 6, 3)),
    "dilation_2_valid": dict(dilation=(2, 2), shape=(1, 7, 6, 3), padding="valid"),
    "dilation_rectangular": dict(dilation=(3, 1), shape=(1, 8, 4, 2)),
    "dilation_with_stride": dict(dilation=(2, 2), stride=(2, 2), shape=(1, 9, 8, 2)),
    "per_tensor": dict(per_channel=False),
    "no_bias": dict(with_bias=False),
    "no_bias_optional": dict(with_bias=False),
    "no_bias_per_tensor": dict(with_bias=False, per_channel=False),
    "batch_3": dict(shape=(3, 4, 3, 3)),
    "groups_2": dict(groups=2, shape=(1, 4, 4, 6), out=4),
    "groups_3_of_one": dict(groups=3, shape=(1, 4, 4, 3), out=6),
    "relu": dict(act="relu"),
    "relu6": dict(act="relu6", gain=2.0),
    "relu_n1_to_1": dict(act="relu_n1_to_1"),
    "relu_zero_point_low": dict(act="relu", zp=(-128, -128)),
    "relu6_zero_point_low": dict(act="relu6", zp=(-128, -128), s_out=6 / 255),
    "zero_points_low": dict(zp=(-128, -128)),
    "zero_points_high": dict(zp=(127, 127)),
    "zero_points_opposed": dict(zp=(127, -128)),
    "saturates": dict(gain=20.0),
    "multiplier_above_one": dict(kernel=(1, 1), shape=(1, 3, 3, 1), s_in=0.5, s_w=0.25, s_out=0.02,
                                 fixed=[[1], [-1], [2], [3]], with_bias=False),
    "multiplier_large": dict(kernel=(1, 1), shape=(1, 3, 3, 2), s_in=16.0, s_w=2.0, s_out=0.013,
                             fixed=[[1, 0], [-1, 1], [0, 2], [-3, 1]], with_bias=False),
    "multiplier_tiny": dict(s_in=1e-4, s_w=1e-5, s_out=1e-4),
    "multiplier_vanishes": dict(s_in=1e-6, s_w=1e-7, s_out=10.0, zp=(3, 17)),
    "tie_half": dict(kernel=(1, 1), shape=(1, 8, 16, 1), s_in=0.5, s_w=0.5, s_out=0.5, zp=(0, 0),
                     fixed=[[1], [-1], [3], [-3]], with_bias=False),
    "tie_sixteenth": dict(kernel=(1, 1), shape=(1, 8, 16, 1), s_in=0.5, s_w=0.125, s_out=1.0, zp=(1, -1),
                          fixed=[[1], [-1], [8], [-24]], with_bias=False),
    "tie_per_channel": dict(kernel=(1, 1), shape=(1, 8, 16, 1), s_in=1.0, s_w=[0.5, 0.25, 0.125, 2.0], s_out=1.0,
                            zp=(-1, 0), fixed=[[1], [2], [-7], [-1]], with_bias=False),
    "aligned_8_to_16": dict(shape=(1, 4, 4, 8), out=16),
    "aligned_4_to_8_valid": dict(shape=(1, 5, 5, 4), out=8, padding="valid"),
    "rows_long": dict(shape=(1, 2, 21, 4), out=5),
    "one_dimensional": dict(shape=(1, 1, 17, 3), kernel=(1, 3), out=4),
    "one_dimensional_column": dict(shape=(1, 17, 1, 3), kernel=(3, 1), stride=(2, 1), out=4),
    "bias_extreme": dict(kernel=(1, 1), s_w=4.5e-8, fixed=[[1, 2, 3], [-127, 127, 5], [127, 127, 127], [-127, 0, 90]],
                         bias_values=[1 << 30, -(1 << 30), (1 << 31) - 100_000, 100_000 - (1 << 31)]),
    "zero_channels": dict(kernel=(1, 1), shape=(1, 3, 4, 2), fixed=[[0, 0], [1, -90], [0, 0], [77, 127]], s_w=0.01),
}

DEPTHWISE = {
    "odd_same": {},
    "odd_valid": dict(padding="valid"),
    "depth_1": dict(shape=(1, 5, 6, 1)),
    "depth_5": dict(shape=(1, 5, 6, 5)),
    "depth_8": dict(shape=(1, 4, 5, 8)),
    "depth_19": dict(shape=(1, 3, 4, 19)),
    "multiplier_2": dict(out=2),
    "multiplier_3_valid": dict(out=3, padding="valid"),
    "multiplier_8_of_depth_1": dict(out=8, shape=(1, 6, 5, 1)),
    "multiplier_8": dict(out=8, shape=(1, 3, 4, 3)),
    "pointwise": dict(kernel=(1, 1), shape=(1, 4, 3, 5)),
    "one_by_one_image": dict(shape=(1, 1, 1, 3)),
    "stride_2_same": dict(stride=(2, 2), shape=(1, 7, 6, 4)),
    "stride_2_even_same": dict(stride=(2, 2), shape=(1, 8, 8, 4)),
    "stride_2_valid": dict(stride=(2, 2), shape=(1, 7, 6, 4), padding="valid"),
    "stride_above_kernel": dict(stride=(3, 3), kernel=(2, 2), shape=(1, 8, 7, 3)),
    "stride_rectangular": dict(stride=(2, 1), kernel=(3, 2), shape=(1, 7, 5, 2)),
    "kernel_rectangular": dict(kernel=(5, 1), shape=(1, 7, 4, 3)),
    "kernel_5x5": dict(kernel=(5, 5), shape=(1, 6, 7, 3)),
    "kernel_above_image": dict(kernel=(5, 5), shape=(1, 2, 3, 3)),
    "kernel_equals_image": dict(kernel=(5, 4), shape=(1, 5, 4, 3), padding="valid"),
    "dilation_2_same": dict(dilation=(2, 2), shape=(1, 7, 6, 3)),
    "dilation_2_valid": dict(dilation=(2, 2), shape=(1, 7, 6, 3), padding="valid"),
    "dilation_rectangular": dict(dilation=(1, 3), shape=(1, 4, 9, 2), out=2),
    "per_tensor": dict(per_channel=False),
    "no_bias": dict(with_bias=False),
    "batch_2": dict(shape=(2, 4, 5, 3)),
    "batch_2_multiplier_2": dict(shape=(2, 3, 4, 3), out=2),
    "relu": dict(act="relu"),
    "relu6": dict(act="relu6", gain=2.0),
    "relu_n1_to_1": dict(act="relu_n1_to_1"),
    "zero_points_low": dict(zp=(-128, -128)),
    "zero_points_high": dict(zp=(127, 127)),
    "saturates": dict(gain=20.0),
    "multiplier_above_one": dict(kernel=(1, 1), shape=(1, 4, 4, 3), s_in=0.5, s_w=0.25, s_out=0.02,
                                 fixed=[1, -2, 3], with_bias=False),
    "multiplier_tiny": dict(s_in=1e-4, s_w=1e-5, s_out=1e-4),
    "depth_33": dict(shape=(1, 3, 3, 33)),
    "rows_long": dict(shape=(1, 3, 17, 2)),
    "one_dimensional": dict(shape=(1, 1, 15, 3), kernel=(1, 5)),
    "bias_extreme": dict(kernel=(1, 1), shape=(1, 4, 4, 4), s_w=4.5e-8,
                         bias_values=[1 << 30, -(1 << 30), (1 << 31) - 100_000, 100_000 - (1 << 31)]),
    "tie_half": dict(kernel=(1, 1), shape=(1, 8, 16, 3), s_in=0.5, s_w=0.5, s_out=0.5, zp=(0, 0),
                     fixed=[1, -1, 3], with_bias=False),
}

TRANSPOSED = {
    "stride_1_same": {},
    "stride_1_valid": dict(padding="valid"),
    "stride_2_same": dict(stride=(2, 2)),
    "stride_2_valid": dict(stride=(2, 2), padding="valid"),
    "stride_3_kernel_2": dict(stride=(3, 3), kernel=(2, 2), shape=(1, 3, 2, 3)),
    "stride_3_kernel_2_valid": dict(stride=(3, 3), kernel=(2, 2), shape=(1, 3, 2, 3), padding="valid"),
    "stride_rectangular": dict(stride=(1, 2), kernel=(3, 4), shape=(1, 3, 4, 2)),
    "kernel_1": dict(kernel=(1, 1), shape=(1, 3, 4, 2)),
    "kernel_even_same": dict(kernel=(4, 4), stride=(2, 2), shape=(1, 4, 3, 2)),
    "kernel_5x5": dict(kernel=(5, 5), stride=(2, 2), shape=(1, 3, 3, 2), out=2),
    "odd_output_same": dict(stride=(2, 2), shape=(1, 3, 4, 2), shrink=(1, 1)),
    "one_pixel": dict(kernel=(3, 3), stride=(2, 2), shape=(1, 1, 1, 3), padding="valid"),
    "depth_1": dict(shape=(1, 3, 4, 1), out=1),
    "depth_5": dict(shape=(1, 2, 3, 5), out=3, stride=(2, 2)),
    "no_bias": dict(with_bias=False),
    "no_bias_stride_2": dict(with_bias=False, stride=(2, 2), padding="valid"),
    "per_tensor": dict(per_channel=False, stride=(2, 2)),
    "batch_2": dict(shape=(2, 3, 2, 3), stride=(2, 2)),
    "relu": dict(act="relu", stride=(2, 2)),
    "relu6": dict(act="relu6", gain=2.0),
    "zero_points_low": dict(zp=(-128, -128), stride=(2, 2)),
    "zero_points_high": dict(zp=(127, 127), stride=(2, 2), padding="valid"),
    "saturates": dict(gain=20.0),
}


def scales_of(case, rng, channels, terms):
    """The weight scales of a case: given by it, or spread over the output's range."""
    if case["s_w"] is not None:
        s_w = np.float32(case["s_w"])
        return np.broadcast_to(s_w, channels) if case["per_channel"] else np.atleast_1d(s_w)
    return weight_scales(rng, channels, terms, case["s_in"], case["s_out"], case["gain"], case["per_channel"])


def add_conv(suite, case_name, **given):
    """One CONV_2D case: filter `[out, height, width, depth / groups]`."""
    case, name = DEFAULTS | given, f"conv_2d/{case_name}"
    rng, g = rng_of(name), Graph()
    n, h, w, depth = case["shape"]
    (kh, kw), (sh, sw), (dh, dw) = case["kernel"], case["stride"], case["dilation"]
    shape = (case["out"], kh, kw, depth // case["groups"])
    values = weights(rng, shape) if case["fixed"] is None else np.reshape(case["fixed"], shape)
    terms = kh * kw * shape[3]
    s_w = scales_of(case, rng, case["out"], terms)
    x = g.input(case["shape"], case["s_in"], case["zp"][0])
    f = g.const(values, s_w)
    inputs = [x, f]
    if case["with_bias"]:
        inputs.append(bias(rng, g, case["out"], terms, case["s_in"], s_w, case["bias_values"]))
    elif case_name.endswith("optional"):
        inputs.append(NONE)
    out = (n, window(h, kh, sh, dh, case["padding"]), window(w, kw, sw, dw, case["padding"]), case["out"])
    y = g.output(out, case["s_out"], case["zp"][1])
    g.op("CONV_2D", inputs, [y], "Conv2DOptions", padding=PADDINGS[case["padding"]], strideH=sh, strideW=sw,
         dilationHFactor=dh, dilationWFactor=dw, fusedActivationFunction=ACTIVATIONS[case["act"]])
    suite.add(name, g)


def add_depthwise(suite, case_name, **given):
    """One DEPTHWISE_CONV_2D case; `out` is the depth multiplier."""
    case, name = DEFAULTS | {"out": 1} | given, f"depthwise_conv_2d/{case_name}"
    rng, g = rng_of(name), Graph()
    n, h, w, depth = case["shape"]
    (kh, kw), (sh, sw), (dh, dw) = case["kernel"], case["stride"], case["dilation"]
    channels = depth * case["out"]
    shape = (1, kh, kw, channels)
    values = weights(rng, shape) if case["fixed"] is None else np.reshape(case["fixed"], shape)
    s_w = scales_of(case, rng, channels, kh * kw)
    x = g.input(case["shape"], case["s_in"], case["zp"][0])
    f = g.const(values, s_w, qdim=3)
    inputs = [x, f]
    if case["with_bias"]:  # TFLM reads a missing bias only when the input is not there at all.
        inputs.append(bias(rng, g, channels, kh * kw, case["s_in"], s_w, case["bias_values"]))
    out = (n, window(h, kh, sh, dh, case["padding"]), window(w, kw, sw, dw, case["padding"]), channels)
    y = g.output(out, case["s_out"], case["zp"][1])
    g.op("DEPTHWISE_CONV_2D", inputs, [y], "DepthwiseConv2DOptions", padding=PADDINGS[case["padding"]],
         strideH=sh, strideW=sw, dilationHFactor=dh, dilationWFactor=dw, depthMultiplier=case["out"],
         fusedActivationFunction=ACTIVATIONS[case["act"]])
    suite.add(name, g)


def add_transposed(suite, case_name, **given):
    """One TRANSPOSE_CONV case; `shrink` takes rows and columns off the largest output that the stride allows."""
    case = DEFAULTS | dict(shape=(1, 4, 3, 3), shrink=(0, 0)) | given
    name = f"transpose_conv/{case_name}"
    rng, g = rng_of(name), Graph()
    n, h, w, depth = case["shape"]
    (kh, kw), (sh, sw) = case["kernel"], case["stride"]

    def length(size, kernel, stride, less):
        full = size * stride if case["padding"] == "same" else (size - 1) * stride + max(kernel, stride)
        return full - less

    out = (n, length(h, kh, sh, case["shrink"][0]), length(w, kw, sw, case["shrink"][1]), case["out"])
    terms = kh * kw * depth
    s_w = scales_of(case, rng, case["out"], terms)
    shape = g.ints(out)
    f = g.const(weights(rng, (case["out"], kh, kw, depth)), s_w)
    x = g.input(case["shape"], case["s_in"], case["zp"][0])
    y = g.output(out, case["s_out"], case["zp"][1])
    inputs = [shape, f, x]
    if case["with_bias"]:
        inputs.append(bias(rng, g, case["out"], terms, case["s_in"], s_w))
    g.op("TRANSPOSE_CONV", inputs, [y], "TransposeConvOptions", padding=PADDINGS[case["padding"]], strideH=sh,
         strideW=sw, fusedActivationFunction=ACTIVATIONS[case["act"]])
    suite.add(name, g)


def cases(suite):
    """All convolution cases."""
    for name, case in CONV.items():
        add_conv(suite, name, **case)
    for name, case in DEPTHWISE.items():
        add_depthwise(suite, name, **case)
    for name, case in TRANSPOSED.items():
        add_transposed(suite, name, **case)
