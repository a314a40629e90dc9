"""Comparisons of two tensors, truth values, choices by them, casts, and arithmetic of plain integers."""

import numpy as np

from .branches import COMPARISONS, OPTIONS
from .model import ACTIVATIONS, TYPES, Graph
from .suite import rng_of

# name: (left, right)
SHAPES = {
    "same_shape": ((1, 3, 4, 5), (1, 3, 4, 5)),
    "one_dimensional": ((9,), (9,)),
    "scalar": ((2, 3, 4), (1,)),
    "channels": ((5,), (1, 3, 4, 5)),
    "both_broadcast": ((1, 3, 1, 5), (2, 1, 4, 1)),
}

# Of int8 operands: scales and zero points.
NUMBERS = {
    "one_scale": (0.05, -7, 0.05, -7),
    "other_scale": (0.021, 5, 0.0317, 11),
    "coarse": (0.0007, -128, 0.0005, 127),
    "far_apart": (0.9, 3, 0.01, 0),
}


def small(rng, dtype, shape, count=6):
    """Samples that are often equal; of int32 and int64 also far apart."""
    if dtype == "bool":
        return rng.integers(0, 2, (count, *shape)).astype(np.bool_)
    near = rng.integers(-3, 4, (count, *shape))
    if dtype in ("i32", "i64"):
        far = rng.integers(-(1 << 30), 1 << 30, (count, *shape))
        near = np.where(np.arange(count).reshape((count,) + (1,) * len(shape)) % 3 == 2, far, near)
    return near.astype(TYPES[dtype][1])


def pair(suite, name, builtin, options, shapes, dtype, out, inputs=None, numbers=(None, 0, None, 0), constant=None):
    """One operator of two tensors."""
    rng, g = rng_of(name), Graph()
    operands, arrays = [], []
    for place, shape in enumerate(shapes):
        scale, zero_point = numbers[2 * place:2 * place + 2]
        array = small(rng, dtype, shape) if inputs is None else inputs(rng, place, shape)
        if constant == place:
            operands.append(g.const(array[0], scale, zero_point, dtype=dtype))
        else:
            operands.append(g.input(shape, scale, zero_point, dtype=dtype))
            arrays.append(array)
    y = g.output(np.broadcast_shapes(*shapes), dtype=out)
    g.op(builtin, operands, [y], options)
    suite.add(name, g, inputs=arrays)


def full(rng, place, shape):
    """Int8 of the full range, and near zero."""
    values = rng.integers(-128, 128, (8, *shape))
    values[::2] //= 16
    return values.astype(np.int8)


def comparisons(suite):
    """Of int8 with any scales, of plain integers, of truth values."""
    for builtin in COMPARISONS:
        options, folder = f"{OPTIONS[builtin]}Options", builtin.lower()
        for case, shapes in SHAPES.items():
            pair(suite, f"{folder}/{case}", builtin, options, shapes, "i8", "bool", full, NUMBERS["other_scale"])
        for case, numbers in NUMBERS.items():
            shapes = ((1, 4, 16), (1, 4, 16))
            pair(suite, f"{folder}/two_{case}", builtin, options, shapes, "i8", "bool", full, numbers)
        pair(suite, f"{folder}/constants", builtin, options, SHAPES["channels"], "i8", "bool", full,
             NUMBERS["other_scale"], constant=0)
        types = ["i32", "i64"]
        types += ["bool"] if "EQUAL" in (builtin, builtin[4:]) else []
        for dtype in types:
            for case in ("same_shape", "channels", "both_broadcast"):
                pair(suite, f"{folder}/{dtype}_{case}", builtin, options, SHAPES[case], dtype, "bool")
        pair(suite, f"{folder}/i32_constant", builtin, options, SHAPES["scalar"], "i32", "bool", constant=1)


def logic(suite):
    """AND, OR and NOT."""
    for builtin in ("LOGICAL_AND", "LOGICAL_OR"):
        options = f"Logical{builtin[8:].title()}Options"
        for case, shapes in SHAPES.items():
            pair(suite, f"{builtin.lower()}/{case}", builtin, options, shapes, "bool", "bool")
    name, g = "logical_not/image", Graph()
    x, y = g.input((1, 3, 4), dtype="bool"), g.output((1, 3, 4), dtype="bool")
    g.op("LOGICAL_NOT", [x], [y], "LogicalNotOptions")
    suite.add(name, g, inputs=[small(rng_of(name), "bool", (1, 3, 4))])


# name: (condition, x, y)
SELECT = {
    "same_shape": ((2, 3, 4), (2, 3, 4), (2, 3, 4)),
    "one_condition": ((1,), (2, 3, 4), (2, 3, 4)),
    "rows": ((2, 1, 1), (2, 3, 4), (2, 3, 4)),
    "columns": ((4,), (2, 3, 4), (2, 3, 4)),
    "scalar_x": ((1, 3, 4), (1,), (2, 3, 4)),
    "scalar_y": ((1, 3, 4), (2, 3, 4), (1,)),
    "all_broadcast": ((3, 1, 1), (1, 2, 1), (1, 1, 4)),
}


def select(suite):
    """Which elements are taken."""
    for case, shapes in SELECT.items():
        for dtype in ("i8", "i16"):
            name, g = f"select_v2/{case}" + ("" if dtype == "i8" else f"_{dtype}"), Graph()
            rng = rng_of(name)
            types = ("bool", dtype, dtype)
            inputs = [g.input(shape, 0.05 if kind != "bool" else None, 0, kind) for shape, kind in zip(shapes, types)]
            y = g.output(np.broadcast_shapes(*shapes), 0.05, 0, dtype)
            g.op("SELECT_V2", inputs, [y], "SelectV2Options")
            arrays = [rng.integers(-128, 128, (4, *shape)).astype(TYPES[dtype][1]) for shape in shapes[1:]]
            suite.add(name, g, inputs=[small(rng, "bool", shapes[0], 4), *arrays])
    name, g = "select_v2/constant_mask", Graph()
    rng = rng_of(name)
    mask = g.const(np.arange(6) % 3 != 1, dtype="bool")
    x, y = g.input((2, 6), 0.05, 3), g.output((2, 6), 0.05, 3)
    g.op("SELECT_V2", [mask, x, g.const(np.full(6, -100), 0.05, 3)], [y], "SelectV2Options")
    suite.add(name, g)


def cast(suite):
    """Types to types, as TFLM has them."""
    for source, target in (("i8", "f32"), ("i16", "i32"), ("i32", "f32"), ("i8", "bool"), ("bool", "i8"),
                           ("bool", "f32"), ("i32", "i16"), ("i8", "i32"), ("i32", "i8"), ("bool", "i32")):
        name, g = f"cast/{source}_to_{target}", Graph()
        x, y = g.input((1, 4, 5), dtype=source), g.output((1, 4, 5), dtype=target)
        g.op("CAST", [x], [y], "CastOptions", inDataType=TYPES[source][0], outDataType=TYPES[target][0])
        rng = rng_of(name)
        numbers = small(rng, source, (1, 4, 5))
        if source in ("i8", "i16"):
            numbers[::2] = rng.integers(-128, 128, numbers[::2].shape)
        suite.add(name, g, inputs=[numbers])


def arithmetic(suite):
    """Sums and products of indices."""
    for builtin in ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"):
        options = {"MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions",
                   "SQUARED_DIFFERENCE": "SquaredDifferenceOptions"}.get(builtin, f"{builtin.title()}Options")

        def numbers(rng, place, shape, builtin=builtin):
            array = small(rng, "i32", shape)
            if builtin == "DIV" and place == 1:
                array[array == 0] = 5
            return array % 40000 if builtin == "SQUARED_DIFFERENCE" else array

        for case in ("same_shape", "channels", "scalar"):
            pair(suite, f"{builtin.lower()}/i32_{case}", builtin, options, SHAPES[case], "i32", "i32", numbers)
        if builtin in ("MAXIMUM", "MINIMUM"):
            for dtype in ("i16", "i64"):
                pair(suite, f"{builtin.lower()}/{dtype}", builtin, options, SHAPES["channels"], dtype, dtype)


# Of DIV, SQUARED_DIFFERENCE and PRELU: scales and zero points of both operands and the result.
SCALED = {
    "numbers": (0.05, -3, 0.04, 11, 0.07, 5),
    "zero_points_low": (0.05, -128, 0.04, -128, 0.05, -128),
    "zero_points_high": (0.03, 127, 0.05, 127, 0.1, 127),
    "fine": (0.0005, 3, 0.9, -7, 0.001, 1),
    "coarse": (0.8, 3, 0.002, 0, 0.5, -9),
}


def scaled(suite, builtin, name, shapes, numbers, dtype="i8", act=None, constant=None):
    """A function of two tensors with scales."""
    rng, g = rng_of(name), Graph()
    kind = np.iinfo(TYPES[dtype][1])
    operands, arrays = [], []
    for place, shape in enumerate(shapes):
        scale, zero_point = numbers[2 * place:2 * place + 2]
        array = rng.integers(kind.min, kind.max + 1, (8, *shape))
        array[::2] = np.clip(zero_point + rng.integers(-20, 21, array[::2].shape), kind.min, kind.max)
        if name == "div/far":
            # Small dividends of large divisors shift by more than 31 bits in TFLM.
            array = (zero_point + rng.integers(-20, 21, array.shape), rng.integers(-60, 128, array.shape))[place]
        elif builtin == "DIV":
            sign = np.where(rng.integers(0, 2, array.shape) == 0, -1, 1)
            sign = np.where(zero_point > 60, -1, np.where(zero_point < -60, 1, sign))
            array = zero_point + sign * (rng.integers(32, 67, array.shape), rng.integers(1, 33, array.shape))[place]
        if constant == place:
            operands.append(g.const(array[0], scale, zero_point, dtype=dtype))
        else:
            operands.append(g.input(shape, scale, zero_point, dtype=dtype))
            arrays.append(array.astype(TYPES[dtype][1]))
    y = g.output(np.broadcast_shapes(*shapes), numbers[4], numbers[5], dtype=dtype)
    if builtin == "DIV":
        g.op(builtin, operands, [y], "DivOptions", fusedActivationFunction=ACTIVATIONS[act])
    else:
        g.op(builtin, operands, [y], {"PRELU": None}.get(builtin, "SquaredDifferenceOptions"))
    suite.add(name, g, inputs=arrays)


def functions(suite):
    """DIV, SQUARED_DIFFERENCE and PRELU of int8, L2_NORMALIZATION."""
    for builtin in ("DIV", "SQUARED_DIFFERENCE"):
        folder = builtin.lower()
        for case, shapes in SHAPES.items():
            scaled(suite, builtin, f"{folder}/{case}", shapes, SCALED["numbers"])
        for case, numbers in SCALED.items():
            scaled(suite, builtin, f"{folder}/of_{case}", ((4, 40), (4, 40)), numbers)
        scaled(suite, builtin, f"{folder}/constant", SHAPES["channels"][::-1], SCALED["numbers"], constant=1)
    scaled(suite, "DIV", "div/far", ((4, 40), (4, 40)), (0.05, 3, 0.03, -128, 0.08, -2))
    scaled(suite, "DIV", "div/relu6", ((4, 40), (4, 40)), (0.05, -3, 0.04, 11, 0.02, 5), act="relu6")
    for case in ("same_shape", "channels"):
        numbers = (0.0005, 0, 0.0004, 0, 0.003, 0)
        scaled(suite, "SQUARED_DIFFERENCE", f"squared_difference/int16_{case}", SHAPES[case], numbers, "i16")
    for case, numbers in SCALED.items():
        scaled(suite, "PRELU", f"prelu/{case}", ((1, 3, 4, 5), (1, 1, 5)), numbers, constant=1)
    scaled(suite, "PRELU", "prelu/one_slope", ((1, 3, 4, 5), (1, 1, 1)), SCALED["numbers"], constant=1)
    scaled(suite, "PRELU", "prelu/computed_slopes", ((1, 3, 4, 5), (1, 3, 4, 5)), SCALED["numbers"])
    for case, shape, zero_point in (("rows", (4, 10), 3), ("one_row", (1, 64), -128), ("image", (1, 3, 2, 5), 127),
                                    ("single", (3, 1), 0), ("long", (1, 600), -5)):
        name, g = f"l2_normalization/{case}", Graph()
        x, y = g.input(shape, 0.05, zero_point), g.output(shape, 1 / 128, 0)
        g.op("L2_NORMALIZATION", [x], [y], "L2NormOptions")
        suite.add(name, g, samples=8)


# name: (data, indices, dtype)
GATHER_ND = {
    "elements": ((5, 3), (4, 2), "i8"),
    "rows": ((5, 3), (4, 1), "i8"),
    "images": ((2, 3, 4, 2), (3, 2, 2), "i8"),
    "three_coordinates": ((2, 3, 4, 2), (5, 3), "i8"),
}


def places(suite):
    """GATHER_ND, and REDUCE_ALL."""
    for case, (shape, indices, dtype) in GATHER_ND.items():
        for fixed in (False, True):
            name, g = f"gather_nd/{case}" + ("_constant" if fixed else ""), Graph()
            rng = rng_of(name)
            listed = rng.integers(0, shape[:indices[-1]], (6, *indices)).astype(np.int32)
            data = rng.integers(-128, 128, (6, *shape)).astype(np.int8)
            x = g.input(shape, 0.05, 3, dtype)
            at = g.ints(listed[0]) if fixed else g.input(indices, dtype="i32")
            y = g.output(indices[:-1] + shape[indices[-1]:], 0.05, 3, dtype)
            g.op("GATHER_ND", [x, at], [y], "GatherNdOptions")
            suite.add(name, g, inputs=[data] if fixed else [data, listed])
    for case, shape, axes, keep, out in (("rows", (3, 2), [1], False, (3,)), ("all", (2, 2), [0, 1], True, (1, 1))):
        name, g = f"reduce_all/{case}", Graph()
        x, y = g.input(shape, dtype="bool"), g.output(out, dtype="bool")
        g.op("REDUCE_ALL", [x, g.ints(axes)], [y], "ReducerOptions", keepDims=keep)
        inputs = small(rng_of(name), "bool", shape, 12)
        inputs[0] = True
        suite.add(name, g, inputs=[inputs])


def cases(suite):
    """All of them."""
    functions(suite)
    places(suite)
    comparisons(suite)
    logic(suite)
    select(suite)
    cast(suite)
    arithmetic(suite)
