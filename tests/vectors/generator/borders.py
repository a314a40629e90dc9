"""QUANTIZE and DEQUANTIZE between every pair of types that TFLM takes."""

import numpy as np

from .model import TYPES, Graph
from .suite import rng_of

# name: (from: type, scale, zero point; to: the same)
QUANTIZE = {
    "f32_to_i8": ("f32", None, 0, "i8", 0.05, -7),
    "f32_to_i8_ties": ("f32", None, 0, "i8", 1.0, 0),
    "f32_to_i8_scale_half": ("f32", None, 0, "i8", 0.5, 3),
    "f32_to_i8_low": ("f32", None, 0, "i8", 1 / 255, -128),
    "f32_to_i8_high": ("f32", None, 0, "i8", 0.1, 127),
    "f32_to_i16": ("f32", None, 0, "i16", 0.001, 0),
    "f32_to_u8": ("f32", None, 0, "u8", 0.05, 121),
    "f32_to_i32": ("f32", None, 0, "i32", 0.01, 0),
    "i8_to_i8": ("i8", 0.05, -7, "i8", 0.031, 12),
    "i8_to_i8_same": ("i8", 0.05, -7, "i8", 0.05, -7),
    "i8_to_i8_zero_point_only": ("i8", 0.05, -7, "i8", 0.05, 30),
    "i8_to_i8_larger": ("i8", 0.02, 3, "i8", 0.11, -90),
    "i8_to_i8_multiplier_large": ("i8", 1.0, 0, "i8", 0.03, 5),
    "i8_to_i8_multiplier_tiny": ("i8", 0.0001, 0, "i8", 0.002, 5),
    "i8_to_i8_tie": ("i8", 0.5, 0, "i8", 1.0, 0),
    "i8_to_i8_tie_quarter": ("i8", 0.25, 1, "i8", 1.0, -1),
    "i8_to_i8_saturates": ("i8", 0.05, -128, "i8", 0.05, 0),
    "i8_to_u8": ("i8", 0.05, -7, "u8", 0.05, 121),
    "i8_to_u8_rescales": ("i8", 0.05, -7, "u8", 0.034, 90),
    "u8_to_i8": ("u8", 0.05, 121, "i8", 0.05, -7),
    "u8_to_i8_rescales": ("u8", 0.05, 121, "i8", 0.07, -20),
    "u8_to_u8": ("u8", 0.05, 121, "u8", 0.07, 90),
    "i8_to_i16": ("i8", 0.05, -7, "i16", 0.001, 0),
    "i8_to_i16_tie": ("i8", 0.5, 0, "i16", 1.0, 0),
    "i8_to_i32": ("i8", 0.05, -7, "i32", 0.00002, 0),
    "i16_to_i8": ("i16", 0.0002, 0, "i8", 0.05, -7),
    "i16_to_i8_tie": ("i16", 0.0078125, 0, "i8", 1.0, 0),
    "i16_to_i16": ("i16", 0.0002, 0, "i16", 0.00031, 0),
    "i16_to_i32": ("i16", 0.0002, 0, "i32", 0.00003, 0),
    "i32_to_i8": ("i32", 0.0001, 0, "i8", 0.7, 3),
    "i32_to_i16": ("i32", 0.0001, 0, "i16", 0.004, 0),
}

DEQUANTIZE = {
    "i8": ("i8", 0.05, -7),
    "i8_low": ("i8", 1 / 255, -128),
    "i8_high": ("i8", 0.3, 127),
    "u8": ("u8", 0.05, 121),
    "i16": ("i16", 0.0003, 0),
    "i32": ("i32", 0.0003, 0),
}


def probe(name, dtype, scale, zero_point):
    """256 telling values of a type: all of an 8-bit one, else ends, neighbours of zero and random ones.

    Floats are multiples of half an output step, so that ties occur, and some far outside the range.
    """
    rng = rng_of(name)
    if dtype in ("i8", "u8"):
        low = np.iinfo(TYPES[dtype][1]).min
        values = np.arange(low, low + 256)
    elif dtype == "f32":
        values = np.concatenate([
            np.arange(-100, 100) * 0.5 * scale, rng.normal(0, 60 * scale, 50), [1e6, -1e6, 0.0, -0.0, 1e-30, -1e-30],
        ])
    else:
        reach = (1 << 15) - 1 if dtype == "i16" else (1 << 20)
        values = np.concatenate([
            [-reach - 1, reach, -reach, reach - 1], np.arange(-126, 126) * (1 if "tie" not in name else 64),
        ])
        values[-60:] = rng.integers(-reach, reach, 60)
    return [values.astype(TYPES[dtype][1]).reshape(1, 1, 256)]


def cases(suite):
    """Both operators."""
    for case_name, (source, s_in, zp_in, target, s_out, zp_out) in QUANTIZE.items():
        name = f"quantize/{case_name}"
        g = Graph()
        x = g.input((1, 256), s_in, zp_in, source)
        y = g.output((1, 256), s_out, zp_out, target)
        g.op("QUANTIZE", [x], [y], "QuantizeOptions")
        suite.add(name, g, inputs=probe(name, source, s_out if source == "f32" else s_in, zp_in))
    for case_name, (source, scale, zero_point) in DEQUANTIZE.items():
        name = f"dequantize/{case_name}"
        g = Graph()
        x = g.input((1, 256), scale, zero_point, source)
        y = g.output((1, 256), dtype="f32")
        g.op("DEQUANTIZE", [x], [y], "DequantizeOptions")
        suite.add(name, g, inputs=probe(name, source, scale, zero_point))
    for shape_name, shape in (("shape_odd", (1, 3, 5, 7)), ("shape_one_value", (1,))):
        g = Graph()
        g.op("QUANTIZE", [g.input(shape, dtype="f32")], [g.output(shape, 0.05, -7)], "QuantizeOptions")
        suite.add(f"quantize/{shape_name}", g, samples=4)
        g = Graph()
        g.op("DEQUANTIZE", [g.input(shape, 0.05, -7)], [g.output(shape, dtype="f32")], "DequantizeOptions")
        suite.add(f"dequantize/{shape_name}", g, samples=4)
