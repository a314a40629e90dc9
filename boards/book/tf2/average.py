"""A tf.Module with a variable that is kept from call to call: a running average: python average.py"""

import tensorflow as tf


class Average(tf.Module):
    def __init__(self):
        super().__init__(name="average")
        self.mean = tf.Variable(tf.zeros((1, 16)), trainable=False, name="mean")

    @tf.function(input_signature=[tf.TensorSpec((1, 16), name="readings")])
    def __call__(self, readings):
        mean = 0.9 * self.mean + 0.1 * readings
        self.mean.assign(mean)
        return {"above": tf.nn.relu(readings - mean)}


tf.saved_model.save(Average(), "average")
