"""Samples as files that the converter reads: arrays, and whatever yields samples or batches of them.

What is yielded goes to a file piece by piece, so a data set may be larger than memory.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ._errors import InputError

# Bytes kept for the header of a file whose number of samples is not known yet.
HEADER = 128


def array(x: Any) -> np.ndarray:
    """An array-like value, also one that a torch, JAX or TensorFlow program holds."""
    if hasattr(x, "detach"):
        x = x.detach()
        if str(getattr(x, "dtype", "")) == "torch.bfloat16":
            x = x.float()
        x = x.cpu()
    x = np.asarray(x)
    if x.dtype == object:
        raise InputError("samples of different shapes, or of no numbers, make no array", "give samples of one shape")
    return np.ascontiguousarray(x)


def is_held(x: Any) -> bool:
    """Whether all samples are in memory: an array, a dictionary of arrays, or a list of numbers."""
    if isinstance(x, (Mapping, list, tuple, int, float)) or hasattr(x, "__array__"):
        return not hasattr(x, "as_numpy_iterator")
    return hasattr(x, "detach")


def held(x: Any, inputs: int) -> dict[str, np.ndarray]:
    """The arrays of such data, by the inputs' names or as `in0`, `in1`, …."""
    if isinstance(x, Mapping):
        return {str(name): array(value) for name, value in x.items()}
    if isinstance(x, (list, tuple)) and inputs > 1 and len(x) == inputs:
        return {f"in{index}": array(value) for index, value in enumerate(x)}
    return {"in0": array(x)}


def write(x: Any, folder: Path, name: str, shapes: list[list[int]], most: int | None = None) -> str:
    """Samples as a DATA argument. `shapes` are those of the model's inputs, a batch of one included."""
    if isinstance(x, (str, os.PathLike)):
        return os.fspath(x)
    if is_held(x):
        arrays = held(x, len(shapes))
        if most is not None:
            arrays = {key: value[:most] for key, value in arrays.items()}
        path = folder / f"{name}.npz"
        np.savez(path, **arrays)
        return str(path)
    if not isinstance(x, Iterable):
        raise InputError(
            f"{name}: a {type(x).__name__} holds no samples",
            "give arrays, a dictionary of them, a tf.data.Dataset, a DataLoader, an iterator, or a path",
        )
    return _stream(_elements(x), folder, name, shapes, most)


def _elements(x: Any) -> Iterator[Any]:
    if hasattr(x, "as_numpy_iterator"):
        endless = getattr(x, "cardinality", None)
        if endless is not None and int(endless()) == -1:
            raise InputError("the data set repeats without an end", "take a part of it: `dataset.take(n)`")
        return x.as_numpy_iterator()
    return iter(x)


class _File:
    """A `.npy` file that samples are appended to."""

    def __init__(self, path: Path):
        self.path, self.count, self.shape, self.dtype = path, 0, None, None
        self.file = open(path, "wb")
        self.file.write(bytes(HEADER))

    def append(self, samples: np.ndarray) -> None:
        if self.shape is None:
            self.shape, self.dtype = samples.shape[1:], samples.dtype
        if samples.shape[1:] != self.shape:
            raise InputError(
                f"{self.path.name}: sample {self.count} has the shape {list(samples.shape[1:])}, those before it "
                f"{list(self.shape)}",
                "give samples of one shape",
            )
        self.file.write(samples.astype(self.dtype, copy=False).tobytes())
        self.count += len(samples)

    def close(self) -> None:
        descr = npy.dtype_to_descr(self.dtype) if self.dtype is not None else "<f4"
        header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {(self.count, *(self.shape or ()))}, }}"
        room = HEADER - 10
        self.file.seek(0)
        self.file.write(b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little"))
        self.file.write(header.ljust(room - 1).encode("latin1") + b"\n")
        self.file.close()


def _stream(
    elements: Iterator[Any], folder: Path, name: str, shapes: list[list[int]], most: int | None
) -> str:
    first = next(elements, None)
    if first is None:
        raise InputError(f"{name}: there are no samples", "at least one is needed; an iterator can be read once only")
    files: dict[str, _File] = {}
    for element in chain([first], elements):
        for (key, value), shape in zip(_parts(element, len(shapes)).items(), shapes, strict=False):
            if key not in files:
                files[key] = _File(folder / f"{name}.{len(files)}.npy")
            samples = _batch(array(value), shape, name)
            if most is not None:
                samples = samples[: most - files[key].count]
            files[key].append(samples)
        if most is not None and all(file.count >= most for file in files.values()):
            break
    for file in files.values():
        file.close()
    path = folder / f"{name}.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for key, file in files.items():
            archive.write(file.path, f"{key}.npy")
            file.path.unlink()
    return str(path)


def _parts(element: Any, inputs: int) -> dict[str, Any]:
    """The inputs among what one step of a data set yields: those before the labels."""
    if isinstance(element, Mapping):
        return dict(element)
    if isinstance(element, (tuple, list)) and not np.isscalar(element[0] if element else 0):
        first = element[0]
        if isinstance(first, (Mapping, tuple)) or (inputs > 1 and isinstance(first, list)):
            return _parts(first, inputs)
        if inputs > 1:
            return {f"in{index}": value for index, value in enumerate(element[:inputs])}
        return {"in0": first}
    return {"in0": element}


def _batch(samples: np.ndarray, shape: list[int], name: str) -> np.ndarray:
    """What was yielded, with a first axis that counts samples: it may be one sample or a batch."""
    elements = int(np.prod(shape)) if shape else 1
    inner = shape[1:] if shape and shape[0] == 1 else shape
    if samples.ndim > len(inner) and samples.size == len(samples) * elements:
        return samples
    if samples.size == elements:
        return samples[None]
    raise InputError(
        f"{name}: what is yielded has the shape {list(samples.shape)}, the model's input {shape}",
        "yield samples or batches of them, alone or before their labels",
    )
