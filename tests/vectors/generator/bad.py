"""Files that must be refused with an error, never with a panic: malformed, hostile or unsupported.

`float_conv` and `float_dense` are sound float models: they are refused only without calibration data.
"""

import flatbuffers
import numpy as np

from .branches import Branching, narrow, wide
from .graphs import Layers, S, Z
from .model import PADDINGS, Graph, schema


def small(name="bad"):
    """A sound model: one convolution, input, weights, bias and output are tensors 0 to 3."""
    g = Layers(name)
    g.conv(g.input((1, 3, 3, 2), S, Z, name="image"), 3, 3, final=True)
    return g


def custom_op():
    """An operator that only its author knows."""
    g = Layers("custom_op")
    x = g.conv(g.input((1, 3, 3, 2), S, Z), 3)
    y = g.tensor((1, 3, 3, 3), scale=S, zero_point=Z, name="detector/my_custom_op")
    g.op("CUSTOM", [x], [y], custom="MyCustomOp")
    g.conv(y, 2, final=True)
    return g.bytes()


def two_unsupported_ops():
    """Both must be named at once."""
    g = Layers("two_unsupported_ops")
    x = g.conv(g.input((1, 3, 3, 2), S, Z), 3)
    a = g.tensor((1, 3, 3, 3), scale=S, zero_point=Z, name="block_1/sign")
    g.op("CUSTOM", [x], [a], custom="FirstUnknownOp")
    b = g.tensor((1, 3, 3, 3), scale=S, zero_point=Z, name="block_2/projection")
    g.op("LSH_PROJECTION", [a], [b])
    g.conv(b, 2, final=True)
    return g.bytes()


def int16_comparison():
    """A comparison of int16, which has no kernel: TFLM's reads multipliers that it does not set."""
    g = Graph()
    x = g.input((1, 6), 0.001, dtype="i16", name="left")
    y = g.input((1, 6), 0.001, dtype="i16", name="right")
    g.op("GREATER", [x, y], [g.output((1, 6), dtype="bool", name="larger")], "GreaterOptions")
    return g.bytes()


def float_conv():
    """A float convolution without any quantization."""
    g = Graph()
    rng = np.random.default_rng(1)
    x = g.input((1, 4, 4, 2), dtype="f32", name="image")
    f = g.const(rng.normal(0, 0.3, (3, 3, 3, 2)), dtype="f32", name="conv/kernel")
    b = g.const(rng.normal(0, 0.1, 3), dtype="f32", name="conv/bias")
    y = g.output((1, 4, 4, 3), dtype="f32", name="conv/output")
    g.op("CONV_2D", [x, f, b], [y], "Conv2DOptions", padding=PADDINGS["same"], strideH=1, strideW=1,
         dilationHFactor=1, dilationWFactor=1)
    return g.bytes()


def float_dense():
    """A float dense layer."""
    g = Graph()
    rng = np.random.default_rng(2)
    x = g.input((1, 6), dtype="f32", name="features")
    f = g.const(rng.normal(0, 0.3, (4, 6)), dtype="f32", name="dense/kernel")
    y = g.output((1, 4), dtype="f32", name="dense/output")
    g.op("FULLY_CONNECTED", [x, f, -1], [y], "FullyConnectedOptions")
    return g.bytes()


def truncated():
    """The first half of a sound file."""
    data = small().bytes()
    return data[: len(data) // 2]


def truncated_header():
    """Not even the identifier."""
    return small().bytes()[:6]


def wrong_identifier():
    """A flatbuffer of another kind."""
    data = small().bytes()
    return data[:4] + b"ABCD" + data[8:]


def root_offset_outside():
    """The root table lies far beyond the end."""
    return b"\xf0\xff\xff\x7f" + small().bytes()[4:]


def noise():
    """The identifier, then pseudo-random bytes."""
    return b"\x1c\x00\x00\x00TFL3" + np.random.default_rng(3).bytes(500)


def no_subgraph():
    """A model without a graph."""
    model = schema.ModelT()
    model.version = 3
    builder = flatbuffers.Builder(64)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def changed(change):
    """`small` after a change to its graph."""
    g = small()
    change(g)
    return g.bytes()


def set_of(target, field, value):
    """A change: one field of what `target` picks from the graph."""
    def change(g):
        setattr(target(g), field, value)
    return lambda: changed(change)


def branching(change):
    """A sound model with an IF, after a change to its graph."""
    def make():
        g = Branching("bad")
        g.choose(g.input((1,), dtype="bool", name="truth"), [g.input((1, 12), S, Z, name="x")], wide, narrow)
        change(g)
        return g.bytes()
    return make


def option(field, value):
    """A change: one of an IF's options."""
    return branching(lambda g: setattr(g.operators[0].builtinOptions, field, value))


def deep(g):
    """Each branch has an IF with two branches: more than anyone can read."""
    for number in (1, 2):
        sub = g.subgraphs[number]
        truth = sub.const(np.array([True]), dtype="bool")
        sub.inputs, sub.operators, sub.outputs = [sub.inputs[0]], [], []
        y = sub.value((1, 5))
        sub.op("IF", [truth, sub.inputs[0]], [y], "IfOptions", thenSubgraphIndex=3 - number, elseSubgraphIndex=number)
        sub.outputs = [y]


def added(g):
    """A condition that is a sum of numbers."""
    y = g.tensor((1, 12), scale=S, zero_point=Z, name="sum")
    g.op("ADD", [g.inputs[1], g.inputs[1]], [y], "AddOptions")
    g.operators.insert(0, g.operators.pop())
    g.operators[1].inputs = [y, g.inputs[1]]


def compared(g):
    """A condition that compares two numbers of the model."""
    a, b, y = g.input((1,), S, Z), g.input((1,), S, Z), g.tensor((1,), "bool", name="which")
    g.op("GREATER", [a, b], [y], "GreaterOptions")
    g.operators.insert(0, g.operators.pop())
    g.operators[1].inputs = [y, g.inputs[1]]
    g.inputs = g.inputs[1:]


FILES = {
    "if_calls_itself": option("thenSubgraphIndex", 0),
    "if_subgraph_outside": option("elseSubgraphIndex", 3),
    "if_subgraph_negative": option("thenSubgraphIndex", -1),
    "if_deep": branching(deep),
    "if_no_options": branching(lambda g: setattr(g.operators[0], "builtinOptionsType", 0)),
    "if_no_condition": branching(lambda g: setattr(g.operators[0], "inputs", [])),
    "if_operand_missing": branching(lambda g: setattr(g.operators[0], "inputs", [0])),
    "if_operand_absent": branching(lambda g: setattr(g.operators[0], "inputs", [0, -1])),
    "if_operand_of_another_shape": branching(lambda g: setattr(g.tensors[1], "shape", [1, 11])),
    "if_result_outside": branching(lambda g: setattr(g.subgraphs[1], "outputs", [99])),
    "if_result_unwritten": branching(lambda g: setattr(g.subgraphs[2], "operators", [])),
    "if_results_missing": branching(lambda g: setattr(g.subgraphs[2], "outputs", [])),
    "if_results_of_other_scales": branching(
        lambda g: setattr(g.subgraphs[1].tensors[g.subgraphs[1].outputs[0]].quantization, "scale", [0.25])),
    "if_condition_of_int8": branching(added),
    "if_condition_of_two_numbers": branching(compared),
    "empty": lambda: b"",
    "text": lambda: b"This is not a model.\n",
    "truncated": truncated,
    "truncated_header": truncated_header,
    "wrong_identifier": wrong_identifier,
    "root_offset_outside": root_offset_outside,
    "noise": noise,
    "no_subgraph": no_subgraph,
    "custom_op": custom_op,
    "two_unsupported_ops": two_unsupported_ops,
    "int16_comparison": int16_comparison,
    "float_conv": float_conv,
    "float_dense": float_dense,
    "tensor_index_outside": set_of(lambda g: g.operators[0], "inputs", [0, 99, 2]),
    "tensor_index_negative": set_of(lambda g: g.operators[0], "inputs", [-7, 1, 2]),
    "output_index_outside": set_of(lambda g: g.operators[0], "outputs", [1234567]),
    "opcode_index_outside": set_of(lambda g: g.operators[0], "opcodeIndex", 5),
    "buffer_index_outside": set_of(lambda g: g.tensors[1], "buffer", 77),
    "graph_input_outside": set_of(lambda g: g, "inputs", [42]),
    "inputs_missing": set_of(lambda g: g.operators[0], "inputs", []),
    "options_missing": set_of(lambda g: g.operators[0], "builtinOptionsType", 0),
    "reads_itself": set_of(lambda g: g.operators[0], "inputs", [3, 1, 2]),
    "writes_constant": set_of(lambda g: g.operators[0], "outputs", [1]),
    "weights_short": set_of(lambda g: g.buffers[1], "data", np.zeros(2, np.uint8)),
    "bias_short": set_of(lambda g: g.buffers[2], "data", np.zeros(4, np.uint8)),
    "shape_negative": set_of(lambda g: g.tensors[0], "shape", [1, -1, 3, 2]),
    "shape_zero": set_of(lambda g: g.tensors[0], "shape", [1, 0, 3, 2]),
    "shape_huge": set_of(lambda g: g.tensors[0], "shape", [2147483647, 2147483647, 2147483647, 2]),
    "shape_mismatch": set_of(lambda g: g.tensors[3], "shape", [1, 9, 9, 3]),
    "depth_mismatch": set_of(lambda g: g.tensors[0], "shape", [1, 3, 3, 5]),
    "scale_zero": set_of(lambda g: g.tensors[3].quantization, "scale", [0.0]),
    "scale_negative": set_of(lambda g: g.tensors[3].quantization, "scale", [-0.5]),
    "scale_nan": set_of(lambda g: g.tensors[0].quantization, "scale", [float("nan")]),
    "scale_infinite": set_of(lambda g: g.tensors[0].quantization, "scale", [float("inf")]),
    "scales_too_few": set_of(lambda g: g.tensors[1].quantization, "scale", [0.1, 0.2]),
    "scale_missing": set_of(lambda g: g.tensors[3], "quantization", None),
    "zero_point_outside": set_of(lambda g: g.tensors[3].quantization, "zeroPoint", [4000]),
    "stride_zero": set_of(lambda g: g.operators[0].builtinOptions, "strideH", 0),
    "stride_negative": set_of(lambda g: g.operators[0].builtinOptions, "strideW", -3),
    "dilation_huge": set_of(lambda g: g.operators[0].builtinOptions, "dilationHFactor", 2147483647),
}


def cases(suite):
    """Each entry becomes `bad/<name>.tflite`."""
    for name, make in FILES.items():
        suite.add_file(f"bad/{name}", make())
