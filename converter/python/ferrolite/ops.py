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
        if isinstance(value, str):
            words[key] = value
        elif value is not None:
            numbers[key] = [float(number) for number in np.ravel(value)]
    given = []
    for operand, value, constant in operands:
        real = np.ascontiguousarray(array(value), dtype="<f4")
        if constant and not np.isfinite(real).all():
            raise InputError(f"{name}: `{operand}` holds what is no finite number")
        given.append((operand, list(real.shape), real.tobytes(), constant))
    pairs = [None if pair is None else (float(pair[0]), int(pair[1])) for pair in scales]
    shape, elements, _ = _ferrolite.op(name, given, pairs, numbers, words)
    return np.frombuffer(elements, "<f4").reshape(shape)


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
    axes = range(rank) if axis is None else np.ravel(axis)
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
