"""Data sets as TensorFlow writes them, with the same samples in `samples.npz`: `python make.py` in this folder."""

import shutil

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(1)
x = rng.normal(size=(7, 4, 3)).astype(np.float32)
y = np.arange(7, dtype=np.int64) % 3
pictures = (np.ones((7, 5, 6, 3)) * np.arange(7)[:, None, None, None] * 30).astype(np.uint8)
np.savez("samples.npz", x=x, y=y, pictures=pictures)


def feature(kind, values):
    lists = {"float": tf.train.FloatList, "int64": tf.train.Int64List, "bytes": tf.train.BytesList}
    return tf.train.Feature(**{f"{kind}_list": lists[kind](value=values)})


for name, compression in [("plain.tfrecord", ""), ("packed.tfrecord.gz", "GZIP")]:
    with tf.io.TFRecordWriter(name, compression) as writer:
        for sample, label, picture in zip(x, y, pictures):
            features = {
                "x": feature("float", sample.ravel()),
                "label": feature("int64", [int(label)]),
                "tensor": feature("bytes", [tf.io.serialize_tensor(sample).numpy()]),
                "picture": feature("bytes", [tf.io.encode_png(picture).numpy()]),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())

data = {"pairs": (x, y), "named": {"x": x, "label": y}}
for name, of in data.items():
    for compression in [None, "GZIP", "SNAPPY"] if name == "pairs" else [None]:
        folder = f"{name}_{(compression or 'plain').lower()}"
        shutil.rmtree(folder, ignore_errors=True)
        tf.data.Dataset.from_tensor_slices(of).save(folder, compression=compression)
