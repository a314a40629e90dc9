#!/usr/bin/env python3
"""Makes the vectors of this folder: for each case a model `NAME.onnx` and, in `NAME.npz`, two or more samples
of its inputs (`in0`, ...) with the answers of ONNX Runtime (`out0`, ...).

    pip install numpy onnx onnxruntime skl2onnx scikit-learn
    python3 make.py            # all cases
    python3 make.py conv_      # those whose name begins so

The models are made here, from random weights; they are ours, under the licence of the project.
"""
import os
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = {}


def case(f):
    CASES[f.__name__] = f
    return f


class Net:
    """A model under construction."""

    def __init__(self, opset=17, **domains):
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []
        self.opset = opset
        self.domains = domains
        self.count = 0
        self.random = np.random.default_rng(7)
        self.high = []

    def input(self, *shape, kind=TensorProto.FLOAT, high=None):
        name = f"x{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        self.high.append(high)
        return name

    def const(self, value, dtype=np.float32):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def ints(self, *value):
        return self.const(np.array(value, np.int64), np.int64)

    def weight(self, *shape, scale=0.5):
        return self.const(self.random.normal(0, scale, shape))

    def positive(self, *shape):
        return self.const(self.random.uniform(0.5, 1.5, shape))

    def op(self, kind, *inputs, outputs=1, domain="", **attributes):
        self.count += 1
        names = [f"{kind.lower()}_{self.count}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(
            helper.make_node(kind, [i or "" for i in inputs], names, name=f"/{kind}_{self.count}", domain=domain, **attributes)
        )
        return names[0] if outputs == 1 else names

    def branch(self, *results):
        """A branch of an If: each function adds nodes that may read everything around them, and returns their result."""
        nodes, self.nodes = self.nodes, []
        names = [result() for result in results]
        inner, self.nodes = self.nodes, nodes
        infos = [helper.make_empty_tensor_value_info(name) for name in names]
        return helper.make_graph(inner, f"branch_{self.count}", [], infos)

    def out(self, name):
        self.outputs.append(helper.make_empty_tensor_value_info(name))
        return self

    def model(self):
        graph = helper.make_graph(self.nodes, "g", self.inputs, self.outputs, self.weights)
        opsets = [helper.make_opsetid("", self.opset)]
        opsets += [helper.make_opsetid(d.replace("_", "."), v) for d, v in self.domains.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="ferrolite-make")


def feeds(session, net_high, samples=3):
    random = np.random.default_rng(3)
    result = []
    for _ in range(samples):
        feed = {}
        for i, info in enumerate(session.get_inputs()):
            shape = [d if isinstance(d, int) else 1 for d in info.shape]
            if info.type == "tensor(bool)":
                feed[info.name] = np.full(shape, len(result) % 2 == 0)
            elif "int" in info.type:
                dtype = np.int64 if "64" in info.type else (np.uint8 if "uint8" in info.type else np.int32)
                feed[info.name] = random.integers(0, (net_high[i] if net_high else None) or 4, shape).astype(dtype)
            else:
                x = random.normal(0, 1.5, shape).astype(np.float32)
                feed[info.name] = np.abs(x) + 0.1 if net_high and net_high[i] == "positive" else x
        result.append(feed)
    return result


def write(name, model, high=None, keep=None):
    """Runs a model and writes it with its answers; `keep` names the outputs that are compared."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options)
    arrays = {}
    for feed in feeds(session, high):
        for i, info in enumerate(session.get_inputs()):
            arrays.setdefault(f"in{i}", []).append(feed[info.name])
        names = keep or [o.name for o in session.get_outputs()]
        for i, y in enumerate(session.run(names, feed)):
            arrays.setdefault(f"out{i}", []).append(np.asarray(y).astype(np.float32))
    onnx.save(model, os.path.join(HERE, f"{name}.onnx"))
    np.savez_compressed(os.path.join(HERE, f"{name}.npz"), **{k: np.stack(v) for k, v in arrays.items()})


# ---- convolutions


@case
def conv_2d():
    n = Net()
    x = n.input(1, 3, 9, 8)
    y = n.op("Conv", x, n.weight(4, 3, 3, 3), n.weight(4), pads=[1, 0, 2, 1], strides=[2, 1])
    y = n.op("Relu", y)
    y = n.op("Conv", y, n.weight(5, 4, 2, 3), dilations=[1, 2], pads=[0, 2, 1, 2])
    return n.out(n.op("Conv", y, n.weight(2, 5, 3, 2), auto_pad="SAME_UPPER", strides=[2, 1]))


@case
def conv_groups():
    n = Net()
    x = n.input(1, 4, 6, 6)
    y = n.op("Conv", x, n.weight(4, 1, 3, 3), n.weight(4), group=4, pads=[1, 1, 1, 1])
    y = n.op("Conv", y, n.weight(8, 1, 3, 3), n.weight(8), group=4, auto_pad="SAME_LOWER", strides=[2, 2])
    y = n.op("Conv", y, n.weight(6, 4, 1, 1), n.weight(6), group=2)
    return n.out(y)


@case
def conv_1d():
    n = Net()
    x = n.input(1, 3, 20)
    y = n.op("Conv", x, n.weight(6, 3, 5), n.weight(6), pads=[2, 2], strides=[2])
    y = n.op("BatchNormalization", y, n.positive(6), n.weight(6), n.weight(6), n.positive(6))
    y = n.op("Relu", y)
    y = n.op("MaxPool", y, kernel_shape=[2], strides=[2])
    y = n.op("Conv", y, n.weight(6, 1, 3), n.weight(6), pads=[2, 2], dilations=[2], group=6)
    y = n.op("Relu", y)
    y = n.op("GlobalAveragePool", y)
    y = n.op("Flatten", y)
    y = n.op("Gemm", y, n.weight(4, 6), n.weight(4), transB=1)
    return n.out(y)


@case
def conv_wide_padding():
    n = Net()
    x = n.input(1, 2, 4, 4)
    return n.out(n.op("Conv", x, n.weight(3, 2, 2, 2), n.weight(3), pads=[3, 3, 2, 2]))


@case
def conv_transpose():
    n = Net()
    x = n.input(1, 3, 4, 5)
    y = n.op("ConvTranspose", x, n.weight(3, 4, 3, 3), n.weight(4), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
    y = n.op("Relu", y)
    y = n.op("ConvTranspose", y, n.weight(4, 1, 2, 2), n.weight(4), strides=[2, 2], group=4)
    return n.out(y)


@case
def conv_transpose_same():
    n = Net()
    x = n.input(1, 2, 4, 5)
    y = n.op("ConvTranspose", x, n.weight(2, 3, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2])
    y = n.op("ConvTranspose", y, n.weight(3, 2, 3, 4), auto_pad="SAME_LOWER", strides=[1, 2])
    return n.out(y)


@case
def conv_transpose_1d():
    n = Net()
    x = n.input(1, 3, 7)
    return n.out(n.op("ConvTranspose", x, n.weight(3, 2, 4), n.weight(2), strides=[2], pads=[1, 1]))


@case
def flatten_trap():
    """A PyTorch classifier: NCHW order of the flattened image."""
    n = Net()
    x = n.input(1, 3, 8, 8)
    y = n.op("Conv", x, n.weight(4, 3, 3, 3), n.weight(4))
    y = n.op("Relu", y)
    y = n.op("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = n.op("Flatten", y)
    y = n.op("Gemm", y, n.weight(5, 36), n.weight(5), transB=1)
    return n.out(n.op("Softmax", y))


@case
def residual():
    """A residual block with squeeze and excitation, as PyTorch writes it."""
    n = Net()
    x = n.input(1, 3, 8, 8)
    a = n.op("Conv", x, n.weight(4, 3, 3, 3), n.weight(4), pads=[1, 1, 1, 1])
    a = n.op("BatchNormalization", a, n.positive(4), n.weight(4), n.weight(4), n.positive(4))
    a = n.op("Clip", a, n.const(0.0), n.const(6.0))
    b = n.op("Conv", a, n.weight(4, 4, 3, 3), n.weight(4), pads=[1, 1, 1, 1])
    s = n.op("ReduceMean", b, axes=[2, 3], keepdims=1)
    s = n.op("Conv", s, n.weight(2, 4, 1, 1), n.weight(2))
    s = n.op("Relu", s)
    s = n.op("Conv", s, n.weight(4, 2, 1, 1), n.weight(4))
    s = n.op("HardSigmoid", s, alpha=1 / 6, beta=0.5)
    b = n.op("Mul", b, s)
    y = n.op("Add", a, b)
    y = n.op("Relu", y)
    z = n.op("Concat", y, a, axis=1)
    z = n.op("AveragePool", z, kernel_shape=[2, 2], strides=[2, 2])
    z = n.op("GlobalAveragePool", z)
    z = n.op("Reshape", z, n.ints(0, -1))
    return n.out(n.op("Gemm", z, n.weight(8, 3), n.weight(3)))


@case
def input_added():
    """The input itself is added behind a convolution."""
    n = Net()
    x = n.input(1, 4, 5, 5)
    y = n.op("Conv", x, n.weight(4, 4, 3, 3), pads=[1, 1, 1, 1])
    y = n.op("Add", x, y)
    y = n.op("Conv", y, n.weight(2, 4, 1, 1))
    return n.out(y).out(n.op("Neg", x))


# ---- pools


@case
def pool_max():
    n = Net()
    x = n.input(1, 2, 9, 8)
    y = n.op("MaxPool", x, kernel_shape=[3, 2], strides=[2, 3], pads=[1, 0, 1, 1])
    z = n.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    w = n.op("MaxPool", x, kernel_shape=[2, 2], auto_pad="SAME_LOWER")
    return n.out(y).out(z).out(w).out(n.op("GlobalMaxPool", x))


@case
def pool_average():
    n = Net()
    x = n.input(1, 2, 9, 8)
    y = n.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    z = n.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    w = n.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER")
    v = n.op("AveragePool", x, kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1)
    return n.out(y).out(z).out(w).out(v)


@case
def pool_1d():
    n = Net()
    x = n.input(1, 2, 9)
    y = n.op("AveragePool", x, kernel_shape=[3], strides=[2])
    return n.out(y).out(n.op("MaxPool", x, kernel_shape=[2], strides=[1])).out(n.op("GlobalAveragePool", x))


# ---- dense


@case
def gemm():
    n = Net()
    x = n.input(2, 5)
    y = n.op("Gemm", x, n.weight(5, 4), n.weight(4), alpha=0.5, beta=2.0)
    z = n.op("Gemm", x, n.weight(6, 2), n.weight(5, 6), alpha=1.5, transA=1, transB=1)
    w = n.op("Gemm", x, n.weight(5, 3), n.weight(2, 3))
    v = n.op("Gemm", x, x, n.const(0.5), transB=1, beta=0.5)
    return n.out(y).out(z).out(w).out(v).out(n.op("Gemm", x, n.weight(5, 3), n.const([0.25])))


@case
def matmul():
    n = Net()
    x = n.input(2, 3, 5)
    y = n.op("Add", n.op("MatMul", x, n.weight(5, 4)), n.weight(4))
    z = n.op("MatMul", x, n.weight(5))
    w = n.op("MatMul", n.weight(4, 3), x)
    v = n.op("MatMul", n.weight(3), x)
    u = n.op("MatMul", x, n.op("Transpose", x, perm=[0, 2, 1]))
    return n.out(y).out(z).out(w).out(v).out(u).out(n.op("MatMul", x, n.weight(2, 5, 2)))


# ---- functions


@case
def functions():
    n = Net(opset=20)
    x = n.input(1, 2, 5)
    for kind in "Relu Sigmoid Tanh Softplus Softsign HardSwish Mish Erf Abs Neg Exp Sin Cos Ceil Floor Round Sign".split():
        n.out(n.op(kind, x))
    for kind in "LeakyRelu Elu Selu Celu ThresholdedRelu HardSigmoid".split():
        n.out(n.op(kind, x)).out(n.op(kind, x, alpha=0.3))
    n.out(n.op("Shrink", x, lambd=0.4)).out(n.op("Shrink", x, lambd=0.4, bias=0.4))
    return n.out(n.op("Gelu", x)).out(n.op("Gelu", x, approximate="tanh"))


@case
def functions_positive():
    n = Net()
    x = n.input(1, 2, 5, high="positive")
    for kind in "Reciprocal Log Sqrt".split():
        n.out(n.op(kind, x))
    for exponent in [1.0, 2.0, 0.5, -0.5, -1.0, 1.7]:
        n.out(n.op("Pow", x, n.const(exponent)))
    return n


@case
def clip():
    n = Net()
    x = n.input(1, 6)
    n.out(n.op("Clip", x, n.const(0.0), n.const(6.0))).out(n.op("Clip", x, n.const(-0.5)))
    return n.out(n.op("Clip", x, None, n.const(0.5))).out(n.op("Clip", x, n.const(-1.0), n.const(1.0))).out(n.op("Clip", x))


@case
def clip_attributes():
    n = Net(opset=10)
    x = n.input(1, 6)
    return n.out(n.op("Clip", x, min=-0.3, max=0.7)).out(n.op("Clip", x, min=0.0))


@case
def prelu():
    n = Net()
    x = n.input(1, 3, 4, 4)
    y = n.op("PRelu", x, n.weight(3, 1, 1))
    y = n.op("Conv", y, n.weight(4, 3, 1, 1))
    return n.out(n.op("PRelu", y, n.const([0.2])))


@case
def binary():
    n = Net()
    x, y = n.input(1, 3, 4), n.input(1, 3, 4, high="positive")
    for kind in "Add Sub Mul Div Max Min Sum Mean".split():
        n.out(n.op(kind, x, y))
    n.out(n.op("Add", x, n.weight(4))).out(n.op("Sub", n.weight(3, 1), x)).out(n.op("Mul", x, n.const(3.0)))
    n.out(n.op("Div", x, n.positive(4))).out(n.op("Div", n.const(1.0), y)).out(n.op("Div", n.const(2.0), y))
    return n.out(n.op("Sum", x, y, x)).out(n.op("Max", x, n.const(0.3), y)).out(n.op("Mean", x, y, y))


@case
def microsoft_gelu():
    n = Net(com_microsoft=1)
    x = n.input(1, 6)
    n.out(n.op("Gelu", x, domain="com.microsoft")).out(n.op("QuickGelu", x, domain="com.microsoft"))
    n.out(n.op("BiasGelu", x, n.weight(6), domain="com.microsoft"))
    return n.out(n.op("FastGelu", x, n.weight(6), domain="com.microsoft"))


@case
def softmax():
    n = Net()
    x = n.input(2, 3, 4)
    for axis in [-1, 0, 1]:
        n.out(n.op("Softmax", x, axis=axis)).out(n.op("LogSoftmax", x, axis=axis))
    return n.out(n.op("Softmax", x))


@case
def softmax_flat():
    n = Net(opset=11)
    x = n.input(2, 3, 4)
    for axis in [0, 1, 2]:
        n.out(n.op("Softmax", x, axis=axis))
    return n.out(n.op("LogSoftmax", x))


@case
def cast():
    n = Net()
    x = n.input(1, 4, kind=TensorProto.UINT8)
    y = n.op("Div", n.op("Cast", x, to=TensorProto.FLOAT), n.const(255.0))
    return n.out(n.op("Cast", y, to=TensorProto.FLOAT))


@case
def where_mask():
    n = Net()
    x = n.input(1, 4, 4)
    mask = n.const(np.tril(np.ones((4, 4))), np.bool_)
    y = n.op("Where", mask, x, n.const(-np.inf))
    y = n.op("Softmax", y)
    z = n.op("Add", x, n.const(np.where(np.tril(np.ones((4, 4))), 0, -1e9)))
    return n.out(y).out(n.op("Softmax", z)).out(n.op("Where", mask, n.const(0.5), x))


# ---- normalizations


@case
def batch_norm():
    n = Net()
    x = n.input(2, 3, 4, 4)
    y = n.op("BatchNormalization", x, n.positive(3), n.weight(3), n.weight(3), n.positive(3), epsilon=1e-3)
    z = n.op("Flatten", y)
    z = n.op("BatchNormalization", z, n.positive(48), n.weight(48), n.weight(48), n.positive(48))
    return n.out(y).out(z)


@case
def instance_norm():
    n = Net()
    x = n.input(2, 3, 4, 4)
    return n.out(n.op("InstanceNormalization", x, n.positive(3), n.weight(3)))


@case
def layer_norm():
    n = Net()
    x = n.input(2, 3, 4)
    n.out(n.op("LayerNormalization", x, n.positive(4), n.weight(4)))
    return n.out(n.op("LayerNormalization", x, n.positive(3, 4), n.weight(3, 4), axis=1, epsilon=1e-3))


@case
def layer_norm_steps():
    """Layer normalization as older exporters write it."""
    n = Net()
    x = n.input(1, 3, 8)
    mean = n.op("ReduceMean", x, axes=[-1])
    d = n.op("Sub", x, mean)
    v = n.op("ReduceMean", n.op("Pow", d, n.const(2.0)), axes=[-1])
    v = n.op("Sqrt", n.op("Add", v, n.const(1e-5)))
    y = n.op("Mul", n.op("Div", d, v), n.positive(8))
    return n.out(n.op("Add", y, n.weight(8)))


@case
def group_norm():
    n = Net(opset=21)
    x = n.input(1, 4, 3, 3)
    return n.out(n.op("GroupNormalization", x, n.positive(4), n.weight(4), num_groups=2))


@case
def mean_variance_norm():
    n = Net()
    x = n.input(2, 3, 4, 4)
    return n.out(n.op("MeanVarianceNormalization", x)).out(n.op("MeanVarianceNormalization", x, axes=[1]))


@case
def rms_norm():
    n = Net(opset=23)
    x = n.input(2, 3, 4)
    return n.out(n.op("RMSNormalization", x, n.positive(4)))


@case
def lp_norm():
    n = Net()
    x = n.input(2, 5)
    return n.out(n.op("LpNormalization", x, p=2)).out(n.op("LpNormalization", x, p=1, axis=1))


# ---- reductions


@case
def reduce():
    n = Net()
    x = n.input(2, 3, 4, high="positive")
    for kind in "Mean Max Min L1 L2 SumSquare LogSum LogSumExp".split():
        n.out(n.op("Reduce" + kind, x, axes=[1])).out(n.op("Reduce" + kind, x, axes=[-1, 0], keepdims=0))
    n.out(n.op("ReduceSum", x, n.ints(1))).out(n.op("ReduceSum", x, n.ints(-1, 0), keepdims=0))
    return n.out(n.op("ReduceSum", x, noop_with_empty_axes=1)).out(n.op("ReduceMean", x))


@case
def reduce_operands():
    n = Net(opset=18)
    x = n.input(2, 3, 4)
    return n.out(n.op("ReduceMean", x, n.ints(1))).out(n.op("ReduceMax", x, n.ints(0, 2), keepdims=0))


@case
def arg():
    n = Net()
    x = n.input(1, 3, 4)
    n.out(n.op("ArgMax", x, axis=1)).out(n.op("ArgMax", x, axis=-1, keepdims=0))
    return n.out(n.op("ArgMin", x, axis=2, keepdims=0))


# ---- movement


@case
def shapes():
    n = Net()
    x = n.input(1, 2, 3, 4)
    n.out(n.op("Reshape", x, n.ints(0, -1, 2))).out(n.op("Flatten", x, axis=2)).out(n.op("Flatten", x, axis=0))
    n.out(n.op("Squeeze", x, n.ints(0))).out(n.op("Squeeze", x)).out(n.op("Unsqueeze", x, n.ints(1, -1)))
    n.out(n.op("Transpose", x)).out(n.op("Transpose", x, perm=[0, 3, 1, 2]))
    return n.out(n.op("Identity", x)).out(n.op("Dropout", x))


@case
def shapes_attributes():
    n = Net(opset=11)
    x = n.input(1, 2, 1, 4)
    return n.out(n.op("Squeeze", x, axes=[2])).out(n.op("Unsqueeze", x, axes=[0, 5]))


@case
def shape_arithmetic():
    """What tf2onnx and PyTorch write to flatten, with integers all the way."""
    n = Net()
    x = n.input("N", 2, 3, 4)
    s = n.op("Shape", x)
    first = n.op("Gather", s, n.const(0, np.int64))
    rest = n.op("ReduceProd", n.op("Slice", s, n.ints(1), n.ints(4)), keepdims=1)
    shape = n.op("Concat", n.op("Unsqueeze", first, n.ints(0)), rest, axis=0)
    y = n.op("Reshape", x, shape)
    half = n.op("Div", n.op("Cast", rest, to=TensorProto.INT32), n.const([2], np.int32))
    half = n.op("Cast", half, to=TensorProto.INT64)
    z = n.op("Slice", y, n.ints(0), half, n.ints(1))
    r = n.op("Range", n.const(0, np.int64), n.op("Squeeze", rest), n.const(1, np.int64))
    w = n.op("Add", y, n.op("Cast", n.op("Mod", r, n.const(5, np.int64)), to=TensorProto.FLOAT))
    ones = n.op("ConstantOfShape", n.op("Shape", y), value=helper.make_tensor("v", TensorProto.FLOAT, [1], [2.5]))
    v = n.op("Mul", y, ones)
    u = n.op("Expand", n.const([0.5]), n.op("Where", n.op("Equal", shape, n.ints(1, 1)), n.ints(1, 1), shape))
    return n.out(z).out(w).out(v).out(n.op("Add", u, y))


@case
def constants():
    n = Net()
    x = n.input(1, 3)
    a = n.op("Constant", value=helper.make_tensor("v", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0]))
    b = n.op("Constant", value_floats=[0.5, 1.5, 2.5])
    y = n.op("Mul", n.op("Add", x, a), b)
    y = n.op("Add", y, n.op("Constant", value_float=0.25))
    return n.out(n.op("Reshape", y, n.op("Constant", value_ints=[3, 1])))


@case
def tensor_types():
    n = Net()
    x = n.input(1, 4)
    n.weights.append(numpy_helper.from_array(np.array([1, 2, -3, 0.5], np.float16), "half"))
    n.weights.append(numpy_helper.from_array(np.array([1, 2, -3, 0.25], np.float64), "double"))
    n.weights.append(helper.make_tensor("list", TensorProto.FLOAT, [4], [0.5, 1, 2, 3]))
    y = n.op("Add", x, n.op("Cast", "half", to=TensorProto.FLOAT))
    y = n.op("Mul", y, n.op("Cast", "double", to=TensorProto.FLOAT))
    return n.out(n.op("Sub", y, "list"))


@case
def concat_split():
    n = Net()
    x, y = n.input(1, 2, 4), n.input(1, 3, 4)
    c = n.op("Concat", x, y, axis=1)
    a, b = n.op("Split", c, n.ints(2, 3), outputs=2, axis=1)
    d, e = n.op("Split", x, outputs=2, axis=-1)
    return n.out(n.op("Neg", a)).out(n.op("Abs", b)).out(n.op("Add", d, e))


@case
def split_attributes():
    n = Net(opset=11)
    x = n.input(1, 5)
    a, b = n.op("Split", x, outputs=2, axis=1, split=[2, 3])
    return n.out(n.op("Neg", a)).out(n.op("Neg", b))


@case
def split_uneven():
    n = Net(opset=18)
    x = n.input(1, 5)
    a, b = n.op("Split", x, outputs=2, axis=1, num_outputs=2)
    return n.out(n.op("Neg", a)).out(n.op("Neg", b))


@case
def slice():
    n = Net()
    x = n.input(1, 5, 6)
    n.out(n.op("Slice", x, n.ints(1), n.ints(2**40), n.ints(1))).out(n.op("Slice", x, n.ints(-2), n.ints(-1), n.ints(2)))
    n.out(n.op("Slice", x, n.ints(-1, 0), n.ints(-(2**62), 6), n.ints(1, 2), n.ints(-2, 3)))
    return n.out(n.op("Slice", x, n.ints(0, 1, 2), n.ints(1, 4, 6)))


@case
def slice_attributes():
    n = Net(opset=9)
    x = n.input(1, 5, 6)
    return n.out(n.op("Slice", x, starts=[1, -3], ends=[4, 1000], axes=[1, 2]))


@case
def gather():
    n = Net()
    x = n.input(1, 5, 6)
    n.out(n.op("Gather", x, n.const(-1, np.int64), axis=1)).out(n.op("Gather", x, n.ints(1, 2, 3), axis=1))
    n.out(n.op("Gather", x, n.ints(4, 2, 0), axis=2)).out(n.op("Gather", x, n.ints(4, 0, 1), axis=1))
    return n.out(n.op("Gather", x, n.const([[0, 1], [3, 2]], np.int64), axis=2))


@case
def places_known():
    n = Net()
    x = n.input(1, 4, 5)
    rows = n.input(1, 2, 5)
    column = n.input(1, 4, 1)
    n.out(n.op("ScatterND", x, n.const([[[0, 1], [0, -1]]], np.int64), rows))
    n.out(n.op("ScatterND", x, n.const([[[0, 1], [0, 1]]], np.int64), rows))
    n.out(n.op("ScatterElements", x, n.const([[[1], [2], [0], [-1]]], np.int64), column, axis=2))
    n.out(n.op("GatherElements", x, n.const([[[1, 4, 0], [2, 2, -1], [0, 0, 0], [3, 2, 1]]], np.int64), axis=2))
    n.out(n.op("GatherElements", x, n.const([[[1, 3, 0, 2, -1]]], np.int64), axis=1))
    n.out(n.op("ReverseSequence", x, n.ints(3), batch_axis=0, time_axis=1))
    n.out(n.op("ReverseSequence", n.op("Transpose", x, perm=[1, 2, 0]), n.ints(4, 1, 3, 2, 0), batch_axis=1, time_axis=0))
    n.out(n.op("Compress", x, n.const([1, 0, 1, 1], bool), axis=1))
    n.out(n.op("Compress", x, n.const([0, 1, 1, 0, 0, 1], bool)))
    return n.out(n.op("Trilu", x, upper=0)).out(n.op("Trilu", x, n.const(1, np.int64)))


@case
def top_k():
    n = Net()
    x = n.input(1, 5, 6)
    for given in ({}, {"axis": 1}, {"largest": 0}):
        values, places = n.op("TopK", x, n.ints(3), outputs=2, **given)
        n.out(values).out(places)
    return n


@case
def modulo():
    n = Net()
    x, y = n.input(1, 5, 6), n.input(1, 5, 1, high="positive")
    return n.out(n.op("Mod", x, y, fmod=1)).out(n.op("Floor", n.op("Div", x, y)))


@case
def embedding():
    n = Net()
    x = n.input(1, 6, kind=TensorProto.INT64, high=7)
    y = n.op("Gather", n.weight(7, 4), x)
    return n.out(n.op("ReduceMean", y, axes=[1], keepdims=0))


@case
def expand_tile():
    n = Net()
    x = n.input(1, 2, 1)
    return n.out(n.op("Expand", x, n.ints(3, 1, 4))).out(n.op("Tile", x, n.ints(1, 2, 3))).out(n.op("Expand", x, n.ints(1)))


@case
def pad():
    n = Net()
    x = n.input(1, 2, 4, 5)
    n.out(n.op("Pad", x, n.ints(0, 0, 1, 2, 0, 1, 0, 3))).out(n.op("Pad", x, n.ints(0, 0, 1, 1, 0, 0, 1, 1), n.const(1.5)))
    n.out(n.op("Pad", x, n.ints(0, 0, 1, 2, 0, 0, 3, 1), mode="reflect"))
    n.out(n.op("Pad", x, n.ints(0, 0, 1, 2, 0, 0, 3, 1), mode="edge"))
    return n.out(n.op("Pad", x, n.ints(0, 0, -1, 2, 0, 0, 1, -2)))


@case
def pad_axes():
    n = Net(opset=18)
    x = n.input(1, 2, 4, 5)
    return n.out(n.op("Pad", x, n.ints(1, 2), None, n.ints(-1)))


@case
def pad_attributes():
    n = Net(opset=10)
    x = n.input(1, 2, 4, 5)
    y = n.op("Pad", x, pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.0)
    return n.out(n.op("Conv", y, n.weight(3, 2, 3, 3)))


@case
def depth_space():
    n = Net()
    x = n.input(1, 8, 4, 6)
    n.out(n.op("DepthToSpace", x, blocksize=2)).out(n.op("DepthToSpace", x, blocksize=2, mode="CRD"))
    return n.out(n.op("SpaceToDepth", x, blocksize=2))


# ---- resizing


@case
def resize_nearest():
    n = Net()
    x = n.input(1, 2, 4, 5)
    up = n.const([1, 1, 2, 2])
    n.out(n.op("Resize", x, None, up, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"))
    n.out(n.op("Resize", x, None, up, mode="nearest"))
    n.out(n.op("Resize", x, None, None, n.ints(1, 2, 8, 10), mode="nearest", nearest_mode="floor", coordinate_transformation_mode="tf_half_pixel_for_nn"))
    return n.out(n.op("Resize", x, None, None, n.ints(1, 2, 7, 9), mode="nearest", coordinate_transformation_mode="align_corners", nearest_mode="round_prefer_ceil"))


@case
def resize_linear():
    n = Net()
    x = n.input(1, 2, 4, 5)
    up = n.const([1, 1, 2, 2])
    for rule in ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"]:
        n.out(n.op("Resize", x, None, up, mode="linear", coordinate_transformation_mode=rule))
    return n.out(n.op("Resize", x, None, None, n.ints(1, 2, 2, 3), mode="linear"))


@case
def resize_old():
    n = Net(opset=10)
    x = n.input(1, 2, 4, 5)
    return n.out(n.op("Resize", x, n.const([1, 1, 2, 3]), mode="nearest")).out(n.op("Resize", x, n.const([1, 1, 2, 2]), mode="linear"))


@case
def upsample():
    n = Net(opset=9)
    x = n.input(1, 2, 4, 5)
    y = n.op("Conv", x, n.weight(3, 2, 3, 3), pads=[1, 1, 1, 1])
    y = n.op("Upsample", y, n.const([1, 1, 2, 2]), mode="nearest")
    return n.out(n.op("Conv", y, n.weight(1, 3, 1, 1)))


@case
def upsample_attribute():
    n = Net(opset=7)
    x = n.input(1, 2, 4, 5)
    return n.out(n.op("Upsample", x, scales=[1.0, 1.0, 2.0, 2.0], mode="linear"))


# ---- recurrent


def cell(kind, gates, n, x, hidden=4, features=3, directions=1, outputs=2, bias=True, states=(), lengths=None, **attributes):
    w, r = n.weight(directions, gates * hidden, features), n.weight(directions, gates * hidden, hidden)
    b = n.weight(directions, 2 * gates * hidden) if bias else None
    return n.op(kind, x, w, r, b, lengths, *states, outputs=outputs, hidden_size=hidden, **attributes)


@case
def lstm():
    n = Net()
    x = n.input(6, 1, 3)
    y, h, c = cell("LSTM", 4, n, x, outputs=3)
    return n.out(n.op("Squeeze", y, n.ints(1))).out(n.op("Squeeze", h, n.ints(0))).out(c)


@case
def lstm_options():
    n = Net()
    x = n.input(6, 2, 3)
    states = [n.weight(1, 2, 4), n.weight(1, 2, 4)]
    y, h = cell("LSTM", 4, n, x, states=states, direction="reverse", activations=["HardSigmoid", "Softsign", "Relu"])
    z, _ = cell("LSTM", 4, n, x, bias=False)
    return n.out(y).out(h).out(n.op("Neg", z))


@case
def lstm_lengths():
    """Sequences of different lengths, known and computed, in all directions."""
    n = Net()
    x = n.input(6, 3, 3)
    states = [n.weight(1, 3, 4), n.weight(1, 3, 4)]
    known = n.const([2, 6, 1], np.int32)
    given = n.input(3, kind=TensorProto.INT32, high=7)
    n.high = [None, 7]
    results = cell("LSTM", 4, n, x, outputs=3, states=states, lengths=known)
    results += cell("LSTM", 4, n, x, outputs=3, lengths=given, direction="reverse")
    results += cell("GRU", 3, n, x, directions=2, direction="bidirectional", lengths=known, linear_before_reset=1)
    results += cell("RNN", 1, n, x, lengths=given)
    for result in results:
        n.out(n.op("Neg", result))
    return n


@case
def lstm_peepholes():
    """Weights of the cell state, bounds of sums, and functions with parameters."""
    n = Net()
    x = n.input(6, 2, 3)
    states = [n.weight(2, 2, 4), n.weight(2, 2, 4), n.weight(2, 12)]
    results = cell("LSTM", 4, n, x, outputs=3, states=states, directions=2, direction="bidirectional")
    states = [None, None, n.weight(1, 12)]
    functions = dict(activations=["HardSigmoid", "Elu", "Softsign"], activation_alpha=[0.3, 0.7], activation_beta=[0.4])
    results += cell("LSTM", 4, n, x, outputs=3, states=states, clip=0.7, direction="reverse", **functions)
    functions = dict(activations=["HardSigmoid", "LeakyRelu"], activation_alpha=[0.3, 0.1], activation_beta=[0.4])
    results += cell("GRU", 3, n, x, clip=0.9, **functions)
    results += cell("GRU", 3, n, x, activations=["Sigmoid", "Relu"], linear_before_reset=1)
    results += cell("RNN", 1, n, x, activations=["Softplus"], clip=0.5)
    results += cell("RNN", 1, n, x, activations=["LeakyRelu"], activation_alpha=[0.2])
    for result in results:
        n.out(n.op("Neg", result))
    return n


@case
def lstm_functions():
    """Functions with parameters, which only those take that have some; gates coupled with weights of the cell state."""
    n = Net()
    x = n.input(6, 2, 3)
    functions = dict(activations=["Sigmoid", "ScaledTanh", "Affine"], activation_alpha=[1.3, 0.8], activation_beta=[0.6, 0.1])
    results = cell("LSTM", 4, n, x, outputs=3, **functions)
    functions = dict(
        activations=["Sigmoid", "LeakyRelu", "Tanh", "HardSigmoid", "ScaledTanh", "Elu"],
        activation_alpha=[0.2, 0.4, 0.9, 0.5],
        activation_beta=[0.3, 0.7],
    )
    results += cell("LSTM", 4, n, x, outputs=3, directions=2, direction="bidirectional", **functions)
    states = [n.weight(1, 2, 4), n.weight(1, 2, 4), n.weight(1, 12)]
    results += cell("LSTM", 4, n, x, outputs=3, states=states, input_forget=1)
    results += cell("LSTM", 4, n, x, outputs=3, input_forget=1, activations=["HardSigmoid", "Tanh", "Tanh"], activation_alpha=[0.3], activation_beta=[0.5])
    results += cell("GRU", 3, n, x, activations=["Sigmoid", "ScaledTanh"], activation_alpha=[0.7], activation_beta=[1.4])
    results += cell("GRU", 3, n, x, activations=["HardSigmoid", "Affine"], activation_alpha=[0.2, 0.6], activation_beta=[0.5, 0.2], linear_before_reset=1)
    results += cell("RNN", 1, n, x, activations=["Affine"], activation_alpha=[0.4], activation_beta=[0.1])
    results += cell("RNN", 1, n, x, activations=["ScaledTanh"], activation_alpha=[0.9], activation_beta=[1.2])
    for result in results:
        n.out(n.op("Neg", result))
    return n


@case
def products():
    """Products over axes, of even and odd numbers of elements."""
    n = Net()
    x = n.input(2, 3, 5, 4)
    for axes, keep in (([1], 1), ([2], 0), ([0, 3], 1), ([1, 2], 0)):
        n.out(n.op("ReduceProd", x, axes=axes, keepdims=keep))
    return n


@case
def lstm_two_ways():
    """Bidirectional, as PyTorch writes it."""
    n = Net()
    x = n.input(1, 6, 3)
    y = n.op("Transpose", x, perm=[1, 0, 2])
    y, h, c = cell("LSTM", 4, n, y, directions=2, outputs=3, direction="bidirectional")
    y = n.op("Transpose", y, perm=[0, 2, 1, 3])
    y = n.op("Reshape", y, n.ints(0, 0, -1))
    y = n.op("Transpose", y, perm=[1, 0, 2])
    y = n.op("Gather", y, n.const(-1, np.int64), axis=1)
    return n.out(n.op("Gemm", y, n.weight(8, 2), n.weight(2))).out(n.op("Neg", h))


@case
def gru():
    n = Net()
    x = n.input(6, 2, 3)
    y, h = cell("GRU", 3, n, x)
    z, g = cell("GRU", 3, n, x, linear_before_reset=1, states=[n.weight(1, 2, 4)])
    return n.out(y).out(h).out(z).out(g)


@case
def gru_two_ways():
    n = Net()
    x = n.input(6, 2, 3)
    y, h = cell("GRU", 3, n, x, directions=2, direction="bidirectional", linear_before_reset=1)
    return n.out(y).out(h)


@case
def rnn():
    n = Net()
    x = n.input(6, 2, 3)
    y, h = cell("RNN", 1, n, x)
    z, g = cell("RNN", 1, n, x, activations=["Relu"], direction="reverse", bias=False)
    return n.out(y).out(h).out(z).out(g)


@case
def transformer():
    """Attention with two heads, its mask, layer normalization and GELU by Erf, as PyTorch writes them."""
    n = Net()
    x = n.input(1, 5, 8)

    def heads(y, perm):
        y = n.op("Reshape", y, n.ints(1, 5, 2, 4))
        return n.op("Transpose", y, perm=perm)

    q, k, v = (n.op("Add", n.op("MatMul", x, n.weight(8, 8)), n.weight(8)) for _ in range(3))
    q, k, v = heads(q, [0, 2, 1, 3]), heads(k, [0, 2, 3, 1]), heads(v, [0, 2, 1, 3])
    s = n.op("Div", n.op("MatMul", q, k), n.op("Sqrt", n.const(4.0)))
    s = n.op("Where", n.const(np.tril(np.ones((1, 1, 5, 5))), np.bool_), s, n.const(-3e38))
    a = n.op("MatMul", n.op("Softmax", s, axis=-1), v)
    a = n.op("Reshape", n.op("Transpose", a, perm=[0, 2, 1, 3]), n.ints(1, 5, 8))
    y = n.op("Add", x, n.op("Add", n.op("MatMul", a, n.weight(8, 8)), n.weight(8)))
    y = n.op("LayerNormalization", y, n.positive(8), n.weight(8))
    f = n.op("Add", n.op("MatMul", y, n.weight(8, 16)), n.weight(16))
    g = n.op("Erf", n.op("Div", f, n.const(2**0.5)))
    f = n.op("Mul", n.op("Mul", f, n.op("Add", g, n.const(1.0))), n.const(0.5))
    y = n.op("Add", y, n.op("MatMul", f, n.weight(16, 8)))
    return n.out(n.op("ReduceMean", y, axes=[1], keepdims=0))


# ---- scikit-learn


@case
def sklearn_classifier():
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    skl("sklearn_classifier", make_pipeline(StandardScaler(), MLPClassifier(hidden_layer_sizes=(6, 4), max_iter=50, random_state=0)), 3)


@case
def sklearn_binary():
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    skl("sklearn_binary", make_pipeline(Normalizer(), MLPClassifier(hidden_layer_sizes=(6,), activation="tanh", max_iter=50, random_state=0)), 2)


@case
def sklearn_regressor():
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    skl("sklearn_regressor", make_pipeline(MinMaxScaler(), MLPRegressor(hidden_layer_sizes=(6,), max_iter=50, random_state=0)), 0)


def skl(name, estimator, classes):
    """A fitted pipeline, with ZipMap at its end where it classifies; probabilities are compared."""
    import warnings

    warnings.simplefilter("ignore")
    from skl2onnx import to_onnx

    random = np.random.default_rng(5)
    x = random.normal(0, 2, (60, 5)).astype(np.float32)
    y = x[:, 0] + x[:, 1] if classes == 0 else np.digitize(x[:, 0], np.linspace(-2, 2, classes + 1)[1:-1])
    estimator.fit(x, y)
    model = to_onnx(estimator, x[:1], target_opset=17)
    session = ort.InferenceSession(model.SerializeToString())
    arrays = {"in0": [], "out0": []}
    for i in range(4):
        arrays["in0"].append(x[i : i + 1])
        result = session.run(None, {session.get_inputs()[0].name: x[i : i + 1]})
        result = result[0] if classes == 0 else [[row[c] for c in range(classes)] for row in result[1]]
        arrays["out0"].append(np.asarray(result, np.float32))
    onnx.save(model, os.path.join(HERE, f"{name}.onnx"))
    np.savez_compressed(os.path.join(HERE, f"{name}.npz"), **{k: np.stack(v) for k, v in arrays.items()})


# ---- quantized models


def quantized(name, net, **options):
    """A float model that ONNX Runtime quantizes after training, statically."""
    import tempfile

    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    names = dict(qdq=QuantFormat.QDQ, operators=QuantFormat.QOperator, int8=QuantType.QInt8, uint8=QuantType.QUInt8)
    model = net.model()
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]

    class Reader(CalibrationDataReader):
        def __init__(self):
            random = np.random.default_rng(1)
            self.rows = iter([{"x0": random.normal(0, 1.5, shape).astype(np.float32)} for _ in range(16)])

        def get_next(self):
            return next(self.rows, None)

    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "a.onnx"), os.path.join(folder, "b.onnx")
        onnx.save(onnx.shape_inference.infer_shapes(model), source)
        quantize_static(
            source,
            target,
            Reader(),
            quant_format=names[options["format"]],
            activation_type=names[options["activations"]],
            weight_type=names[options.get("weights", "int8")],
            per_channel=options.get("per_channel", False),
        )
        write(name, onnx.load(target))


def small_cnn():
    n = Net()
    x = n.input(1, 3, 8, 8)
    a = n.op("Conv", x, n.weight(4, 3, 3, 3), n.weight(4), pads=[1, 1, 1, 1])
    a = n.op("Relu", a)
    b = n.op("Conv", a, n.weight(4, 1, 3, 3), n.weight(4), pads=[1, 1, 1, 1], group=4)
    a = n.op("Add", a, b)
    a = n.op("Concat", a, b, axis=1)
    a = n.op("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2])
    c = n.op("GlobalAveragePool", a)
    c = n.op("Sigmoid", c)
    a = n.op("Mul", a, c)
    a = n.op("AveragePool", a, kernel_shape=[2, 2], strides=[2, 2])
    a = n.op("Flatten", a)
    a = n.op("Gemm", a, n.weight(5, 32), n.weight(5), transB=1)
    a = n.op("LeakyRelu", a, alpha=0.1)
    a = n.op("MatMul", a, n.weight(5, 3))
    return n.out(n.op("Softmax", a))


@case
def quantized_qdq():
    quantized("quantized_qdq", small_cnn(), format="qdq", activations="int8", per_channel=True)


@case
def quantized_qdq_uint8():
    quantized("quantized_qdq_uint8", small_cnn(), format="qdq", activations="uint8", weights="uint8")


@case
def quantized_operators():
    quantized("quantized_operators", small_cnn(), format="operators", activations="uint8", weights="int8")


@case
def quantized_operators_int8():
    quantized("quantized_operators_int8", small_cnn(), format="operators", activations="int8", per_channel=True)


# ---- functions in several steps


@case
def functions_in_steps():
    """What exporters write for functions that older operator sets do not have."""
    n = Net()
    x = n.input(1, 12)
    half, one, c = n.const(0.5), n.const(1.0), n.const
    e = n.op("Add", n.op("Erf", n.op("Div", x, c(2**0.5))), one)
    n.out(n.op("Mul", n.op("Mul", x, e), half)).out(n.op("Mul", n.op("Mul", x, half), e))
    t = n.op("Add", x, n.op("Mul", n.op("Pow", x, c(3.0)), c(0.044715)))
    t = n.op("Tanh", n.op("Mul", t, c((2 / np.pi) ** 0.5)))
    n.out(n.op("Mul", n.op("Mul", x, half), n.op("Add", t, one)))
    n.out(n.op("Mul", x, n.op("Sigmoid", x)))
    n.out(n.op("Div", n.op("Mul", x, n.op("Clip", n.op("Add", x, c(3.0)), c(0.0), c(6.0))), c(6.0)))
    n.out(n.op("Mul", x, n.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)))
    return n.out(n.op("Mul", x, n.op("Tanh", n.op("Softplus", x))))


# ---- what is at the edge of a definition


@case
def pool_ceil():
    """The last window may not begin in the padding behind the image; what lies behind that counts nowhere."""
    n = Net(opset=19)
    x = n.input(1, 2, 5, 6)
    for size, stride, pads in [(2, 2, [1, 1, 1, 1]), (3, 2, [0, 1, 1, 0]), (3, 3, [1, 0, 1, 2]), (2, 3, [0, 0, 1, 1])]:
        window = dict(kernel_shape=[size, size], strides=[stride, stride], pads=pads, ceil_mode=1)
        n.out(n.op("MaxPool", x, **window)).out(n.op("AveragePool", x, **window))
        n.out(n.op("AveragePool", x, count_include_pad=1, **window))
    return n


@case
def clip_crossed():
    n = Net()
    x = n.input(3, 8)
    n.out(n.op("Clip", x, n.const(2.0), n.const(-1.0))).out(n.op("Clip", x, n.const(0.5), n.const(0.5)))
    return n.out(n.op("Clip", n.op("Abs", x), n.const(6.0), n.const(0.0)))


@case
def lp_norm_zeros():
    n = Net()
    x = n.op("Mul", n.input(2, 4, 3), n.const([[[1], [0], [1], [0]]]))
    n.out(n.op("LpNormalization", x, axis=-1, p=2)).out(n.op("LpNormalization", x, axis=2, p=1))
    return n.out(n.op("LpNormalization", x, axis=0, p=2))


@case
def functions_tables():
    n = Net()
    x = n.input(3, 8)
    unit = n.op("Tanh", x)
    for op in ("Tan", "Atan", "Sinh", "Cosh", "Asinh"):
        n.out(n.op(op, unit))
    for op in ("Asin", "Acos", "Atanh"):
        n.out(n.op(op, n.op("Mul", unit, n.const(0.9))))
    return n.out(n.op("Acosh", n.op("Add", n.op("Abs", x), n.const(1.0))))


@case
def choice_of_functions():
    """Functions that exporters write as a choice by a threshold."""
    n = Net(opset=18)
    x = n.op("Mul", n.input(3, 8), n.const(9.0))
    soft = n.op("Softplus", x)
    n.out(n.op("Where", n.op("Greater", x, n.const(20.0)), x, soft))
    n.out(n.op("Where", n.op("LessOrEqual", x, n.const(20.0)), soft, x))
    n.out(n.op("Where", n.op("Less", n.const(15.0), x), x, soft))
    twice = n.op("Mul", x, n.const(2.0))
    steps = n.op("Div", n.op("Log", n.op("Add", n.op("Exp", twice), n.const(1.0))), n.const(2.0))
    n.out(n.op("Where", n.op("Greater", twice, n.const(20.0)), x, steps))
    n.out(n.op("Where", n.op("Greater", x, n.const(0.5)), x, n.const(-3.0)))
    return n.out(n.op("Where", n.op("GreaterOrEqual", x, n.const(0.0)), x, n.op("Sub", n.op("Exp", x), n.const(1.0))))


@case
def linear_models():
    n = Net(ai_onnx_ml=1)
    x = n.input(1, 5)
    list_of = lambda count: [float(w) for w in n.random.normal(0, 1, count)]
    n.out(n.op("LinearRegressor", x, domain="ai.onnx.ml", coefficients=list_of(5), intercepts=[0.5]))
    y = n.op("LinearRegressor", x, domain="ai.onnx.ml", coefficients=list_of(15), intercepts=list_of(3), targets=3)
    return n.out(y).out(n.op("LinearRegressor", x, domain="ai.onnx.ml", coefficients=list_of(5)))


@case
def attention_operator():
    """Heads that share keys, a causal mask over what came before, a mask of its own, and a soft cap."""
    n = Net(opset=23)
    q, k, v = n.input(1, 5, 24), n.input(1, 5, 12), n.input(1, 5, 12)
    n.out(n.op("Attention", q, k, v, q_num_heads=4, kv_num_heads=2, is_causal=1))
    mask = n.const(np.where(np.arange(25).reshape(5, 5) % 3 == 1, -np.inf, n.random.normal(0, 1, (5, 5))))
    n.out(n.op("Attention", q, k, v, mask, q_num_heads=4, kv_num_heads=2, scale=0.3, softcap=2.0))
    past = [n.weight(1, 2, 3, 6), n.weight(1, 2, 3, 6)]
    y = n.op("Attention", q, k, v, None, *past, q_num_heads=4, kv_num_heads=2, is_causal=1, outputs=3)
    return n.out(y[0]).out(y[1]).out(y[2])


@case
def rotary_embedding():
    n = Net(opset=23)
    x, cos, sin = n.input(1, 4, 16), n.weight(9, 4), n.weight(9, 4)
    places = n.const([[3, 0, 7, 8]], np.int64)
    n.out(n.op("RotaryEmbedding", x, cos, sin, places, num_heads=2))
    n.out(n.op("RotaryEmbedding", x, cos, sin, places, num_heads=2, interleaved=1))
    heads = n.op("Transpose", n.op("Reshape", x, n.ints(1, 4, 2, 8)), perm=[0, 2, 1, 3])
    short = [n.weight(9, 2), n.weight(9, 2)]
    return n.out(n.op("RotaryEmbedding", heads, *short, places, rotary_embedding_dim=4))


@case
def einsum():
    n = Net()
    a, b, c = n.input(2, 3, 4), n.input(2, 4, 5), n.input(3, 5)
    n.out(n.op("Einsum", a, b, equation="bij, bjk -> bik"))
    n.out(n.op("Einsum", a, b, equation="bij,bjk->kb"))
    n.out(n.op("Einsum", a, b, c, equation="bij,bjk,ik->jb"))
    n.out(n.op("Einsum", a, equation="...ij->...ji"))
    n.out(n.op("Einsum", a, a, equation="bij,bij"))
    return n.out(n.op("Einsum", a, c, equation="bij,ik"))


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def random_trees(random, count, features, outputs, depth=4, each=2):
    """Nodes and votes of random trees, as the attributes of the older operators list them; numbers are whole ones, so that
    features are often equal to them."""
    nodes = {k: [] for k in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")}
    nodes["missing_value_tracks_true"] = []
    votes = {k: [] for k in ("treeids", "nodeids", "ids", "weights")}
    for tree in range(count):
        waiting, number = [(0, 0)], 1
        while waiting:
            node, level = waiting.pop(int(random.integers(len(waiting))))
            leaf = level == depth or (level > 0 and random.random() < 0.2)
            sides = (0, 0) if leaf else (number, number + 1)
            row = (tree, node, int(random.integers(features)), float(random.integers(-1, 4)))
            row += ("LEAF" if leaf else MODES[int(random.integers(len(MODES)))], *sides, int(random.integers(2)))
            for (_, column), x in zip(nodes.items(), row):
                column.append(x)
            if leaf:
                for output in random.choice(outputs, min(each, outputs), replace=False):
                    for column, x in zip(votes.values(), (tree, node, int(output), float(random.normal()))):
                        column.append(x)
            else:
                number += 2
                waiting += [(side, level + 1) for side in sides]
    return {f"nodes_{k}": v for k, v in nodes.items()}, votes


def trees(n, x, kind, outputs, count=5, each=2, **attributes):
    """A random ensemble, of which only scores are results."""
    nodes, votes = random_trees(n.random, count, 4, outputs, each=each)
    if kind == "TreeEnsembleClassifier":
        attributes |= {"classlabels_int64s": list(range(outputs))} | {f"class_{k}": v for k, v in votes.items()}
        return n.op(kind, x, domain="ai.onnx.ml", outputs=2, **nodes, **attributes)[1]
    attributes |= {"n_targets": outputs} | {f"target_{k}": v for k, v in votes.items()}
    return n.op(kind, x, domain="ai.onnx.ml", **nodes, **attributes)


@case
def trees_classify():
    n = Net(ai_onnx_ml=3)
    x = n.op("Cast", n.input(9, 4, kind=TensorProto.INT64), to=TensorProto.FLOAT)
    kind = "TreeEnsembleClassifier"
    n.out(trees(n, x, kind, 3)).out(trees(n, x, kind, 3, base_values=[0.5, -0.25, 1.0]))
    n.out(trees(n, x, kind, 4, post_transform="SOFTMAX")).out(trees(n, x, kind, 3, post_transform="LOGISTIC"))
    return n.out(trees(n, x, kind, 2))


@case
def trees_of_two_classes():
    """Votes on the first class only, which say both."""
    n = Net(ai_onnx_ml=3)
    x = n.op("Cast", n.input(9, 4, kind=TensorProto.INT64), to=TensorProto.FLOAT)
    for base, post, positive in [([], "NONE", 0), ([], "NONE", 1), ([0.3], "LOGISTIC", 0), ([0.3], "LOGISTIC", 1), ([0.1], "SOFTMAX", 1)]:
        nodes, votes = random_trees(n.random, 3, 4, 1)
        if positive:
            votes["weights"] = [abs(w) / 9 for w in votes["weights"]]
        options = {f"class_{k}": v for k, v in votes.items()} | ({"base_values": base} if base else {})
        y = n.op("TreeEnsembleClassifier", x, domain="ai.onnx.ml", outputs=2, classlabels_strings=["no", "yes"], post_transform=post, **nodes, **options)
        n.out(y[1])
    return n


@case
def trees_of_values():
    n = Net(ai_onnx_ml=3)
    x = n.op("Cast", n.input(9, 4, kind=TensorProto.INT64), to=TensorProto.FLOAT)
    kind = "TreeEnsembleRegressor"
    n.out(trees(n, x, kind, 1, each=1)).out(trees(n, x, kind, 3, base_values=[0.5, -2.0, 1.0]))
    for how in ("AVERAGE", "MIN", "MAX"):
        n.out(trees(n, x, kind, 1, each=1, aggregate_function=how))
    return n.out(trees(n, x, kind, 2, aggregate_function="AVERAGE", base_values=[0.5, 0.25]))


@case
def trees_behind_scalers():
    """Scalers become part of thresholds."""
    n = Net(ai_onnx_ml=3)
    x = n.input(9, 4)
    scaled = n.op("Scaler", x, domain="ai.onnx.ml", offset=[0.3, -1.0, 0.0, 0.5], scale=[1.5, -2.0, 0.7, 3.0])
    y = n.op("Add", n.op("Div", scaled, n.const([-0.7])), n.const([0.1, 0.2, 0.3, 0.4]))
    nodes, votes = random_trees(n.random, 4, 4, 2)
    nodes["nodes_modes"] = [m if m == "LEAF" else MODES[i % 4] for i, m in enumerate(nodes["nodes_modes"])]
    return n.out(n.op("TreeEnsembleRegressor", y, domain="ai.onnx.ml", n_targets=2, **nodes, **{f"target_{k}": v for k, v in votes.items()}))


@case
def trees_of_opset_5():
    """Leaves in a list of their own, of which one serves several splits, and sets."""
    n = Net(ai_onnx_ml=5)
    x = n.op("Cast", n.input(9, 4, kind=TensorProto.INT64), to=TensorProto.FLOAT)
    tensor = lambda x, kind: numpy_helper.from_array(np.asarray(x, kind))
    y = n.op(
        "TreeEnsemble", x, domain="ai.onnx.ml", n_targets=2, aggregate_function=1, post_transform=0, tree_roots=[0, 4],
        nodes_featureids=[0, 1, 2, 3, 1, 2], nodes_splits=tensor([1, 2, 0, 1, 0, 0], np.float32),
        nodes_modes=tensor([0, 3, 4, 1, 5, 2], np.uint8), nodes_truenodeids=[1, 0, 0, 3, 5, 0], nodes_falsenodeids=[2, 1, 3, 2, 2, 3],
        nodes_trueleafs=[0, 1, 1, 1, 0, 1], nodes_falseleafs=[0, 1, 0, 1, 1, 1], leaf_targetids=[0, 1, 0, 1],
        leaf_weights=tensor([0.5, -1.5, 2.5, 4.0], np.float32),
    )
    return n.out(y)


def largest(n, x):
    """The largest of all elements."""
    return n.op("ReduceMax", x, keepdims=0)


@case
def if_input():
    """A truth value from outside decides."""
    n = Net()
    truth, x = n.input(1, kind=TensorProto.BOOL), n.input(1, 6)
    a, b, c = n.weight(6, 9), n.weight(9, 4), n.weight(6, 4)
    wide = n.branch(lambda: n.op("MatMul", n.op("Relu", n.op("MatMul", x, a)), b))
    narrow = n.branch(lambda: n.op("MatMul", x, c))
    return n.out(n.op("Softmax", n.op("If", truth, then_branch=wide, else_branch=narrow)))


@case
def if_compared():
    """The largest element decides between two convolutions, of which one adds to what stands around it."""
    n = Net()
    x = n.op("Conv", n.input(1, 3, 6, 6), n.weight(4, 3, 3, 3), pads=[1, 1, 1, 1])
    condition = n.op("Less", n.const([2.8]), largest(n, x))
    w, v = n.weight(4, 4, 3, 3), n.weight(4, 4, 1, 1)
    yes = n.branch(lambda: n.op("Add", n.op("Conv", x, w, pads=[1, 1, 1, 1]), x))
    no = n.branch(lambda: n.op("Relu", n.op("Conv", x, v)))
    y = n.op("If", condition, then_branch=yes, else_branch=no)
    return n.out(n.op("GlobalAveragePool", y))


@case
def if_nested():
    """An If in a branch, two results, a branch that leaves a tensor as it is, and one that is a constant."""
    n = Net()
    truth, x = n.input(1, kind=TensorProto.BOOL), n.input(1, 5)
    w, v = n.weight(5, 5), n.weight(5, 3)

    def inner():
        condition = n.op("GreaterOrEqual", largest(n, x), n.const(0.8))
        yes = n.branch(lambda: n.op("Tanh", n.op("MatMul", x, w)))
        no = n.branch(lambda: n.op("Identity", x))
        return n.op("If", condition, then_branch=yes, else_branch=no)

    yes = n.branch(inner, lambda: n.op("MatMul", x, v))
    fixed = n.const([[0.5, -0.25, 1.5]])
    no = n.branch(lambda: n.op("MatMul", x, w), lambda: n.op("Identity", fixed))
    first, second = n.op("If", truth, outputs=2, then_branch=yes, else_branch=no)
    return n.out(n.op("Relu", first)).out(second)


@case
def if_known():
    """A condition that is known when the model is read, as exporters write it around SQUEEZE."""
    n = Net()
    x = n.input(1, 1, 6)
    shape = n.op("Gather", n.op("Shape", x), n.ints(1))
    condition = n.op("Equal", shape, n.ints(1))
    yes = n.branch(lambda: n.op("Squeeze", x, n.ints(1)))
    no = n.branch(lambda: n.op("Identity", x))
    y = n.op("If", condition, then_branch=yes, else_branch=no)
    return n.out(n.op("MatMul", y, n.weight(6, 4)))


def border(name, opset, input_type, output_type, build, shape):
    """A model whose border is of integers, with the integers that ONNX Runtime answers."""
    n = Net(opset=opset)
    x = n.input(*shape, kind=input_type, high=256)
    n.out(build(n, x))
    model = n.model()
    model.graph.output[0].type.tensor_type.elem_type = output_type
    write(name, model, n.high)


@case
def border_uint8():
    def build(n, x):
        zero = lambda z: n.const(z, np.uint8)
        pixels = n.op("Transpose", x, perm=[0, 3, 1, 2])
        y = n.op("DequantizeLinear", pixels, n.const(1 / 255), zero(0))
        weights = n.const(n.random.integers(-127, 128, (4, 3, 3, 3)), np.int8)
        scales, zeros = n.const([0.01, 0.02, 0.015, 0.008]), n.const([0, 0, 0, 0], np.int8)
        y = n.op("Conv", y, n.op("DequantizeLinear", weights, scales, zeros, axis=0))
        y = n.op("Relu", y)
        y = n.op("QuantizeLinear", y, n.const(0.05), zero(3))
        return n.op("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])

    border("border_uint8", 13, TensorProto.UINT8, TensorProto.UINT8, build, (1, 6, 6, 3))


@case
def border_products():
    """Products of quantized matrices: weights with a zero point, of two dimensions and of three."""

    def build(n, x):
        scale, zero = n.const(0.02), n.const(7, np.uint8)
        a = n.const(n.random.integers(0, 256, (6, 5)), np.uint8)
        y = n.op("QLinearMatMul", x, scale, zero, a, n.const(0.01), n.const(131, np.uint8), n.const(0.06), zero)
        b = n.const(n.random.integers(0, 256, (2, 5, 4)), np.uint8)
        return n.op("QLinearMatMul", y, n.const(0.06), zero, b, n.const(0.03), n.const(90, np.uint8), n.const(0.3), zero)

    border("border_products", 21, TensorProto.UINT8, TensorProto.UINT8, build, (2, 3, 6))


def main():
    wanted = sys.argv[1:]
    for name, f in CASES.items():
        if wanted and not any(name.startswith(w) for w in wanted):
            continue
        net = f()
        if net is not None:
            write(name, net.model(), net.high)
        print(name)


if __name__ == "__main__":
    main()
