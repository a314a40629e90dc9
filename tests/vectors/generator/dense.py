"""FULLY_CONNECTED and BATCH_MATMUL."""

import numpy as np

from .model import ACTIVATIONS, NONE, Graph
from .numbers import bias, weight_scales, weights
from .suite import rng_of

DEFAULTS = dict(
    shape=(1, 7), out=5, act=None, with_bias=True, per_channel=False, zp=(-3, 5), gain=1.0, s_in=0.05,
    s_out=0.047, s_w=None, fixed=None, keep=False, bias_values=None,
)

DENSE = {
    "odd": {},
    "per_channel": dict(per_channel=True, out=6),
    "per_channel_no_bias": dict(per_channel=True, with_bias=False),
    "per_channel_relu": dict(per_channel=True, act="relu"),
    "per_channel_batch_3": dict(per_channel=True, shape=(3, 9)),
    "no_bias": dict(with_bias=False),
    "one_to_one": dict(shape=(1, 1), out=1),
    "one_output": dict(shape=(1, 13), out=1),
    "one_input": dict(shape=(1, 1), out=6),
    "batch_4": dict(shape=(4, 6)),
    "aligned_16_to_8": dict(shape=(1, 16), out=8),
    "wide_37_to_11": dict(shape=(1, 37), out=11),
    "input_3d_keep_dims": dict(shape=(2, 3, 5), keep=True, out=4),
    "input_4d_keep_dims": dict(shape=(1, 2, 2, 5), keep=True, out=3),
    "input_4d_to_2d": dict(shape=(2, 1, 1, 6)),
    "input_image_flattened": dict(shape=(1, 2, 3, 4), flatten=True),
    "relu": dict(act="relu"),
    "relu6": dict(act="relu6", gain=2.0),
    "relu_n1_to_1": dict(act="relu_n1_to_1"),
    "zero_points_low": dict(zp=(-128, -128)),
    "zero_points_high": dict(zp=(127, 127)),
    "saturates": dict(gain=20.0),
    "multiplier_above_one": dict(shape=(6, 2), s_in=0.5, s_w=0.25, s_out=0.02, 
                                 fixed=[[1, 0], [0, -1], [1, 1], [2, -1], [3, 0]], with_bias=False),
    "multiplier_tiny": dict(s_in=1e-4, s_w=1e-5, s_out=1e-5),
    "multiplier_vanishes": dict(s_in=1e-6, s_w=1e-7, s_out=10.0, zp=(3, 17)),
    "aligned_64_to_4": dict(shape=(1, 64), out=4),
    "long_sum": dict(shape=(1, 1100), out=2),
    "bias_extreme": dict(out=4, shape=(2, 3), s_w=4.5e-8,
                         bias_values=[1 << 30, -(1 << 30), (1 << 31) - 100_000, 100_000 - (1 << 31)]),
    # Where the double rounding of TFLM and a single one differ: halves and values just below them.
    "tie_half": dict(shape=(64, 1), out=4, s_in=0.5, s_w=0.5, s_out=0.5, zp=(0, 0), fixed=[[1], [-1], [3], [-3]],
                     with_bias=False),
    "tie_eighth": dict(shape=(64, 1), out=4, s_in=0.5, s_w=0.25, s_out=1.0, zp=(1, -1), fixed=[[1], [-1], [5], [-12]],
                       with_bias=False),
    "near_tie": dict(shape=(64, 1), out=4, s_in=1.0, s_w=0.49999997, s_out=127.0, zp=(0, 0),
                     fixed=[[127], [-127], [63], [-64]], with_bias=False),
}

# (left shape, right shape, more)
MATMUL = {
    "plain": ((2, 3, 5), (2, 5, 4), {}),
    "two_dimensional": ((3, 5), (5, 4), {}),
    "four_dimensional": ((2, 2, 3, 4), (2, 2, 4, 3), {}),
    "adj_x": ((2, 5, 3), (2, 5, 4), dict(adj_x=True)),
    "adj_y": ((2, 3, 5), (2, 4, 5), dict(adj_y=True)),
    "adj_both": ((2, 5, 3), (2, 4, 5), dict(adj_x=True, adj_y=True)),
    "broadcast_left": ((1, 3, 5), (3, 5, 2), {}),
    "broadcast_right": ((3, 3, 5), (1, 5, 2), {}),
    "broadcast_rank": ((2, 3, 4), (4, 3), {}),
    "broadcast_rank_left": ((3, 4), (2, 4, 3), {}),
    "broadcast_both": ((2, 1, 3, 4), (1, 3, 4, 2), {}),
    "broadcast_adj_y": ((2, 1, 3, 4), (1, 3, 2, 4), dict(adj_y=True)),
    "constant_right": ((2, 3, 5), (2, 5, 4), dict(constant="right")),
    "constant_right_two_dimensional": ((3, 5), (5, 4), dict(constant="right")),
    "constant_right_broadcast": ((3, 2, 5), (1, 5, 4), dict(constant="right")),
    "constant_right_adj_y": ((2, 3, 5), (2, 4, 5), dict(constant="right", adj_y=True)),
    "constant_left": ((2, 3, 5), (2, 5, 4), dict(constant="left")),
    "constant_left_adj_x": ((1, 5, 3), (1, 5, 4), dict(constant="left", adj_x=True)),
    "one_row": ((1, 1, 9), (1, 9, 3), {}),
    "one_column": ((1, 4, 6), (1, 6, 1), {}),
    "one_term": ((1, 4, 1), (1, 1, 5), {}),
    "zero_points_low": ((1, 3, 5), (1, 5, 4), dict(zp=(-128, -128, -128))),
    "zero_points_high": ((1, 3, 5), (1, 5, 4), dict(zp=(127, 127, -128))),
    "zero_points_zero": ((1, 3, 5), (1, 5, 4), dict(zp=(0, 0, 0))),
    "saturates": ((1, 3, 5), (1, 5, 4), dict(gain=16.0)),
    "multiplier_above_one": ((1, 6, 1), (1, 1, 6), dict(scales=(0.25, 0.5, 0.05))),
}


# Weights of four bits: shapes with and without a half byte at the end, and rows that end within one.
FOUR_BITS = {
    "int4_even": dict(shape=(1, 8), out=6),
    "int4_odd_inputs": dict(shape=(1, 7), out=6),
    "int4_odd_weights": dict(shape=(1, 5), out=3),
    "int4_one_weight": dict(shape=(1, 1), out=1),
    "int4_rows": dict(shape=(3, 9), out=5),
    "int4_wide": dict(shape=(1, 131), out=10),
    "int4_relu": dict(shape=(2, 17), out=9, act="relu"),
    "int4_no_bias": dict(shape=(1, 6), out=5, with_bias=False),
}


def add_dense(suite, case_name, flatten=False, four_bits=False, **given):
    """One FULLY_CONNECTED case: weights `[out, in]`."""
    case, name = DEFAULTS | given, f"fully_connected/{case_name}"
    rng, g = rng_of(name), Graph()
    depth = int(np.prod(case["shape"][1:])) if flatten else case["shape"][-1]
    values = weights(rng, (case["out"], depth)) if case["fixed"] is None else np.array(case["fixed"])
    if case["s_w"] is not None:
        s_w = np.float32([case["s_w"]])
    else:
        s_w = weight_scales(rng, case["out"], depth, case["s_in"], case["s_out"], case["gain"], case["per_channel"])
    x = g.input(case["shape"], case["s_in"], case["zp"][0])
    if four_bits:
        values, s_w = values >> 4, s_w * np.float32(16)
    f = g.const(values, s_w, dtype="i4" if four_bits else "i8")
    b = NONE
    if case["with_bias"]:
        b = bias(rng, g, case["out"], depth, case["s_in"], s_w, case["bias_values"])
    rows = int(np.prod(case["shape"])) // depth
    out = (*case["shape"][:-1], case["out"]) if case["keep"] else (rows, case["out"])
    y = g.output(out, case["s_out"], case["zp"][1])
    g.op("FULLY_CONNECTED", [x, f, b], [y], "FullyConnectedOptions", keepNumDims=case["keep"],
         fusedActivationFunction=ACTIVATIONS[case["act"]])
    suite.add(name, g)


def add_matmul(suite, case_name, left, right, adj_x=False, adj_y=False, constant=None, zp=(-3, 7, 2), gain=1.0,
               scales=None):
    """One BATCH_MATMUL case; each operand is an input or a constant."""
    name = f"batch_matmul/{case_name}"
    rng, g = rng_of(name), Graph()
    rows, terms = (left[-1], left[-2]) if adj_x else (left[-2], left[-1])
    columns = right[-2] if adj_y else right[-1]
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    if scales is None:
        s_out = 0.05
        scales = (0.04, gain * 45.0 * s_out / (np.sqrt(terms) * 73.0 * 73.0 * 0.04), s_out)
    operands = []
    for index, (side, shape) in enumerate((("left", left), ("right", right))):
        if constant == side:
            operands.append(g.const(rng.integers(-128, 128, shape), scales[index], zp[index]))
        else:
            operands.append(g.input(shape, scales[index], zp[index]))
    y = g.output((*batch, rows, columns), scales[2], zp[2])
    g.op("BATCH_MATMUL", operands, [y], "BatchMatMulOptions", adjX=adj_x, adjY=adj_y)
    suite.add(name, g)


def cases(suite):
    """All matrix product cases."""
    for name, case in DENSE.items():
        add_dense(suite, name, **case)
    for name, case in FOUR_BITS.items():
        add_dense(suite, name, four_bits=True, **case)
    for name, (left, right, more) in MATMUL.items():
        add_matmul(suite, name, left, right, **more)
