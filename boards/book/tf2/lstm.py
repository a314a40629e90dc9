"""An LSTM from scratch in a tf.Module that reads a digit row by row, saved by tf.saved_model.save: python lstm.py [mnist.npz]"""

import sys

import numpy as np
import tensorflow as tf

if len(sys.argv) > 1:
    data = np.load(sys.argv[1])
    x, y = data["x_train"], data["y_train"]
else:
    (x, y), _ = tf.keras.datasets.mnist.load_data()
x = x[:20000] / np.float32(255)
y = y[:20000].astype("int64")
UNITS = 16


class Reader(tf.Module):
    def __init__(self):
        super().__init__(name="reader")
        random = tf.random.Generator.from_seed(1)
        self.kernel = tf.Variable(random.normal((28 + UNITS, 4 * UNITS), stddev=0.15), name="kernel")
        self.bias = tf.Variable(tf.zeros(4 * UNITS), name="bias")
        self.out = tf.Variable(random.normal((UNITS, 10), stddev=0.2), name="out")

    def step(self, row, h, c):
        gates = tf.concat([row, h], axis=1) @ self.kernel + self.bias
        i, f, g, o = tf.split(gates, 4, axis=1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        return tf.sigmoid(o) * tf.tanh(c), c

    def scores(self, digits):
        h = c = tf.zeros((tf.shape(digits)[0], UNITS))
        for row in tf.range(28):
            h, c = self.step(digits[:, row], h, c)
        return h @ self.out

    @tf.function(input_signature=[tf.TensorSpec((1, 28, 28), name="digit")])
    def __call__(self, digit):
        h = c = tf.zeros((1, UNITS))
        for row in tf.range(28):
            h, c = self.step(digit[:, row], h, c)
        return {"scores": h @ self.out}


reader = Reader()
adam = tf.keras.optimizers.Adam(0.01)


@tf.function
def train(digits, labels):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, reader.scores(digits)))
    adam.apply_gradients(zip(tape.gradient(loss, reader.trainable_variables), reader.trainable_variables))
    return loss


data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(2000, seed=1).batch(100)
for epoch in range(3):
    for digits, labels in data:
        loss = train(digits, labels)
    print("epoch", epoch, "loss", float(loss))
tf.saved_model.save(reader, "reader")
