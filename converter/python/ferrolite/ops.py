"""Single operators, computed by a device's int8 kernels on real numbers.

>>> from ferrolite import ops
>>> ops.matmul(a, b)                        # scales follow from the values
>>> ops.matmul(a, b, scales=[(0.1, 0), None, (0.5, -3)])   # of a, b and the result: (scale, zero point), or None

Operands are arrays of real numbers, and so are results: what a device's integers stand for. Images are
`[batch, height, width, channels]`, kernels are laid out as TensorFlow has them. Weights and biases are constants of the
operator; all other operands are known only when it runs. A shape that does not fit raises `InputError`, which names the
operator and the shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _ferrolite
from ._data import array
from ._errors import InputError

Scales = Sequence["tuple[float, int] | None"]
Sides = "int | tuple[int, int]"


def _run(
    name: str,
    operands: Sequence[tuple[str, Any, bool]],
    scales: Scales = (),
    **attributes: Any,
) -> np.ndarray:
    numbers: dict[str, list[float]] = {}
    words: dict[str, str] = {}
    for key, value in attributes.items():
        if value is None:
            continue
        checked = _KINDS[key](name, key, value)
        if isinstance(checked, str):
            words[key] = checked
        else:
            numbers[key] = [float(number) for number in checked]
    given = []
    for operand, value, constant in operands:
        found = array(value)
        if found.dtype.kind not in "biuf":
            raise InputError(f"{name}: `{operand}` is of {found.dtype}", "operands are arrays of real numbers")
        real = np.asarray(found, "<f4", order="C")
        if constant and not np.isfinite(real).all():
            raise InputError(f"{name}: `{operand}` holds what is no finite number")
        given.append((operand, list(real.shape), real.tobytes(), constant))
    shape, elements, _ = _ferrolite.op(name, given, _pairs(name, scales, len(operands)), numbers, words)
    return np.frombuffer(elements, "<f4").reshape(shape).copy()


def _pairs(name: str, scales: Scales, operands: int) -> list[tuple[float, int] | None]:
    """Scales of the operands and of the result."""
    scales = list(scales)
    if len(scales) > operands + 1:
        raise InputError(
            f"{name}: {len(scales)} scales for {operands} operands and the result",
            "give one for each of them, in this order: (scale, zero point), or None",
        )
    pairs: list[tuple[float, int] | None] = []
    for pair in scales:
        if pair is None:
            pairs.append(None)
            continue
        if np.shape(pair) != (2,) or not _is_real(pair[0]) or not pair[0] > 0 or not _is_whole(pair[1]):
            raise InputError(f"{name}: {pair!r} is no scale", "give (scale, zero point), a positive number and an integer")
        pairs.append((float(pair[0]), int(pair[1])))
    return pairs


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return (_is_whole(value) or isinstance(value, (float, np.floating))) and bool(np.isfinite(value))


def _sides(name: str, key: str, value: Any) -> list[int]:
    """Height and width: one number for both, or two."""
    both = [value] if np.ndim(value) == 0 else list(value)
    if len(both) not in (1, 2) or np.ndim(value) > 1 or not all(_is_whole(side) and side > 0 for side in both):
        raise InputError(f"{name}: `{key}={value!r}`", "give a whole number from 1 on, or two: (height, width)")
    return both


def _borders(name: str, key: str, value: Any) -> str | list[int]:
    """Padding: a word, or what is added on each side."""
    if isinstance(value, str):
        return value
    flat = list(np.ravel(value)) if np.shape(value) == (2, 2) else []
    if not flat or not all(_is_whole(side) and side >= 0 for side in flat):
        raise InputError(f"{name}: `{key}={value!r}`", 'give "valid", "same", or numbers: ((top, bottom), (left, right))')
    return flat


def _flag(name: str, key: str, value: Any) -> list[int]:
    if not isinstance(value, (bool, np.bool_)) and not (_is_whole(value) and value in (0, 1)):
        raise InputError(f"{name}: `{key}={value!r}`", "give True or False")
    return [int(value)]


def _real(name: str, key: str, value: Any) -> list[float]:
    if not _is_real(value):
        raise InputError(f"{name}: `{key}={value!r}`", "give one finite number")
    return [float(value)]


def _word(name: str, key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name}: `{key}={value!r}`", 'give a word, such as "relu"')
    return value


def _whole(name: str, key: str, value: Any) -> list[int]:
    """Whole numbers that this module has computed itself."""
    return list(np.ravel(value))


_KINDS = {
    "stride": _sides,
    "dilation": _sides,
    "size": _sides,
    "padding": _borders,
    "activation": _word,
    "transpose_a": _flag,
    "transpose_b": _flag,
    "keep_dims": _flag,
    "approximate": _flag,
    "alpha": _real,
    "beta": _real,
    "axes": _whole,
    "multiplier": _whole,
    "result": _whole,
}
"""What each attribute may be: a function that refuses everything else."""


def _kernel(name: str, x: Any, w: Any) -> np.ndarray:
    w = array(w)
    if w.ndim != 4 or array(x).ndim != 4:
        raise InputError(
            f"{name}: x has the shape {list(np.shape(x))}, w {list(w.shape)}",
            "x is [batch, height, width, channels], w [height, width, inputs, outputs]",
        )
    return w


def _padding(padding: Any) -> Any:
    return padding.lower() if isinstance(padding, str) else padding


def conv_2d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Sides = 1,
    dilation: Sides = 1,
    padding: Any = "valid",
    activation: str = "none",
    scales: Scales = (),
) -> np.ndarray:
    """Convolution with a kernel `[height, width, inputs, outputs]`; `padding` is "valid", "same" or
    `((top, bottom), (left, right))`; `activation` "none", "relu" or "relu6"."""
    w = _kernel("conv_2d", x, w)
    operands = [("x", x, False), ("w", w.transpose(3, 0, 1, 2), True)]
    operands += [] if bias is None else [("bias", bias, True)]
    return _run(
        "conv_2d",
        operands,
        _with_constants(scales, len(operands)),
        stride=stride,
        dilation=dilation,
        padding=_padding(padding),
        activation=activation,
    )


def depthwise_conv_2d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Sides = 1,
    dilation: Sides = 1,
    padding: Any = "valid",
    activation: str = "none",
    scales: Scales = (),
) -> np.ndarray:
    """Convolution of each channel by itself, with a kernel `[height, width, channels, multiplier]`."""
    w = _kernel("depthwise_conv_2d", x, w)
    height, width, channels, multiplier = w.shape
    operands = [("x", x, False), ("w", w.reshape(1, height, width, channels * multiplier), True)]
    operands += [] if bias is None else [("bias", bias, True)]
    return _run(
        "depthwise_conv_2d",
        operands,
        _with_constants(scales, len(operands)),
        multiplier=multiplier,
        stride=stride,
        dilation=dilation,
        padding=_padding(padding),
        activation=activation,
    )


def dense(x: Any, w: Any, bias: Any = None, *, activation: str = "none", scales: Scales = ()) -> np.ndarray:
    """`x @ w + bias` with constant weights `[inputs, outputs]`."""
    w = array(w)
    if w.ndim != 2:
        raise InputError(f"dense: x has the shape {list(np.shape(x))}, w {list(w.shape)}", "w is [inputs, outputs]")
    operands = [("x", x, False), ("w", w.T, True)]
    operands += [] if bias is None else [("bias", bias, True)]
    return _run("fully_connected", operands, _with_constants(scales, len(operands)), activation=activation)


def _with_constants(scales: Scales, operands: int) -> Scales:
    """The scales of x and of the result, where those of weights and bias follow."""
    scales = list(scales)
    if len(scales) <= 1:
        return scales
    if len(scales) > 2 and (len(scales) != operands + 1 or any(pair is not None for pair in scales[1:-1])):
        raise InputError(
            f"{len(scales)} scales were given, and those of constants follow from their numbers",
            "give two, of x and of the result: (scale, zero point), or None",
        )
    return [scales[0], *[None] * (operands - 1), scales[-1]]


def matmul(
    a: Any, b: Any, *, transpose_a: bool = False, transpose_b: bool = False, scales: Scales = ()
) -> np.ndarray:
    """The product of two operands that both are known only when it runs; leading dimensions broadcast."""
    return _run(
        "batch_matmul",
        [("a", a, False), ("b", b, False)],
        scales,
        transpose_a=transpose_a,
        transpose_b=transpose_b,
    )


def _binary(name: str, a: Any, b: Any, activation: str, scales: Scales) -> np.ndarray:
    return _run(name, [("a", a, False), ("b", b, False)], scales, activation=activation)


def add(a: Any, b: Any, *, activation: str = "none", scales: Scales = ()) -> np.ndarray:
    """`a + b`, broadcast."""
    return _binary("add", a, b, activation, scales)


def sub(a: Any, b: Any, *, activation: str = "none", scales: Scales = ()) -> np.ndarray:
    """`a - b`, broadcast."""
    return _binary("sub", a, b, activation, scales)


def mul(a: Any, b: Any, *, activation: str = "none", scales: Scales = ()) -> np.ndarray:
    """`a * b`, broadcast."""
    return _binary("mul", a, b, activation, scales)


def div(a: Any, b: Any, *, activation: str = "none", scales: Scales = ()) -> np.ndarray:
    """`a / b`, broadcast."""
    return _binary("div", a, b, activation, scales)


def maximum(a: Any, b: Any, *, scales: Scales = ()) -> np.ndarray:
    """The larger of two elements, broadcast."""
    return _binary("maximum", a, b, "none", scales)


def minimum(a: Any, b: Any, *, scales: Scales = ()) -> np.ndarray:
    """The smaller of two elements, broadcast."""
    return _binary("minimum", a, b, "none", scales)


def squared_difference(a: Any, b: Any, *, scales: Scales = ()) -> np.ndarray:
    """`(a - b)^2`, broadcast."""
    return _binary("squared_difference", a, b, "none", scales)


def _pool(name: str, x: Any, size: Sides, stride: Any, padding: Any, scales: Scales) -> np.ndarray:
    stride = size if stride is None else stride
    return _run(name, [("x", x, False)], scales, size=size, stride=stride, padding=_padding(padding))


def max_pool_2d(
    x: Any, size: Sides = 2, *, stride: Any = None, padding: Any = "valid", scales: Scales = ()
) -> np.ndarray:
    """The largest element of each window; the stride is the size where it is not given."""
    return _pool("max_pool_2d", x, size, stride, padding, scales)


def average_pool_2d(
    x: Any, size: Sides = 2, *, stride: Any = None, padding: Any = "valid", scales: Scales = ()
) -> np.ndarray:
    """The mean of each window, over what lies inside of the image."""
    return _pool("average_pool_2d", x, size, stride, padding, scales)


def _reduce(name: str, x: Any, axis: Any, keepdims: bool, scales: Scales) -> np.ndarray:
    rank = np.ndim(x)
    axes = range(rank) if axis is None else [axis] if np.ndim(axis) == 0 else list(axis)
    if not all(_is_whole(one) for one in axes):
        raise InputError(f"{name}: `axis={axis!r}`", "give whole numbers: one axis, or several of them")
    wrong = [int(one) for one in axes if not -rank <= one < rank]
    if wrong:
        raise InputError(f"{name}: there is no axis {wrong[0]} in a shape {list(np.shape(x))}")
    return _run(name, [("x", x, False)], scales, axes=sorted({int(one) % rank for one in axes}), keep_dims=keepdims)


def mean(x: Any, axis: Any = None, *, keepdims: bool = False, scales: Scales = ()) -> np.ndarray:
    """The mean over some axes."""
    return _reduce("mean", x, axis, keepdims, scales)


def sum(x: Any, axis: Any = None, *, keepdims: bool = False, scales: Scales = ()) -> np.ndarray:
    """The sum over some axes."""
    return _reduce("sum", x, axis, keepdims, scales)


def reduce_max(x: Any, axis: Any = None, *, keepdims: bool = False, scales: Scales = ()) -> np.ndarray:
    """The largest element over some axes."""
    return _reduce("reduce_max", x, axis, keepdims, scales)


def reduce_min(x: Any, axis: Any = None, *, keepdims: bool = False, scales: Scales = ()) -> np.ndarray:
    """The smallest element over some axes."""
    return _reduce("reduce_min", x, axis, keepdims, scales)


def softmax(x: Any, *, beta: float = 1.0, scales: Scales = ()) -> np.ndarray:
    """`exp(beta * x)` over its sum, along the last axis."""
    return _run("softmax", [("x", x, False)], scales, beta=beta)


def log_softmax(x: Any, *, scales: Scales = ()) -> np.ndarray:
    """The logarithm of `softmax`."""
    return _run("log_softmax", [("x", x, False)], scales)


def l2_normalization(x: Any, *, scales: Scales = ()) -> np.ndarray:
    """Each row of the last axis over its length."""
    return _run("l2_normalization", [("x", x, False)], scales)


def prelu(x: Any, slope: Any, *, scales: Scales = ()) -> np.ndarray:
    """x above zero, `slope * x` below."""
    return _run("prelu", [("x", x, False), ("slope", slope, True)], _with_constants(scales, 2))


def leaky_relu(x: Any, alpha: float = 0.2, *, scales: Scales = ()) -> np.ndarray:
    """x above zero, `alpha * x` below."""
    return _run("leaky_relu", [("x", x, False)], scales, alpha=alpha)


def elu(x: Any, alpha: float = 1.0, *, scales: Scales = ()) -> np.ndarray:
    """x above zero, `alpha * (exp(x) - 1)` below."""
    return _run("elu", [("x", x, False)], scales, alpha=alpha)


def gelu(x: Any, *, approximate: bool = False, scales: Scales = ()) -> np.ndarray:
    """x times the normal distribution at x; with `approximate` by tanh."""
    return _run("gelu", [("x", x, False)], scales, approximate=approximate)


def _function(name: str, what: str):
    def function(x: Any, *, scales: Scales = ()) -> np.ndarray:
        return _run(name, [("x", x, False)], scales)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = what
    return function


relu = _function("relu", "`max(x, 0)`.")
relu6 = _function("relu6", "`min(max(x, 0), 6)`.")
silu = _function("silu", "`x * logistic(x)`.")
softplus = _function("softplus", "`ln(1 + exp(x))`.")
mish = _function("mish", "`x * tanh(softplus(x))`.")
logistic = _function("logistic", "`1 / (1 + exp(-x))`.")
tanh = _function("tanh", "Hyperbolic tangent.")
hard_swish = _function("hard_swish", "`x * relu6(x + 3) / 6`.")
abs = _function("abs", "`|x|`.")
neg = _function("neg", "`-x`.")
exp = _function("exp", "`e^x`.")
log = _function("log", "Natural logarithm.")
sqrt = _function("sqrt", "Square root.")
rsqrt = _function("rsqrt", "`1 / sqrt(x)`.")
square = _function("square", "`x * x`.")
sin = _function("sin", "Sine.")
cos = _function("cos", "Cosine.")
ceil = _function("ceil", "Smallest integer not below.")
floor = _function("floor", "Largest integer not above.")
round = _function("round", "Nearest integer, ties to even.")
sign = _function("sign", "-1, 0 or 1.")
