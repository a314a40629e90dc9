"""Builds the op conformance vectors: small `.tflite` models and TFLM's answers to them."""

from . import activation, bad, binary, borders, branches, conv, dense, graphs, movement, pool, reduce, resize

FAMILIES = [
    module.cases
    for module in (
        conv, dense, pool, binary, activation, movement, reduce, resize, borders, branches, graphs, bad,
    )
]
