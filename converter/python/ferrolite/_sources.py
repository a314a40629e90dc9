"""Trained models as files: what a program holds in memory is saved the way its own library does."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ._errors import InputError


def saved(model: Any, folder: Path, example: Callable[[], Any] = lambda: None) -> str:
    """The path of a model; what has none is written into the folder.

    `example` gives a batch of one, or a tuple of them, to trace a torch module with.
    """
    if isinstance(model, (str, os.PathLike)):
        return given(model)
    if isinstance(model, (bytes, bytearray, memoryview)):
        path = folder / f"model{_ending(bytes(model[:16]))}"
        path.write_bytes(model)
        return str(path)
    if _is_from(model, "torch", "nn.modules.module", "Module") and not _is_keras(model):
        return _torch(model, folder, example())
    if _is_keras(model):
        return _keras(model, folder)
    if hasattr(model, "SerializeToString") and hasattr(model, "graph"):
        path = folder / f"{_plain(getattr(model.graph, 'name', ''))}.onnx"
        path.write_bytes(model.SerializeToString())
        return str(path)
    if _is_from(model, "tensorflow", "trackable.base", "Trackable"):
        import tensorflow as tf

        path = folder / _plain(type(model).__name__)
        tf.saved_model.save(model, str(path))
        return str(path)
    raise InputError(
        f"a {type(model).__module__}.{type(model).__qualname__} is no model that can be converted",
        "give a Keras model, a torch module, an ONNX model, a tf.Module, the bytes of a file, or a path",
    )


def given(path: str | os.PathLike) -> str:
    """A path as a word of a command line, where one that begins with `-` would be an option."""
    path = os.fspath(path)
    return f".{os.sep}{path}" if path.startswith("-") else path


def _is_from(model: Any, library: str, module: str, name: str) -> bool:
    """Whether an object's class descends from a class of a library that this process has imported."""
    if library not in sys.modules:
        return False
    return any(
        base.__name__ == name and base.__module__.split(".")[0] == library and base.__module__.endswith(module)
        for base in type(model).__mro__
    )


def _is_keras(model: Any) -> bool:
    libraries = {"keras", "tf_keras"}
    return any(
        base.__name__ == "Model" and (base.__module__.split(".")[0] in libraries or ".keras." in base.__module__)
        for base in type(model).__mro__
    )


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "model"


def _keras(model: Any, folder: Path) -> str:
    """A functional or sequential model as its own format has it; a subclassed one as the graph that it computes."""
    name = _plain(getattr(model, "name", ""))
    if not getattr(model, "built", True):
        raise InputError(
            f"Keras model `{name}` has no weights yet, because it has not seen an input",
            "call it once, or `model.build(input_shape)`",
        )
    described = getattr(model, "_is_graph_network", False) or type(model).__name__ in ("Sequential", "Functional")
    # The program knows Keras' own layers; what others compute is in the graph only.
    if described and not _has_own_code(model):
        path = folder / f"{name}.keras"
        try:
            model.save(path)
        except Exception:
            # Versions of Keras before 2.12 do not have this format.
            path = folder / f"{name}.h5"
            model.save(path)
        return str(path)
    path = folder / name
    export = getattr(model, "export", None)
    if export is None:
        model.save(path, save_format="tf")
        return str(path)
    backend = sys.modules["keras"].backend.backend() if "keras" in sys.modules else "tensorflow"
    try:
        if backend == "torch":
            path = path.with_suffix(".onnx")
            export(str(path), format="onnx", verbose=False)
        elif backend == "jax":
            raise InputError(
                f"Keras model `{name}` has code of its author's, which Keras on the JAX backend exports as one operator of "
                "compiled code: nobody can quantize that",
                "save it as .keras, load it with KERAS_BACKEND=tensorflow or torch, and convert it there; a functional or "
                "sequential model of Keras' own layers converts as it is",
            )
        else:
            export(str(path), verbose=False)
    except ImportError as error:
        package = "onnx and onnxscript" if backend == "torch" else "tensorflow-cpu"
        raise InputError(
            f"Keras model `{name}` has code of its author's, and Keras on the {backend} backend does not export it: {error}",
            f"install {package}; a functional or sequential model of Keras' own layers needs no export",
        ) from error
    return str(path)


def _has_own_code(model: Any) -> bool:
    """Whether a layer, at any depth, runs code of its author's."""
    known = {"keras", "tf_keras", "tensorflow", "qkeras", "tensorflow_model_optimization"}
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else model.layers
    return any(
        type(layer).__name__ == "Lambda" or type(layer).__module__.split(".")[0] not in known
        for layer in layers
        if layer is not model
    )


def _torch(model: Any, folder: Path, example: Any) -> str:
    """A torch module as ONNX, traced with one sample."""
    import torch

    if example is None:
        raise InputError(
            "a torch module does not say what its inputs are",
            "give samples with `calibrate=`, or an `example=`: a batch of one, or a tuple of them",
        )
    given = example if isinstance(example, tuple) else (example,)
    arguments = tuple(torch.as_tensor(np.asarray(array)) for array in given)
    path = folder / f"{_plain(type(model).__name__)}.onnx"
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            torch.onnx.export(model, arguments, str(path), **_exporter(torch))
    finally:
        model.train(training)
    return str(path)


def _exporter(torch: Any) -> dict:
    """The exporter that needs no further package, where this torch has the choice."""
    import importlib.util
    import inspect

    known = inspect.signature(torch.onnx.export).parameters
    modern = importlib.util.find_spec("onnxscript") is not None
    if modern and "external_data" in known:
        # `verbose=False`: its steps are nothing that a user of `convert` waits for.
        return {"dynamo": True, "external_data": False, "verbose": False}
    return {"dynamo": False} if "dynamo" in known else {}


def _ending(head: bytes) -> str:
    """The ending of the format that begins with these bytes; the converter looks at the contents again."""
    if head[4:8] == b"TFL3":
        return ".tflite"
    if head[:4] == b"PK\x03\x04":
        return ".keras"
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return ".h5"
    return ".onnx"
