"""Makes the SavedModels under `saved` in this folder and TensorFlow's answers to them, `saved.npz`.

    /tmp/venv/bin/python make_saved.py          # the environment of make.py

Unlike those of make.py they keep the objects of the file, which say what a function captures, so there is one
folder per model. `saved.npz` holds `FOLDER/SIGNATURE/in/NAME` and `.../out/NAME`, two samples each. Signatures
whose names begin with `bad_` are for refusals and have no answers. Weights are random.
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
L = keras.layers
rng = np.random.default_rng(11)
keras.utils.set_random_seed(11)
arrays = {}


def weights(*shape):
    return (rng.standard_normal(shape) * 0.5).astype(np.float32)


def variable(*shape, name):
    return tf.Variable(weights(*shape), name=name)


def signature(call, *shape, **more):
    return tf.function(call, input_signature=[tf.TensorSpec([None, *shape], tf.float32, "x")], **more)


def put(folder, module, functions=None):
    path = os.path.join(HERE, "saved", folder)
    shutil.rmtree(path, ignore_errors=True)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    if functions is None:
        tf.saved_model.save(module, path, options=options)
    else:
        concrete = {name: f.get_concrete_function() for name, f in functions.items()}
        tf.saved_model.save(module, path, signatures=concrete, options=options)
    os.remove(os.path.join(path, "fingerprint.pb"))
    shutil.rmtree(os.path.join(path, "assets"), ignore_errors=True)
    loaded = tf.saved_model.load(path)
    for name, served in loaded.signatures.items():
        if name.startswith("bad_"):
            continue
        inputs = {}
        for key, spec in served.structured_input_signature[1].items():
            inputs[key] = tf.constant(rng.standard_normal([2, *spec.shape[1:]]).astype(np.float32))
        for key, value in inputs.items():
            arrays[f"{folder}/{name}/in/{key}"] = value.numpy()
        for key, value in served(**inputs).items():
            if value.dtype == tf.float32:
                arrays[f"{folder}/{name}/out/{key}"] = value.numpy()
    strip(os.path.join(path, "saved_model.pb"))


def strip(path):
    """Takes out what nothing reads, so that the file is small; the objects stay."""
    model = saved_model_pb2.SavedModel()
    with open(path, "rb") as f:
        model.ParseFromString(f.read())
    graph = model.meta_graphs[0]
    graph.meta_info_def.ClearField("stripped_op_list")
    graph.graph_def.ClearField("debug_info")
    graph.object_graph_def.ClearField("nodes")
    for function in graph.object_graph_def.concrete_functions.values():
        function.ClearField("canonicalized_input_signature")
        function.ClearField("output_signature")
    nodes = list(graph.graph_def.node)
    for function in graph.graph_def.library.function:
        nodes.extend(function.node_def)
        for attributes in [function.attr, *[a.attr for a in function.arg_attr.values()]]:
            attributes.clear()
        function.arg_attr.clear()
    for node in nodes:
        node.ClearField("experimental_debug_info")
        for key in [k for k in node.attr if k.startswith("_") or k in ("config_proto", "config", "executor_type")]:
            del node.attr[key]
    with open(path, "wb") as f:
        f.write(model.SerializeToString(deterministic=True))


def fill(model):
    for w in model.weights:
        if "seed" not in w.path:
            w.assign(np.abs(weights(*w.shape)) + 0.5 if "variance" in w.path else weights(*w.shape))


class Net(keras.Model):
    """Layers of equal names, in a model that says in Python what it does."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = (L.Dense(5, name="same") for _ in range(3))
        self.norm, self.drop = L.BatchNormalization(name="same"), L.Dropout(0.5)

    def call(self, x, training=None):
        x = self.norm(self.first(x) - 2 * self.second(x), training=training)
        return self.last(self.drop(tf.nn.relu(x), training=training))


def keras_models():
    model = keras.Sequential([L.Input((6, 6, 1)), L.Conv2D(3, 3, use_bias=False), L.BatchNormalization(), L.ReLU(), L.Flatten(), L.Dense(4, activation="softmax")])
    model.compile("adam", "mse")
    fill(model)
    put("sequential", model)
    model = Net()
    model(np.zeros((1, 5), np.float32))
    fill(model)
    put("subclassed", model)
    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        model = keras.Sequential([L.Input((5,)), L.Dense(4, activation="relu"), L.Dense(4)])
    fill(model)
    put("mirrored", model)


class Equal(tf.Module):
    def __init__(self):
        self.parts = [variable(4, 4, name="w") for _ in range(3)]


def equal_names():
    m = Equal()
    first = lambda x: {"y": tf.tanh(tf.tanh(x @ m.parts[2]) @ m.parts[0])}
    other = lambda x: {"y": tf.tanh(x @ m.parts[1]) @ m.parts[2], "constant": tf.constant([1.0, 2.0]), "word": tf.constant(["a"])}
    put("equal_names", m, {"serving_default": signature(first, 4), "other": signature(other, 4)})


class State(tf.Module):
    def __init__(self):
        self.weight = variable(4, 4, name="weight")
        self.past = tf.Variable(tf.zeros([1, 3, 4]), name="past")
        self.level = tf.Variable(tf.zeros([4]), name="level")
        self.calls = tf.Variable(0, name="calls")
        self.mean = tf.Variable(tf.zeros([4]), name="mean")


def state():
    m = State()

    def ring(x):
        m.past.assign(tf.concat([m.past[:, 1:], x[:1, None]], 1))
        return {"y": tf.reduce_mean(m.past, 1) @ m.weight}

    def nested(x):
        # In a function within, in the body of a loop, behind a condition that the input decides.
        @tf.function
        def inner(x):
            def step(i, total):
                def more():
                    m.level.assign_add(x[0])
                    return 1.0

                return i + 1, total + tf.cond(tf.reduce_sum(x) > 0, more, lambda: 0.0)

            tf.while_loop(lambda i, total: i < 2, step, [0, 0.0])
            return m.level + 0.0

        before = inner(x)
        return {"y": (x + before) @ m.weight}

    def scatter(x):
        m.past.scatter_nd_update([[0, 1]], x[:1])
        return {"y": m.past[:, 1] @ m.weight}

    def only(x):
        # The only output is the variable.
        m.level.assign_add(x[0])
        return {"y": m.level[None] @ m.weight}

    def counted(x):
        m.calls.assign_add(1)
        return {"y": x @ m.weight}

    def tracked(x):
        m.mean.assign(0.9 * m.mean + 0.1 * tf.reduce_mean(x, 0))
        return {"y": x @ m.weight}

    def untaken(x):
        # Traced with a condition that is a constant: the branch that assigns is never run.
        yes = tf.raw_ops.Identity(input=tf.constant(False))

        def change():
            m.level.assign_add(x[0])
            return 1.0

        return {"y": (x + m.level + tf.cond(yes, change, lambda: 0.5)) @ m.weight}

    def dropped(x):
        return {"y": tf.nn.dropout(x, 0.5) @ m.weight}

    functions = {"bad_ring": ring, "bad_nested": nested, "bad_scatter": scatter, "bad_only": only, "counted": counted, "tracked": tracked, "untaken": untaken, "bad_dropout": dropped}
    put("state", m, {name: signature(f, 4, autograph=False) for name, f in functions.items()})


def border():
    m = State()
    mirror = lambda x: {"reflect": tf.pad(x, [[0, 0], [1, 2], [2, 0]], "REFLECT"), "symmetric": tf.pad(x, [[0, 0], [3, 0], [0, 1]], "SYMMETRIC")}
    dots = lambda x: {"y": tf.einsum("...x,xy->...y", tf.math.expm1(x), m.weight), "z": tf.math.log1p(tf.abs(x))}
    spin = lambda x: {"y": x * tf.math.abs(tf.complex(1.0, 2.0) * tf.cast(x, tf.complex64))}
    put("border", m, {"mirror": signature(mirror, 3, 4), "dots": signature(dots, 3, 4), "bad_complex": signature(spin, 3)})


def masks():
    """Loops of recurrent layers whose steps are masked: rows of two features, of which about a quarter are zero."""
    x = L.Input((7, 2))
    m = L.Masking()(L.ReLU()(x))
    outputs = {"last": L.LSTM(3)(m), "all": L.GRU(3, return_sequences=True)(m)}
    outputs["zero"] = L.SimpleRNN(3, return_sequences=True, go_backwards=True, zero_output_for_mask=True)(m)
    model = keras.Model(x, outputs)
    fill(model)
    put("masks", model, {"serving_default": signature(lambda x: model(x), 7, 2)})


keras_models()
equal_names()
state()
border()
masks()
np.savez_compressed(os.path.join(HERE, "saved.npz"), **arrays)
