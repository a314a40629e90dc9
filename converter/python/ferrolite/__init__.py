"""Ferrolite: int8 models for microcontrollers, from Python.

>>> import ferrolite
>>> m = ferrolite.convert(keras_model, calibrate=x)   # or a torch module, a path, bytes
>>> m.accuracy(x_test, y_test)
>>> m.save("model.ferro")

`Model.run` computes what a microcontroller computes, byte by byte: it is the same interpreter. The program
`ferrolite` comes with the package (`python -m ferrolite --help`); every argument here has the program's word and meaning.
"""

from . import distributed, hub, ops
from ._errors import BudgetError, Doubt, Error, InputError, InternalError, UsageError
from ._ferrolite import __version__
from ._interpreter import Interpreter
from ._model import Model, Port, boards, convert, inspect, load, statistics
from ._session import Session

__all__ = [
    "BudgetError",
    "Doubt",
    "Error",
    "InputError",
    "InternalError",
    "Interpreter",
    "Model",
    "Port",
    "Session",
    "UsageError",
    "__version__",
    "boards",
    "convert",
    "distributed",
    "hub",
    "inspect",
    "load",
    "ops",
    "statistics",
]
