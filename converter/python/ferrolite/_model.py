"""Conversion, and what can be asked of a converted model."""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import _data, _sources
from ._errors import Doubt, Error, InputError, UsageError
from ._ferrolite import File, command
from ._session import Session

Shapes = Mapping[str, Sequence[int]]
Values = Mapping[str, Any]
"""Shapes of inputs by name, batch included."""


class Port(NamedTuple):
    """An input, an output or a variable of a model."""

    name: str
    """The author's name."""
    shape: tuple[int, ...]
    """Dimensions, outermost first."""
    dtype: np.dtype
    """Element type."""
    scale: float | None
    """Real = scale * (stored - zero_point); None where elements stand for themselves."""
    zero_point: int | None

    @classmethod
    def _of(cls, port: tuple) -> Port:
        name, dtype, shape, quantization = port
        scale, zero_point = quantization or (None, None)
        return cls(name, tuple(shape), np.dtype(dtype), scale, zero_point)

    @property
    def _inner(self) -> tuple[int, ...]:
        """The shape of one sample, without a batch axis of 1."""
        return self.shape[1:] if len(self.shape) > 1 and self.shape[0] == 1 else self.shape

    def real(self, stored: np.ndarray) -> np.ndarray:
        """The real numbers that stored elements stand for."""
        if self.scale is None:
            return np.array(stored)
        return (np.float32(self.scale) * (stored.astype(np.int32) - self.zero_point)).astype(np.float32)


def _ask(words: Sequence[str], folder: Path | None = None) -> dict:
    """The JSON object that a command prints, with this module's words for what it has written into the folder."""

    def ours(value: Any) -> Any:
        if isinstance(value, str):
            return _unwritten(value, folder)
        if isinstance(value, list):
            return [ours(one) for one in value]
        return {key: ours(one) for key, one in value.items()} if isinstance(value, dict) else value

    return ours(json.loads(_command(words, folder)))


def _command(words: Sequence[str], folder: Path | None) -> str:
    """What a command prints; its errors in this module's words."""
    try:
        return command(list(words))
    except Error as error:
        message, help = (_in_python(_unwritten(text, folder)) for text in (error.message, error.help))
        raise type(error)(message, help, error.layer) from None


# Files that are written for the program, and what the caller knows them as.
_WRITTEN = {"calibrate.npz": "`calibrate`", "x.npz": "`x`", "y.npy": "`y`"}
_WRITTEN |= {f"model.{ending}": "the model" for ending in ("ferro", "tflite", "keras", "h5", "onnx")}

# Options that are arguments here; others are words of a message, such as a value that was given.
_ARGUMENTS = set(
    "target io calibration scale rounding flash_budget ram_budget memory streaming signature input_shape input_values state cut inputs outputs strict "
    "samples calibrate statistics shard on board clock sequence report raw output".split()
)


def _unwritten(text: str, folder: Path | None) -> str:
    """A text without the names of files in the folder, which nobody but this module has seen."""
    if folder is None:
        return text
    here = re.escape(f"{folder}{os.sep}")
    for name, known in _WRITTEN.items():
        which = re.compile(rf"say which one: {here}{re.escape(name)}:(\S+)")
        text = which.sub(lambda found: f"give the one alone, as `{{\"{found[1]}\": …}}`", text)
        text = re.sub(rf"{here}{re.escape(name)}(?![\w.])", lambda _, known=known: known, text)
    return re.sub(here, "", text)


def _in_python(text: str) -> str:
    """A sentence in which options of the program are arguments: `--flash-budget N` is `flash_budget=`. Whole command lines
    stay what they are."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(_code(part[1:-1]) if part[:1] == "`" and len(part) > 1 else _prose(part) for part in parts)


def _code(code: str) -> str:
    """What stands between backticks."""
    option = re.fullmatch(r"--([a-z][a-z-]*)(?:[ =](.*))?", code)
    if not option:
        return f"`{code}`"
    name, value = option[1].replace("-", "_"), option[2] or ""
    name = {"input_value": "input_values"}.get(name, name)
    if name not in _ARGUMENTS:
        return f"`{code}`"
    if re.fullmatch(r"<?[A-Z][A-Za-z.,:=_]*>?", value):
        value = ""  # It only says what kind of value it is.
    key, equals, rest = value.partition("=")
    if name == "input_values" and equals:
        value = f'{{"{key}": {rest}}}'
    elif name == "input_shape" and value:
        shape = f"({', '.join(size.strip() for size in (rest if equals else value).split(','))})"
        value = f'{{"{key}": {shape}}}' if equals else shape
    elif name == "state" and equals:
        value = f'{{"{key}": "{rest}"}}'
    elif value and not re.fullmatch(r"\d+(\.\d+)?", value):
        value = f'"{value}"'
    return f"`{name}={value}`"


def _prose(text: str) -> str:
    """What stands outside of backticks; of a value only its kind is left out, since it may be the sentence's next word."""
    option = re.compile(r"(['\"]?)(?<![\w-])--([a-z][a-z-]*)(?:[ =]<[A-Za-z_.]+>|[ =][A-Z]+(?![a-z]))?\1")

    def argument(found: re.Match) -> str:
        name = found[2].replace("-", "_")
        name = {"input_value": "input_values"}.get(name, name)
        return f"`{name}=`" if name in _ARGUMENTS else found[0]

    return option.sub(argument, text)


def _warn(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        warnings.warn(_in_python(sentence), Doubt, stacklevel=3)


def _source_words(
    source: str,
    signature: str | None,
    input_shape: Shapes | None,
    state: Mapping[str, str] | None,
    cut: Sequence[str],
    inputs: Sequence[str] | str = (),
    outputs: Sequence[str] | str = (),
    input_values: Values | None = None,
) -> list[str]:
    if signature is not None and Path(source).is_file() and Path(source).suffix not in (".tflite", ".lite"):
        raise UsageError(
            f"`signature={signature}`: {Path(source).name} has no signatures, which SavedModels and .tflite files have",
            "leave `signature=` out",
        )
    # With `=`, since a value may begin with `-`.
    words = [f"--signature={signature}"] if signature is not None else []
    if input_shape is not None and not isinstance(input_shape, Mapping):
        raise UsageError(f"`input_shape={input_shape!r}` names no input", 'give `{"name": (1, 28, 28, 1)}`, batch included')
    for name, shape in (input_shape or {}).items():
        if isinstance(shape, str) or not np.iterable(shape) or not all(isinstance(n, (int, np.integer)) for n in shape):
            raise UsageError(
                f"`input_shape={input_shape!r}` holds no shape", 'give sizes, batch included: `{"name": (1, 28, 28, 1)}`'
            )
        words.append(f"--input-shape={name}={','.join(str(int(size)) for size in shape)}")
    if input_values is not None and not isinstance(input_values, Mapping):
        raise UsageError(f"`input_values={input_values!r}` names no input", 'give `{"name": 16000}`')
    for name, value in (input_values or {}).items():
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "biuf" or not numbers.size:
            raise UsageError(f"`input_values={input_values!r}` holds no numbers for `{name}`", 'give `{"name": 16000}`')
        # The shortest text that is the same number again; truth values are words.
        words.append(f"--input-value={name}={','.join(str(one).lower() for one in numbers.ravel().tolist())}")
    if state is not None and not isinstance(state, Mapping):
        raise UsageError(f"`state={state!r}` names no pairs", 'give `{"input": "output"}`')
    words += [f"--state={before}={after}" for before, after in (state or {}).items()]
    words += [f"--cut={tensor}" for tensor in ([cut] if isinstance(cut, str) else cut)]
    words += [f"--inputs={name}" for name in ([inputs] if isinstance(inputs, str) else inputs)]
    words += [f"--outputs={name}" for name in ([outputs] if isinstance(outputs, str) else outputs)]
    return words


def _options(named: Mapping[str, Any]) -> list[str]:
    """Options with a value each; those that are None are left out."""
    # With `=`, since a value may begin with `-`.
    return [f"--{name.replace('_', '-')}={value}" for name, value in named.items() if value is not None]


def _example(data: Any) -> Any:
    """A batch of one of some samples, for a module that has to be traced; None where they are in files or come once."""
    if data is None or isinstance(data, (str, os.PathLike)) or hasattr(data, "__next__"):
        return None
    if isinstance(data, Mapping):
        return tuple(_data.array(value)[:1] for value in data.values())
    if _data.is_held(data):
        several = isinstance(data, (list, tuple)) and all(hasattr(part, "shape") and len(part.shape) > 1 for part in data)
        return tuple(_data.array(part)[:1] for part in data) if several else _data.array(data)[:1]
    first = next(iter(data), None)
    return None if first is None else _data.array(_data.first(first))[:1]


def convert(
    model: Any,
    calibrate: Any = None,
    *,
    target: str = "portable",
    io: str = "int8",
    calibration: str = "auto",
    scale: str | None = None,
    rounding: str = "double",
    flash_budget: int | str | None = None,
    ram_budget: int | str | None = None,
    memory: Mapping[str, int | str] | None = None,
    streaming: bool = False,
    signature: str | None = None,
    input_shape: Shapes | None = None,
    input_values: Values | None = None,
    state: Mapping[str, str] | None = None,
    cut: Sequence[str] | str = (),
    inputs: Sequence[str] | str = (),
    outputs: Sequence[str] | str = (),
    strict: bool = False,
    samples: int | None = None,
    example: Any = None,
    statistics: Sequence[bytes | str | os.PathLike] | None = None,
) -> Model:
    """Converts a trained model to int8.

    Args:
        model: a Keras model on any backend, a `torch.nn.Module`, an ONNX model, a `tf.Module` with signatures, the bytes
            of a model file, or its path: `.tflite`, `.keras`, `.h5`, `.onnx`, a SavedModel's folder, TensorFlow 1's `.pb` and
            `.meta`, TensorFlow.js's `model.json`.
        calibrate: typical samples, 100 or more, which a float model needs: an array whose first axis counts samples,
            a dictionary of arrays by input, a `tf.data.Dataset`, a `DataLoader`, any iterable of samples or batches
            (labels behind them are left out), or a path, as the program takes it. What is iterated is not held in memory.
        target: the core to make it fast for; answers are the same on all of them.
        io: type of the inputs and outputs, "int8" or "float".
        calibration: how ranges follow from the samples; "auto" tries all ways.
        scale: what pixels of picture files become: "0..255", "0..1", "-1..1" or "imagenet".
        rounding: "double" as TensorFlow Lite Micro has it, or "single".
        flash_budget: largest size of the file, in bytes or as "64K".
        ram_budget: largest size of the arena.
        memory: memories of the arena and their sizes, the fastest first.
        streaming: makes a model over windows one over the signal.
        signature: the signature of a SavedModel or a .tflite file with several.
        input_shape: shapes of inputs whose dimensions are open, batch included.
        input_values: values of inputs that are constants in practice, as `{"sr": 16000}`; they are no inputs then.
        state: inputs that are what an output was in the inference before.
        cut: tensors that the model ends at.
        inputs: nodes that a graph of TensorFlow 1 (`.pb`, `.meta`) begins with; its placeholders if left out.
        outputs: nodes that such a graph ends at; what no node reads if left out.
        strict: makes every warning an error.
        samples: the most samples to take of `calibrate`.
        example: a batch of one, or a tuple of them, to trace a torch module with; else a sample of `calibrate`.
        statistics: in place of `calibrate`, what `statistics` gathered of each part of a data set.

    Raises:
        InputError: the model or the samples do not fit; `layer` names the layer.
        UsageError: an argument has no such value.
        BudgetError: the model exceeds a budget.

    Warns:
        Doubt: for each thing that a person should act on.
    """
    with tempfile.TemporaryDirectory(prefix="ferrolite-") as name:
        folder = Path(name)
        source = _sources.saved(model, folder, lambda: _example(calibrate) if example is None else example)
        words = _source_words(source, signature, input_shape, state, cut, inputs, outputs, input_values)
        if calibrate is not None:
            ports = _input_ports(source, words, calibrate, folder)
            data = _data.write(calibrate, folder, "calibrate", ports, samples)
            words.append(f"--calibrate={data}")
        if statistics is not None:
            if calibrate is not None:
                raise UsageError("`calibrate=` and `statistics=` were both given", "leave one of them out")
            words += _part_words(statistics, folder)
        words += _options(
            {
                "target": target,
                "io": io,
                "calibration": calibration,
                "rounding": rounding,
                "scale": scale,
                "flash_budget": flash_budget,
                "ram_budget": ram_budget,
            }
        )
        if memory is not None and not isinstance(memory, Mapping):
            raise UsageError(f"`memory={memory!r}` names no memories", 'give sizes by name: `{"dtcm": "64K"}`')
        for where, size in (memory or {}).items():
            words.append(f"--memory={where}={size}")
        words += ["--streaming"] * streaming + ["--strict"] * strict
        output = folder / "converted.ferro"
        facts = _ask(["convert", source, "-o", str(output), "--json", *words], folder)
        file = File(Path(source).name, output.read_bytes())
    _warn(facts["warnings"])
    facts.pop("output", None)
    return Model(file, facts)


def statistics(
    model: Any,
    calibrate: Any,
    *,
    before: Sequence[bytes | str | os.PathLike] = (),
    shard: tuple[int, int] | None = None,
    calibration: str = "auto",
    io: str = "int8",
    scale: str | None = None,
    signature: str | None = None,
    input_shape: Shapes | None = None,
    input_values: Values | None = None,
    cut: Sequence[str] | str = (),
    inputs: Sequence[str] | str = (),
    outputs: Sequence[str] | str = (),
    example: Any = None,
) -> bytes:
    """Gathers what one part of a data set says about a model, for `convert(model, statistics=parts)`.

    Args:
        model: as in `convert`; its file must have the same bytes on all machines, so give a path or bytes.
        calibrate: the samples of this part.
        before: the parts of the round before, all of them; `convert` says whether another round is needed.
        shard: the number of this part, from 1, and how many there are, so that a missing one is noticed.
        calibration, io, scale, signature, input_shape, input_values, cut, inputs, outputs, example: as `convert` will be told.

    Returns:
        The contents of a file of statistics.

    Raises:
        InputError: the model or the samples do not fit, or the parts are of something else.
    """
    with tempfile.TemporaryDirectory(prefix="ferrolite-") as name:
        folder = Path(name)
        source = _sources.saved(model, folder, lambda: _example(calibrate) if example is None else example)
        words = _source_words(source, signature, input_shape, None, cut, inputs, outputs, input_values)
        ports = _input_ports(source, words, calibrate, folder)
        words.append(f"--calibrate={_data.write(calibrate, folder, 'calibrate', ports, None)}")
        words += _options({"calibration": calibration, "io": io, "scale": scale})
        words += _part_words(before, folder) if before else []
        words += [f"--shard={shard[0]}/{shard[1]}"] if shard is not None else []
        output = folder / "gathered.part"
        facts = _ask(["statistics", source, "-o", str(output), "--json", *words], folder)
        gathered = output.read_bytes()
    _warn(facts["warnings"])
    return gathered


def _part_words(parts: Sequence[bytes | str | os.PathLike], folder: Path) -> list[str]:
    """Files of statistics as words of a command line."""
    if isinstance(parts, (bytes, str, os.PathLike)) or not len(parts):
        raise UsageError("`statistics=` takes a list of parts", "give what `statistics` gathered, of all parts")
    paths = []
    for index, part in enumerate(parts):
        if isinstance(part, (bytes, bytearray, memoryview)):
            path = folder / f"{index}.part"
            path.write_bytes(part)
            paths.append(str(path))
        else:
            paths.append(_sources.given(part))
    return ["--statistics", *paths]


def _input_ports(source: str, words: list[str], data: Any, folder: Path) -> _data.Ports:
    """Names and shapes of a trained model's inputs, where the form of its samples depends on them."""
    held = _data.is_held(data)
    if isinstance(data, (str, os.PathLike)) or (held and not isinstance(data, (list, tuple))):
        return [("", [])]
    return [(port["name"], port["shape"]) for port in _ask(["inspect", source, "--json", *words], folder)["inputs"]]


def load(path: str | os.PathLike | bytes) -> Model:
    """Reads a `.ferro` file.

    Args:
        path: the file, or its bytes.

    Raises:
        InputError: it is none, or it is damaged.
    """
    if isinstance(path, (bytes, bytearray, memoryview)):
        return Model(File("model.ferro", bytes(path)))
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"a {type(path).__name__} is no `.ferro` file", "give its path, or its bytes")
    return Model(File.read(os.fspath(path)))


def inspect(
    model: Any, *, signature: str | None = None, input_shape: Shapes | None = None, input_values: Values | None = None
) -> dict:
    """What is in a trained model or a `.ferro` file, with the layers that cannot be converted: the object of
    `ferrolite inspect --json`."""
    with tempfile.TemporaryDirectory(prefix="ferrolite-") as name:
        folder = Path(name)
        source = _sources.saved(model, folder)
        words = _source_words(source, signature, input_shape, None, (), input_values=input_values)
        return _ask(["inspect", source, "--json", *words], folder)


def boards() -> list[dict]:
    """The boards that models can run on, and those whose time can be estimated: the list of `ferrolite boards --json`."""
    return _ask(["boards", "--json"])["boards"]


def _again(content: bytes, conversion: dict) -> Model:
    """A model that was pickled."""
    return Model(File("model.ferro", content), conversion)


class Model:
    """A model in int8, as a microcontroller runs it.

    Attributes:
        inputs, outputs, variables: tuples of `Port`.
        conversion: what `ferrolite convert --json` says of it; empty for a model that was read from a file.
    """

    def __init__(self, file: File, conversion: dict | None = None):
        self._file = file
        self.conversion = conversion or {}
        self.inputs = tuple(Port._of(port) for port in file.inputs())
        self.outputs = tuple(Port._of(port) for port in file.outputs())
        self.variables = tuple(Port._of(port) for port in file.variables())
        self._facts: dict | None = None

    @property
    def facts(self) -> dict:
        """Sizes, ports, memories and layers: the object of `ferrolite inspect --json`."""
        if self._facts is None:
            with tempfile.TemporaryDirectory(prefix="ferrolite-") as name:
                self._facts = _ask(["inspect", self._written(Path(name)), "--json"], Path(name))
        return self._facts

    @property
    def model_bytes(self) -> int:
        """Bytes of flash that the file takes."""
        return len(self._file.bytes())

    @property
    def arena_bytes(self) -> int:
        """Bytes of RAM that the arena takes, state included."""
        return self.facts["arena_bytes"]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return self.facts["macs"]

    @property
    def notes(self) -> list[str]:
        """What is worth knowing of the conversion."""
        return list(self.conversion.get("notes", []))

    @property
    def warnings(self) -> list[str]:
        """What should be acted on before the model is relied on."""
        return list(self.conversion.get("warnings", []))

    def __bytes__(self) -> bytes:
        return self._file.bytes()

    def __reduce__(self):
        return _again, (bytes(self), self.conversion)

    def __repr__(self) -> str:
        def ports(all_ports: tuple[Port, ...]) -> str:
            return ", ".join(f"{port.name} {port.dtype}{list(port.shape)}" for port in all_ports)

        facts = self.facts
        return (
            f"<ferrolite.Model {facts['name']!r}: {ports(self.inputs)} -> {ports(self.outputs)}; "
            f"{facts['model_bytes']:,} bytes of flash, {facts['arena_bytes']:,} of RAM, {facts['macs']:,} MACs>"
        )

    def _repr_html_(self) -> str:
        from ._page import layers_table

        return layers_table(self.facts)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the `.ferro` file. It appears whole or not at all."""
        path = Path(path)
        if not path.parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.parent}", "make it, or give another path")
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            # The system takes off what the process' mask says.
            with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666), "wb") as file:
                file.write(bytes(self))
            os.replace(part, path)
        except BaseException as error:
            part.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise InputError(f"{path}: {error.strerror}", "give a path that can be written") from None
            raise

    def _written(self, folder: Path) -> str:
        path = folder / "model.ferro"
        path.write_bytes(bytes(self))
        return str(path)

    def _ports(self) -> _data.Ports:
        return [(port.name, port.shape) for port in self.inputs]

    def run(
        self, x: Any, *, on: str = "host", sequence: bool = False, raw: bool = False, scale: str | None = None
    ) -> dict[str, np.ndarray]:
        """Runs samples with a microcontroller's bytes.

        Args:
            x: samples, as `convert` takes them for `calibrate`.
            on: "host", or a board of QEMU such as "qemu-cortex-m4".
            sequence: each sample begins with the state that the one before left.
            raw: gives the stored integers in place of the real numbers.
            scale: what pixels of picture files become.

        Returns:
            An array for each output, by its name, with the samples along the first axis; a batch axis of 1 is left out.
        """
        with tempfile.TemporaryDirectory(prefix="ferrolite-") as name:
            folder = Path(name)
            data = _data.write(x, folder, "x", self._ports())
            output = folder / "out.npz"
            words = ["run", self._written(folder), f"--input={data}", f"--output={output}", f"--on={on}"]
            words += ["--sequence"] * sequence + _options({"scale": scale})
            # As text, which shows a few samples only; the answers are in the file.
            remarks = _run_text(words, folder)
            with np.load(output) as arrays:
                stored = [arrays[f"out{index}"] for index in range(len(self.outputs))]
        _warn(remarks)
        answers = {}
        for port, array in zip(self.outputs, stored, strict=True):
            values = array if raw else port.real(array)
            answers[port.name] = values.reshape(len(values), *port._inner)
        return answers

    def predict(self, x: Any, *, on: str = "host") -> np.ndarray:
        """The only output of `run`, as Keras' `predict` gives it."""
        if len(self.outputs) != 1:
            raise InputError(f"the model has {len(self.outputs)} outputs", "`run` gives them by name")
        return next(iter(self.run(x, on=on).values()))

    def accuracy(self, x: Any, y: Any, *, output: str | None = None, on: str = "host") -> float:
        """The share of samples that are classified as `y` says.

        Args:
            x: samples, held in memory or a path.
            y: numbers of classes, or one-hot rows.
            output: the output that holds the classes, where there are several. Where it is one real number, it says how
                likely class 1 is; an integer without a scale, as ArgMax gives it, is the number of the class.
            on: "host", or a board of QEMU.

        Raises:
            InputError: labels are as many as samples, whole numbers, and classes that the output can give; one-hot rows
                are as wide as it.
        """
        y = _data.array(y)
        answers = self.run(x, on=on)
        if output is None:
            if len(answers) != 1:
                raise InputError(f"there are several outputs: {', '.join(answers)}", "say which with `output=`")
            output = next(iter(answers))
        if output not in answers:
            raise InputError(f"there is no output `{output}`", f"the outputs are {', '.join(answers)}")
        port = next(port for port in self.outputs if port.name == output)
        scores = answers[output].reshape(len(answers[output]), -1)
        number = scores.shape[1] == 1 and port.scale is None and port.dtype.kind in "iu"
        if scores.shape[1] > 1 and np.sum(np.array(port.shape) > 1) > 1:
            raise InputError(
                f"output `{output}` has the shape {list(port.shape)}, which is no list of scores for classes",
                "`run` gives its numbers, `compare(source, x, y)` their error",
            )
        right = _classes(y, len(scores), output, None if number else max(scores.shape[1], 2))
        if number:
            given = scores[:, 0].astype(np.int64)  # The model says the class itself, as ArgMax does.
        elif scores.shape[1] == 1:
            given = (scores[:, 0] > 0.5).astype(np.int64)
        else:
            given = scores.argmax(axis=1)
        return float((given == right).mean())

    def layers(self, x: Any) -> dict[str, np.ndarray]:
        """What each layer gives for the first sample, as real numbers by the layers' names. Further outputs of a layer
        are `name:1`, `name:2`, …. Of an iterator or a data set one step is taken."""
        found: dict[str, np.ndarray] = {}
        sample = next(self._each(x), None)
        if sample is None:
            raise InputError("there are no samples", "at least one is needed; an iterator can be read once only")
        for name, _, outputs in self._file.layers(sample):
            for index, (shape, elements) in enumerate(outputs):
                key = name if index == 0 else f"{name}:{index}"
                found[key] = np.frombuffer(elements, "<f4").reshape(shape).copy()
        return found

    def _each(self, x: Any) -> Iterator[list[bytes]]:
        """The samples of arrays, or of what yields samples or batches of them, one after the other."""
        if _data.is_held(x) or isinstance(x, (str, os.PathLike)):
            yield from self._stored(x)
            return
        for arrays in _data.steps(x, self._ports()):
            yield from self._stored(arrays)

    def _stored(self, x: Any) -> list[list[bytes]]:
        """Samples in the model's own types."""
        from io import BytesIO

        if isinstance(x, (str, os.PathLike)):
            raise InputError("a path was given", "samples are arrays or an iterator here; `Model.run` also takes paths")
        arrays = _data.held(x, len(self.inputs))
        given = []
        for index, port in enumerate(self.inputs):
            value = arrays.get(port.name, arrays.get(f"in{index}"))
            if value is None:
                raise InputError(f"no array for input `{port.name}`", f"name it so, or `in{index}`")
            inner = port.shape[1:] if port.shape and port.shape[0] == 1 else port.shape
            if value.shape in (port.shape, inner):
                value = value.reshape(1, *port.shape)
            file = BytesIO()
            np.save(file, value)
            given.append(file.getvalue())
        return self._file.stored(given)

    def session(self) -> Session:
        """A run over a sequence, with the state that the model keeps between inferences."""
        return Session(self)

    def compare(
        self,
        source: Any,
        x: Any,
        y: Any = None,
        *,
        on: str = "host",
        report: str | os.PathLike | None = None,
        signature: str | None = None,
        input_shape: Shapes | None = None,
        input_values: Values | None = None,
    ) -> dict:
        """Compares with the model that it was made from: the object of `ferrolite compare --json`, with `sqnr_db`,
        `agreement`, `accuracy_float`, `accuracy_quantized`, and what each layer costs.

        Args:
            source: the trained model, as `convert` takes it.
            x: samples.
            y: the right answers: numbers of classes, one-hot rows, or real numbers.
            on: where the quantized model runs.
            report: also writes a page with distributions, graph and memory to this path.
        """
        with tempfile.TemporaryDirectory(prefix="ferrolite-") as name:
            folder = Path(name)
            path = _sources.saved(source, folder, lambda: _example(x))
            words = ["compare", self._written(folder), path, "--json", f"--on={on}"]
            words.append(f"--data={_data.write(x, folder, 'x', self._ports())}")
            words += _source_words(path, signature, input_shape, None, (), input_values=input_values)
            if y is not None:
                if isinstance(y, (str, os.PathLike)):
                    words.append(f"--labels={os.fspath(y)}")
                else:
                    np.save(folder / "y.npy", _data.array(y))
                    words.append(f"--labels={folder / 'y.npy'}")
            if report is not None:
                words.append(f"--report={os.fspath(report)}")
            found = _ask(words, folder)
        _warn(found["warnings"])
        return found

    def report(self, source: Any, x: Any, y: Any = None):
        """The page about the model, which a notebook shows in place: what each layer costs, distributions, memory."""
        from ._page import Page

        with tempfile.TemporaryDirectory(prefix="ferrolite-") as name:
            path = Path(name) / "report.html"
            self.compare(source, x, y, report=path)
            return Page(path.read_text("utf-8"))

    def bench(self, on: str | None = None, *, board: str | None = None, clock: float | None = None) -> dict:
        """What an inference takes: the object of `ferrolite bench --json`, with `instructions`, modelled `cycles`,
        `stack_bytes`, and each layer's.

        Args:
            on: "host" (the default), or a board of QEMU such as "qemu-cortex-m4".
            board: a board that one can buy, such as "nucleo-l4r5zi": adds milliseconds and microjoules.
            clock: hertz, for an estimate of time.
        """
        with tempfile.TemporaryDirectory(prefix="ferrolite-") as name:
            words = ["bench", self._written(Path(name)), "--json", *_options({"board": board, "clock": clock})]
            words += [f"--on={on}"] if on is not None and (board is None or on != "host") else []
            found = _ask(words, Path(name))
        _warn(found.get("warnings", []))
        return found


def _classes(y: np.ndarray, samples: int, output: str, classes: int | None) -> np.ndarray:
    """Labels as numbers of classes, of which there are so many, or an unknown number."""
    if y.ndim > 1 and y.shape[-1] > 1:
        rows = y.reshape(-1, y.shape[-1])
        if not (np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) == 1).all()):
            raise InputError(
                f"labels of the shape {list(y.shape)} are no one-hot rows", "a row is zeros and a single 1, or give numbers"
            )
        if classes is not None and rows.shape[1] != classes:
            raise InputError(
                f"labels are one-hot rows of {rows.shape[1]} classes, and output `{output}` has {classes}",
                "give rows of as many classes as the model has",
            )
        y = rows.argmax(axis=1)
    y = y.reshape(-1)
    if len(y) != samples:
        raise InputError(f"{samples} samples, but {len(y)} labels", "give a label for each sample")
    if y.dtype.kind not in "biuf" or not np.isfinite(y).all() or not np.array_equal(y, y.astype(np.int64)):
        raise InputError("labels are no whole numbers", "for a regression, `compare(source, x, y)` gives the error")
    least, most = int(y.min()), int(y.max())
    if least < 0 or (classes is not None and most >= classes):
        allowed = "from 0 on" if classes is None else f"0 to {classes - 1}"
        raise InputError(
            f"labels go from {least} to {most}, and the classes of output `{output}` are {allowed}",
            "count classes from 0, in the order of the output",
        )
    return y.astype(np.int64)


def _run_text(words: list[str], folder: Path) -> list[str]:
    """Runs a command for its files; returns its warnings."""
    text = _command(words, folder)
    mark = "warning: "
    return [line.removeprefix(mark) for line in text.splitlines() if line.startswith(mark)]
