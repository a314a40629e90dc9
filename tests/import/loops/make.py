"""Makes the models of this folder: cells written by hand, in loops that TensorFlow's converter leaves as WHILE.

    python make.py          needs tensorflow
"""

import numpy as np
import tensorflow as tf

FEATURES, UNITS, STEPS, SAMPLES = 3, 4, 5, 4
rng = np.random.default_rng(7)


def variable(*shape):
    return tf.Variable(rng.normal(0, 0.5, shape).astype(np.float32))


class Lstm(tf.Module):
    """One matrix for row and state, an array of results."""

    def __init__(self):
        super().__init__()
        self.kernel, self.bias = variable(FEATURES + UNITS, 4 * UNITS), variable(4 * UNITS)

    @tf.function(input_signature=[tf.TensorSpec([1, STEPS, FEATURES], tf.float32, name="x")])
    def serve(self, x):
        hidden, cell = tf.zeros([1, UNITS]), tf.zeros([1, UNITS])
        results = tf.TensorArray(tf.float32, STEPS)
        for step in tf.range(STEPS):
            sums = tf.concat([x[:, step], hidden], 1) @ self.kernel + self.bias
            i, candidate, forget, output = tf.split(sums, 4, 1)
            cell = tf.sigmoid(forget + 1.0) * cell + tf.sigmoid(i) * tf.tanh(candidate)
            hidden = tf.sigmoid(output) * tf.tanh(cell)
            results = results.write(step, hidden)
        return {"all": results.stack(), "last": cell}


class Gru(tf.Module):
    """tf.scan over rows; the reset gate acts before the product."""

    def __init__(self):
        super().__init__()
        self.w = [variable(FEATURES, UNITS) for _ in range(3)]
        self.u = [variable(UNITS, UNITS) for _ in range(3)]
        self.b = [variable(UNITS) for _ in range(3)]

    @tf.function(input_signature=[tf.TensorSpec([1, STEPS, FEATURES], tf.float32, name="x")])
    def serve(self, x):
        def step(hidden, row):
            z, r = [tf.sigmoid(row @ self.w[g] + hidden @ self.u[g] + self.b[g]) for g in (0, 1)]
            new = tf.tanh(row @ self.w[2] + (r * hidden) @ self.u[2] + self.b[2])
            return (1 - z) * hidden + z * new

        states = tf.scan(step, tf.transpose(x, [1, 0, 2]), initializer=tf.zeros([1, UNITS]))
        return {"last": states[-1]}


class Stacked(tf.Module):
    """Two plain layers in one loop."""

    def __init__(self):
        super().__init__()
        self.w = [variable(FEATURES, UNITS), variable(UNITS, UNITS)]
        self.u = [variable(UNITS, UNITS) for _ in range(2)]
        self.b = variable(UNITS)

    @tf.function(input_signature=[tf.TensorSpec([1, STEPS, FEATURES], tf.float32, name="x")])
    def serve(self, x):
        a, b = tf.zeros([1, UNITS]), tf.zeros([1, UNITS])
        for step in tf.range(STEPS):
            a = tf.tanh(tf.gather(x, step, axis=1) @ self.w[0] + a @ self.u[0] + self.b)
            b = tf.tanh(a @ self.w[1] + b @ self.u[1])
        return {"last": b}


vectors = {}
for cls in (Lstm, Gru, Stacked):
    module, name = cls(), cls.__name__.lower()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)
    with open(f"{name}.tflite", "wb") as file:
        file.write(converter.convert())
    x = rng.normal(0, 1, (SAMPLES, 1, STEPS, FEATURES)).astype(np.float32)
    vectors[f"{name}/in"] = x
    for key in module.serve(x[0]):
        vectors[f"{name}/{key}"] = np.stack([module.serve(sample)[key].numpy() for sample in x])
np.savez_compressed("vectors.npz", **vectors)
