"""Keras on each of its backends. A process has one of them, so each is a process of its own."""

import importlib.util
import os
import subprocess
import sys

import pytest

if importlib.util.find_spec("keras") is None:
    pytest.skip("keras is not installed", allow_module_level=True)

SCRIPT = """
import keras, numpy as np, ferrolite
assert keras.backend.backend() == "{backend}"
L, random = keras.layers, np.random.default_rng(0)


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = L.Dense(16, activation="relu"), L.Dense(3)

    def call(self, x):
        return self.second(self.first(x))


class Scaled(L.Layer):
    def call(self, x):
        return keras.ops.tanh(x) * 2


def check(model, x):
    expected = np.asarray(model.predict(x, verbose=0))
    int8 = ferrolite.convert(model, calibrate=x)
    assert np.abs(int8.predict(x) - expected).max() < 0.1 * np.abs(expected).max()
    assert int8.compare(model, x)["sqnr_db"] > 28


x = random.normal(size=(100, 8, 8, 3)).astype("f4")
check(keras.Sequential([L.Input((8, 8, 3)), L.Conv2D(8, 3, activation="relu"), L.GlobalAveragePooling2D(), L.Dense(4)]), x)
x = random.normal(size=(100, 10, 6)).astype("f4")
check(keras.Sequential([L.Input((10, 6)), L.LSTM(8), L.Dense(4)]), x)
x = random.normal(size=(100, 10)).astype("f4")
own, scaled = Own(), keras.Sequential([L.Input((10,)), L.Dense(8), Scaled(), L.Dense(3)])
own(x)
if {exports}:
    check(own, x)
    check(scaled, x)
else:
    for model in (own, scaled):
        try:
            ferrolite.convert(model, calibrate=x)
        except ferrolite.InputError as error:
            assert "{backend}" in error.message.lower() and ("install" in error.help or "KERAS_BACKEND" in error.help), error
        else:
            raise AssertionError("it cannot be exported")
"""


def there(*packages):
    return all(importlib.util.find_spec(package) is not None for package in packages)


@pytest.mark.parametrize("backend", ["tensorflow", "torch", "jax"])
def test_keras_on_this_backend(backend):
    if not there(backend):
        pytest.skip(f"{backend} is not installed")
    # JAX exports compiled code, whatever else is there.
    exports = {"tensorflow": True, "torch": there("onnx", "onnxscript"), "jax": False}[backend]
    script = SCRIPT.format(backend=backend, exports=exports)
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    paths = [path for path in sys.path if path]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
