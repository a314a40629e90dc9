"""A module as TensorFlow Hub has them, with inputs and answers beside it: `python make_hub.py` in this folder."""

import os
import shutil

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(3)


class Features(tf.Module):
    """Features of a picture of any size."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(rng.normal(size=(3, 3, 3, 4)).astype(np.float32) * 0.3)
        self.b = tf.Variable(rng.normal(size=(4,)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def __call__(self, x):
        y = tf.nn.relu(tf.nn.conv2d(x, self.w, 2, "SAME") + self.b)
        return tf.reduce_mean(y, [1, 2])


features = Features()
shutil.rmtree("hub_module", ignore_errors=True)
tf.saved_model.save(features, "hub_module", signatures=features.__call__.get_concrete_function())
os.remove("hub_module/fingerprint.pb")
x = rng.normal(size=(5, 8, 8, 3)).astype(np.float32)
np.savez("hub_module.npz", x=x, y=features(x).numpy())
