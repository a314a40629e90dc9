"""SOFTMAX and the unary functions of one tensor."""

import numpy as np

from .model import Graph

# name: (shape, input scale, input zero point, beta)
SOFTMAX = {
    "two_classes": ((4, 2), 0.1, 3, 1.0),
    "one_class": ((3, 1), 0.1, 3, 1.0),
    "twelve_classes": ((1, 12), 0.13, -7, 1.0),
    "hundred_classes": ((1, 100), 0.05, 20, 1.0),
    "rows_5": ((5, 7), 0.09, 0, 1.0),
    "three_dimensional": ((2, 3, 5), 0.07, -20, 1.0),
    "four_dimensional": ((1, 2, 3, 4), 0.07, -20, 1.0),
    "one_dimensional": ((6,), 0.07, -20, 1.0),
    "beta_half": ((3, 10), 0.1, 3, 0.5),
    "beta_2": ((3, 10), 0.1, 3, 2.0),
    "beta_10": ((3, 10), 0.1, 3, 10.0),
    "scale_small": ((3, 10), 0.0007, 0, 1.0),
    "scale_tiny": ((3, 10), 1e-6, 0, 1.0),
    "scale_large": ((3, 10), 1.9, -128, 1.0),
    "scale_huge": ((3, 10), 60.0, 127, 1.0),
    "scale_power_of_two": ((4, 16), 0.0625, 0, 1.0),
    "zero_point_low": ((3, 10), 0.1, -128, 1.0),
    "zero_point_high": ((3, 10), 0.1, 127, 1.0),
}


def all_values(rows=1):
    """Every int8 value once per row, as one sample: a unary function is known when these are."""
    values = np.arange(-128, 128).astype(np.int8)
    return [np.stack([np.roll(values, 85 * row) for row in range(rows)])[None]]


# builtin: {case: (input scale, input zero point, output scale, output zero point)}
UNARY = {
    "LOGISTIC": {
        "usual": (0.06, 4, 1 / 256, -128),
        "scale_large": (0.9, -128, 1 / 256, -128),
        "scale_small": (0.004, 0, 1 / 256, -128),
        "scale_tiny": (1e-6, 17, 1 / 256, -128),
        "scale_power_of_two": (0.0625, 0, 1 / 256, -128),
        "zero_point_high": (0.06, 127, 1 / 256, -128),
    },
    "TANH": {
        "usual": (0.03, 4, 1 / 128, 0),
        "scale_large": (0.9, -128, 1 / 128, 0),
        "scale_small": (0.004, 0, 1 / 128, 0),
        "scale_tiny": (1e-6, 17, 1 / 128, 0),
        "scale_power_of_two": (0.03125, 0, 1 / 128, 0),
        "zero_point_high": (0.03, 127, 1 / 128, 0),
    },
    "RELU": {
        "usual": (0.05, -9, 0.05, -9),
        "rescales": (0.05, -9, 0.027, -128),
        "shrinks": (0.05, 31, 0.11, -3),
        "tie": (0.5, 0, 1.0, -10),
        "zero_point_high": (0.05, 127, 0.05, 127),
        "multiplier_large": (1.0, 0, 0.01, -128),
    },
    "RELU6": {
        "usual": (0.05, -9, 0.05, -9),
        "usual_low": (6 / 255, -128, 6 / 255, -128),
        "equal_above_range": (0.01, 0, 0.01, 0),
        "scale_large": (1.0, 3, 1.0, 3),
        # Clamped on the input's grid, and not rescaled.
        "scales_differ": (0.05, -9, 0.027, -128),
        "zero_points_differ": (0.05, 31, 0.05, -3),
        "scales_differ_above_range": (0.01, 0, 0.02, -100),
        "scales_differ_low": (6 / 255, -128, 0.11, 127),
    },
    "LEAKY_RELU": {
        "usual": (0.05, -9, 0.05, -9),
        "rescales": (0.05, -9, 0.031, -40),
        "zero_point_high": (0.05, 127, 0.02, 60),
        "alpha_negative": (0.05, 10, 0.05, 0),
        "alpha_above_one": (0.05, 10, 0.08, 60),
        "alpha_zero": (0.05, 10, 0.05, 0),
        "tie": (0.5, 0, 1.0, 0),
    },
    "HARD_SWISH": {
        "usual": (0.05, -9, 0.04, -100),
        "rescales": (0.09, 30, 0.03, -60),
        "scale_large": (0.5, 0, 0.4, -20),
        "scale_small": (0.003, 0, 0.003, -20),
        "zero_point_low": (0.04, -128, 0.04, -128),
        "zero_point_high": (0.04, 127, 0.01, 64),
        "scale_power_of_two": (0.0625, 0, 0.03125, -64),
    },
    "ELU": {
        "usual": (0.05, -9, 0.05, -9),
        "rescales": (0.05, -9, 0.031, -96),
        "scale_large": (0.7, 20, 0.6, -128),
        "tie": (0.5, 0, 1.0, 0),
    },
    "ABS": {
        "usual": (0.05, -9, 0.05, -128),
        "same_scale": (0.05, 0, 0.05, 0),
        "rescales": (0.05, 40, 0.021, -128),
        "zero_point_low": (0.05, -128, 0.05, -128),
        "zero_point_high": (0.05, 127, 0.1, -60),
        "tie": (0.5, 0, 1.0, 0),
    },
    "RSQRT": {
        "usual": (0.05, -128, 0.02, -128),
        "fine": (0.4, -128, 0.01, -100),
        "large_input": (3.0, -128, 0.002, -128),
    },
}

ALPHA = {"alpha_negative": -0.4, "alpha_above_one": 1.7, "alpha_zero": 0.0, "tie": 0.5}


def add_unary(suite, builtin, case_name, shape, numbers, inputs):
    """One case of a unary operator."""
    s_in, zp_in, s_out, zp_out = numbers
    g = Graph()
    x = g.input(shape, s_in, zp_in)
    y = g.output(shape, s_out, zp_out)
    if builtin == "LEAKY_RELU":
        g.op(builtin, [x], [y], "LeakyReluOptions", alpha=ALPHA.get(case_name, 0.2))
    else:
        g.op(builtin, [x], [y])
    suite.add(f"{builtin.lower()}/{case_name}", g, inputs=inputs)


def non_negative(zero_point, shape):
    """All values at or above the zero point: what RSQRT accepts."""
    values = np.arange(zero_point, 128).astype(np.int8)
    return [np.resize(values, (1, *shape))]


def cases(suite):
    """Softmax, then every unary function over all 256 values and in a few odd shapes."""
    for name, (shape, scale, zero_point, beta) in SOFTMAX.items():
        g = Graph()
        x = g.input(shape, scale, zero_point)
        y = g.output(shape, 1 / 256, -128)
        g.op("SOFTMAX", [x], [y], "SoftmaxOptions", beta=beta)
        suite.add(f"softmax/{name}", g, samples=10)
    for name in ("two_classes", "hundred_classes", "rows_5", "beta_2"):
        shape, scale, zero_point, beta = SOFTMAX[name]
        g = Graph()
        x = g.input(shape, scale, zero_point)
        y = g.output(shape, 1 / 65536, -32768, "i16")
        g.op("SOFTMAX", [x], [y], "SoftmaxOptions", beta=beta)
        suite.add(f"softmax/{name}_int16", g, samples=10)
    for name, (shape, scale, zero_point, beta) in SOFTMAX.items():
        # TFLM aborts where a scale is too small for a difference of one step.
        if beta == 1.0 and name != "scale_tiny":
            g = Graph()
            x = g.input(shape, scale, zero_point)
            y = g.output(shape, 16 / 256, 127)
            g.op("LOG_SOFTMAX", [x], [y], "LogSoftmaxOptions")
            suite.add(f"log_softmax/{name}", g, samples=10)
    for builtin, table in UNARY.items():
        for case_name, numbers in table.items():
            inputs = all_values()
            if builtin == "RSQRT":
                inputs = non_negative(numbers[1], (1, 256))
            add_unary(suite, builtin, case_name, (1, 256), numbers, inputs)
        numbers = table["usual"]
        for case_name, shape in (("shape_odd", (1, 3, 5, 7)), ("shape_one_value", (1, 1)), ("shape_3d", (3, 1, 5))):
            inputs = non_negative(numbers[1], shape) if builtin == "RSQRT" else None
            add_unary(suite, builtin, case_name, shape, numbers, inputs)
