"""Makes SavedModels whose signatures work on the same variables, `entries/MODEL` in this folder, and what TensorFlow answers
to calls of them in turn, `entries.npz`.

    /tmp/venv/bin/python make_entries.py        # the environment of make.py

`MODEL/order` has the number of the signature of each call, in the order of their names; `MODEL/in/SIGNATURE/NAME` and
`MODEL/out/SIGNATURE/NAME` a row for each call of that signature. `MODEL/NAME` are samples to calibrate with. Weights are random.
"""

import os
import shutil

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

HERE = os.path.dirname(os.path.abspath(__file__))
CALLS, SAMPLES = 120, 120
rng = np.random.default_rng(23)
keras.utils.set_random_seed(23)
arrays = {}


def weights(*shape):
    return (rng.standard_normal(shape) * 0.5).astype(np.float32)


def function(call, **inputs):
    specs = [tf.TensorSpec(shape, tf.float32, name) for name, shape in inputs.items()]
    return tf.function(call, input_signature=specs)


class Voice(tf.Module):
    """A level that follows its input, and a sum of levels: read, moved and set back by functions of their own."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (tf.Variable(weights(*s), name=n) for s, n in (((4, 8), "a"), ((8, 8), "b"), ((8, 3), "c")))
        self.level = tf.Variable(np.zeros((1, 8), np.float32), name="level")
        self.sum = tf.Variable(np.full((1, 8), 0.25, np.float32), name="sum")

    def step(self, x):
        level = tf.tanh(x @ self.a + self.level.read_value() @ self.b)
        self.level.assign(level)
        self.sum.assign(self.sum.read_value() * 0.875 + level)
        return {"y": self.sum.read_value() @ self.c}

    def nudge(self, z):
        self.sum.assign(self.sum.read_value() + 0.5 * z)
        return {"y": self.sum.read_value() @ self.c}

    def peek(self):
        return {"y": self.sum.read_value() @ self.c}

    def reset(self):
        self.level.assign(tf.zeros([1, 8]))
        self.sum.assign(tf.fill([1, 8], 0.25))
        return {"done": tf.constant(1)}

    def functions(self):
        return {
            "step": function(self.step, x=[1, 4]),
            "nudge": function(self.nudge, z=[1, 8]),
            "peek": function(self.peek),
            "reset": function(self.reset),
        }


class Listener(tf.Module):
    """An LSTM over some steps, whose states are variables, and a reset."""

    def __init__(self):
        super().__init__()
        self.lstm = keras.layers.LSTM(8, return_state=True, return_sequences=True)
        self.lstm.build([1, 5, 4])
        self.out = tf.Variable(weights(8, 3), name="out")
        self.hidden = tf.Variable(np.zeros((1, 8), np.float32), name="hidden")
        self.cell = tf.Variable(np.zeros((1, 8), np.float32), name="cell")

    def hear(self, x):
        states = [self.hidden.read_value(), self.cell.read_value()]
        rows, hidden, cell = self.lstm(x, initial_state=states)
        self.hidden.assign(hidden)
        self.cell.assign(cell)
        return {"y": rows @ self.out}

    def forget(self):
        self.hidden.assign(tf.zeros([1, 8]))
        self.cell.assign(tf.zeros([1, 8]))
        return {"done": tf.constant(1)}

    def functions(self):
        return {"serving_default": function(self.hear, x=[1, 5, 4]), "forget": function(self.forget)}


def put(name, module):
    functions = module.functions()
    path = os.path.join(HERE, "entries", name)
    shutil.rmtree(path, ignore_errors=True)
    concrete = {key: f.get_concrete_function() for key, f in functions.items()}
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, path, signatures=concrete, options=options)
    os.remove(os.path.join(path, "fingerprint.pb"))
    shutil.rmtree(os.path.join(path, "assets"), ignore_errors=True)
    loaded = tf.saved_model.load(path)
    names = sorted(functions)
    order = rng.choice(len(names), CALLS, p=[1 / len(names)] * len(names))
    calls = {}
    for number in order:
        key = names[number]
        served = loaded.signatures[key]
        specs = served.structured_input_signature[1]
        inputs = {k: rng.standard_normal(s.shape).astype(np.float32) for k, s in specs.items()}
        outputs = served(**{k: tf.constant(v) for k, v in inputs.items()})
        for side, tensors in (("in", inputs), ("out", {k: v.numpy() for k, v in outputs.items()})):
            for k, v in tensors.items():
                calls.setdefault(f"{name}/{side}/{key}/{k}", []).append(v[0] if np.ndim(v) else v)
    arrays.update({k: np.stack(v) for k, v in calls.items()})
    arrays[f"{name}/order"] = np.array(order, np.int32)
    for f in functions.values():
        for spec in f.input_signature:
            arrays[f"{name}/{spec.name}"] = rng.standard_normal([SAMPLES, *spec.shape[1:]]).astype(np.float32)
    strip(os.path.join(path, "saved_model.pb"))


def strip(path):
    """Takes out what nothing reads, so that the file is small."""
    model = saved_model_pb2.SavedModel()
    with open(path, "rb") as f:
        model.ParseFromString(f.read())
    graph = model.meta_graphs[0]
    graph.meta_info_def.ClearField("stripped_op_list")
    graph.graph_def.ClearField("debug_info")
    graph.object_graph_def.ClearField("nodes")
    with open(path, "wb") as f:
        f.write(model.SerializeToString(deterministic=True))


put("voice", Voice())
put("listener", Listener())
with open(os.path.join(HERE, "entries.npz"), "wb") as f:
    np.savez_compressed(f, **arrays)
