"""Builds the op conformance vectors: small `.tflite` models and TFLM's answers to them."""

from . import activation, bad, binary, borders, branches, conv, dense, detection, graphs, movement, pool, recurrent
from . import int16, logic, reduce, resize, svdf, uint8, variables

FAMILIES = [
    module.cases
    for module in (
        conv, dense, pool, binary, activation, movement, recurrent, reduce, resize, borders, branches, graphs, bad,
        svdf, uint8, logic, variables, detection, int16,
    )
]
