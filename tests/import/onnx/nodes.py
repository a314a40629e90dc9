#!/usr/bin/env python3
"""Writes the node tests of the `onnx` package into a folder: for each a model and its samples as an .npz.

    pip install numpy onnx
    python3 nodes.py DIR
    FERROLITE_ONNX_NODES=DIR cargo test -p ferrolite-conformance --test onnx_nodes -- --nocapture

Tests whose inputs or outputs are no tensors of numbers (texts, sequences, maps) are written without samples.
"""
import os
import sys

import numpy as np
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases


def numbers(x):
    """The elements of a tensor of plain numbers, or None."""
    x = numpy_helper.to_array(x) if isinstance(x, TensorProto) else x
    if not isinstance(x, (np.ndarray, np.generic)):
        return None
    x = np.asarray(x)
    try:
        return x.astype(np.float64).ravel() if x.dtype.kind in "fiub" or x.dtype.kind == "V" else None
    except (TypeError, ValueError):
        return None


def known(model, inputs, place):
    """Writes the model with all inputs but the first one as constants."""
    graph = model.graph
    names = [i.name for i in graph.input]
    if len(names) < 2 or len(names) != len(inputs):
        return
    tensors = []
    for name, x in list(zip(names, inputs))[1:]:
        if isinstance(x, TensorProto):
            x = TensorProto.FromString(x.SerializeToString())
            x.name = name
        elif isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fiub":
            x = numpy_helper.from_array(np.asarray(x), name)
        else:
            return
        tensors.append(x)
    copy = type(model).FromString(model.SerializeToString())
    del copy.graph.input[1:]
    copy.graph.initializer.extend(tensors)
    with open(place, "wb") as f:
        f.write(copy.SerializeToString())


def main(folder):
    os.makedirs(folder, exist_ok=True)
    for case in collect_testcases(None):
        place = os.path.join(folder, case.name)
        with open(place + ".onnx", "wb") as f:
            f.write(case.model.SerializeToString())
        for inputs, outputs in case.data_sets[:1]:
            known(case.model, inputs, place + ".constant")
            arrays = {f"in{i}": numbers(x) for i, x in enumerate(inputs)}
            arrays |= {f"out{i}": numbers(x) for i, x in enumerate(outputs)}
            if all(x is not None for x in arrays.values()):
                np.savez(place + ".npz", **arrays)


main(sys.argv[1])
