"""Digits as a TFRecord of tf.train.Example, pictures encoded as PNG: `python records.py` in this folder."""

import numpy as np
import tensorflow as tf

data = np.load("mnist.npz")
with tf.io.TFRecordWriter("digits.tfrecord.gz", "GZIP") as writer:
    for picture, label in zip(data["test_x"], data["test_y"]):
        pixels = np.asarray(picture, np.float32).reshape(28, 28, 1)
        # The pictures of the other pages are scaled to 0..1.
        png = tf.io.encode_png(np.round(pixels * (255 if pixels.max() <= 1 else 1)).astype(np.uint8)).numpy()
        features = {
            "picture": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png])),
            "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)])),
        }
        writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
