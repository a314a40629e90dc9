"""Makes the TensorFlow Lite models of this folder, and the answers to them.

    python3 -m venv /tmp/venv
    /tmp/venv/bin/pip install tensorflow-cpu==2.21.0 ai-edge-litert==2.3.0 tflite-micro==0.dev20261023182759
    /tmp/venv/bin/python make.py

`NAME.tflite` is what TFLiteConverter makes of a Keras model with its default settings, `NAME_int8.tflite` what it
makes with full quantization. `vectors.npz` holds `FILE/in` and `FILE/out`, two samples each. Answers to the
float models are Keras's; answers to the int8 models are TFLM's, run on a copy whose tensors have the shapes that
LiteRT gives them: the converter leaves a 1 where the batch is open, and TFLM takes it for the size. Where TFLM has
no kernel (REDUCE_PROD), and where it pads with an integer that nothing sets (SPACE_TO_BATCH_ND), answers are those of
LiteRT's reference kernels. Weights are random, so the models are nobody's but ours.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import flatbuffers
import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers as L
from tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

HERE = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(5)
arrays = {}


def net(shape, *layers, dtype="float32"):
    first = x = keras.Input(shape, dtype=dtype)
    for layer in layers:
        x = layer(x)
    return keras.Model(first, x)


def function(f):
    return L.Lambda(f)


MODELS = {
    "transposed": lambda: net(
        (4, 3, 2), L.Conv2DTranspose(3, 3, strides=2, padding="same", activation="relu")
    ),
    "transposed_1d": lambda: net((5, 2), L.Conv1DTranspose(3, 4, strides=2, padding="valid")),
    "dilated": lambda: net((7, 6, 2), L.Conv2D(3, 3, dilation_rate=(2, 3), padding="same", activation="relu")),
    "dilated_valid": lambda: net((8, 7, 2), L.Conv2D(3, 3, dilation_rate=2)),
    "dilated_depthwise": lambda: net((8, 7, 3), L.DepthwiseConv2D(3, dilation_rate=2)),
    "causal": lambda: net(
        (11, 2),
        L.Conv1D(3, 3, dilation_rate=2, padding="causal", activation="relu"),
        L.Conv1D(3, 2, dilation_rate=4, padding="causal"),
    ),
    "dense_sequence": lambda: net((3, 4, 5), L.Dense(6, activation="relu"), L.Dense(2)),
    "upsampled": lambda: net((5, 3), L.Conv1D(3, 2), L.UpSampling1D(3)),
    "mirrored": lambda: net(
        (4, 5, 2),
        function(lambda x: tf.pad(x, [[0, 0], [1, 2], [2, 1], [0, 0]], mode="REFLECT")),
        function(lambda x: tf.pad(x, [[0, 0], [0, 3], [1, 0], [0, 1]], mode="SYMMETRIC")),
    ),
    "pixels": lambda: net(
        (4, 6, 4),
        function(lambda x: tf.nn.depth_to_space(x, 2)),
        function(lambda x: tf.reverse(x, [1, 2])),
        function(lambda x: tf.nn.space_to_depth(x, 4)),
    ),
    "floors": lambda: net(
        (6, 4),
        function(
            lambda x: tf.concat(
                [
                    tf.reverse_sequence(x, [3, 1, 6, 2], seq_axis=1, batch_axis=2),
                    x // 0.7,
                    tf.math.floormod(x, 0.7),
                    tf.math.top_k(x, 4)[0],
                ],
                -1,
            )
        ),
    ),
    "choices": lambda: net(
        (6,),
        L.Dense(8),
        *[
            L.Activation(name)
            for name in ["selu", "soft_shrink", "sparse_plus", "hard_shrink", "sparse_sigmoid", "celu"]
        ],
    ),
    "threshold": lambda: net((6,), L.Dense(8), L.ReLU(threshold=0.5), L.ReLU(negative_slope=0.2)),
    "embedding": lambda: net((5,), L.Embedding(9, 4), L.GlobalAveragePooling1D(), dtype="int32"),
    "unrolled": lambda: net((3, 2), L.LSTM(3, unroll=True)),
}
# LiteRT has no reference kernel for the TILE of int8 that its converter writes.
FLOAT_ONLY = {"floors", "choices", "threshold", "embedding", "upsampled", "unrolled"}
LITERT = {"dilated", "dense_sequence"}


def litert(content, x, kernels=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
    """An interpreter that has run."""
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=kernels,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter


def tflm(content, x):
    """TFLM's result on a copy with the shapes that LiteRT finds."""
    interpreter = litert(content, x)
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for index, tensor in enumerate(model.subgraphs[0].tensors):
        tensor.shape = np.array(interpreter.get_tensor(index).shape, np.int32)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    device = runtime.Interpreter.from_bytes(bytes(builder.Output()))
    device.set_input(x, 0)
    device.invoke()
    return np.array(device.get_output(0))


for name, make in MODELS.items():
    keras.utils.set_random_seed(len(name))
    model = make()
    for weight in model.trainable_weights:
        if weight.path.endswith("bias"):
            weight.assign(rng.normal(0, 0.3, weight.shape))
    shape = tuple(model.input_shape[1:])
    if model.inputs[0].dtype == "int32":
        data = rng.integers(0, 9, (2, 1) + shape).astype(np.int32)
    else:
        data = rng.normal(0, 1.5, (2, 1) + shape).astype(np.float32)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    with open(os.path.join(HERE, name + ".tflite"), "wb") as file:
        file.write(converter.convert())
    arrays[f"{name}.tflite/in"] = data
    arrays[f"{name}.tflite/out"] = np.stack([np.asarray(model(x, training=False)) for x in data])
    if name in FLOAT_ONLY:
        continue
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    calibration = rng.normal(0, 1.5, (20, 1) + shape).astype(np.float32)
    converter.representative_dataset = lambda: ([x] for x in calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    content = converter.convert()
    with open(os.path.join(HERE, name + "_int8.tflite"), "wb") as file:
        file.write(content)
    data = rng.integers(-128, 128, (2, 1) + shape).astype(np.int8)
    results = []
    for x in data:
        if name in LITERT:
            interpreter = litert(content, x, OpResolverType.BUILTIN_REF)
            results.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy())
        else:
            results.append(tflm(content, x))
    arrays[f"{name}_int8.tflite/in"] = data
    arrays[f"{name}_int8.tflite/out"] = np.stack(results)

np.savez_compressed(os.path.join(HERE, "vectors.npz"), **arrays)
