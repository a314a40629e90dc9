"""Models and data sets of the real Keras and TensorFlow."""

import numpy as np
import pytest

import ferrolite

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
RANDOM = np.random.default_rng(0)


def real(*shape):
    return RANDOM.normal(size=shape).astype("f4")


def same(a, b, x):
    one, other = a.run(x, raw=True), b.run(x, raw=True)
    return all(np.array_equal(p, q) for p, q in zip(one.values(), other.values(), strict=True))


def test_a_sequential_model_and_its_data_in_every_form():
    x = real(200, 8, 8, 3)
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(8, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(4)]
    )
    int8 = ferrolite.convert(model, calibrate=x)
    assert int8.compare(model, x)["sqnr_db"] > 25
    expected = model.predict(x, verbose=0)
    assert int8.accuracy(x, expected.argmax(axis=1)) > 0.95
    data = tf.data.Dataset.from_tensor_slices((x, np.zeros(200)))
    assert same(int8, ferrolite.convert(model, calibrate=data), x)
    assert same(int8, ferrolite.convert(model, calibrate=data.batch(32)), x)
    with pytest.raises(ferrolite.InputError, match="without an end"):
        ferrolite.convert(model, calibrate=data.repeat())


def test_two_inputs_and_two_outputs():
    a, b = keras.Input((4,), name="a"), keras.Input((6,), name="b")
    both = keras.layers.Dense(2, name="both")(keras.layers.Concatenate()([a, b]))
    model = keras.Model([a, b], [both, keras.layers.Dense(1, activation="sigmoid", name="p")(both)])
    xa, xb = real(100, 4), real(100, 6)
    int8 = ferrolite.convert(model, calibrate=[xa, xb])
    found = int8.run({"a": xa, "b": xb})
    assert list(found) == ["both", "p"] and found["p"].shape == (100, 1)
    for given, expected in zip(found.values(), model.predict([xa, xb], verbose=0), strict=True):
        assert np.abs(given - expected).max() < 0.1
    for samples in (
        tf.data.Dataset.from_tensor_slices(({"a": xa, "b": xb}, xa)).batch(10),
        tf.data.Dataset.from_tensor_slices(((xa, xb), xa)),
        (((p, q), 0) for p, q in zip(xa, xb, strict=True)),
    ):
        assert same(int8, ferrolite.convert(model, calibrate=samples), {"a": xa, "b": xb})


def test_a_subclassed_model_is_exported():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3)

        def call(self, x):
            return self.second(self.first(x))

    model, x = Own(), real(100, 10)
    with pytest.raises(ferrolite.InputError, match="no weights yet"):
        ferrolite.convert(model, calibrate=x)
    expected = np.asarray(model(x))
    assert np.abs(ferrolite.convert(model, calibrate=x).predict(x) - expected).max() < 0.1


def test_a_module_of_tensorflow():
    class Dense(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable(real(10, 3))

        @tf.function(input_signature=[tf.TensorSpec((1, 10))])
        def __call__(self, x):
            return {"y": tf.nn.relu(x @ self.w)}

    module, x = Dense(), real(100, 10)
    int8 = ferrolite.convert(module, calibrate=x)
    expected = np.concatenate([module(row[None])["y"].numpy() for row in x])
    assert np.abs(int8.run(x)["y"] - expected).max() < 0.1


def test_layers_that_cannot_be_converted_are_named():
    class Strange(keras.layers.Layer):
        def call(self, x):
            return keras.ops.erfinv(x)

    model = keras.Sequential([keras.layers.Input((4,)), Strange(name="strange"), keras.layers.Dense(2)])
    with pytest.raises(ferrolite.InputError) as raised:
        ferrolite.convert(model, calibrate=real(20, 4))
    assert "Erfinv" in str(raised.value)
