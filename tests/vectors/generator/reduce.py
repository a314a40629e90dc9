"""MEAN, SUM, REDUCE_MAX, REDUCE_MIN, ARG_MAX, ARG_MIN and CUMSUM."""

import numpy as np

from .model import Graph, schema

# name: (shape, axes)
AXES = {
    "image": ((1, 4, 3, 5), [1, 2]),
    "image_swapped": ((1, 4, 3, 5), [2, 1]),
    "image_batch_2": ((2, 3, 2, 3), [1, 2]),
    "image_negative_axes": ((1, 3, 2, 3), [-3, -2]),
    "image_depth_1": ((1, 5, 7, 1), [1, 2]),
    "image_one_pixel": ((1, 1, 1, 4), [1, 2]),
    "image_16x16": ((1, 16, 16, 2), [1, 2]),
    "rows": ((1, 4, 3, 5), [1]),
    "columns": ((1, 4, 3, 5), [2]),
    "channels": ((1, 4, 3, 5), [3]),
    "batch": ((3, 2, 2, 2), [0]),
    "columns_and_channels": ((1, 3, 4, 5), [2, 3]),
    "rows_and_channels": ((1, 3, 4, 5), [1, 3]),
    "all_but_batch": ((2, 3, 4, 2), [1, 2, 3]),
    "all": ((1, 3, 4, 5), [0, 1, 2, 3]),
    "sequence": ((2, 5, 3), [1]),
    "sequence_last": ((2, 3, 5), [-1]),
    "sequence_first": ((4, 3, 2), [0]),
    "sequence_two": ((2, 3, 4), [1, 2]),
    "rows_2d": ((3, 7), [0]),
    "columns_2d": ((3, 7), [1]),
    "vector": ((9,), [0]),
    "pairs": ((1, 32, 2), [2]),
    "fours": ((1, 32, 4), [2]),
    "repeated_axis": ((2, 3, 4), [1, 1]),
}

# name: (input scale, input zero point, output scale, output zero point)
NUMBERS = {
    "rescales": (0.05, -7, 0.031, 12),
    "rescales_larger": (0.02, 30, 0.07, -60),
    "zero_point_only": (0.05, -7, 0.05, 20),
    "zero_points_low": (0.05, -128, 0.04, -128),
    "zero_points_high": (0.05, 127, 0.04, 127),
}


# name: (shape, axis, exclusive, reverse)
SUMS = {
    "vector": ((13,), 0, False, False),
    "exclusive": ((2, 9), 1, True, False),
    "reverse": ((2, 9), 1, False, True),
    "exclusive_reverse": ((2, 9), 1, True, True),
    "first_axis": ((5, 4), 0, False, False),
    "first_axis_reverse": ((5, 4), 0, False, True),
    "middle_axis": ((2, 4, 3), 1, False, False),
    "middle_axis_exclusive_reverse": ((2, 4, 3), 1, True, True),
    "negative_axis": ((1, 3, 2, 5), -1, False, False),
    "one_element": ((3, 1), 1, False, False),
    "one_element_exclusive": ((3, 1), 1, True, False),
    "sixteen": ((2, 15), 1, False, False),
}

# name: (input scale, input zero point, output scale, output zero point)
SUM_NUMBERS = {
    "symmetric": (0.05, 0, 0.2, -3),
    "same_scale": (0.05, 0, 0.05, 0),
    "zero_points": (0.05, -7, 0.31, 12),
    "zero_point_low": (0.05, -128, 0.4, -128),
    "zero_point_high": (0.05, 127, 0.4, 127),
    "tie_half": (0.5, 0, 1.0, 1),
    "tie_eighth": (0.125, 4, 1.0, 0),
}


def running_sums(suite):
    """CUMSUM, short enough that TFLM's sums do not overflow."""
    for name, (shape, axis, exclusive, reverse) in SUMS.items():
        for numbers_name, (s_in, zp_in, s_out, zp_out) in SUM_NUMBERS.items():
            if numbers_name not in ("zero_points", "tie_half") and name not in ("vector", "exclusive_reverse", "middle_axis"):
                continue
            g = Graph()
            x = g.input(shape, s_in, zp_in)
            y = g.output(shape, s_out, zp_out)
            g.op("CUMSUM", [x, g.ints([axis])], [y], "CumsumOptions", exclusive=exclusive, reverse=reverse)
            suite.add(f"cumsum/{name}_{numbers_name}", g)


def reduce(suite, builtin, case_name, shape, axes, keep, numbers):
    """One case of one reducer."""
    s_in, zp_in, s_out, zp_out = numbers
    g = Graph()
    x = g.input(shape, s_in, zp_in)
    out = np.zeros(shape).sum(tuple({a % len(shape) for a in axes}), keepdims=keep).shape
    g.op(builtin, [x, g.ints(axes)], [g.output(out, s_out, zp_out)], "ReducerOptions", keepDims=keep)
    suite.add(f"{builtin.lower()}/{case_name}", g)


def cases(suite):
    """Every axis set with and without `keep_dims`; other scales with some."""
    same = (0.05, -7, 0.05, -7)
    for builtin in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"):
        arithmetic = builtin in ("MEAN", "SUM")
        for name, (shape, axes) in AXES.items():
            for keep in (False, True):
                if not arithmetic and keep and name not in ("image", "channels", "all", "vector"):
                    continue
                suite_name = f"{name}_keep_dims" if keep else name
                reduce(suite, builtin, suite_name, shape, axes, keep, same)
        if not arithmetic:
            continue
        for name in ("image", "image_batch_2", "channels", "columns_and_channels", "sequence", "columns_2d", "all"):
            shape, axes = AXES[name]
            for numbers_name, numbers in NUMBERS.items():
                s_in, zp_in, s_out, zp_out = numbers
                if builtin == "SUM":
                    s_out *= 4  # Sums reach further.
                keep = name in ("image", "columns_2d") and numbers_name != "rescales_larger"
                reduce(suite, builtin, f"{name}_{numbers_name}", shape, axes, keep, (s_in, zp_in, s_out, zp_out))
        for name, (shape, axes) in {"pairs": ((1, 32, 2), [2]), "image_pairs": ((1, 2, 1, 32), [1, 2])}.items():
            reduce(suite, builtin, f"{name}_tie", shape, axes, True, (0.5, 0, 1.0, 1))
            reduce(suite, builtin, f"{name}_tie_same_scale", shape, axes, True, (0.5, 0, 0.5, 0))
    for builtin in ("ARG_MAX", "ARG_MIN"):
        for name, shape, axis in (
            ("rows_3", (3, 10), 1), ("negative_axis", (3, 10), -1), ("first_axis", (4, 5), 0), ("vector", (13,), 0),
            ("image_channels", (1, 3, 4, 5), 3), ("image_rows", (1, 5, 2, 3), 1), ("sequence", (2, 6, 3), 1),
            ("one_class", (4, 1), 1),
        ):
            g = Graph()
            x = g.input(shape, 0.05, -7)
            y = g.output(np.zeros(shape).argmax(axis).shape, dtype="i32")
            options = "ArgMaxOptions" if builtin == "ARG_MAX" else "ArgMinOptions"
            g.op(builtin, [x, g.ints([axis])], [y], options, outputType=schema.TensorType.INT32)
            suite.add(f"{builtin.lower()}/{name}", g, samples=8)
    running_sums(suite)
