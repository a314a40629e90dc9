"""The cases, their inputs, and what is written for each."""

import os
import zlib

import numpy as np

from . import tflm
from .model import TYPES


def rng_of(name):
    """The generator of pseudo-random numbers of one case: it depends on the case's name alone."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def edge_samples(rng, shapes, count):
    """Samples for inputs `(shape, dtype, scale, zero_point)`.

    All lowest, all highest, lowest against highest, a ramp through neighbouring values, then random
    ones: over the full range and, every second time, close to the zero point.
    """
    arrays = []
    for index, (shape, dtype, scale, zero_point) in enumerate(shapes):
        size = int(np.prod(shape))
        kind = TYPES[dtype][1]
        samples = []
        if dtype == "f32":
            samples = float_samples(rng, size, count)
        elif dtype == "bool":
            samples = [rng.integers(0, 2, size) for _ in range(count)]
        else:
            low, high = np.iinfo(kind).min, np.iinfo(kind).max
            if dtype in ("i32", "i64"):
                low, high = -(1 << 20), 1 << 20
            middle = int(np.atleast_1d(zero_point)[0])
            for sample in range(count):
                if sample == 0:
                    values = np.full(size, low)
                elif sample == 1:
                    values = np.full(size, high)
                elif sample == 2 and len(shapes) > 1:
                    values = np.full(size, high if index % 2 else low)
                elif sample == 3:
                    values = low + (np.arange(size) * (1 + 2 * index) + 7 * index) % (high - low + 1)
                elif sample % 2 == 0:
                    values = rng.integers(low, high + 1, size)
                else:
                    values = np.clip(middle + rng.integers(-16, 17, size), low, high)
                samples.append(values)
        arrays.append(np.stack(samples).reshape((count, *shape)).astype(kind))
    return arrays


def float_samples(rng, size, count):
    """Zeros, halves (ties when the scale is 1), far outside every range, and random values."""
    samples = [
        np.zeros(size),
        (np.arange(size) - size // 2) * 0.5,
        np.where(np.arange(size) % 2 == 0, 1e6, -1e6),
    ]
    while len(samples) < count:
        samples.append(rng.normal(0, 3 if len(samples) % 2 else 30, size))
    return samples[:count]


class Suite:
    """Receives cases by `add` and writes each beside its answers."""

    def __init__(self, folder, only=()):
        self.folder = folder
        self.only = only
        self.refused = []
        self.dull = []
        self.written = 0

    def wants(self, name):
        """Whether this case was asked for."""
        return not self.only or any(name.startswith(prefix) for prefix in self.only)

    def add_file(self, name, data):
        """Writes a model that has no answers."""
        if self.wants(name):
            path = os.path.join(self.folder, name + ".tflite")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
            self.written += 1

    def add(self, name, graph, samples=6, inputs=None, runner=tflm):
        """Runs one case, `op/case`, by TFLM or another `runner`; `inputs` replaces the usual samples."""
        if not self.wants(name):
            return
        path = os.path.join(self.folder, name)
        assert not os.path.exists(path + ".tflite") or self.only, f"{name} is there twice"
        model = graph.bytes()
        if inputs is None:
            specs = [graph.specs[i] for i in graph.inputs]
            inputs = edge_samples(rng_of(name), specs, samples)
        try:
            results = runner.run(model, inputs, len(graph.outputs))
        except tflm.Refused as error:
            self.refused.append((name, str(error)))
            return
        arrays = {f"in{i}": array for i, array in enumerate(inputs)}
        for i, tensor in enumerate(graph.outputs):
            shape, dtype, _, _ = graph.specs[tensor]
            out = np.stack([result[i] for result in results])
            assert out.dtype == TYPES[dtype][1], (name, out.dtype)
            assert out.size == len(results) * int(np.prod(shape)), (name, out.shape, shape)
            arrays[f"out{i}"] = out.reshape((len(results), *shape))
            if len(np.unique(out)) < (2 if dtype == "bool" else 3):
                self.dull.append(f"{name} out{i}")
        self.add_file(name, model)
        np.savez_compressed(path + ".npz", **arrays)
