"""What Ferrolite raises and warns with."""

from __future__ import annotations


class Error(Exception):
    """What went wrong, and what to do about it.

    Attributes:
        message: what is wrong: the file, the layer, what was found and what is supported.
        help: what to do next; may be empty.
        layer: the name of the layer that is at fault, or None.
    """

    def __init__(self, message: str, help: str = "", layer: str | None = None):
        super().__init__(message, help, layer)
        self.message = message
        self.help = help
        self.layer = layer

    def __str__(self) -> str:
        return f"{self.message}\n{self.help}" if self.help else self.message


class InputError(Error, ValueError):
    """A model, data, or the machine's set-up is at fault."""


class UsageError(Error, ValueError):
    """An argument is at fault."""


class BudgetError(Error):
    """The model is larger or slower than was allowed."""


class InternalError(Error):
    """A mistake of Ferrolite's: please report it with the model."""


class Doubt(UserWarning):
    """Something to act on before relying on a result, which the command prints as `warning:`."""
