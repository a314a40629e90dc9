"""Samples as files that the converter reads: arrays, and whatever yields samples or batches of them.

What is yielded goes to a file piece by piece, so a data set may be larger than memory.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ._errors import InputError, UsageError
from ._sources import given

# Bytes kept for the header of a file whose number of samples is not known yet.
HEADER = 128


Ports = Sequence["tuple[str, Sequence[int]]"]
"""Names and shapes of a model's inputs; a batch of one is part of a shape. A shape of `[]` with no name is unknown."""


def array(x: Any) -> np.ndarray:
    """An array-like value, also one that a torch, JAX or TensorFlow program holds."""
    if hasattr(x, "detach"):
        x = x.detach()
        if str(getattr(x, "dtype", "")) == "torch.bfloat16":
            x = x.float()
        x = x.cpu()
    try:
        x = np.asarray(x)
    except ValueError:
        raise _ragged(x) from None
    if x.dtype == object:
        raise _ragged(x)
    # Not `ascontiguousarray`, which gives a number without dimensions one.
    return np.asarray(x, order="C")


def _ragged(x: Any) -> InputError:
    """Why a value makes no array."""
    help = "give samples of one shape"
    if isinstance(x, (list, tuple)) and len(x) > 1:
        shapes = [_shape(part) for part in x]
        if None not in shapes and len(set(shapes)) > 1:
            if len(shapes) == 2:
                help += "; labels are no samples: give `x` in place of `(x, y)`"
            other = next(index for index, shape in enumerate(shapes) if shape != shapes[0])
            return InputError(
                f"parts of different shapes make no array: part 0 has {list(shapes[0])}, part {other} "
                f"{list(shapes[other])}",
                help,
            )
        if all(isinstance(part, (list, tuple)) and len(part) == 2 for part in x):
            help += "; labels are no samples: give the samples alone in place of pairs"
    return InputError("samples of different shapes, or of no numbers, make no array", help)


def _shape(x: Any) -> tuple[int, ...] | None:
    try:
        return tuple(np.shape(x))
    except ValueError:
        return None


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


def write(x: Any, folder: Path, name: str, ports: Ports, most: int | None = None) -> str:
    """Samples as a DATA argument, `most` of them at most."""
    if most is not None and (isinstance(most, bool) or int(most) != most or most < 1):
        raise UsageError(f"`samples={most}` is no number of samples", "give a whole number from 1 on")
    most = None if most is None else int(most)
    if isinstance(x, (str, os.PathLike)):
        return given(x) if most is None else _part_of_file(Path(x), folder, name, most)
    if is_held(x):
        arrays = held(x, len(ports))
        if most is not None:
            arrays = {key: value[:most] if value.ndim else value for key, value in arrays.items()}
        path = folder / f"{name}.npz"
        np.savez(path, **arrays)
        return str(path)
    if not isinstance(x, Iterable):
        raise InputError(
            f"{name}: a {type(x).__name__} holds no samples",
            "give arrays, a dictionary of them, a tf.data.Dataset, a DataLoader, an iterator, or a path",
        )
    return _stream(_elements(x, most), folder, name, ports, most)


def _part_of_file(path: Path, folder: Path, name: str, most: int) -> str:
    """The first samples of a file of arrays."""
    if path.suffix.lower() not in (".npy", ".npz"):
        raise UsageError(
            f"`samples={most}` counts samples of arrays, and {path} is no .npy or .npz file",
            "give a file or folder with as many samples, or the samples as arrays",
        )
    if not path.is_file():
        return given(path)  # Whose errors are those of the program.
    part = folder / f"{name}{path.suffix.lower()}"
    try:
        if path.suffix.lower() == ".npy":
            np.save(part, np.load(path, mmap_mode="r", allow_pickle=False)[:most])
        else:
            with np.load(path, allow_pickle=False) as arrays:
                np.savez(part, **{key: arrays[key][:most] if arrays[key].ndim else arrays[key] for key in arrays.files})
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: {error}", "give arrays of numbers") from None
    return str(part)


def _elements(x: Any, most: int | None) -> Iterator[Any]:
    if hasattr(x, "as_numpy_iterator"):
        endless = getattr(x, "cardinality", None)
        if most is None and endless is not None and int(endless()) == -1:
            raise InputError(
                "the data set repeats without an end", "take a part of it: `dataset.take(n)`, or `samples=` of `convert`"
            )
        return x.as_numpy_iterator()
    return iter(x)


def steps(x: Any, ports: Ports) -> Iterator[dict[str, np.ndarray]]:
    """What a data set or an iterator yields, step by step: an array of samples for each input."""
    if not isinstance(x, Iterable):
        raise InputError(
            f"a {type(x).__name__} holds no samples",
            "give arrays, a dictionary of them, a tf.data.Dataset, a DataLoader, or an iterator",
        )
    elements = x.as_numpy_iterator() if hasattr(x, "as_numpy_iterator") else iter(x)
    for element in elements:
        yield _samples(element, ports, "x")


class _File:
    """A `.npy` file that samples are appended to."""

    def __init__(self, path: Path, origin: str):
        self.path, self.origin, self.count, self.shape, self.dtype = path, origin, 0, None, None
        self.file = open(path, "wb+")
        self.file.write(bytes(HEADER))

    def append(self, samples: np.ndarray) -> None:
        if self.shape is None:
            self.shape, self.dtype = samples.shape[1:], samples.dtype
        if samples.shape[1:] != self.shape:
            raise InputError(
                f"{self.origin}: sample {self.count} has the shape {list(samples.shape[1:])}, those before it "
                f"{list(self.shape)}",
                "give samples of one shape",
            )
        if samples.dtype != self.dtype:
            self._promote(np.result_type(self.dtype, samples.dtype))
        self.file.write(samples.astype(self.dtype, copy=False).tobytes())
        self.count += len(samples)

    def _promote(self, dtype: np.dtype) -> None:
        """Gives all samples so far a type that holds them and those to come: integers may be followed by fractions."""
        if dtype == self.dtype:
            return
        wider = self.path.with_suffix(".wider")
        with open(wider, "wb") as file:
            file.write(bytes(HEADER))
            self.file.seek(HEADER)
            while part := self.file.read(self.dtype.itemsize << 16):
                file.write(np.frombuffer(part, self.dtype).astype(dtype).tobytes())
        self.file.close()
        os.replace(wider, self.path)
        self.file, self.dtype = open(self.path, "rb+"), dtype
        self.file.seek(0, os.SEEK_END)

    def finish(self) -> None:
        """Writes the header, which says how many samples there are."""
        descr = npy.dtype_to_descr(self.dtype) if self.dtype is not None else "<f4"
        header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {(self.count, *(self.shape or ()))}, }}"
        room = HEADER - 10
        self.file.seek(0)
        self.file.write(b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little"))
        self.file.write(header.ljust(room - 1).encode("latin1") + b"\n")
        self.file.close()


def _stream(elements: Iterator[Any], folder: Path, name: str, ports: Ports, most: int | None) -> str:
    first = next(elements, None)
    if first is None:
        raise InputError(f"{name}: there are no samples", "at least one is needed; an iterator can be read once only")
    files: dict[str, _File] = {}
    try:
        for element in chain([first], elements):
            for key, samples in _samples(element, ports, name).items():
                if key not in files:
                    origin = name if len(ports) == 1 else f"{name}, input `{key}`"
                    files[key] = _File(folder / f"{name}.{len(files)}.npy", origin)
                if most is not None:
                    samples = samples[: most - files[key].count]
                files[key].append(samples)
            if most is not None and all(file.count >= most for file in files.values()):
                break
        for file in files.values():
            file.finish()
    finally:
        for file in files.values():
            file.file.close()
    path = folder / f"{name}.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for key, file in files.items():
            archive.write(file.path, f"{key}.npy")
            file.path.unlink()
    return str(path)


def _samples(element: Any, ports: Ports, name: str) -> dict[str, np.ndarray]:
    """What one step of a data set yields, as an array of samples for each input: the first of the ways to read it that
    fits the inputs."""
    ways = list(_ways(element, ports))
    for way in ways:
        fitting = {key: _fitting(value, shape) for key, value, shape in way}
        if all(samples is not None for samples in fitting.values()):
            return fitting
    for _, value, shape in ways[0]:
        found = array(value)
        if _fitting(found, shape) is None:
            raise InputError(
                f"{name}: what is yielded has the shape {list(found.shape)}, the model's input {list(shape)}",
                "yield samples or batches of them, alone or before their labels",
            )
    raise AssertionError("one of the parts does not fit")


Way = list["tuple[str, Any, Sequence[int]]"]


def _ways(element: Any, ports: Ports) -> Iterator[Way]:
    """The ways to read what is yielded, the likeliest first: the key, value and shape of each input."""
    if isinstance(element, Mapping):
        yield _named(element, ports)
        return
    if not isinstance(element, (tuple, list)) or not len(element):
        yield [("in0", element, ports[0][1])]
        return
    first = element[0]
    labelled = [] if np.isscalar(first) else list(_ways(first, ports))
    if len(ports) == 1:
        whole = [("in0", element, ports[0][1])]
        # A pair is samples and labels, perhaps with weights; a list may be that, too (as a DataLoader has it), or a batch.
        if isinstance(element, tuple) or hasattr(first, "detach"):
            several = labelled if len(element) <= 3 or hasattr(first, "detach") else []
            yield from [*several, whole, *labelled]
        else:
            yield from [whole, *labelled]
        return
    each = []
    if len(element) >= len(ports):
        each = [[(f"in{index}", value, ports[index][1]) for index, value in enumerate(element[: len(ports)])]]
    # `((a, b), labels)` before `(a, b)`: a pair of inputs could pass for a batch of two.
    paired = isinstance(first, (Mapping, tuple)) or (isinstance(element, tuple) and isinstance(first, list))
    inner = [way for way in labelled if len(way) == len(ports)]
    ways = [*inner, *each] if paired else [*each, *inner]
    if not ways:
        raise InputError(
            f"{len(element)} arrays are yielded, and the model has {len(ports)} inputs",
            f"yield one for each of {', '.join(f'`{port}`' for port, _ in ports)}, as a tuple or by name",
        )
    yield from ways


def _named(element: Mapping, ports: Ports) -> Way:
    """The inputs among named arrays; others, such as labels, are left out."""
    way = []
    for index, (port, shape) in enumerate(ports):
        alike = [key for key in element if _plain(str(key)) == _plain(port)]
        key = next((key for key in (port, f"in{index}", *alike[:1]) if key in element), None)
        if key is None and len(ports) == 1:
            # The program finds out which it is.
            only = list(element.items())
            return [(str(key), value, shape) for key, value in only[:1]] if len(only) == 1 else _like(element, shape)
        if key is None:
            raise InputError(
                f"there is no array for input `{port}` among {', '.join(f'`{key}`' for key in element) or 'none'}",
                f"name it so, or `in{index}`",
            )
        way.append((key, element[key], shape))
    return way


def _plain(name: str) -> str:
    """A port's name without what TensorFlow adds to it: `x` of `serving_default_x:0`."""
    return re.sub(r"(?<=.):\d+$", "", name.removeprefix("serving_default_"))


def _like(element: Mapping, shape: Sequence[int]) -> Way:
    """The only one of several arrays that could be samples of such an input."""
    fitting = [(str(key), value, shape) for key, value in element.items() if _fitting(value, shape) is not None]
    if len(fitting) != 1:
        raise InputError(
            f"which of {', '.join(f'`{key}`' for key in element) or 'no arrays'} holds the samples?",
            "name it like the model's input, or `in0`",
        )
    return fitting


def first(element: Any) -> Any:
    """The samples in what a data set yields, where nothing is known of the inputs."""
    if isinstance(element, Mapping):
        return next(iter(element.values()))
    if isinstance(element, (tuple, list)) and len(element) and not np.isscalar(element[0]):
        rows = isinstance(element, list) and not hasattr(element[0], "detach")
        shapes = {_shape(part) for part in element}
        if rows and len(shapes) == 1 and None not in shapes:
            return element
        return first(element[0])
    return element


def _fitting(value: Any, shape: Sequence[int]) -> np.ndarray | None:
    """What was yielded, with a first axis that counts samples: it may be one sample or a batch. None if it is neither."""
    try:
        samples = array(value)
    except InputError:
        return None
    elements = int(np.prod(shape)) if len(shape) else 1
    inner = shape[1:] if len(shape) and shape[0] == 1 else shape
    if samples.ndim > len(inner) and samples.size == len(samples) * elements:
        return samples
    if samples.size == elements:
        return samples[None]
    return None
