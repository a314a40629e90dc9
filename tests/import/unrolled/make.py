"""Makes `gru.npz`: a Keras GRU of 40 steps that was unrolled, as TFLiteConverter writes it in int8, and TFLM's answers.

    python3 -m venv /tmp/venv
    /tmp/venv/bin/pip install tensorflow-cpu==2.21.0 tflite-micro==0.dev20261023182759
    /tmp/venv/bin/python make.py

`model` holds the bytes of the `.tflite` file (in here they take a tenth), `in` and `out` eight samples each.
Weights are random, so the model is nobody's but ours.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L
from tflite_micro import runtime

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, FEATURES, UNITS, SAMPLES = 40, 6, 8, 8

keras.utils.set_random_seed(7)
rng = np.random.default_rng(7)
first = keras.Input((STEPS, FEATURES), batch_size=1)
last = L.Dense(3, activation="softmax")(L.GRU(UNITS, unroll=True)(first))
model = keras.Model(first, last)
data = rng.normal(size=(200, 1, STEPS, FEATURES)).astype(np.float32)

converter = tf.lite.TFLiteConverter.from_keras_model(model)
converter.optimizations = [tf.lite.Optimize.DEFAULT]
converter.representative_dataset = lambda: ([sample] for sample in data)
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
converter.inference_input_type = converter.inference_output_type = tf.int8
file = converter.convert()

inputs = rng.integers(-128, 128, size=(SAMPLES, STEPS, FEATURES), dtype=np.int8)
tflm = runtime.Interpreter.from_bytes(file)
outputs = []
for sample in inputs:
    tflm.set_input(sample[None], 0)
    tflm.invoke()
    outputs.append(tflm.get_output(0)[0].copy())
np.savez_compressed(
    os.path.join(HERE, "gru.npz"),
    **{"model": np.frombuffer(file, np.uint8), "in": inputs, "out": np.stack(outputs)},
)
print(len(file), np.stack(outputs))
