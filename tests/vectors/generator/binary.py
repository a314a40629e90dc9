"""ADD, SUB, MUL, MAXIMUM and MINIMUM, with broadcasting."""

import numpy as np

from .model import ACTIVATIONS, Graph
from .suite import rng_of

DEFAULTS = dict(
    left=(1, 3, 4, 5), right=(1, 3, 4, 5), scales=(0.051, 0.032, 0.07), zp=(-3, 11, 5), act=None, constant=None,
    dtype="i8",
)

# Shapes and constants: for every operator.
SHAPES = {
    "same_shape": {},
    "same_shape_2d": dict(left=(3, 7), right=(3, 7)),
    "same_shape_1d": dict(left=(9,), right=(9,)),
    "one_value": dict(left=(1, 1, 1, 1), right=(1, 1, 1, 1)),
    "scalar_right": dict(right=(1,)),
    "scalar_left": dict(left=(1,)),
    "scalar_rank_0_constant": dict(right=(), constant="right"),
    "channels_right": dict(right=(5,)),
    "channels_left": dict(left=(5,)),
    "channels_right_4d": dict(right=(1, 1, 1, 5)),
    "pixels_right": dict(right=(1, 3, 4, 1)),
    "rows_right": dict(right=(1, 3, 1, 5)),
    "columns_left": dict(left=(1, 1, 4, 5)),
    "middle_axes": dict(left=(2, 3, 4, 2), right=(2, 1, 1, 2)),
    "one_middle_axis": dict(left=(2, 3, 4, 2), right=(1, 3, 1, 1)),
    "both_broadcast": dict(left=(1, 3, 1, 5), right=(2, 1, 4, 1)),
    "both_broadcast_2d": dict(left=(4, 1), right=(1, 6)),
    "batch": dict(left=(3, 2, 2, 2), right=(1, 2, 2, 2)),
    "rank_3_and_2": dict(left=(2, 3, 4), right=(3, 4)),
    "five_dimensional": dict(left=(2, 1, 3, 2, 2), right=(2, 1, 3, 2, 2)),
    "five_dimensional_broadcast": dict(left=(2, 1, 3, 2, 2), right=(1, 1, 3, 1, 2)),
    "constant_right": dict(constant="right"),
    "constant_left": dict(constant="left"),
    "constant_channels_right": dict(right=(5,), constant="right"),
    "constant_channels_left": dict(left=(5,), constant="left"),
    "constant_scalar_left": dict(left=(1,), constant="left"),
}

# Numbers: for the operators that rescale.
NUMBERS = {
    "relu": dict(act="relu"),
    "relu6": dict(act="relu6"),
    "relu_n1_to_1": dict(act="relu_n1_to_1"),
    "relu_broadcast": dict(act="relu", right=(5,)),
    "zero_points_low": dict(zp=(-128, -128, -128)),
    "zero_points_high": dict(zp=(127, 127, 127)),
    "zero_points_opposed": dict(zp=(-128, 127, 0)),
    "equal_scales": dict(scales=(0.05, 0.05, 0.05), zp=(0, 0, 0)),
    "tie": dict(scales=(0.5, 0.5, 1.0), zp=(0, 0, 0), left=(16, 16), right=(16, 16)),
    "tie_quarter": dict(scales=(0.25, 0.5, 1.0), zp=(1, -1, 2), left=(16, 16), right=(16, 16)),
    "unequal_scales": dict(scales=(4.0, 0.001, 3.0)),
    "unequal_scales_reversed": dict(scales=(0.0003, 1.7, 1.1)),
    "output_scale_small": dict(scales=(0.05, 0.04, 0.001)),
    "output_scale_large": dict(scales=(0.05, 0.04, 3.0)),
    "saturates": dict(scales=(0.9, 0.8, 0.1)),
}


# Sums of int16: which shapes, and numbers of their own.
INT16_SHAPES = (
    "same_shape", "same_shape_1d", "scalar_right", "channels_left", "rows_right", "middle_axes", "both_broadcast",
    "rank_3_and_2", "constant_right", "constant_channels_left",
)
INT16_NUMBERS = {
    "relu": dict(act="relu"),
    "relu6": dict(act="relu6"),
    "relu_n1_to_1": dict(act="relu_n1_to_1", scales=(1e-4, 2e-4, 1.5e-4)),
    "zero_points": dict(zp=(300, -4000, 17)),
    "zero_points_opposed": dict(zp=(-32000, 32000, 0)),
    "equal_scales": dict(scales=(0.05, 0.05, 0.05)),
    "tie": dict(scales=(0.5, 0.5, 1.0), left=(16, 16), right=(16, 16)),
    "tie_quarter": dict(scales=(0.25, 0.5, 1.0), zp=(1, -1, 2), left=(16, 16), right=(16, 16)),
    "unequal_scales": dict(scales=(4.0, 0.001, 3.0)),
    "unequal_scales_reversed": dict(scales=(0.0003, 1.7, 1.1)),
    "output_scale_small": dict(scales=(0.05, 0.04, 0.001)),
    "output_scale_large": dict(scales=(0.05, 0.04, 3.0)),
    "saturates": dict(scales=(0.9, 0.8, 0.1)),
}


def add_binary(suite, builtin, case_name, **given):
    """One case of one operator."""
    case, name = DEFAULTS | given, f"{builtin.lower()}/{case_name}"
    rng, g = rng_of(name), Graph()
    scales, zp, dtype = case["scales"], case["zp"], case["dtype"]
    low = -128 if dtype == "i8" else -32768
    if builtin in ("MAXIMUM", "MINIMUM"):
        scales, zp = (scales[0],) * 3, (zp[0],) * 3  # They compare raw values.
    operands = []
    for index, side in enumerate(("left", "right")):
        shape = case[side]
        if case["constant"] == side:
            operands.append(g.const(rng.integers(low, -low, shape), scales[index], zp[index], dtype=dtype))
        else:
            operands.append(g.input(shape, scales[index], zp[index], dtype=dtype))
    y = g.output(np.broadcast_shapes(case["left"], case["right"]), scales[2], zp[2], dtype=dtype)
    if builtin in ("MAXIMUM", "MINIMUM"):
        g.op(builtin, operands, [y], "MaximumMinimumOptions")
    else:
        g.op(builtin, operands, [y], f"{builtin.title()}Options", fusedActivationFunction=ACTIVATIONS[case["act"]])
    suite.add(name, g)


def add_n(suite):
    """ADD_N, whose operands share their scale."""
    for name, count, shape, scales, zero_points in (
        ("three", 3, (1, 4, 5, 3), (0.05, 0.09), (-7, 3)),
        ("two", 2, (2, 9), (0.05, 0.05), (0, 0)),
        ("five", 5, (1, 30), (0.03, 0.11), (12, -100)),
        ("zero_points_low", 3, (1, 30), (0.05, 0.1), (-128, -128)),
        ("zero_points_high", 3, (1, 30), (0.05, 0.1), (127, 127)),
        ("tie", 2, (1, 64), (0.5, 1.0), (0, 0)),
    ):
        g = Graph()
        inputs = [g.input(shape, scales[0], zero_points[0]) for _ in range(count)]
        g.op("ADD_N", inputs, [g.output(shape, scales[1], zero_points[1])], "AddNOptions")
        suite.add(f"add_n/{name}", g)


def cases(suite):
    """All binary operators."""
    for builtin in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM"):
        for name, case in SHAPES.items():
            add_binary(suite, builtin, name, **case)
        if builtin in ("MAXIMUM", "MINIMUM"):
            continue
        for name, case in NUMBERS.items():
            if builtin == "MUL" and name == "zero_points_high":
                continue  # All products are positive: below.
            add_binary(suite, builtin, name, **case)
    for builtin in ("ADD", "SUB"):
        for name, case in ({name: SHAPES[name] for name in INT16_SHAPES} | INT16_NUMBERS).items():
            add_binary(suite, builtin, f"int16_{name}", **(dict(zp=(0, 0, 0)) | case | dict(dtype="i16")))
    # Products of two full-range values need a larger output scale than sums.
    for name, scales, zp in (
        ("full_range", (0.05, 0.04, 0.25), (-3, 11, 5)),
        ("full_range_low", (0.05, 0.04, 0.51), (-128, -128, -128)),
        ("zero_points_high", (0.05, 0.04, 0.51), (127, 127, -128)),
        ("multiplier_above_one", (1.5, 1.25, 1.0), (0, 0, 0)),
        ("multiplier_tiny", (1e-4, 1e-4, 1e-5), (3, -4, 9)),
        ("tie_half", (0.5, 0.5, 0.5), (0, 0, 0)),
        ("tie_128th", (0.125, 0.125, 2.0), (0, 0, -1)),
    ):
        add_binary(suite, "MUL", name, scales=scales, zp=zp, left=(8, 16), right=(8, 16))
    add_n(suite)
