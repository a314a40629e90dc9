"""Calibration on data sets that lie on several machines, with the same bytes as on one.

>>> from ferrolite import distributed
>>> m = distributed.convert("model.keras", shards, client=dask_client)      # or `client=ray`

Only statistics travel, and the few hundred samples that trials draw. The result is that of
`ferrolite.convert(model, calibrate=everything)`, byte for byte, however the samples are cut into shards.
"""

from __future__ import annotations

import inspect as _inspect
import io as _io
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from . import _model, _sources
from ._errors import InputError, UsageError
from ._model import Model

__all__ = ["convert"]

# Quantization asks a handful of questions at most; more rounds than this are a mistake of ours.
_MOST_ROUNDS = 16

# Options of `convert` that statistics depend on, too.
_SHARED = set(_inspect.signature(_model.statistics).parameters) - {"model", "calibrate", "before", "shard", "example"}


def convert(
    model: Any, shards: Iterable[Any], client: Any = None, *, example: Any = None, **options: Any
) -> Model:
    """Converts a trained model to int8, calibrated on shards of a data set that workers read.

    Args:
        model: as in `ferrolite.convert`. Workers get its file.
        shards: the parts of the data set. Each is what `ferrolite.convert` takes as `calibrate` (a path is one on the worker's
            machine), or a function without arguments that gives it there, or a future or reference of the client's.
        client: who does the work: a `dask.distributed.Client`, the module `ray` after `ray.init()`, an
            `Executor` of `concurrent.futures`, or None for this process.
        example: as in `ferrolite.convert`.
        options: further arguments of `ferrolite.convert`, such as `target=` or `calibration=`.

    Raises:
        InputError: the model or the samples do not fit, and when two shards hold the same samples.
    """
    shards = list(shards)
    if not shards:
        raise InputError("there are no shards", "give at least one part of a data set")
    if wrong := {"calibrate", "statistics", "samples", "state"} & set(options):
        raise UsageError(f"`{min(wrong)}=` has no meaning with shards", "leave it out")
    run = _runner(client)
    with tempfile.TemporaryDirectory(prefix="ferrolite-") as name:
        source = _sources.saved(model, Path(name), lambda: example)
        packed = _pack(Path(source))
        shared = {key: value for key, value in options.items() if key in _SHARED}
        parts: list[bytes] = []
        for _ in range(_MOST_ROUNDS):
            numbered = [(shard, (index + 1, len(shards))) for index, shard in enumerate(shards)]
            parts = run(_gather, packed, parts, shared, numbered)
            try:
                return _model.convert(source, statistics=parts, **options)
            except InputError as error:
                if "has another question" not in error.message:
                    raise
    raise AssertionError("there is no end of rounds")


def _gather(packed: tuple[str, bytes], before: list[bytes], options: dict, shard: Any, number: tuple[int, int]) -> bytes:
    """Runs on a worker: the statistics of one shard."""
    data = shard() if callable(shard) and not hasattr(shard, "__array__") else shard
    with tempfile.TemporaryDirectory(prefix="ferrolite-") as name:
        source = _unpack(packed, Path(name))
        return _model.statistics(source, data, before=before, shard=number, **options)


def _pack(source: Path) -> tuple[str, bytes]:
    """A model's file, or a folder with all in it and the times left out, since the hash of a model is that of its contents."""
    if source.is_file():
        return source.name, source.read_bytes()
    packed = _io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(source, arcname=".")
    return f"{source.name}{os.sep}", packed.getvalue()


def _unpack(packed: tuple[str, bytes], folder: Path) -> str:
    name, content = packed
    path = folder / Path(name).name
    if name.endswith(os.sep):
        with tarfile.open(fileobj=_io.BytesIO(content)) as archive:
            archive.extractall(path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    else:
        path.write_bytes(content)
    return str(path)


_Run = Callable[[Callable, Any, list, dict, Sequence], "list[bytes]"]


def _runner(client: Any) -> _Run:
    """How a client runs a function on each shard."""
    if client is None:
        return lambda f, packed, before, options, shards: [f(packed, before, options, *shard) for shard in shards]
    if getattr(client, "__name__", "") == "ray" and hasattr(client, "remote"):
        return lambda *work: _on_ray(client, *work)
    if hasattr(client, "submit") and hasattr(client, "scatter") and hasattr(client, "gather"):
        return lambda *work: _on_dask(client, *work)
    if hasattr(client, "submit"):
        return lambda *work: _on_executor(client, *work)
    raise UsageError(
        f"a {type(client).__name__} runs nothing",
        "give a `dask.distributed.Client`, the module `ray`, or an `Executor` of `concurrent.futures`",
    )


def _on_dask(client: Any, f: Callable, packed: Any, before: list, options: dict, shards: Sequence) -> list[bytes]:
    # What all need is sent to each worker once.
    common = client.scatter([packed, before], broadcast=True, hash=False)
    return client.gather([client.submit(f, *common, options, *shard, pure=False) for shard in shards])


def _on_ray(ray: Any, f: Callable, packed: Any, before: list, options: dict, shards: Sequence) -> list[bytes]:
    remote = ray.remote(f)
    common = [ray.put(packed), ray.put(before)]
    waiting = [remote.remote(*common, options, *shard) for shard in shards]
    try:
        return ray.get(waiting)
    except ray.exceptions.RayTaskError as error:
        # The worker's own error, such as one that names a layer.
        raise error.cause if getattr(error, "cause", None) is not None else error from None


def _on_executor(client: Any, f: Callable, packed: Any, before: list, options: dict, shards: Sequence) -> list[bytes]:
    waiting = [client.submit(f, packed, before, options, *shard) for shard in shards]
    return [one.result() for one in waiting]
