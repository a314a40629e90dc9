"""Builds the op conformance vectors: small `.tflite` models and TFLM's answers to them."""

from . import activation, binary, conv, dense, pool

FAMILIES = [conv.cases, dense.cases, pool.cases, binary.cases, activation.cases]
