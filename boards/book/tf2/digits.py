"""The first network of most introductions to TensorFlow 2, on digits or on clothes: python digits.py mnist|fashion"""

import sys

import keras
import numpy as np

name = sys.argv[1]
if len(sys.argv) > 2:  # a file with x_train and y_train, where there is no network
    data = np.load(sys.argv[2])
    x, y = data["x_train"], data["y_train"]
else:
    data = {"mnist": keras.datasets.mnist, "fashion": keras.datasets.fashion_mnist}[name]
    (x, y), _ = data.load_data()
x = x / np.float32(255)

keras.utils.set_random_seed(1)
model = keras.Sequential(
    [
        keras.layers.Input((28, 28)),
        keras.layers.Flatten(),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
test = len(x) - 200
model.fit(x[: min(test, 20000)], y[: min(test, 20000)], epochs=3, verbose=2)
keras.Model(model.inputs, model.outputs, name=name).save(f"{name}.keras")
np.savez_compressed(
    f"{name}.npz", cal_x=np.round(x[:100] * 255) / np.float32(255), test_x=x[test:], test_y=y[test:].astype(np.uint8)
)
