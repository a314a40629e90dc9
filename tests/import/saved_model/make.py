"""Makes the SavedModels of this folder and TensorFlow's answers to them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tensorflow-cpu==2.21.0
    /tmp/venv/bin/python make.py

Each folder is one SavedModel with a signature per case; `vectors.npz` holds `FOLDER/CASE/in/NAME` and
`FOLDER/CASE/out/NAME`, two samples each. Weights are random, so the models are nobody's but ours.
"""

import os
import shutil
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

HERE = os.path.dirname(os.path.abspath(__file__))
L = keras.layers
rng = np.random.default_rng(7)
keras.utils.set_random_seed(7)


def weights(*shape):
    return (rng.standard_normal(shape) * 0.4).astype(np.float32)


def spec(*shape, dtype=tf.float32, name="x"):
    return tf.TensorSpec([None, *shape], dtype, name=name)


def keras_cases():
    """Layers of Keras 3, by what their model takes."""
    image, line, series = (8, 8, 3), (10, 4), (6, 3)
    yield "dense", (5,), [L.Dense(4, activation="relu"), L.Dense(3, activation="softmax")]
    yield "dense_rows", line, [L.Dense(5, use_bias=False)]
    yield "conv_same", image, [L.Conv2D(4, 3, padding="same", activation="relu"), L.Conv2D(2, (2, 3), strides=2)]
    yield "conv_dilated", image, [L.Conv2D(4, 3, dilation_rate=2, padding="same")]
    yield "conv_groups", (6, 6, 4), [L.Conv2D(4, 3, groups=2)]
    yield "depthwise", image, [L.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)]
    yield "depthwise_dilated", image, [L.DepthwiseConv2D(3, dilation_rate=2)]
    yield "separable", image, [L.SeparableConv2D(4, 3)]
    yield "transpose", (4, 4, 3), [L.Conv2DTranspose(2, 3, strides=2, padding="same"), L.ReLU()]
    yield "transpose_valid", (4, 4, 3), [L.Conv2DTranspose(2, 3, strides=2)]
    yield "conv1d", line, [L.Conv1D(5, 3, padding="same", strides=2), L.BatchNormalization(), L.ReLU(), L.MaxPooling1D(2)]
    yield "conv1d_causal", line, [L.Conv1D(3, 3, padding="causal", dilation_rate=2, activation="tanh")]
    yield "separable1d", line, [L.SeparableConv1D(4, 3), L.AveragePooling1D(2), L.GlobalMaxPooling1D()]
    yield "batch_norm", image, [L.Conv2D(4, 1), L.BatchNormalization(), L.ReLU(max_value=6)]
    yield "pools", image, [L.MaxPooling2D(2), L.AveragePooling2D(2, strides=1, padding="same"), L.GlobalAveragePooling2D(keepdims=True)]
    yield "global_max", image, [L.GlobalMaxPooling2D()]
    yield "padding", image, [L.ZeroPadding2D(((1, 0), (2, 1))), L.Cropping2D(((0, 2), (1, 1))), L.Conv2D(2, 3)]
    yield "upsample", (3, 3, 2), [L.UpSampling2D(2), L.UpSampling2D(2, interpolation="bilinear")]
    yield "upsample1d", (3, 2), [L.UpSampling1D(2)]
    yield "shapes", (4, 6), [L.Reshape((2, 3, 4)), L.Permute((3, 1, 2)), L.Flatten(), L.RepeatVector(3)]
    yield "activations", (7,), [L.Activation(a) for a in ("elu", "selu", "softplus", "softsign", "silu", "gelu")]
    yield "activations2", (7,), [L.LeakyReLU(0.1), L.Activation("hard_sigmoid"), L.Activation("exponential"), L.Activation("log_softmax")]
    yield "activations3", (7,), [L.PReLU(), L.Activation("sigmoid"), L.Activation("mish"), L.Activation("relu6"), L.Softmax()]
    yield "layer_norm", line, [L.LayerNormalization()]
    yield "unit_norm", line, [L.UnitNormalization()]
    yield "group_norm", (4, 4, 4), [L.GroupNormalization(2)]
    yield "rescaling", image, [L.Rescaling(1 / 127.5, -1.0), L.Dropout(0.5), L.GaussianNoise(0.1)]
    yield "lstm", series, [L.LSTM(4)]
    yield "lstm_sequence", series, [L.LSTM(4, return_sequences=True, unit_forget_bias=False), L.LSTM(3, activation="relu", recurrent_activation="tanh")]
    yield "lstm_no_bias", series, [L.LSTM(3, use_bias=False, go_backwards=True)]
    yield "gru", series, [L.GRU(4)]
    yield "gru_before", series, [L.GRU(4, reset_after=False, return_sequences=True)]
    yield "simple_rnn", series, [L.SimpleRNN(4, return_sequences=True), L.SimpleRNN(3, activation="relu")]
    yield "bidirectional", series, [L.Bidirectional(L.LSTM(3, return_sequences=True)), L.TimeDistributed(L.Dense(2))]
    yield "unrolled", series, [L.GRU(3, unroll=True)]


def keras_models():
    for name, shape, layers in keras_cases():
        yield name, keras.Sequential([keras.Input(shape, name="x"), *layers]), [spec(*shape)]
    x = keras.Input((5, 8), name="x")
    y = L.MultiHeadAttention(2, 4)(x, x)
    yield "attention", keras.Model(x, L.LayerNormalization()(L.Add()([x, y]))), [spec(5, 8)]
    x = keras.Input((5, 6), name="x")
    yield "einsum_dense", keras.Model(x, L.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d")(x)), [spec(5, 6)]
    x = keras.Input((4,), dtype="int32", name="x")
    yield "embedding", keras.Model(x, L.Dense(2)(L.Flatten()(L.Embedding(9, 3)(x)))), [spec(4, dtype=tf.int32)]
    x = keras.Input((4,), name="x")
    yield "embedding_float", keras.Model(x, L.GlobalAveragePooling1D()(L.Embedding(9, 3)(x))), [spec(4)]
    x = keras.Input((4, 4, 2), name="x")
    a, b = L.Conv2D(2, 1)(x), L.Conv2D(2, 3, padding="same")(x)
    merged = L.Concatenate()([L.Add()([a, b]), L.Multiply()([a, b]), L.Maximum()([a, b]), L.Minimum()([a, b]), L.Average()([a, b]), L.Subtract()([a, b])])
    yield "merges", keras.Model(x, merged), [spec(4, 4, 2)]


def op_cases():
    """Operators of TensorFlow in forms that Keras's layers do not make."""
    w = weights
    f, dw = w(3, 3, 2, 4), w(3, 3, 2, 1)
    image = [spec(6, 6, 2)]

    def nchw(x):
        y = tf.transpose(x, [0, 3, 1, 2])
        y = tf.nn.bias_add(y, [0.5, -0.25], data_format="NCHW")
        return tf.transpose(y, [0, 2, 3, 1])

    yield "conv_explicit", image, lambda x: tf.nn.conv2d(x, f, 2, [[0, 0], [1, 2], [0, 1], [0, 0]])
    yield "bias_nchw", image, nchw
    yield "space_to_batch", image, lambda x: tf.batch_to_space(tf.nn.conv2d(tf.space_to_batch(x, [2, 2], [[2, 2], [2, 2]]), f, 1, "VALID"), [2, 2], [[0, 0], [0, 0]])
    yield "space_to_batch_crop", [spec(5, 5, 2)], lambda x: tf.batch_to_space(tf.nn.depthwise_conv2d(tf.space_to_batch(x, [2, 2], [[2, 3], [2, 3]]), dw, [1, 1, 1, 1], "VALID"), [2, 2], [[0, 1], [0, 1]])
    yield "space_to_batch_front", [spec(5, 5, 2)], lambda x: tf.batch_to_space(tf.nn.conv2d(tf.space_to_batch(x, [2, 2], [[3, 2], [3, 2]]), f, 1, "VALID"), [2, 2], [[1, 0], [1, 0]])
    yield "matmul_flags", [spec(4)], lambda x: tf.matmul(x, w(3, 4), transpose_b=True)
    yield "matmul_batch", [spec(3, 4), spec(3, 4, name="y")], lambda x, y: tf.matmul(x, y, transpose_b=True) + tf.matmul(x, y, transpose_b=True)
    yield "einsum_batch", [spec(3, 4), spec(5, 4, name="y")], lambda x, y: tf.einsum("bij,bkj->bki", x, y)
    yield "math", [spec(6)], lambda x: tf.math.log(tf.exp(-tf.abs(x)) + 1.0) * tf.math.rsqrt(tf.square(x) + 1.0) + tf.sqrt(tf.abs(x)) / 3.0 + tf.math.erf(x) + tf.math.reciprocal(x * x + 2.0)
    yield "math2", [spec(6)], lambda x: tf.pow(tf.abs(x), 1.5) + x**2 + tf.math.squared_difference(x, 0.5) + tf.clip_by_value(x, -0.5, 0.75) + tf.sin(x) + tf.cos(x) + tf.floor(x) + tf.math.ceil(x) + tf.round(x) + tf.sign(x)
    yield "reduce", [spec(4, 5)], lambda x: tf.concat([tf.reduce_sum(x, 1), tf.reduce_max(x, -1), tf.reduce_min(x, 1), tf.reduce_mean(x, [1])], 1)
    yield "argmax", [spec(5)], lambda x: tf.argmax(x, 1, output_type=tf.int32)
    yield "strided", [spec(6, 8)], lambda x: tf.concat([x[:, 1:5:2, ::-1], x[:, ::3, :][..., tf.newaxis][:, :, :, 0], x[:, -2:, :]], 1)
    yield "shrink", [spec(6, 8)], lambda x: x[:, 2] + x[:, 1, ...] + tf.slice(x, [0, 3, 0], [-1, 1, 8])[:, 0]
    yield "split", [spec(6)], lambda x: tf.stack([*tf.split(x, 3, 1)[:2], tf.split(x, [1, 2, 3], 1)[1], tf.unstack(tf.reshape(x, [-1, 3, 2]), axis=1)[2]], 1)
    yield "tile", [spec(2, 3)], lambda x: tf.tile(x, [1, 2, 1]) + tf.broadcast_to(x[:, :1], [tf.shape(x)[0], 4, 3])
    yield "pad_value", [spec(3, 3, 1)], lambda x: tf.pad(x, [[0, 0], [1, 0], [0, 2], [0, 0]], constant_values=1.5)
    yield "gather", [spec(5, 3)], lambda x: tf.gather(x, [3, 0, 3], axis=1)
    yield "resize", [spec(4, 4, 2)], lambda x: tf.compat.v1.image.resize_bilinear(x, [8, 6], half_pixel_centers=True) + tf.compat.v1.image.resize_nearest_neighbor(x, [8, 6], align_corners=True)
    yield "shape_math", [spec(4, 6)], lambda x: tf.reshape(x, [tf.shape(x)[0], tf.reduce_prod(tf.shape(x)[1:]) // 3, -1]) + tf.cast(tf.size(tf.range(1, 7, 2)), tf.float32) + tf.fill([8, 1], 0.5) + tf.zeros_like(tf.shape(x)[:1][0:1], tf.float32)
    yield "branch", [spec(4)], lambda x: tf.cond(tf.shape(x)[1] > 3, lambda: x * 2.0, lambda: x - 1.0)
    yield "folded_weights", [spec(4)], lambda x: tf.matmul(x, tf.nn.l2_normalize(w(4, 3) * 0.5, 0)) + tf.exp(tf.constant([0.1, 0.2, 0.3]))
    yield "loop", [spec(4)], lambda x: tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.tanh(y * 0.5 + x)), [0, x])[1]
    yield "scan", [spec(5, 2)], lambda x: tf.transpose(tf.scan(lambda s, r: s * 0.5 + tf.abs(r), tf.transpose(x, [1, 0, 2]), tf.zeros_like(x[:, 0])), [1, 0, 2])
    yield "two_outputs", [spec(4)], lambda x: {"twice": x * 2.0, "same": x}
    yield "softmax", [spec(4)], lambda x: tf.nn.log_softmax(x) + tf.nn.softmax(x * 2.0) + tf.nn.leaky_relu(x) + tf.maximum(x, tf.minimum(x * 3.0, 0.25))
    yield "unsupported", [spec(4)], lambda x: tf.cumsum(tf.math.lgamma(x) * 2.0, 1)


def choice_cases():
    """Comparisons and choices."""
    a = [spec(6)]
    known = tf.constant([[True, False, True, True, False, True]])
    band = tf.linalg.band_part(tf.ones((4, 4)), -1, 0) > 0.5

    yield "threshold", a, lambda x: tf.where(x > 0.3, x, 0.0) + tf.where(tf.math.logical_not(x > -0.2), -0.2, x)
    yield "selu_parts", a, lambda x: tf.where(x >= 0, 1.0507 * x, 1.7581 * (tf.exp(x) - 1.0))
    yield "soft_shrink", a, lambda x: tf.where(x > 0.5, x - 0.5, tf.where(x < -0.5, x + 0.5, 0.0))
    yield "hard_shrink", a, lambda x: tf.where(tf.logical_or(x > 0.5, x < -0.5), x, 0.0)
    yield "leaky_steps", a, lambda x: x * tf.cast(x > 0.3, tf.float32)
    yield "masked", a, lambda x: tf.reduce_max(tf.where(known, x, -1e9), 1, keepdims=True)
    yield "masked_other", a, lambda x: tf.where(known, tf.reshape(tf.range(6.0), [1, 6]), x)
    yield "all_of_one", a, lambda x: tf.where(tf.ones((1, 6), tf.bool), tf.abs(x), -1.0)
    yield "causal", [spec(4, 4)], lambda x: tf.nn.softmax(tf.where(band, x, -1e9))
    yield "known", a, lambda x: x + tf.where(tf.sin(tf.range(6.0)) > 0.1, tf.range(6.0), -1.0)
    yield "truth", a, lambda x: x > 0.5
    yield "unsupported", a, lambda x: tf.where(x[:, ::-1] > x, x, tf.exp(x))


def function(call, specs):
    return tf.function(call, input_signature=specs, autograph=False)


class Saved(tf.Module):
    pass


def save(folder, functions, keep):
    """Saves functions as signatures, and what TensorFlow computes of two samples."""
    module = Saved()
    module.kept = keep
    signatures = {name: f.get_concrete_function() for name, (f, _) in functions.items()}
    path = os.path.join(HERE, folder)
    shutil.rmtree(path, ignore_errors=True)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, path, signatures=signatures, options=options)
    for extra in ("assets", "fingerprint.pb"):
        extra = os.path.join(path, extra)
        shutil.rmtree(extra, ignore_errors=True) if os.path.isdir(extra) else os.path.exists(extra) and os.remove(extra)
    loaded = tf.saved_model.load(path)
    arrays = {}
    for name, (_, specs) in functions.items():
        inputs = {}
        for s in specs:
            shape = [2, *s.shape[1:]]
            integer = s.dtype == tf.int32 or name == "embedding_float"
            x = rng.integers(0, 9, shape) if integer else rng.standard_normal(shape)
            inputs[s.name] = tf.constant(x.astype(s.dtype.as_numpy_dtype))
        outputs = loaded.signatures[name](**inputs)
        # Truth values are refused.
        if any(value.dtype == tf.bool for value in outputs.values()):
            continue
        for key, value in inputs.items():
            arrays[f"{folder}/{name}/in/{key}"] = value.numpy().astype(np.float32)
        for key, value in outputs.items():
            arrays[f"{folder}/{name}/out/{key}"] = value.numpy().astype(np.float32)
    strip(os.path.join(path, "saved_model.pb"))
    return arrays


def strip(path):
    """Takes out what only Python and training read, so that the file is small enough to commit."""
    model = saved_model_pb2.SavedModel()
    with open(path, "rb") as f:
        model.ParseFromString(f.read())
    graph = model.meta_graphs[0]
    graph.ClearField("object_graph_def")
    graph.meta_info_def.ClearField("stripped_op_list")
    graph.graph_def.ClearField("debug_info")
    functions = {f.signature.name: f for f in graph.graph_def.library.function}
    nodes = {node.name: node for node in graph.graph_def.node}
    wanted = {graph.saver_def.restore_op_name}
    for signature in graph.signature_def.values():
        for info in [*signature.inputs.values(), *signature.outputs.values()]:
            wanted.add(info.name.split(":")[0])
    todo = list(wanted)
    while todo:
        for name in nodes[todo.pop()].input:
            name = name.lstrip("^").split(":")[0]
            if name not in wanted:
                wanted.add(name)
                todo.append(name)
    for name in set(nodes) - wanted:
        graph.graph_def.node.remove(nodes[name])
    used, todo = set(), list(graph.graph_def.node)
    while todo:
        node = todo.pop()
        for attribute in node.attr.values():
            name = attribute.func.name
            if name and name not in used:
                used.add(name)
                todo.extend(functions[name].node_def)
    for name in set(functions) - used:
        graph.graph_def.library.function.remove(functions[name])
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


def main():
    arrays, keep, functions = {}, [], {}
    for name, model, specs in keras_models():
        for variable in model.weights:
            # Untrained biases and batch norms would not show whether they are used.
            value = rng.standard_normal(variable.shape) * 0.3
            if "variance" in variable.path:
                value = np.abs(value) + 0.5
            if "seed" not in variable.path:
                variable.assign(value)
        keep.append([v for v in model.weights if "seed" not in v.path])
        functions[name] = (function(lambda x, model=model: model(x, training=False), specs), specs)
    arrays |= save("keras", functions, [[v.value for v in vs] for vs in keep])
    functions = {name: (function(call, specs), specs) for name, specs, call in op_cases()}
    arrays |= save("operators", functions, [])
    functions = {name: (function(call, specs), specs) for name, specs, call in choice_cases()}
    arrays |= save("choices", functions, [])
    np.savez_compressed(os.path.join(HERE, "vectors.npz"), **arrays)


if __name__ == "__main__":
    sys.exit(main())
