"""TensorFlow Lite's interpreter, by its verbs, over Ferrolite's."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ._errors import InputError
from ._ferrolite import File
from ._model import Port, convert


class Interpreter:
    """Runs a model by the verbs of `tf.lite.Interpreter`, so that a script changes one import.

    Takes a `.ferro` file, or a quantized `.tflite` file, which is converted when it is read; a float one needs typical
    samples for that, `calibrate=`, as `convert` takes them. What lies between the inputs
    and the outputs cannot be read by index: `Model.layers` gives it.
    """

    def __init__(
        self,
        model_path: str | os.PathLike | None = None,
        model_content: bytes | None = None,
        num_threads: int | None = None,
        *,
        calibrate: Any = None,
        experimental_delegates: Any = None,
        experimental_op_resolver_type: Any = None,
        experimental_preserve_all_tensors: bool = False,
        experimental_disable_delegate_clustering: bool = False,
        experimental_default_delegate_latest_features: bool = False,
    ):
        if (model_path is None) == (model_content is None):
            raise InputError("a model is needed", "give `model_path` or `model_content`, one of them")
        if experimental_delegates:
            raise InputError("delegates do not run here", "leave `experimental_delegates` out")
        if experimental_preserve_all_tensors:
            raise InputError(
                "what lies between inputs and outputs cannot be read by index",
                "leave `experimental_preserve_all_tensors` out; `Model.layers` gives what each layer computes",
            )
        # One inference takes one thread, as on a device; which kernels compute it never changes an answer.
        del num_threads, experimental_op_resolver_type
        del experimental_disable_delegate_clustering, experimental_default_delegate_latest_features
        content = bytes(model_content) if model_content is not None else None
        if content is None:
            with open(model_path, "rb") as file:
                content = file.read()
        name = os.fspath(model_path) if model_path is not None else "model"
        if content[4:8] == b"FERO":
            self._file = File(name, content)
        else:
            self._file = File(name, bytes(convert(content if model_path is None else model_path, calibrate)))
        self._ports = [Port._of(port) for port in (*self._file.inputs(), *self._file.outputs())]
        self._inputs = len(self._file.inputs())
        self._tensors = [np.zeros(port.shape, port.dtype) for port in self._ports]
        self._state = self._file.initial_state()

    def allocate_tensors(self) -> None:
        """Does nothing: the file says where everything lies."""

    def get_input_details(self) -> list[dict]:
        """The inputs, with TensorFlow Lite's keys."""
        return [self._details(index) for index in range(self._inputs)]

    def get_output_details(self) -> list[dict]:
        """The outputs, with TensorFlow Lite's keys."""
        return [self._details(index) for index in range(self._inputs, len(self._ports))]

    def get_tensor_details(self) -> list[dict]:
        """The inputs and the outputs."""
        return [self._details(index) for index in range(len(self._ports))]

    def _details(self, index: int) -> dict:
        port = self._ports[index]
        scales = [] if port.scale is None else [port.scale]
        points = [] if port.scale is None else [port.zero_point]
        return {
            "name": port.name,
            "index": index,
            "shape": np.array(port.shape, np.int32),
            "shape_signature": np.array(port.shape, np.int32),
            "dtype": port.dtype.type,
            "quantization": (port.scale or 0.0, port.zero_point or 0),
            "quantization_parameters": {
                "scales": np.array(scales, np.float32),
                "zero_points": np.array(points, np.int32),
                "quantized_dimension": 0,
            },
            "sparsity_parameters": {},
        }

    def resize_tensor_input(self, input_index: int, tensor_size: Any, strict: bool = False) -> None:
        """Accepts the shape that the model has."""
        shape = self._port(input_index).shape
        if tuple(tensor_size) != shape:
            raise InputError(
                f"input `{self._ports[input_index].name}` has the shape {list(shape)}",
                "convert the model again with `input_shape=`, or call `invoke` for each sample",
            )

    def _port(self, index: int) -> Port:
        if not 0 <= index < len(self._ports):
            raise InputError(f"there is no tensor {index}", "`get_input_details` and `get_output_details` list them")
        return self._ports[index]

    def set_tensor(self, tensor_index: int, value: Any) -> None:
        """Sets an input, in its own type."""
        port = self._port(tensor_index)
        if tensor_index >= self._inputs:
            raise InputError(f"`{port.name}` is an output", "set the inputs")
        value = np.asarray(value)
        if value.dtype != port.dtype or value.shape != port.shape:
            raise InputError(
                f"input `{port.name}` takes {port.dtype} {list(port.shape)}, {value.dtype} {list(value.shape)} was given",
                "real numbers are quantized with `value / scale + zero_point`; `Model.run` does that",
            )
        # Into the array that `tensor` shows.
        self._tensors[tensor_index][...] = value

    def get_tensor(self, tensor_index: int) -> np.ndarray:
        """An output of the last inference, or an input; a copy."""
        self._port(tensor_index)
        return self._tensors[tensor_index].copy()

    def tensor(self, tensor_index: int):
        """A function that gives the tensor itself: what is written into an input is what `invoke` reads; an output can
        only be read."""
        self._port(tensor_index)

        def view() -> np.ndarray:
            shown = self._tensors[tensor_index].view()
            shown.flags.writeable = tensor_index < self._inputs
            return shown

        return view

    def invoke(self) -> None:
        """One inference. Variables keep their values for the next one."""
        inputs = [tensor.tobytes() for tensor in self._tensors[: self._inputs]]
        outputs, self._state = self._file.infer(inputs, self._state)
        for index, elements in enumerate(outputs, self._inputs):
            port = self._ports[index]
            self._tensors[index][...] = np.frombuffer(elements, port.dtype).reshape(port.shape)

    def reset_all_variables(self) -> None:
        """Gives all state its first value."""
        self._state = self._file.initial_state()

    def get_signature_list(self) -> dict:
        """One signature, with the names of the ports."""
        names = [port.name for port in self._ports]
        return {"serving_default": {"inputs": names[: self._inputs], "outputs": names[self._inputs :]}}

    def get_signature_runner(self, signature_key: str | None = None) -> Runner:
        """A function of the inputs by name that gives the outputs by name."""
        if signature_key not in (None, "serving_default"):
            raise InputError(f"there is no signature `{signature_key}`", "it is `serving_default`")

        return Runner(self)

    def __reduce__(self):
        return _again, (self._file.bytes(), self._tensors, self._state)


class Runner:
    """A signature that can be called: a function of the inputs by name that gives the outputs by name."""

    def __init__(self, interpreter: Interpreter):
        self._interpreter = interpreter

    def __call__(self, **inputs: Any) -> dict[str, np.ndarray]:
        net = self._interpreter
        names = {detail["name"]: detail["index"] for detail in net.get_input_details()}
        if set(inputs) != set(names):
            raise InputError(f"the inputs are {', '.join(names)}", "give each of them by name")
        for name, value in inputs.items():
            net.set_tensor(names[name], value)
        net.invoke()
        return {detail["name"]: net.get_tensor(detail["index"]) for detail in net.get_output_details()}

    def get_input_details(self) -> dict[str, dict]:
        """The inputs by name, with the keys of `Interpreter.get_input_details`."""
        return {detail["name"]: detail for detail in self._interpreter.get_input_details()}

    def get_output_details(self) -> dict[str, dict]:
        """The outputs by name, with the keys of `Interpreter.get_output_details`."""
        return {detail["name"]: detail for detail in self._interpreter.get_output_details()}


def _again(content: bytes, tensors: list[np.ndarray], state: bytes) -> Interpreter:
    """An interpreter that was pickled."""
    net = Interpreter(model_content=content)
    for own, kept in zip(net._tensors, tensors, strict=True):
        own[...] = kept
    net._state = state
    return net
