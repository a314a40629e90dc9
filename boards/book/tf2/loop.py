"""A tf.function with a loop over a tensor, which AutoGraph makes an operator of: python loop.py"""

import numpy as np
import tensorflow as tf


class Peak(tf.Module):
    """A low-pass filter over 16 readings; its highest value, which does not go beyond a limit."""

    @tf.function(input_signature=[tf.TensorSpec((1, 16), name="readings")])
    def __call__(self, readings):
        low = readings[:, 0]
        peak = low
        for step in tf.range(1, 16):
            low = 0.75 * low + 0.25 * readings[:, step]
            peak = tf.maximum(peak, low)
        return {"peak": tf.minimum(peak, 2.0)}


module = Peak()
tf.saved_model.save(module, "peak")
x = np.random.default_rng(0).normal(size=(200, 16)).astype("f4")
np.savetxt("readings.csv", x, delimiter=",", fmt="%.4f", header=",".join(f"t{i}" for i in range(16)), comments="")
