"""Single operators against NumPy."""

import numpy as np
import pytest

import ferrolite
from ferrolite import ops

RANDOM = np.random.default_rng(7)


def real(*shape):
    return RANDOM.normal(size=shape).astype("f4")


def near(found, expected, steps=2.5):
    """Whether all elements are within some of 255 steps of the range."""
    expected = np.asarray(expected)
    span = max(expected.max(), 0) - min(expected.min(), 0)
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.abs(found - expected).max() <= steps * span / 255


def convolved(x, w, stride):
    kh, kw, _, outputs = w.shape
    rows, columns = (x.shape[1] - kh) // stride + 1, (x.shape[2] - kw) // stride + 1
    y = np.zeros((len(x), rows, columns, outputs))
    for i in range(rows):
        for j in range(columns):
            window = x[:, i * stride : i * stride + kh, j * stride : j * stride + kw]
            y[:, i, j] = np.einsum("nhwc,hwco->no", window, w)
    return y


def test_convolutions():
    x, w, bias = real(1, 9, 8, 3), real(3, 2, 3, 5), real(5)
    near(ops.conv_2d(x, w, bias), convolved(x, w, 1) + bias, 4)
    near(ops.conv_2d(x, w, stride=2, activation="relu"), np.maximum(convolved(x, w, 2), 0), 4)
    padded = np.pad(x, ((0, 0), (1, 1), (0, 1), (0, 0)))
    near(ops.conv_2d(x, w, padding="same"), convolved(padded, w, 1), 4)
    near(ops.conv_2d(x, w, padding=((1, 1), (0, 1))), convolved(padded, w, 1), 4)
    d = real(3, 3, 3, 2)
    expected = np.concatenate(
        [convolved(x[..., c : c + 1], d[:, :, c : c + 1, m : m + 1], 1) for c in range(3) for m in range(2)], axis=-1
    )
    near(ops.depthwise_conv_2d(x, d), expected, 4)


def test_products_of_operands_that_both_are_known_at_run_time():
    a, b = real(4, 7), real(7, 3)
    near(ops.matmul(a, b), a @ b, 4)
    near(ops.matmul(a, b.T, transpose_b=True), a @ b, 4)
    a, b = real(2, 4, 7), real(2, 7, 3)
    near(ops.matmul(a, b), a @ b, 4)
    w, bias = real(7, 5), real(5)
    near(ops.dense(a[0], w, bias), a[0] @ w + bias, 4)


def test_elementwise():
    a, b = real(3, 4, 5), real(5)
    near(ops.add(a, b), a + b)
    near(ops.sub(a, b), a - b)
    near(ops.mul(a, b), a * b, 4)
    near(ops.maximum(a, b), np.maximum(a, b), 4)
    near(ops.squared_difference(a, a * 0 + 1), (a - 1) ** 2, 6)
    near(ops.relu(a), np.maximum(a, 0))
    near(ops.tanh(a), np.tanh(a), 4)
    near(ops.logistic(a), 1 / (1 + np.exp(-a)), 3)
    near(ops.leaky_relu(a, 0.1), np.where(a > 0, a, 0.1 * a))
    near(ops.neg(a), -a)


def test_windows_and_sums():
    x = real(1, 6, 8, 3)
    blocks = x.reshape(1, 3, 2, 4, 2, 3)
    near(ops.max_pool_2d(x), blocks.max(axis=(2, 4)))
    near(ops.average_pool_2d(x), blocks.mean(axis=(2, 4)), 3)
    near(ops.mean(x, (1, 2)), x.mean(axis=(1, 2)), 4)
    near(ops.mean(x, -1, keepdims=True), x.mean(axis=-1, keepdims=True), 4)
    near(ops.sum(x, 3), x.sum(axis=3), 4)
    near(ops.reduce_max(x, (1, 2)), x.max(axis=(1, 2)))
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    near(ops.softmax(x), e / e.sum(axis=-1, keepdims=True), 4)


def test_scales_may_be_given():
    a, b = real(2, 3), real(3, 2)
    y = ops.matmul(a, b, scales=[(0.25, 0), None, (0.5, 3)])
    assert np.allclose(y / 0.5, np.round(y / 0.5)) and not np.allclose(y, ops.matmul(a, b))
    near(y, np.round((np.round(a / 0.25) * 0.25) @ b / 0.5) * 0.5, 40)
    y = ops.dense(a, b, scales=[None, (0.5, 3)])
    assert np.allclose(y / 0.5, np.round(y / 0.5))
    assert np.array_equal(ops.relu(a, scales=[(0.5, 0), (0.5, 0)]) % 0.5, np.zeros_like(a))


def test_errors_name_the_operator_and_both_shapes():
    with pytest.raises(ferrolite.InputError) as raised:
        ops.matmul(real(2, 3), real(4, 5))
    assert "BATCH_MATMUL" in str(raised.value) and "[2, 3]" in str(raised.value) and "[4, 5]" in str(raised.value)
    with pytest.raises(ferrolite.InputError) as raised:
        ops.add(real(2, 3), real(4))
    assert "ADD" in str(raised.value) and "[2, 3]" in str(raised.value) and "[4]" in str(raised.value)
    with pytest.raises(ferrolite.InputError, match="conv_2d"):
        ops.conv_2d(real(1, 4, 4, 3), real(3, 3))
    with pytest.raises(ferrolite.InputError, match=r"CONV_2D"):
        ops.conv_2d(real(1, 4, 4, 3), real(3, 3, 2, 4))
    with pytest.raises(ferrolite.InputError, match="axis 3"):
        ops.mean(real(2, 2), 3)
    with pytest.raises(ferrolite.InputError):
        ops.relu(np.array([[np.nan]]))
    with pytest.raises(ferrolite.UsageError, match="padding"):
        ops.conv_2d(real(1, 4, 4, 3), real(3, 3, 3, 4), padding="round")


X = np.arange(64, dtype="f4").reshape(1, 8, 8, 1)
K = np.ones((3, 3, 1, 2), "f4")


@pytest.mark.parametrize(
    "call",
    [
        *(
            lambda padding=padding: ops.conv_2d(X, K, padding=padding)
            for padding in (1, (1, 1), ((-1, 0), (0, 0)), ((0.5, 0), (0, 0)))
        ),
        *(lambda stride=stride: ops.conv_2d(X, K, stride=stride) for stride in ((2, 2, 2), (1, 2, 2, 1), 1.5, 0, -1, "2", True)),
        *(lambda size=size: ops.max_pool_2d(X, size) for size in ((2, 2, 2), 0, 2.0, [[2, 2]])),
        *(lambda axis=axis: ops.mean(X, axis) for axis in (1.5, "1", 7, [1, None])),
        *(lambda alpha=alpha: ops.leaky_relu(X, alpha) for alpha in ("a", [0.1, 0.2], np.nan, 1j)),
        lambda: ops.softmax(X, beta=[1.0]),
        lambda: ops.conv_2d(X, K, activation=3),
        lambda: ops.sum(X, 1, keepdims="no"),
        lambda: ops.add(X, X, scales=[(0.1, 0)] * 4),
        lambda: ops.add(X, X, scales=[(-0.1, 0)]),
        lambda: ops.add(X, X, scales=[(0.1, 0.5)]),
        lambda: ops.add(X, X, scales=[0.1]),
        lambda: ops.dense(X[0, 0, :, 0][None], np.ones((8, 2)), scales=[(0.1, 0), (0.2, 0), (0.3, 0)]),
        lambda: ops.relu(X * 1j),
        lambda: ops.relu([[1, 2], [3]]),
        lambda: ops.relu(["a"]),
    ],
)
def test_what_an_argument_cannot_be_is_refused(call):
    with pytest.raises(ferrolite.InputError):
        call()


def test_results_are_the_callers_own_and_numbers_stay_numbers():
    y = ops.relu(X)
    y += 1
    assert ops.relu(np.float32(3)).shape == () and ops.add(X, 1.0).shape == X.shape
    assert ops.max_pool_2d(X, np.int64(2)).shape == ops.max_pool_2d(X, [2, 2], stride=(2, 2)).shape == (1, 4, 4, 1)
