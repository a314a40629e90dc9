"""Makes the Keras models of this folder and Keras's answers to them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tensorflow-cpu==2.21.0 tf_keras==2.21.0
    /tmp/venv/bin/python make.py

Each file is one model with an output per case; `vectors.npz` holds `FILE/in/NUMBER` and
`FILE/out/NUMBER`, two samples each. Weights are random, so the models are nobody's but ours.
"""

import os
import sys
import traceback
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
import tf_keras

HERE = os.path.dirname(os.path.abspath(__file__))
L = keras.layers
rng = np.random.default_rng(11)
arrays = {}


def randomise(model):
    """Weights that tell every variable apart, moving averages included."""
    for v in model.weights:
        shape, name = v.shape, v.path if hasattr(v, "path") else v.name
        value = rng.standard_normal(shape) * 0.4
        if "variance" in name:
            value = np.abs(value) + 0.5
        if "gamma" in name or name.endswith("scale"):
            value = value + 1.0
        if str(v.dtype).replace("<dtype: '", "").startswith(("int", "uint")):
            continue
        v.assign(value.astype(np.float32))


def save(name, model, extensions=("keras",), ranges=None):
    randomise(model)
    for layer in model.layers:
        if isinstance(layer, L.Normalization):
            layer.finalize_state()
    inputs = []
    for number, x in enumerate(model.inputs):
        shape = [2, *[5 if d is None else d for d in x.shape[1:]]]
        if "int" in str(x.dtype) or (ranges and number in ranges):
            data = rng.integers(0, (ranges or {}).get(number, 6), shape)
        else:
            data = rng.standard_normal(shape)
        inputs.append(data.astype(np.float32 if "float" in str(x.dtype) else np.int32))
    outputs = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    for extension in extensions:
        file = f"{name}.{extension}"
        path = os.path.join(HERE, file)
        model.save(path)
        if extension == "keras":
            pack(path)
        for kind, values in (("in", inputs), ("out", outputs)):
            for number, value in enumerate(values):
                arrays[f"{file}/{kind}/{number}"] = np.asarray(value, np.float32)
        print(f"{file}: {os.path.getsize(path)} bytes, {len(outputs)} outputs")


def pack(path):
    """The same archive, deflated: HDF5 is mostly zeros."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, contents in members.items():
            archive.writestr(zipfile.ZipInfo(name), contents, zipfile.ZIP_DEFLATED, 9)


def each(keras, shape, layers, **options):
    """A model with one output for each layer, all of one input."""
    x = keras.Input(shape, **options)
    outputs = []
    for layer in layers:
        y = layer(x)
        outputs.extend(y if isinstance(y, (list, tuple)) else [y])
    return keras.Model(x, outputs)


def activations():
    names = "relu relu6 leaky_relu elu selu celu softplus softsign squareplus soft_shrink hard_shrink tanh_shrink " \
        "sparse_plus sparse_sigmoid silu swish gelu glu tanh sigmoid exponential hard_sigmoid hard_silu hard_swish " \
        "hard_tanh mish log_softmax log_sigmoid linear softmax"
    save("activations", each(keras, (3, 4), [L.Activation(n) for n in names.split()]))
    save("activation_layers", each(keras, (3, 4), [
        L.ReLU(), L.ReLU(max_value=1.5), L.ReLU(negative_slope=0.2), L.ReLU(threshold=0.3),
        L.ReLU(max_value=1.0, negative_slope=0.1), L.ReLU(max_value=1.0, threshold=0.2),
        L.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2), L.ReLU(negative_slope=0.1, threshold=0.4),
        L.LeakyReLU(0.15), L.LeakyReLU(), L.PReLU(), L.PReLU(shared_axes=[1]), L.ELU(0.7), L.Softmax(), L.Softmax(axis=1),
        L.Activation(L.LeakyReLU(0.05)), L.Dense(3, activation="gelu"), L.Dense(3, activation=L.ReLU(max_value=6.0)),
        L.Conv1D(4, 2, activation="softmax"), L.Dense(4, activation="glu", use_bias=False),
    ]))


def convolutions():
    save("convolutions", each(keras, (8, 7, 4), [
        L.Conv2D(3, 3), L.Conv2D(3, (2, 3), strides=(2, 1), padding="same", activation="relu"),
        L.Conv2D(4, 3, groups=2, padding="same", use_bias=False), L.Conv2D(2, 3, dilation_rate=(2, 1)),
        L.DepthwiseConv2D(3), L.DepthwiseConv2D((3, 2), strides=2, padding="same", depth_multiplier=2),
        L.DepthwiseConv2D(2, dilation_rate=2, use_bias=False, activation="tanh"),
        L.SeparableConv2D(3, 3, padding="same", depth_multiplier=2), L.SeparableConv2D(2, 3, strides=2, activation="relu", use_bias=False),
        L.Conv2DTranspose(3, 3, strides=2, padding="same"), L.Conv2DTranspose(2, (2, 3), strides=(2, 1), activation="relu"),
        L.Conv2DTranspose(2, 2, strides=3, use_bias=False), L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1),
        L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=0), L.Conv2DTranspose(2, 3, strides=2, output_padding=1),
        L.Dense(3),
    ]))
    save("convolutions1d", each(keras, (9, 4), [
        L.Conv1D(3, 3), L.Conv1D(3, 3, strides=2, padding="same", activation="relu"), L.Conv1D(4, 2, groups=2),
        L.Conv1D(3, 3, padding="causal", dilation_rate=2), L.DepthwiseConv1D(3, padding="same", depth_multiplier=2),
        L.DepthwiseConv1D(2, strides=2), L.SeparableConv1D(3, 3, activation="relu"), L.SeparableConv1D(2, 3, padding="same", use_bias=False),
        L.Conv1DTranspose(3, 3, strides=2, padding="same"), L.Conv1DTranspose(2, 3),
    ]))
    x = keras.Input((12, 3))
    y = L.ReLU()(L.BatchNormalization()(L.Conv1D(4, 3, padding="same")(x)))
    z = L.BatchNormalization()(L.Conv1D(4, 3, padding="same")(y))
    y = L.Activation("relu")(L.Add()([y, z]))
    y = L.Concatenate()([L.MaxPooling1D(2)(y), L.AveragePooling1D(2)(y)])
    save("residual1d", keras.Model(x, L.Dense(2, activation="softmax")(L.GlobalAveragePooling1D()(y))), ("keras", "h5"))


def windows():
    save("windows", each(keras, (8, 7, 3), [
        L.MaxPooling2D(), L.MaxPooling2D((3, 2), strides=1, padding="same"), L.AveragePooling2D(3, strides=2, padding="same"),
        L.AveragePooling2D((2, 3)), L.GlobalMaxPooling2D(), L.GlobalAveragePooling2D(keepdims=True), L.GlobalAveragePooling2D(),
        L.ZeroPadding2D(2), L.ZeroPadding2D((1, 2)), L.ZeroPadding2D(((1, 0), (2, 1))), L.Cropping2D(1), L.Cropping2D(((1, 2), (0, 1))),
        L.UpSampling2D(), L.UpSampling2D((2, 3)), L.UpSampling2D(2, interpolation="bilinear"),
    ]))
    save("windows1d", each(keras, (8, 3), [
        L.MaxPooling1D(), L.MaxPooling1D(3, strides=2, padding="same"), L.AveragePooling1D(3, strides=1, padding="same"),
        L.GlobalMaxPooling1D(), L.GlobalAveragePooling1D(), L.GlobalMaxPooling1D(keepdims=True), L.ZeroPadding1D(1), L.ZeroPadding1D((2, 1)),
        L.Cropping1D(1), L.Cropping1D((1, 2)), L.UpSampling1D(3),
    ]))


def channels_first():
    first = {"data_format": "channels_first"}
    image = [
        L.MaxPooling2D(2, **first), L.AveragePooling2D(2, **first), L.GlobalAveragePooling2D(**first), L.GlobalMaxPooling2D(keepdims=True, **first),
        L.ZeroPadding2D(1, **first), L.Cropping2D(1, **first), L.UpSampling2D(2, **first), L.Flatten(**first), L.BatchNormalization(axis=1),
        L.Conv2D(4, 3, padding="same", activation="relu", **first), L.DepthwiseConv2D(3, **first), L.Conv2DTranspose(2, 3, strides=2, **first),
    ]
    x = keras.Input((3, 6, 8))
    y = L.MaxPooling2D(2, **first)(L.ReLU()(L.BatchNormalization(axis=1)(L.Conv2D(4, 3, padding="same", **first)(x))))
    outputs = [layer(x) for layer in image] + [L.Dense(2)(L.Flatten(**first)(y))]
    save("channels_first", keras.Model(x, outputs))
    save("channels_first1d", each(keras, (3, 9), [L.Conv1D(2, 3, **first), L.MaxPooling1D(2, **first), L.GlobalAveragePooling1D(**first)]))


def normalizations():
    fixed = L.Normalization(mean=[0.1, 0.2, -0.3, 0.0], variance=[0.5, 2.0, 1.0, 0.25])
    inverse = L.Normalization(mean=0.5, variance=2.0, axis=None, invert=True)
    learned = L.Normalization()
    save("normalizations", each(keras, (3, 4), [
        L.BatchNormalization(), L.BatchNormalization(scale=False, center=False, epsilon=0.1), L.LayerNormalization(),
        L.LayerNormalization(axis=[1, 2], center=False), L.LayerNormalization(axis=1, scale=False), L.RMSNormalization(),
        L.UnitNormalization(), L.UnitNormalization(axis=1), fixed, inverse, learned, L.Rescaling(0.5), L.Rescaling(1 / 127.5, -1.0),
        L.Rescaling([0.5, 1.0, 2.0, 3.0], [1.0, 0.0, 0.0, 1.0]),
    ]))
    save("group_norms", each(keras, (4, 3, 6), [L.GroupNormalization(2), L.GroupNormalization(-1), L.GroupNormalization(3, scale=False)]))


def merges():
    a, b, c = keras.Input((3, 4)), keras.Input((3, 4)), keras.Input((4,))
    d = keras.Input((5, 4))
    outputs = [layer([a, b]) for layer in (L.Add(), L.Subtract(), L.Multiply(), L.Average(), L.Maximum(), L.Minimum(), L.Concatenate(), L.Concatenate(axis=1))]
    outputs += [L.Add()([a, b, a]), L.Average()([a, b, b]), L.Multiply()([a, c]), L.Dot(axes=2)([a, d]), L.Dot(axes=1)([c, c]),
                L.Dot(axes=(2, 2), normalize=True)([a, d]), L.Dot(axes=1, normalize=True)([a, b]), L.Concatenate(axis=1)([a, d])]
    save("merges", keras.Model([a, b, c, d], outputs))


def shapes():
    save("shapes", each(keras, (4, 6), [
        L.Flatten(), L.Reshape((2, -1)), L.Reshape((3, 4, 2)), L.Permute((2, 1)), L.Dropout(0.5), L.GaussianNoise(0.1), L.SpatialDropout1D(0.2),
        L.ActivityRegularization(0.1), L.GaussianDropout(0.1), L.AlphaDropout(0.1), L.Identity(),
    ]))
    save("repeat", each(keras, (4,), [L.RepeatVector(3)]))
    save("augmentation", keras.Sequential([keras.Input((6, 6, 3)), L.RandomFlip(), L.RandomRotation(0.1), L.RandomZoom(0.1), L.RandomContrast(0.1),
                                           L.RandomTranslation(0.1, 0.1), L.Flatten()]))
    save("embedding", each(keras, (4,), [L.Embedding(6, 3)], dtype="int32"))
    save("embedding_float", keras.Sequential([keras.Input((4,)), L.Embedding(6, 3), L.Flatten(), L.Dense(2)]), ("keras", "h5"), {0: 6})
    save("time_distributed", each(keras, (3, 5, 4), [
        L.TimeDistributed(L.Dense(2, activation="relu")), L.TimeDistributed(L.Conv1D(2, 3)), L.TimeDistributed(L.Flatten()), L.TimeDistributed(L.LSTM(3)),
        L.TimeDistributed(keras.Sequential([keras.Input((5, 4)), L.Conv1D(3, 2), L.GlobalMaxPooling1D(), L.Dense(2)])), L.TimeDistributed(L.BatchNormalization()),
    ]), ("keras", "h5"))


def recurrent():
    save("recurrent", each(keras, (5, 3), [
        L.LSTM(4), L.LSTM(4, return_sequences=True, unit_forget_bias=False), L.LSTM(3, return_state=True), L.LSTM(3, go_backwards=True, use_bias=False),
        L.LSTM(3, go_backwards=True, return_sequences=True, return_state=True), L.LSTM(2, activation="relu", recurrent_activation="hard_sigmoid"),
        L.GRU(4), L.GRU(3, reset_after=False, return_sequences=True), L.GRU(3, return_state=True, go_backwards=True), L.GRU(3, use_bias=False),
        L.GRU(2, reset_after=False, use_bias=False, activation=None),
        L.SimpleRNN(3), L.SimpleRNN(3, return_sequences=True, return_state=True, activation="relu"), L.SimpleRNN(2, go_backwards=True, use_bias=False),
    ]), ("keras", "h5"))
    x = keras.Input((5, 3))
    encoded, h, c = L.LSTM(4, return_state=True)(x)
    y = L.LSTM(4, return_sequences=True)(x, initial_state=[h, c])
    z = L.GRU(4)(x, initial_state=h)
    save("initial_state", keras.Model(x, [y, z, encoded]), ("keras", "h5"))
    B = L.Bidirectional
    save("bidirectional", each(keras, (5, 3), [
        B(L.LSTM(3)), B(L.LSTM(3, return_sequences=True)), B(L.GRU(2, return_sequences=True), merge_mode="sum"), B(L.GRU(2), merge_mode="mul"),
        B(L.SimpleRNN(2), merge_mode="ave"), B(L.SimpleRNN(2, return_sequences=True), merge_mode=None), B(L.LSTM(2, return_state=True)),
        B(L.LSTM(2, return_sequences=True), backward_layer=L.LSTM(3, return_sequences=True, go_backwards=True)),
    ]), ("keras", "h5"))


def attention():
    x, y = keras.Input((4, 6)), keras.Input((5, 3))
    outputs = [
        L.MultiHeadAttention(2, 3)(x, x), L.MultiHeadAttention(2, 3, value_dim=2, use_bias=False)(x, y), L.MultiHeadAttention(3, 2, output_shape=4)(x, y, key=y),
        L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True), *L.MultiHeadAttention(2, 3)(x, x, return_attention_scores=True),
        L.Attention()([x, x]), L.Attention(use_scale=True)([x, x, x]), L.Attention()([x, x], use_causal_mask=True),
    ]
    save("attention", keras.Model([x, y], outputs), ("keras", "h5"))


def operations():
    o = keras.ops
    x, y = keras.Input((4, 6)), keras.Input((4, 6))
    outputs = [
        x + y, x - y, x * 2.0, 1.0 - x, x / 4.0, y + 0.5, o.maximum(x, y), o.minimum(x, 0.25), o.mean(x, axis=1), o.sum(x, axis=-1, keepdims=True), o.max(x, axis=(1, 2)),
        o.min(x, axis=1), o.reshape(x, (-1, 8, 3)), o.transpose(x, (0, 2, 1)), o.expand_dims(x, 1), o.squeeze(o.expand_dims(x, -1), -1), x[:, 0], x[:, -1, 2:4],
        x[..., ::2], x[:, 1:3], x[:, ::-1], o.concatenate([x, y], axis=1), o.matmul(x, o.transpose(y, (0, 2, 1))), o.abs(x), -x, o.exp(x), o.log(o.abs(x) + 1.0),
        o.sqrt(o.square(x) + 1.0), o.rsqrt(o.square(x) + 1.0), o.clip(x, -0.5, 0.75), o.softmax(x), o.log_softmax(x), o.leaky_relu(x, 0.1), o.gelu(x), o.gelu(x, approximate=False),
        o.relu(x), o.relu6(x), o.sigmoid(x), o.tanh(x), o.silu(x), o.hard_sigmoid(x), o.softplus(x), o.sin(x), o.sign(x),
    ]
    save("operations", keras.Model([x, y], outputs))


def networks(keras, L, name):
    """Models within models, shared layers, several inputs and outputs."""
    inner_x = keras.Input((4,), name="inner_in")
    inner_y = L.BatchNormalization(name="bn")(L.Dense(4, activation="relu", name="dense_in")(inner_x))
    inner = keras.Model(inner_x, [inner_y, L.Dense(2, name="side")(inner_y)], name="inner")
    block = keras.Sequential([L.Dense(4, name="block_dense"), L.BatchNormalization(name="block_bn"), L.ReLU(name="block_relu")], name="block")
    a, b = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    shared = L.Dense(4, name="shared")
    first, side = inner(a)
    second, _ = inner(shared(b))
    y = L.Add(name="sum")([block(shared(first)), block(second), shared(a)])
    frozen = keras.Sequential([keras.Input((4,), name="frozen_in"), L.Dense(3, name="frozen_dense"), L.BatchNormalization(name="frozen_bn")], name="frozen")
    frozen.trainable = False
    stack = keras.Sequential([keras.Input((4,), name="stack_in"), L.Dense(3, name="stack_dense"), keras.Sequential([keras.Input((3,), name="deep_in"), L.BatchNormalization(name="deep_bn"),
                              L.Dense(2, name="deep_dense")], name="deep")], name="stack")
    outputs = [L.Dense(2, activation="softmax", name="head")(y), side, frozen(y), stack(y)]
    save(name, keras.Model([a, b], outputs, name="whole"), ("keras", "h5"))


def keras2():
    L = tf_keras.layers
    networks(tf_keras, L, "keras2_networks")
    save("keras2_layers", each(tf_keras, (6, 4), [
        L.Activation("hard_sigmoid"), L.LeakyReLU(0.2), L.ThresholdedReLU(0.4), L.ReLU(6.0, 0.1), L.Activation("swish"), L.Activation("gelu"), L.Softmax(axis=1), L.PReLU(),
        L.Conv1D(3, 3, padding="causal"), L.SeparableConv1D(3, 3), L.DepthwiseConv1D(3), L.Conv1DTranspose(2, 3), L.BatchNormalization(), L.LayerNormalization(), L.UnitNormalization(),
        L.GRU(3), L.GRU(3, reset_after=False), L.LSTM(3, recurrent_activation="hard_sigmoid"), L.Bidirectional(L.LSTM(2, return_sequences=True)), L.TimeDistributed(L.Dense(2)),
        L.Dropout(0.3), L.GaussianNoise(0.2),
    ]), ("keras", "h5"))
    save("keras2_images", each(tf_keras, (6, 6, 4), [
        L.Conv2D(3, 3), L.DepthwiseConv2D(3, depth_multiplier=2), L.SeparableConv2D(3, 3), L.Conv2DTranspose(2, 3, strides=2, padding="same"), L.MaxPooling2D(),
        L.AveragePooling2D(2, padding="same"), L.GlobalAveragePooling2D(), L.ZeroPadding2D(((1, 0), (0, 1))), L.Cropping2D(1), L.UpSampling2D(2, interpolation="bilinear"), L.Flatten(),
        L.GroupNormalization(2), L.Rescaling(0.5, 1.0), L.RandomFlip(),
    ]), ("keras", "h5"))
    x, z = tf_keras.Input((5, 4), name="steps"), tf_keras.Input((5, 4), name="memory")
    _, h, c = L.LSTM(3, return_state=True)(x)
    y = L.LSTM(3, return_sequences=True)(z, initial_state=[h, c])
    save("keras2_attention", tf_keras.Model([x, z], [y, L.MultiHeadAttention(2, 3)(x, z), L.MultiHeadAttention(2, 2)(x, value=z, key=z), L.Attention()([x, z])]), ("keras", "h5"))
    save("keras2_sequential", tf_keras.Sequential([L.Dense(4, activation="relu", input_shape=(3,)), L.BatchNormalization(), L.Dense(2)]), ("keras", "h5"))


def refused():
    """Files that are no model that can be read, or hold layers that cannot be computed."""
    model = keras.Sequential([keras.Input((4,), name="x"), L.Dense(3, name="first"), L.Lambda(lambda x: x * 2, name="python"), L.Dense(2, name="last")])
    model.save(os.path.join(HERE, "unsupported.keras"))
    pack(os.path.join(HERE, "unsupported.keras"))
    model = keras.Sequential([keras.Input((4,), name="x"), L.Dense(3, name="first")])
    model.save_weights(os.path.join(HERE, "only.weights.h5"))
    L2 = tf_keras.layers
    model = tf_keras.Sequential([tf_keras.Input((4,)), L2.Dense(3, name="first")])
    model.save_weights(os.path.join(HERE, "only_weights_keras2.h5"))
    x = tf_keras.Input((4,), name="x")
    tf_keras.Model(x, L2.Dense(2, name="last")(L2.Dense(3, name="first")(x) * 2.0)).save(os.path.join(HERE, "unsupported_keras2.h5"))
    x = keras.Input((None, 3), name="series")
    model = keras.Model(x, L.GlobalMaxPooling1D()(L.Conv1D(2, 3)(x)))
    save("open_length", model)


keras.utils.set_random_seed(7)
CASES = [activations, convolutions, windows, channels_first, normalizations, merges, shapes, recurrent, attention, operations,
         lambda: networks(keras, L, "networks"), keras2, refused]
failed = False
for case in CASES:
    try:
        case()
    except Exception:
        traceback.print_exc()
        failed = True
np.savez_compressed(os.path.join(HERE, "vectors.npz"), **arrays)
print(sum(os.path.getsize(os.path.join(HERE, f)) for f in os.listdir(HERE)), "bytes")
sys.exit(failed)
