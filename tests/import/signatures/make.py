"""Makes the files of this folder: a .tflite whose signatures work on the same variables.

    python make.py          needs tensorflow and ai-edge-litert

`samples.npz` has samples, `gauge.npz` LiteRT's answers to calls of the signatures in turn.
"""

import os

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType

HERE = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(11)


def write(name, data):
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(data)


def converter(folder, names):
    made = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
    made.experimental_enable_resource_variables = True
    return made


class Gauge(tf.Module):
    """A mean that goes along, and a push of it."""

    def __init__(self):
        super().__init__()
        self.level = tf.Variable(tf.zeros([1, 4]), name="level")
        self.kernel = tf.constant(rng.normal(0, 0.6, (8, 3)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="x")])
    def step(self, x):
        y = tf.concat([x, self.level], 1) @ self.kernel
        self.level.assign(0.75 * self.level + 0.25 * x)
        return {"y": y}

    @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="push")])
    def push(self, push):
        self.level.assign(self.level * push)
        return {"level": self.level * 0.5}

    @tf.function(input_signature=[])
    def peek(self):
        return {"level": self.level * 2.0}

    @tf.function(input_signature=[])
    def reset(self):
        self.level.assign(tf.zeros([1, 4]))
        return {"done": tf.constant([1.0])}


gauge = Gauge()
folder = os.path.join(HERE, "gauge")
tf.saved_model.save(gauge, folder, signatures={name: getattr(gauge, name) for name in ("step", "push", "peek", "reset")})
write("gauge.tflite", converter(folder, ["step", "push", "peek", "reset"]).convert())
tf.io.gfile.rmtree(folder)



RANGES = {"step": (-2, 2), "push": (-1, 1)}
names = ["peek", "push", "reset", "step"]
interpreter = Interpreter(
    os.path.join(HERE, "gauge.tflite"), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
)
runners = {name: interpreter.get_signature_runner(name) for name in names}
order, arrays = [], {}
for _ in range(80):
    number = int(rng.choice(len(names), p=[0.2, 0.2, 0.1, 0.5]))
    name = names[number]
    x = {port: rng.uniform(*RANGES[name], (1, 4)).astype(np.float32) for port in runners[name].get_input_details()}
    order.append(number)
    for port, array in x.items():
        arrays.setdefault(f"gauge/in/{name}/{port}", []).append(array[0])
    for port, array in runners[name](**x).items():
        arrays.setdefault(f"gauge/out/{name}/{port}", []).append(array.reshape(-1))
arrays = {name: np.array(rows) for name, rows in arrays.items()}
arrays["gauge/order"] = np.array(order, np.int32)
np.savez_compressed(os.path.join(HERE, "gauge.npz"), **arrays)
np.savez_compressed(
    os.path.join(HERE, "samples.npz"),
    x=rng.uniform(*RANGES["step"], (100, 4)).astype(np.float32),
    push=rng.uniform(*RANGES["push"], (100, 4)).astype(np.float32),
)
