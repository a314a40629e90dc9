"""Makes the SavedModel `saved/products` in this folder and TensorFlow's answers to it, `products.npz`.

    /tmp/venv/bin/python make_products.py       # the environment of make.py

`products.npz` holds `FOLDER/SIGNATURE/in/NAME` and `.../out/NAME`, two samples each.
"""

import os
import shutil

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tensorflow as tf

HERE = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(51)
arrays = {}


def function(call, **inputs):
    return tf.function(call, input_signature=[tf.TensorSpec([1, *shape], tf.float32, name) for name, shape in inputs.items()])


functions = {
    "over_one": function(lambda x: {"y": tf.reduce_prod(x, 1)}, x=[5, 3]),
    "over_two": function(lambda x: {"y": tf.reduce_prod(x, [1, 2], keepdims=True)}, x=[3, 2, 4]),
    "first": function(lambda x: {"y": tf.reduce_prod(x * 0.5, [-3])}, x=[7, 2, 2]),
    "quotient": function(lambda a, b: {"y": tf.math.divide_no_nan(a, b)}, a=[6], b=[6]),
}
path = os.path.join(HERE, "saved", "products")
shutil.rmtree(path, ignore_errors=True)
module = tf.Module()
tf.saved_model.save(module, path, signatures={name: f.get_concrete_function() for name, f in functions.items()})
os.remove(os.path.join(path, "fingerprint.pb"))
shutil.rmtree(os.path.join(path, "assets"), ignore_errors=True)
for name, f in functions.items():
    rows = []
    for _ in range(2):
        inputs = {s.name: rng.standard_normal(s.shape).astype(np.float32) for s in f.input_signature}
        if "b" in inputs:
            inputs["b"][0, ::2] = 0
        rows.append((inputs, f(**inputs)))
    for key in rows[0][0]:
        arrays[f"products/{name}/in/{key}"] = np.stack([inputs[key][0] for inputs, _ in rows])
    for key in rows[0][1]:
        arrays[f"products/{name}/out/{key}"] = np.stack([outputs[key].numpy()[0] for _, outputs in rows])
with open(os.path.join(HERE, "products.npz"), "wb") as f:
    np.savez_compressed(f, **arrays)
