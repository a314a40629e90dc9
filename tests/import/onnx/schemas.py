#!/usr/bin/env python3
"""Prints converter/src/import/onnx/schemas.txt: for each operator that the importer knows, each of its
versions with its attributes.

    pip install onnx
    python3 schemas.py > ../../../converter/src/import/onnx/schemas.txt

An operator's own line says its version by the operator set in which it changed. Types of attributes are those of
AttributeProto: f float, i int, s text, t tensor, F, I, S lists of them, x anything else.
"""
import os
import re

import onnx
from onnx import defs

HERE = os.path.dirname(os.path.abspath(__file__))
IMPORTER = os.path.join(HERE, "../../../converter/src/import/onnx")
# Of ONNX Runtime's own operators, as its ContribOperators.md lists them.
POOL = "auto_pad:s ceil_mode:i channels_last:i count_include_pad:i kernel_shape:I pads:I strides:I"
MICROSOFT = {
    "BiasGelu": "",
    "DequantizeLinear": "axis:i block_size:i",
    "FastGelu": "",
    "Gelu": "",
    "QGemm": "alpha:f transA:i transB:i",
    "QLinearAdd": "",
    "QLinearAveragePool": POOL,
    "QLinearConcat": "axis:i",
    "QLinearGlobalAveragePool": "channels_last:i",
    "QLinearLeakyRelu": "alpha:f",
    "QLinearMul": "",
    "QLinearSigmoid": "",
    "QLinearSoftmax": "axis:i opset:i",
    "QuantizeLinear": "axis:i block_size:i output_dtype:i saturate:i",
    "QuickGelu": "alpha:f",
}
KINDS = {"FLOAT": "f", "INT": "i", "STRING": "s", "TENSOR": "t", "FLOATS": "F", "INTS": "I", "STRINGS": "S"}


def names():
    """The operators in the importer's tables."""
    text = "".join(open(os.path.join(IMPORTER, f)).read() for f in ("operators.rs", "functions.rs", "learning.rs"))
    return set(re.findall(r'"([A-Za-z0-9]+)"', text))


def main():
    known = names()
    print("# Operators that the importer knows: domain, name, version, its attributes. Made by tests/import/onnx/schemas.py.")
    schemas = [s for s in defs.get_all_schemas_with_history() if s.name in known and s.domain in ("", "ai.onnx.ml")]
    for s in sorted(schemas, key=lambda s: (s.domain, s.name, s.since_version)):
        attributes = [f"{n}:{KINDS.get(a.type.name, 'x')}" for n, a in sorted(s.attributes.items())]
        print(" ".join([s.domain or "ai.onnx", s.name, str(s.since_version), *attributes]))
    for name, attributes in MICROSOFT.items():
        print(" ".join(["com.microsoft", name, "1", *attributes.split()]))


main()
