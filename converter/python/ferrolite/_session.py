"""Runs over a sequence, with named state."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _data
from ._errors import InputError

if TYPE_CHECKING:
    from ._model import Model


class State(MutableMapping):
    """What a model keeps between inferences, by the author's names, as stored. Real numbers may be written, too."""

    def __init__(self, session: Session):
        self._session = session

    def _contents(self) -> dict[str, np.ndarray]:
        contents = self._session._file.contents(self._session._state)
        return {
            name: np.frombuffer(elements, np.dtype(dtype)).reshape(shape).copy() for name, dtype, shape, elements in contents
        }

    def __getitem__(self, name: str) -> np.ndarray:
        contents = self._contents()
        if name not in contents:
            raise KeyError(f"{name}; the variables are {', '.join(contents) or 'none'}")
        return contents[name]

    def __setitem__(self, name: str, value: Any) -> None:
        file = BytesIO()
        np.save(file, np.ascontiguousarray(value))
        self._session._state = self._session._file.replaced(self._session._state, name, file.getvalue())

    def __delitem__(self, name: str) -> None:
        raise TypeError("a variable cannot be removed; `reset` gives it its first value")

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents())

    def __len__(self) -> int:
        return len(self._session._model.variables)

    def __repr__(self) -> str:
        return f"State({self._contents()})"


class Session:
    """Inferences one after the other, each with the state that the one before left.

    >>> s = model.session()
    >>> for frame in frames:
    ...     scores = s.run(frame)["scores"]
    >>> s.state["h"]          # read a variable
    >>> kept = s.snapshot()   # all of it, as bytes
    >>> s.reset()
    """

    def __init__(self, model: Model):
        self._model, self._file = model, model._file
        self._state = self._file.initial_state()

    @property
    def state(self) -> State:
        """The variables by name: read them, or write them."""
        return State(self)

    def reset(self) -> None:
        """Gives all state its first value."""
        self._state = self._file.initial_state()

    def snapshot(self) -> bytes:
        """All of the state, for `restore`, also on a device."""
        return self._state

    def restore(self, snapshot: bytes) -> None:
        """Goes on from a snapshot of this model's state."""
        if len(snapshot) != len(self._state):
            raise InputError(f"the state has {len(self._state)} bytes, the snapshot {len(snapshot)}")
        self._state = bytes(snapshot)

    def __reduce__(self):
        return _again, (self._model, self._state)

    def run(self, x: Any) -> dict[str, np.ndarray]:
        """One inference of one sample, an array; the outputs as real numbers by name. As `Model.run` gives them, the first
        axis counts samples, of which there is one. An iterator or a data set is a sequence: each of its samples goes on
        from the state that the one before left, and the answers to all come at its end (`stream` gives them one by one)."""
        if not _data.is_held(x) and not isinstance(x, (str, os.PathLike)):
            answers = list(self.stream(x))
            if not answers:
                raise InputError("there are no samples", "at least one is needed; an iterator can be read once only")
            return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
        samples = self._model._stored(x)
        if len(samples) != 1:
            raise InputError(
                f"{len(samples)} samples were given", "a session takes one at a time, or an iterator; `Model.run` takes many"
            )
        return self._infer(samples[0])

    def stream(self, x: Any) -> Iterator[dict[str, np.ndarray]]:
        """The answer to each sample that `x` yields, as soon as it is there."""
        return map(self._infer, self._model._each(x))

    def _infer(self, sample: list[bytes]) -> dict[str, np.ndarray]:
        outputs, self._state = self._file.infer(sample, self._state)
        answers = {}
        for port, elements in zip(self._model.outputs, outputs, strict=True):
            answers[port.name] = port.real(np.frombuffer(elements, port.dtype).reshape(1, *port._inner))
        return answers


def _again(model: Model, state: bytes) -> Session:
    """A session that was pickled."""
    session = Session(model)
    session.restore(state)
    return session
