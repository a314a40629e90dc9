"""Models of a hub: found, shown, and taken with their SHA-256 and test vectors checked.

>>> import ferrolite.hub
>>> [entry["name"] for entry in ferrolite.hub.list()]
>>> m = ferrolite.hub.get("mnist")                            # a ferrolite.Model
>>> ferrolite.hub.show("mnist")["figures"]["accuracy"]

`index` is a folder with an `index.json`, such a file, its address, or one of the words `kagglehub` and `huggingface` for what
these have downloaded; without it, it is the hub that comes with Ferrolite. The command `ferrolite hub` has the same words.
"""

from __future__ import annotations

import builtins
import os
import tempfile
from pathlib import Path
from typing import Any

from ._model import Model, _ask, load

__all__ = ["get", "list", "show"]


def _index(index: str | os.PathLike | None) -> builtins.list[str]:
    return [] if index is None else ["--index", os.fspath(index)]


def list(index: str | os.PathLike | None = None) -> builtins.list[dict[str, Any]]:
    """All entries of a hub: name, summary, licence, provenance, source, labels, figures."""
    return _ask(["hub", "list", "--json", *_index(index)])["models"]


def show(name: str, index: str | os.PathLike | None = None) -> dict[str, Any]:
    """The entry of a model."""
    return _ask(["hub", "show", "--json", *_index(index), "--", name])


def get(
    name: str,
    index: str | os.PathLike | None = None,
    *,
    target: str = "portable",
    calibrate: str | os.PathLike | None = None,
    cut: str | None = None,
) -> Model:
    """Takes a model: its source is checked against its SHA-256, converted for `target`, and its vectors are run.

    `calibrate` is the path of typical samples, for a float model; `cut` ends the model at a tensor or layer. Whatever is not as
    the index says raises `InputError`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.ferro")
        words = ["hub", "get", "--json", "-o", str(path), "--target", target, *_index(index)]
        if calibrate is not None:
            words += ["--calibrate", os.fspath(calibrate)]
        if cut is not None:
            words += ["--cut", cut]
        _ask([*words, "--", name], Path(folder))
        return load(path.read_bytes())
