"""Shapes, weights and scales that several families share."""

import numpy as np


def window(size, kernel, stride, dilation, padding):
    """The output length of a sliding window along one axis."""
    if padding == "same":
        return -(-size // stride)
    return (size - ((kernel - 1) * dilation + 1)) // stride + 1


def weights(rng, shape):
    """Symmetric int8 weights over the full range, both ends included."""
    values = rng.integers(-127, 128, shape)
    values.flat[0] = 127
    values.flat[-1] = -127
    return values


def weight_scales(rng, channels, terms, s_in, s_out, gain, per_channel):
    """Weight scales with which sums of `terms` random products fill about the output's range.

    `gain` above 1 saturates more. Per-channel scales differ by up to a factor of 16.
    """
    middle = gain * 45.0 * s_out / (np.sqrt(terms) * 73.0 * 73.0 * s_in)
    if not per_channel:
        return np.float32([middle])
    return (middle * 2.0 ** rng.uniform(-3, 1, channels)).astype(np.float32)


def bias(rng, graph, channels, terms, s_in, s_w, values=None):
    """An int32 bias, of about the size of the sums unless given; its scale is input times weight."""
    if values is None:
        reach = max(2, int(np.sqrt(terms) * 73 * 73))
        values = rng.integers(-reach, reach + 1, channels)
    return graph.const(values, np.float32(s_in) * s_w, dtype="i32")
