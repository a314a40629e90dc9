"""What users call, as a text that review sees. `FERROLITE_UPDATE_API=1 pytest tests/test_api.py` renews
`tests/api/python.txt` of the repository, and the difference is part of the commit."""

import enum
import inspect
import os
from pathlib import Path

import ferrolite

KNOWN = Path(__file__).resolve().parents[3] / "tests" / "api" / "python.txt"


def signature(function):
    try:
        return str(inspect.signature(function)).replace("'", "")
    except ValueError:  # A builtin without a text signature.
        return "(…)"


def members(kind):
    """The public attributes of a class and of its own base classes, not of Python's."""
    found = {}
    for base in reversed(kind.__mro__):
        if base.__module__.split(".")[0] == "ferrolite":
            found.update({name: value for name, value in vars(base).items() if not name.startswith("_")})
            found.update({name: found[name] for name in getattr(base, "__annotations__", {}) if name in found})
            for name, annotation in getattr(base, "__annotations__", {}).items():
                if not name.startswith("_"):
                    found[name] = annotation
    return found


def listing():
    lines = []
    for name in sorted(ferrolite.__all__):
        value = getattr(ferrolite, name)
        if inspect.ismodule(value):
            functions = {key: item for key, item in vars(value).items() if inspect.isfunction(item)}
            own = sorted(key for key, item in functions.items() if not key.startswith("_") and item.__module__ == value.__name__)
            lines += [f"ferrolite.{name}.{key}{signature(functions[key])}" for key in own]
        elif inspect.isclass(value):
            bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
            lines.append(f"class ferrolite.{name}({bases})")
            # Of a named tuple Python makes the signature, each version in its own words.
            if not issubclass(value, (Exception, enum.Enum, tuple)):
                lines.append(f"    {name}{signature(value)}")
            for key, member in sorted(members(value).items()):
                if isinstance(member, property):
                    lines.append(f"    .{key}")
                elif isinstance(member, (classmethod, staticmethod)):
                    lines.append(f"    {name}.{key}{signature(member.__func__)}")
                elif inspect.isfunction(member):
                    lines.append(f"    .{key}{signature(member)}")
                else:
                    lines.append(f"    .{key}")
        elif callable(value):
            lines.append(f"ferrolite.{name}{signature(value)}")
        else:
            lines.append(f"ferrolite.{name}")
    return "".join(f"{line}\n" for line in lines)


def test_the_public_names_and_signatures():
    if not KNOWN.parent.is_dir():
        return  # The package's tests without the repository.
    found = listing()
    if os.environ.get("FERROLITE_UPDATE_API"):
        KNOWN.write_text(found, encoding="utf-8")
    assert KNOWN.read_text(encoding="utf-8") == found, "renew it with FERROLITE_UPDATE_API=1, and look at the difference"


def test_the_listing_sees_changes():
    text = listing()
    for line in ("ferrolite.convert(", "class ferrolite.Model(", "    .run(self, x", "ferrolite.ops.matmul(", "    .stream(self, x"):
        assert line in text, line
    assert "._" not in text.replace("__version__", "")
