"""Operators that move bytes: padding, joining, cutting, transposing, reshaping."""

import numpy as np

from . import litert
from .model import ACTIVATIONS, Graph
from .suite import edge_samples, rng_of

SCALE, ZERO_POINT = 0.05, -7

# name: (shape, paddings)
PAD = {
    "image": ((1, 3, 4, 2), [[0, 0], [1, 2], [3, 1], [0, 0]]),
    "one_side": ((1, 3, 4, 3), [[0, 0], [0, 1], [0, 1], [0, 0]]),
    "channels": ((1, 2, 3, 5), [[0, 0], [0, 0], [0, 0], [2, 1]]),
    "batch": ((2, 2, 3, 1), [[1, 1], [0, 0], [0, 0], [0, 0]]),
    "all_axes": ((2, 2, 1, 3), [[1, 0], [0, 2], [2, 1], [1, 1]]),
    "nothing": ((1, 2, 3, 3), [[0, 0], [0, 0], [0, 0], [0, 0]]),
    "three_dimensional": ((2, 3, 2), [[0, 1], [2, 0], [1, 1]]),
    "two_dimensional": ((3, 4), [[1, 0], [2, 3]]),
    "one_dimensional": ((5,), [[2, 3]]),
    "five_dimensional": ((1, 2, 2, 2, 3), [[0, 0], [1, 0], [0, 1], [1, 1], [0, 2]]),
    "zero_point_low": ((1, 2, 3, 2), [[0, 0], [1, 1], [1, 1], [0, 0]]),
    "zero_point_high": ((1, 2, 3, 2), [[0, 0], [1, 1], [1, 1], [0, 0]]),
}

# name: (input shapes, axis)
CONCATENATION = {
    "channels": ([(1, 2, 3, 4), (1, 2, 3, 3)], 3),
    "channels_negative_axis": ([(1, 2, 3, 4), (1, 2, 3, 3)], -1),
    "channels_of_3": ([(1, 2, 3, 1), (1, 2, 3, 5), (1, 2, 3, 2)], 3),
    "channels_of_4": ([(1, 2, 2, 1), (1, 2, 2, 2), (1, 2, 2, 3), (1, 2, 2, 4)], 3),
    "columns": ([(1, 3, 2, 2), (1, 3, 5, 2)], 2),
    "rows": ([(1, 3, 2, 3), (1, 1, 2, 3), (1, 2, 2, 3)], 1),
    "batch": ([(1, 2, 3, 2), (2, 2, 3, 2)], 0),
    "three_dimensional": ([(2, 3, 4), (2, 1, 4)], 1),
    "two_dimensional": ([(3, 4), (3, 2), (3, 1)], 1),
    "two_dimensional_rows": ([(1, 4), (2, 4)], 0),
    "one_dimensional": ([(5,), (1,), (3,)], 0),
    "single": ([(1, 2, 3, 4)], 3),
    "five_dimensional": ([(1, 2, 1, 2, 2), (1, 2, 3, 2, 2)], 2),
}

# name: (shape, parts, axis)
SPLIT = {
    "channels": ((1, 2, 3, 6), 3, 3),
    "channels_negative_axis": ((1, 2, 3, 6), 2, -1),
    "columns": ((1, 3, 4, 3), 2, 2),
    "rows": ((1, 4, 3, 3), 4, 1),
    "batch": ((4, 2, 3, 1), 2, 0),
    "two_dimensional": ((3, 10), 5, 1),
    "one_dimensional": ((9,), 3, 0),
    "single": ((1, 2, 2, 3), 1, 3),
}

# name: (shape, sizes, axis)
SPLIT_V = {
    "channels": ((1, 2, 3, 6), [1, 3, 2], 3),
    "channels_negative_axis": ((1, 2, 3, 6), [5, 1], -1),
    "columns": ((1, 3, 5, 2), [4, 1], 2),
    "rows": ((1, 5, 2, 3), [2, 2, 1], 1),
    "batch": ((3, 2, 2, 1), [1, 2], 0),
    "two_dimensional": ((3, 7), [4, 3], 1),
    "size_rest": ((2, 7), [4, -1], 1),
}

# name: (shape, begin, size)
SLICE = {
    "image": ((1, 4, 5, 3), [0, 1, 2, 0], [1, 2, 3, 3]),
    "channels": ((1, 3, 2, 7), [0, 0, 0, 3], [1, 3, 2, 2]),
    "to_the_end": ((2, 3, 4, 3), [1, 0, 2, 1], [-1, 2, -1, -1]),
    "all": ((1, 2, 3, 2), [0, 0, 0, 0], [-1, -1, -1, -1]),
    "three_dimensional": ((3, 4, 5), [1, 2, 0], [2, 1, 4]),
    "two_dimensional": ((5, 6), [3, 1], [2, 4]),
    "one_dimensional": ((11,), [4], [5]),
    "five_dimensional": ((1, 2, 3, 2, 3), [0, 1, 0, 0, 1], [1, 1, 2, 2, 2]),
    "one_value": ((3, 4), [2, 3], [1, 1]),
}

# name: (shape, begin, end, strides, masks)
STRIDED_SLICE = {
    "image": ((1, 5, 6, 2), [0, 1, 1, 0], [1, 4, 6, 2], [1, 1, 2, 1], {}),
    "stride_3": ((1, 7, 8, 2), [0, 0, 1, 0], [1, 7, 8, 2], [1, 3, 3, 1], {}),
    "begin_mask": ((2, 5, 4, 2), [1, 3, 2, 1], [2, 4, 4, 2], [1, 1, 1, 1], dict(begin=0b0110)),
    "end_mask": ((2, 5, 4, 2), [0, 3, 1, 0], [1, 4, 2, 1], [1, 1, 1, 1], dict(end=0b1110)),
    "both_masks": ((2, 5, 4, 3), [1, 2, 1, 1], [2, 3, 2, 2], [1, 2, 2, 1], dict(begin=0b1111, end=0b1111)),
    "shrink_first": ((3, 4, 5), [1, 0, 0], [2, 4, 5], [1, 1, 1], dict(shrink=0b001)),
    "shrink_last": ((3, 4, 5), [0, 0, 2], [3, 4, 3], [1, 1, 1], dict(shrink=0b100)),
    "shrink_two": ((1, 4, 5, 3), [0, 1, 2, 0], [1, 2, 5, 3], [1, 1, 1, 1], dict(shrink=0b0011)),
    "shrink_negative_index": ((3, 4), [-1, 0], [0, 4], [1, 1], dict(shrink=0b01)),
    "shrink_all": ((3, 4), [1, 2], [2, 3], [1, 1], dict(shrink=0b11)),
    "last_time_step": ((1, 6, 5), [0, -1, 0], [0, 0, 0], [1, 1, 1], dict(begin=0b101, end=0b101, shrink=0b010)),
    "negative_begin": ((1, 6, 3), [0, -4, -2], [1, -1, 3], [1, 1, 1], {}),
    "negative_stride": ((1, 6, 3), [0, 4, 0], [1, 0, 3], [1, -1, 1], {}),
    "negative_stride_masks": ((4, 5), [0, 0], [0, 0], [-1, -2], dict(begin=0b11, end=0b11)),
    "negative_stride_from_end": ((2, 7), [0, -1], [2, -6], [1, -2], {}),
    "end_beyond": ((3, 4), [1, 2], [9, 99], [1, 1], {}),
    "one_dimensional": ((12,), [2], [11], [4], {}),
    "two_dimensional": ((5, 6), [1, 0], [5, 6], [2, 5], {}),
    "five_dimensional": ((1, 2, 4, 2, 3), [0, 0, 1, 0, 0], [1, 2, 4, 2, 3], [1, 1, 2, 1, 2], {}),
    "short_begin": ((3, 4, 2), [1], [3], [1], {}),
    "ellipsis_mask": ((2, 3, 4), [0, 1], [0, 3], [1, 1], dict(ellipsis=0b01)),
    "new_axis_mask": ((3, 4), [0, 1, 0], [1, 3, 4], [1, 1, 1], dict(new_axis=0b001)),
}

# name: (shape, permutation)
TRANSPOSE = {
    "two_dimensional": ((3, 5), [1, 0]),
    "swap_last": ((2, 3, 4), [0, 2, 1]),
    "rotate_left": ((2, 3, 4), [1, 2, 0]),
    "rotate_right": ((2, 3, 4), [2, 0, 1]),
    "reversed_3d": ((2, 3, 4), [2, 1, 0]),
    "nhwc_to_nchw": ((1, 3, 4, 5), [0, 3, 1, 2]),
    "nchw_to_nhwc": ((2, 3, 4, 5), [0, 2, 3, 1]),
    "swap_image_axes": ((1, 3, 5, 2), [0, 2, 1, 3]),
    "swap_last_4d": ((2, 2, 3, 5), [0, 1, 3, 2]),
    "batch_to_channels": ((2, 3, 4, 5), [1, 2, 3, 0]),
    "reversed_4d": ((2, 3, 1, 4), [3, 2, 1, 0]),
    "identity": ((1, 2, 3, 4), [0, 1, 2, 3]),
    "one_dimensional": ((7,), [0]),
    "five_dimensional": ((1, 2, 3, 2, 4), [0, 2, 1, 4, 3]),
    "reversed_5d": ((2, 1, 3, 2, 2), [4, 3, 2, 1, 0]),
    "six_dimensional": ((1, 2, 2, 3, 1, 2), [0, 3, 5, 1, 2, 4]),
}


def quantization(name):
    """Scale and zero point of a case."""
    return SCALE, {"zero_point_low": -128, "zero_point_high": 127}.get(name, ZERO_POINT)


def pad(suite):
    """PAD fills with the zero point, PADV2 with a given value."""
    for case_name, (shape, paddings) in PAD.items():
        out = tuple(d + a + b for d, (a, b) in zip(shape, paddings))
        for builtin, options in (("PAD", "PadOptions"), ("PADV2", "PadV2Options")):
            g = Graph()
            q = quantization(case_name)
            inputs = [g.input(shape, *q), g.ints(paddings)]
            if builtin == "PADV2":
                inputs.append(g.const([42], *q))
            g.op(builtin, inputs, [g.output(out, *q)], options)
            suite.add(f"{builtin.lower()}/{case_name}", g)


def concatenation(suite):
    """Inputs of one scale, then of several; a constant among them."""
    variants = [(name, shapes, axis, {}) for name, (shapes, axis) in CONCATENATION.items()]
    image = [(1, 2, 3, 4), (1, 2, 3, 3)]
    variants += [
        ("scales_differ", image, 3, dict(scales=[0.05, 0.1], zero_points=[-7, 20])),
        ("constant_left", image, 3, dict(constant=0)),
        ("constant_right", image, 3, dict(constant=1)),
        ("relu", image, 3, dict(act="relu")),
    ]
    for case_name, shapes, axis, more in variants:
        name = f"concatenation/{case_name}"
        g, rng = Graph(), rng_of(name)
        inputs = []
        for index, shape in enumerate(shapes):
            scale = more.get("scales", [SCALE] * 9)[index]
            zero_point = more.get("zero_points", [ZERO_POINT] * 9)[index]
            if more.get("constant") == index:
                inputs.append(g.const(rng.integers(-128, 128, shape), scale, zero_point))
            else:
                inputs.append(g.input(shape, scale, zero_point))
        out = np.concatenate([np.empty(s) for s in shapes], axis).shape
        y = g.output(out, SCALE, ZERO_POINT)
        g.op("CONCATENATION", inputs, [y], "ConcatenationOptions", axis=axis,
             fusedActivationFunction=ACTIVATIONS[more.get("act")])
        suite.add(name, g)


def split(suite):
    """SPLIT in equal parts, SPLIT_V in given ones: every part is an output."""
    q = (SCALE, ZERO_POINT)
    for case_name, (shape, parts, axis) in SPLIT.items():
        g = Graph()
        x, where = g.input(shape, *q), g.ints(axis)
        outputs = [g.output(a.shape, *q) for a in np.split(np.empty(shape), parts, axis)]
        g.op("SPLIT", [where, x], outputs, "SplitOptions", numSplits=parts)
        suite.add(f"split/{case_name}", g)
    for case_name, (shape, sizes, axis) in SPLIT_V.items():
        g = Graph()
        x = g.input(shape, *q)
        inputs = [x, g.ints(sizes), g.ints(axis)]
        parts = np.split(np.empty(shape), np.cumsum(np.abs(sizes))[:-1], axis)
        g.op("SPLIT_V", inputs, [g.output(a.shape, *q) for a in parts], "SplitVOptions", numSplits=len(sizes))
        suite.add(f"split_v/{case_name}", g)


def strided(shape, begin, end, strides, masks):
    """The shape that STRIDED_SLICE leaves, by numpy's rules."""
    index = []
    for axis in range(len(begin)):
        bit = 1 << axis
        if masks.get("ellipsis", 0) & bit:
            index.append(Ellipsis)
        elif masks.get("new_axis", 0) & bit:
            index.append(None)
        elif masks.get("shrink", 0) & bit:
            index.append(begin[axis])
        else:
            first = None if masks.get("begin", 0) & bit else begin[axis]
            last = None if masks.get("end", 0) & bit else end[axis]
            index.append(slice(first, last, strides[axis]))
    return np.empty(shape)[tuple(index)].shape


def cut(suite):
    """SLICE and STRIDED_SLICE."""
    q = (SCALE, ZERO_POINT)
    for case_name, (shape, begin, size) in SLICE.items():
        g = Graph()
        x = g.input(shape, *q)
        out = tuple(d - b if s < 0 else s for d, b, s in zip(shape, begin, size))
        g.op("SLICE", [x, g.ints(begin), g.ints(size)], [g.output(out, *q)], "SliceOptions")
        suite.add(f"slice/{case_name}", g)
    for case_name, (shape, begin, end, strides, masks) in STRIDED_SLICE.items():
        g = Graph()
        x = g.input(shape, *q)
        y = g.output(strided(shape, begin, end, strides, masks), *q)
        g.op("STRIDED_SLICE", [x, g.ints(begin), g.ints(end), g.ints(strides)], [y], "StridedSliceOptions",
             beginMask=masks.get("begin", 0), endMask=masks.get("end", 0), shrinkAxisMask=masks.get("shrink", 0),
             ellipsisMask=masks.get("ellipsis", 0), newAxisMask=masks.get("new_axis", 0))
        suite.add(f"strided_slice/{case_name}", g)


def transpose(suite):
    """TRANSPOSE of every rank."""
    q = (SCALE, ZERO_POINT)
    for case_name, (shape, permutation) in TRANSPOSE.items():
        g = Graph()
        x = g.input(shape, *q)
        y = g.output([shape[axis] for axis in permutation], *q)
        g.op("TRANSPOSE", [x, g.ints(permutation)], [y], "TransposeOptions")
        suite.add(f"transpose/{case_name}", g)


def reshape(suite):
    """RESHAPE, SQUEEZE and EXPAND_DIMS."""
    q = (SCALE, ZERO_POINT)
    for case_name, shape, out, given in (
        ("flatten", (1, 2, 3, 4), (1, 24), "tensor"),
        ("unflatten", (1, 24), (1, 2, 3, 4), "tensor"),
        ("inferred", (2, 3, 4), (2, -1), "tensor"),
        ("shape_in_options", (2, 6), (3, 4), "options"),
        ("to_one_dimension", (2, 3), (6,), "tensor"),
        ("to_five_dimensions", (2, 12), (1, 2, 3, 2, 2), "tensor"),
        ("same", (1, 5), (1, 5), "tensor"),
    ):
        g = Graph()
        inputs = [g.input(shape, *q)]
        if given == "tensor":
            inputs.append(g.ints(out))
        g.op("RESHAPE", inputs, [g.output(np.empty(shape).reshape(out).shape, *q)], "ReshapeOptions", newShape=list(out))
        suite.add(f"reshape/{case_name}", g, samples=3)
    for case_name, shape, axes in (
        ("image_axes", (1, 1, 1, 7), [1, 2]), ("all_ones", (1, 3, 1, 2), []), ("negative_axis", (2, 3, 1), [-1]),
    ):
        g = Graph()
        x = g.input(shape, *q)
        y = g.output(np.squeeze(np.empty(shape), tuple(axes) or None).shape, *q)
        g.op("SQUEEZE", [x], [y], "SqueezeOptions", squeezeDims=axes)
        suite.add(f"squeeze/{case_name}", g, samples=3)
    for case_name, shape, axis in (("first", (3, 4), 0), ("middle", (3, 4), 1), ("last", (3, 4), -1)):
        g = Graph()
        inputs = [g.input(shape, *q), g.ints([axis])]
        g.op("EXPAND_DIMS", inputs, [g.output(np.expand_dims(np.empty(shape), axis).shape, *q)], "ExpandDimsOptions")
        suite.add(f"expand_dims/{case_name}", g, samples=3)


def pack(suite):
    """PACK and UNPACK along each axis."""
    q = (SCALE, ZERO_POINT)
    for case_name, shape, count, axis in (
        ("first", (3, 4), 2, 0), ("middle", (3, 4), 3, 1), ("last", (3, 4), 2, -1), ("image", (1, 2, 3), 4, 3),
        ("one_dimensional", (5,), 2, 1), ("one_dimensional_first", (5,), 3, 0), ("single", (2, 3), 1, 0),
    ):
        g = Graph()
        inputs = [g.input(shape, *q) for _ in range(count)]
        y = g.output(np.stack([np.empty(shape)] * count, axis).shape, *q)
        g.op("PACK", inputs, [y], "PackOptions", valuesCount=count, axis=axis)
        suite.add(f"pack/{case_name}", g)
    for case_name, shape, axis in (
        ("first", (3, 4, 2), 0), ("middle", (3, 4, 2), 1), ("last", (3, 4, 2), -1), ("image", (1, 3, 2, 4), 1),
        ("two_dimensional", (2, 5), 0), ("two_dimensional_last", (4, 3), 1), ("single", (1, 5), 0),
    ):
        g = Graph()
        x = g.input(shape, *q)
        out = tuple(np.delete(shape, axis))
        outputs = [g.output(out, *q) for _ in range(shape[axis])]
        g.op("UNPACK", [x], outputs, "UnpackOptions", num=shape[axis], axis=axis)
        suite.add(f"unpack/{case_name}", g)


# name: (data shape, indices shape, axis, batch_dims, whether the data are constant, constant indices)
GATHER = {
    "embedding": ((13, 4), (1, 6), 0, 0, True, None),
    "embedding_rows_of_1": ((40, 1), (1, 9), 0, 0, True, None),
    "embedding_rows_of_17": ((5, 17), (2, 3), 0, 0, True, None),
    "embedding_one_row": ((1, 5), (1, 4), 0, 0, True, None),
    "one_index": ((6, 3), (1,), 0, 0, True, None),
    "scalar_index": ((6, 3), (), 0, 0, True, None),
    "table": ((200,), (1, 3, 4), 0, 0, True, None),
    "computed_data": ((7, 3), (2, 4), 0, 0, False, None),
    "middle_axis": ((2, 5, 3), (4,), 1, 0, False, None),
    "last_axis": ((3, 7), (2, 2), -1, 0, False, None),
    "constant_indices": ((1, 6, 5), (4,), 1, 0, False, [5, 0, 0, 3]),
    "constant_indices_channels": ((1, 2, 2, 6), (3,), 3, 0, False, [4, 1, 5]),
    "batch": ((3, 5, 2), (3, 4), 1, 1, False, None),
    "batch_outer": ((2, 3, 5, 2), (2, 4), 2, 1, False, None),
    "batch_of_two_dimensions": ((2, 3, 4), (2, 3, 2), 2, 2, False, None),
    "batch_constant": ((3, 5, 2), (3, 2, 2), 1, 1, True, None),
    "batch_negative": ((3, 5, 2), (3, 4), 1, -1, False, None),
}


def gather(suite):
    """GATHER: rows of a table, and elements along each axis, at indices from the input."""
    q = (SCALE, ZERO_POINT)
    for case_name, (shape, indices, axis, batch_dims, known, fixed) in GATHER.items():
        name = f"gather/{case_name}"
        rng, g = rng_of(name), Graph()
        data = g.const(rng.integers(-128, 128, shape), *q) if known else g.input(shape, *q)
        places = g.input(indices, dtype="i32") if fixed is None else g.ints(fixed)
        at, batch = axis % len(shape), batch_dims % len(indices) if batch_dims else 0
        y = g.output(shape[:at] + indices[batch:] + shape[at + 1 :], *q)
        g.op("GATHER", [data, places], [y], "GatherOptions", axis=axis, batchDims=batch_dims)
        samples = 6
        inputs = [] if known else edge_samples(rng, [g.specs[data]], samples)
        if fixed is None:
            last = shape[at] - 1
            chosen = [np.zeros(indices), np.full(indices, last)]
            chosen += [rng.integers(0, last + 1, indices) for _ in range(samples - 2)]
            inputs.append(np.stack(chosen).astype(np.int32))
        suite.add(name, g, inputs=inputs)


# name: (shape, shape of the box)
BOX = {
    "vector": ((9,), (4,)),
    "row": ((5, 6), (1, 6)),
    "rows": ((5, 6), (2, 6)),
    "column": ((5, 6), (5, 1)),
    "corner": ((5, 6), (2, 3)),
    "element": ((3, 4), (1, 1)),
    "whole": ((3, 4), (3, 4)),
    "keys": ((1, 8, 2, 4), (1, 1, 2, 4)),
    "keys_of_a_head": ((1, 8, 3, 4), (1, 2, 1, 4)),
    "cube": ((3, 4, 5), (2, 2, 3)),
    "five_dimensional": ((2, 2, 3, 2, 4), (1, 2, 2, 1, 3)),
    "six_dimensional": ((2, 1, 2, 3, 2, 2), (1, 1, 2, 2, 1, 2)),
}


def updates(suite):
    """DYNAMIC_UPDATE_SLICE at every kind of place, inside and beyond the ends, and at a constant one."""
    q = (SCALE, ZERO_POINT)
    for case_name, (shape, part) in BOX.items():
        name = f"dynamic_update_slice/{case_name}"
        g, rng = Graph(), rng_of(name)
        x, box = g.input(shape, *q), g.input(part, *q)
        start = g.input((len(shape),), dtype="i32")
        g.op("DYNAMIC_UPDATE_SLICE", [x, box, start], [g.output(shape, *q)])
        data, boxes, _ = edge_samples(rng, [g.specs[i] for i in g.inputs], 8)
        places = np.stack([rng.integers(-1, np.array(shape) + 1) for _ in range(8)]).astype(np.int32)
        places[0], places[1] = 0, 1 << 30
        suite.add(name, g, inputs=[data, boxes, places])
    for case_name, (shape, part, place) in {
        "constant_place": ((4, 5), (2, 2), (1, 3)),
        "constant_place_beyond": ((4, 5), (2, 2), (3, -4)),
    }.items():
        g = Graph()
        x, box = g.input(shape, *q), g.input(part, *q)
        g.op("DYNAMIC_UPDATE_SLICE", [x, box, g.ints(place)], [g.output(shape, *q)])
        suite.add(f"dynamic_update_slice/{case_name}", g)
    name = "dynamic_update_slice/constant_data"
    g, rng = Graph(), rng_of(name)
    data = g.const(rng.integers(-128, 128, (4, 5)), *q)
    g.op("DYNAMIC_UPDATE_SLICE", [data, g.input((1, 5), *q), g.ints((2, 0))], [g.output((4, 5), *q)])
    suite.add(name, g)


# name: (shape of the result, places)
SCATTER = {
    "rows": ((5, 3), [[4], [1]]),
    "elements": ((4, 5), [[0, 4], [3, 0], [2, 2]]),
    "vector": ((9,), [[3], [8], [0], [5]]),
    "all": ((3, 4), [[2], [0], [1]]),
    "images": ((2, 3, 4, 2), [[[0, 1], [1, 2]], [[1, 0], [0, 0]]]),
}


def scatter(suite):
    """SCATTER_ND at places that the file knows, which TFLM does not have: LiteRT's bytes."""
    for case_name, (shape, places) in SCATTER.items():
        g, places = Graph(), np.array(places)
        x = g.input((*places.shape[:-1], *shape[places.shape[-1]:]), SCALE, ZERO_POINT)
        y = g.output(shape, SCALE, ZERO_POINT)
        g.op("SCATTER_ND", [g.ints(places), x, g.ints(shape)], [y], "ScatterNdOptions")
        suite.add(f"scatter_nd/{case_name}", g, runner=litert)


# name: (shape, count)
TOP = {
    "one": ((1, 12), 1),
    "some": ((1, 12), 4),
    "all": ((1, 7), 7),
    "rows": ((3, 10), 3),
    "image": ((1, 2, 3, 9), 2),
    "vector": ((40,), 5),
    "classes": ((1, 300), 5),
}


def top(suite):
    """TOPK_V2, which TFLM does not have: LiteRT's bytes."""
    for case_name, (shape, count) in TOP.items():
        g = Graph()
        x = g.input(shape, SCALE, ZERO_POINT)
        found = (*shape[:-1], count)
        g.op("TOPK_V2", [x, g.ints(count)], [g.output(found, SCALE, ZERO_POINT), g.output(found, dtype="i32")],
             "TopKV2Options")
        suite.add(f"topk_v2/{case_name}", g, samples=8, runner=litert)


def cases(suite):
    """All of them."""
    for family in (pad, concatenation, split, cut, transpose, reshape, pack, gather):
        family(suite)
    updates(suite)
    scatter(suite)
    top(suite)
