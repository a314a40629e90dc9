"""Makes the files under `today` in this folder, forms that Keras 3.15 and TensorFlow 2.21 write today, and Keras's
answers to them, `today.npz`.

    /tmp/venv/bin/python make_today.py          # the environment of make.py

`today.npz` holds `FILE/in/NUMBER` and `FILE/out/NUMBER`, two samples each. Files whose names begin with `bad_` are
for refusals and have no answers. Weights are random.
"""

import io
import os
import shutil
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import h5py
import keras
import numpy as np
import tensorflow as tf

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "today")
L = keras.layers
rng = np.random.default_rng(5)
arrays = {}


def put(name, model, extensions=("keras",), positive=False, given=None):
    for v in model.weights:
        if v.dtype == "float32" and "scale" not in v.path:
            value = rng.standard_normal(v.shape) * 0.4
            v.assign(np.abs(value) if positive or "variance" in v.path else value)
    inputs, outputs = [], []
    if not name.startswith("bad_"):
        for number, x in enumerate(model.inputs):
            shape = [2, *x.shape[1:]]
            values = rng.integers(0, 9, shape) if "int" in x.dtype else rng.standard_normal(shape)
            values = values if given is None else given[number]
            inputs.append((np.abs(values) if positive else values).astype(x.dtype))
        outputs = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    for extension in extensions:
        file = f"{name}.{extension}"
        model.save(os.path.join(HERE, file))
        if extension == "keras":
            repack(os.path.join(HERE, file))
        for kind, values in (("in", inputs), ("out", outputs)):
            for number, value in enumerate(values):
                arrays[f"{file}/{kind}/{number}"] = np.asarray(value, np.float32)


def repack(path, change=lambda name, data: (name, data)):
    """Deflates the members of an archive, perhaps changed."""
    with zipfile.ZipFile(path) as archive:
        members = [change(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)


def windows(name, data):
    """The variables in groups whose names Windows joined: `layers\\lstm\\cell`."""
    if name != "model.weights.h5":
        return name, data
    to = io.BytesIO()
    with h5py.File(io.BytesIO(data)) as old, h5py.File(to, "w") as new:

        def copy(path, node):
            if isinstance(node, h5py.Dataset):
                group, place = path.rsplit("/vars/", 1)
                new.create_dataset(f"{group.replace('/', chr(92))}/vars/{place}", data=node[()])

        old.visititems(copy)
    return name, to.getvalue()


def functions():
    x = L.Input((6,))
    names = "abs sin cos square erf erfc exp expm1 identity negative sign ceil floor round sigmoid tanh".split()
    outputs = [L.Dense(3, activation=getattr(tf.math, n, None) or getattr(tf, n), name=n)(x) for n in names]
    nn = "softmax log_softmax relu relu6 elu selu silu gelu softplus softsign leaky_relu".split()
    outputs += [L.Dense(3, activation=getattr(tf.nn, n), name="nn_" + n)(x) for n in nn]
    put("functions", keras.Model(x, outputs))
    few = [L.Dense(3, activation=f)(x) for f in (tf.nn.softmax, tf.math.sin)]
    put("functions_few", keras.Model(x, few), ("h5",))
    x = L.Input((6,))
    names = "sqrt rsqrt reciprocal log log1p".split()
    put("positive", keras.Model(x, [L.Dense(3, activation=getattr(tf.math, n), name=n)(x) for n in names]), positive=True)


def einsum():
    x = L.Input((4, 6))
    forms = [("abc,cd->abd", (None, 5), "d"), ("abc,cde->abde", (None, 2, 3), "de"), ("abc,bcd->ad", (5,), "d")]
    forms += [("...x,xy->...y", 5, "y"), ("abc,bd->adc", (5, 6), "d"), ("abc,cd->abd", (None, 5), None), ("abc,cd->adb", (5, 4), "db")]
    outputs = [L.EinsumDense(e, output_shape=s, bias_axes=b, activation="tanh")(x) for e, s, b in forms]
    put("einsum", keras.Model(x, outputs))


def masks():
    x = L.Input((7,), dtype="int32")
    embedded = L.Embedding(9, 4, mask_zero=True)(x)
    dense = L.Dense(3, activation="relu")(L.Dropout(0.2)(embedded))
    convolved = L.Conv1D(4, 3, padding="same")(embedded)
    outputs = [L.Flatten()(dense), L.GlobalMaxPooling1D()(dense), L.GlobalAveragePooling1D()(convolved)]
    # Of two operands, one has no mask: the sum has none.
    outputs.append(L.LSTM(3)(L.Add()([embedded, convolved])))
    outputs.append(L.GRU(3)(L.Reshape((3, 7))(dense)))
    normed = L.BatchNormalization()(L.TimeDistributed(L.Dense(3))(embedded))
    outputs.append(L.Flatten()(normed))
    put("masks_unread", keras.Model(x, outputs))
    readers = {"softmax": lambda e: L.Softmax()(e)}
    for name, reader in readers.items():
        x = L.Input((7,), dtype="int32")
        put(f"bad_mask_{name}", keras.Model(x, reader(L.Embedding(9, 4, mask_zero=True)(x))))


def masks_read():
    # Left out in front and in the middle; all but one, behind.
    ids = np.array([[0, 3, 0, 0, 7, 1, 0], [0, 0, 5, 0, 0, 0, 0]])
    reals = rng.standard_normal((2, 7, 4)) * (ids != 0)[..., None]

    def embedded():
        x = L.Input((7,), dtype="int32")
        return x, L.Embedding(9, 4, mask_zero=True)(x)

    x, e = embedded()
    within = keras.Sequential([L.Input((7, 4)), L.LayerNormalization(), L.Bidirectional(L.GRU(2))])
    outputs = [L.LSTM(3)(e), L.GlobalAveragePooling1D()(L.Dense(3)(e)), within(e)]
    outputs.append(L.GlobalAveragePooling1D(keepdims=True)(e))
    outputs.append(L.GRU(2)(L.Concatenate()([e, L.Conv1D(2, 3, padding="same")(e)])))
    put("masks_embedding", keras.Model(x, outputs), given=[ids])

    x = L.Input((7, 4))
    m = L.Masking()(x)
    outputs = [m, *L.LSTM(3, return_sequences=True, return_state=True)(m)]
    outputs += L.GRU(3, return_sequences=True, return_state=True, go_backwards=True)(m)
    outputs += L.GRU(3, return_state=True, reset_after=False, zero_output_for_mask=True)(m)
    outputs += L.SimpleRNN(3, return_sequences=True, return_state=True, zero_output_for_mask=True)(m)
    stacked = L.SimpleRNN(3, return_sequences=True)(m)
    outputs += [L.LSTM(2)(L.Dropout(0.5)(stacked))]
    outputs += L.Bidirectional(L.LSTM(2, return_sequences=True, return_state=True))(m)
    outputs += L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode=None)(m)
    outputs += [L.Bidirectional(L.SimpleRNN(2), merge_mode="ave")(m)]
    outputs += [L.GRU(2)(L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode="sum")(m))]
    outputs += [L.LSTM(2, unroll=True)(m)]
    put("masks_masking", keras.Model(x, outputs), given=[reals])
    x = L.Input((7, 4))
    other = np.where((ids != 0)[..., None], reals, -1)
    put("masks_value", keras.Model(x, L.GRU(2)(L.Masking(-1.0)(x))), ("keras", "h5"), given=[other])

    # An initial state, which nothing that comes before the first step gives; another mask.
    x, e = embedded()
    y, f = embedded()
    h, c = L.Input((3,)), L.Input((3,))
    outputs = [*L.LSTM(3, return_sequences=True, return_state=True)(e, initial_state=[h, c])]
    outputs += [L.GRU(3, return_sequences=True)(e, initial_state=h, mask=keras.ops.not_equal(y, 3))]
    outputs += [L.GRU(2)(L.Add()([e, f])), L.GRU(2)(L.Concatenate()([e, f]))]
    outputs += [L.SimpleRNN(2)(L.Concatenate(axis=1)([e, L.Conv1D(4, 3, padding="same")(e), f]))]
    states = [rng.standard_normal((2, 3)) for _ in range(2)]
    put("masks_two", keras.Model([x, y, h, c], outputs), given=[ids, ids[::-1, ::-1], *states])


def cells():
    x = L.Input((7, 4))
    outputs = [L.RNN(L.LSTMCell(3))(x), L.Bidirectional(L.RNN(L.GRUCell(3)))(x)]
    stack = [L.GRUCell(3, reset_after=False), L.LSTMCell(2), L.GRUCell(4)]
    outputs += keras.tree.flatten(L.RNN(stack, return_sequences=True, return_state=True)(x))
    stack = L.StackedRNNCells([L.SimpleRNNCell(3), L.SimpleRNNCell(2, use_bias=False)])
    outputs += [L.RNN(stack, go_backwards=True, return_sequences=True)(L.Masking()(x))]
    put("cells", keras.Model(x, outputs), ("keras", "h5"), given=[rng.standard_normal((2, 7, 4)) * (rng.random((2, 7, 1)) < 0.7)])

    # What Keras 2 wrote for layers of sequences whose first dimension is time.
    x = L.Input((7, 4))
    outputs = [*L.LSTM(3, return_sequences=True, return_state=True)(x)]
    outputs += [L.GRU(2, return_sequences=True, go_backwards=True)(x), L.SimpleRNN(2)(x)]
    outputs += [L.Bidirectional(L.GRU(2, return_sequences=True))(x)]
    put("time_major", keras.Model(x, outputs), ("h5",))
    with h5py.File(os.path.join(HERE, "time_major.h5"), "r+") as file:
        config = file.attrs["model_config"].replace("[null, 7, 4]", "[7, 1, 4]")
        file.attrs["model_config"] = config.replace('"zero_output_for_mask"', '"time_major": true, "zero_output_for_mask"')


def training():
    x = L.Input((6,))
    inner = keras.Sequential([L.Input((6,)), L.Dense(6), L.Dropout(0.5, name="inside")], name="block")
    y = L.Dropout(0.5, name="drop")(x, training=True)
    y = inner(L.BatchNormalization(name="norm")(y, training=True), training=True)
    # These compute the same in training.
    y = L.BatchNormalization(trainable=False)(L.Dropout(0.0)(y, training=True), training=True)
    put("training", keras.Model(x, L.GaussianNoise(0.5)(y, training=False)))
    put("quiet", keras.Sequential([L.Input((4, 4, 1)), L.RandomFlip(), L.Dropout(0.5), L.Flatten(), L.Dense(2)]))


def stateful():
    put("bad_stateful", keras.Sequential([L.Input(batch_shape=(1, 4, 3)), L.LSTM(2, stateful=True)]))


def quantized():
    for mode in ("int8", "int4"):
        model = keras.Sequential([L.Input((16,)), L.Dense(8, activation="relu"), L.Dense(2)])
        model.quantize(mode)
        model.save(os.path.join(HERE, f"bad_{mode}.keras"))
        repack(os.path.join(HERE, f"bad_{mode}.keras"))
    model.save(os.path.join(HERE, f"bad_{mode}.h5"))


@keras.saving.register_keras_serializable()
class Own(L.Layer):
    """A layer of the author's own, which says nothing of itself in the file."""

    def call(self, x):
        return x * 2


def own():
    put("bad_own", keras.Sequential([L.Input((3,)), Own(), L.Dense(2), Own()]))


def containers():
    model = keras.Sequential([L.Input((5, 3)), L.Bidirectional(L.LSTM(3)), keras.Sequential([L.Dense(4), L.Dense(2)])])
    put("windows", model)
    repack(os.path.join(HERE, "windows.keras"), windows)
    model = keras.Sequential([L.Input((3,)), L.Dense(2)])
    put("bad_npz", model)
    repack(os.path.join(HERE, "bad_npz.keras"), lambda name, data: (name.replace(".weights.h5", ".weights.npz"), data))


def elements():
    """Operations that compare, choose and rearrange elements."""
    o = keras.ops
    x, z = L.Input((4, 5)), L.Input((4, 5))
    inside = o.logical_and(o.greater(x, -0.5), o.logical_not(o.greater_equal(x, z)))
    many = o.logical_or(o.less(x, -1), o.logical_xor(o.less_equal(x, 1), o.not_equal(x, x)))
    values, places = o.top_k(x, 3)
    parts = o.split(x, [1, 3], axis=-1)
    outputs = [
        o.where(inside, x, 0.25), o.cast(many, "float32"), o.cast(o.any(inside, axis=-1), "float32"),
        o.cast(o.all(many, axis=1, keepdims=True), "float32"), o.cast(o.cast(x * 4, "int32"), "float32"),
        o.one_hot(o.argmax(x, axis=-1), 5), o.cast(o.argmin(x, axis=1, keepdims=True), "float32"), values,
        o.cast(places, "float32"), o.take(x, [2, 0, -1], axis=2), o.take(x, 1, axis=1), o.flip(x, axis=2),
        o.roll(x, 2, axis=1), o.roll(x, -1, axis=2), o.tile(x, [1, 2, 3]), o.repeat(x, 2, axis=1),
        o.pad(x, [[0, 0], [1, 2], [0, 1]]), o.pad(x, [[0, 0], [1, 2], [0, 3]], mode="reflect"),
        o.pad(x, [[0, 0], [2, 0], [1, 1]], mode="symmetric"), o.stack([x, z], axis=2), parts[2], parts[1],
        o.split(x, 2, axis=1)[1], o.moveaxis(x, 1, 2), o.swapaxes(x, 1, 2), o.tril(x), o.triu(x, k=1),
        o.logsumexp(x, axis=-1), o.logsumexp(x, axis=1, keepdims=True), o.floor_divide(x, 0.7), o.mod(x, 0.7),
    ]
    put("elements", keras.Model([x, z], outputs))


shutil.rmtree(HERE, ignore_errors=True)
os.makedirs(HERE)
for case in (functions, einsum, masks, masks_read, cells, training, stateful, quantized, own, containers, elements):
    keras.utils.set_random_seed(5)
    case()
np.savez_compressed(os.path.join(os.path.dirname(HERE), "today.npz"), **arrays)
