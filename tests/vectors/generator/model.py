"""Builds small `.tflite` models, straight from the flatbuffers schema.

A `Graph` collects tensors and operators; `bytes()` packs them. Nothing is inferred: TFLM trusts the
shapes in the file, so the case that builds a graph computes each output shape itself.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {
    "f32": (schema.TensorType.FLOAT32, np.float32),
    "i8": (schema.TensorType.INT8, np.int8),
    "u8": (schema.TensorType.UINT8, np.uint8),
    "i16": (schema.TensorType.INT16, np.int16),
    "i32": (schema.TensorType.INT32, np.int32),
    "i64": (schema.TensorType.INT64, np.int64),
    "bool": (schema.TensorType.BOOL, np.bool_),
    "i4": (schema.TensorType.INT4, np.int8),
    "resource": (schema.TensorType.RESOURCE, np.int32),
}

ACTIVATIONS = {
    None: schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
    "relu_n1_to_1": schema.ActivationFunctionType.RELU_N1_TO_1,
}

PADDINGS = {"same": schema.Padding.SAME, "valid": schema.Padding.VALID}

# Optional operator inputs that are left out (a missing bias) have this index.
NONE = -1


class Graph:
    """The first subgraph, or one that another graph has added. Tensors are named by their index, as in the file."""

    def __init__(self):
        self.tensors = []
        self.buffers = [schema.BufferT()]  # Buffer 0 is empty by convention.
        self.codes = []
        self.operators = []
        self.inputs = []
        self.outputs = []
        self.specs = []  # (shape, dtype name, scale, zero_point) of each tensor
        self.number = 0
        self.subgraphs = [self]

    def add_subgraph(self, graph):
        """Makes a graph part of this one's file: buffers and operator codes are shared."""
        graph.buffers, graph.codes, graph.subgraphs = self.buffers, self.codes, self.subgraphs
        graph.number = len(self.subgraphs)
        self.subgraphs.append(graph)

    def tensor(self, shape, dtype="i8", scale=None, zero_point=0, data=None, qdim=0, name=None):
        """Adds a tensor; a `scale` that is a sequence makes it quantized per channel along `qdim`."""
        t = schema.TensorT()
        t.name = name or f"t{len(self.tensors)}"
        t.shape = [int(d) for d in shape]
        t.type = TYPES[dtype][0]
        t.buffer = 0
        if data is not None:
            data = np.asarray(data, TYPES[dtype][1], order="C")
            assert list(data.shape) == t.shape, (data.shape, t.shape)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            if dtype == "i4":
                # Two to a byte, the first in the lower half.
                halves = np.resize(np.append(buffer.data & 15, 0), (len(buffer.data) + 1) // 2 * 2).reshape(-1, 2)
                buffer.data = halves[:, 0] | halves[:, 1] << 4
            t.buffer = len(self.buffers)
            self.buffers.append(buffer)
        if scale is not None:
            q = schema.QuantizationParametersT()
            q.scale = np.atleast_1d(np.asarray(scale, np.float32)).tolist()
            zero_points = np.atleast_1d(np.asarray(zero_point, np.int64))
            q.zeroPoint = np.broadcast_to(zero_points, len(q.scale)).tolist()
            q.quantizedDimension = qdim
            t.quantization = q
        self.tensors.append(t)
        self.specs.append((tuple(t.shape), dtype, scale, zero_point))
        return len(self.tensors) - 1

    def input(self, shape, scale=None, zero_point=0, dtype="i8", name=None):
        """Adds a graph input."""
        index = self.tensor(shape, dtype, scale, zero_point, name=name)
        self.inputs.append(index)
        return index

    def output(self, shape, scale=None, zero_point=0, dtype="i8", name=None):
        """Adds a graph output."""
        index = self.tensor(shape, dtype, scale, zero_point, name=name)
        self.outputs.append(index)
        return index

    def const(self, data, scale=None, zero_point=0, dtype="i8", qdim=0, name=None):
        """Adds a tensor with data."""
        data = np.asarray(data)
        return self.tensor(data.shape, dtype, scale, zero_point, data, qdim, name)

    def ints(self, values):
        """Adds an int32 constant: axes, paddings, shapes. A bare number becomes a scalar."""
        return self.const(values, dtype="i32")

    def op(self, builtin, inputs, outputs, options=None, custom=None, **fields):
        """Adds an operator. `options` names the schema's table (`Conv2DOptions`), `fields` its members; of a custom
        operator, `options` are its bytes."""
        code = schema.BuiltinOperator.__dict__[builtin]
        key = (code, custom)
        if key not in self.codes:
            self.codes.append(key)
        o = schema.OperatorT()
        o.opcodeIndex = self.codes.index(key)
        o.inputs = [int(i) for i in inputs]
        o.outputs = [int(i) for i in outputs]
        if custom is not None and options is not None:
            o.customOptions = list(options)
        elif options is not None:
            o.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            o.builtinOptions = getattr(schema, options + "T")()
            for field, value in fields.items():
                assert hasattr(o.builtinOptions, field), (options, field)
                setattr(o.builtinOptions, field, value)
        self.operators.append(o)

    def packed(self):
        """The subgraph as the schema has it."""
        subgraph = schema.SubGraphT()
        subgraph.name = "main" if self.number == 0 else f"branch_{self.number}"
        subgraph.tensors = self.tensors
        subgraph.inputs = self.inputs
        subgraph.outputs = self.outputs
        subgraph.operators = self.operators
        return subgraph

    def bytes(self):
        """The finished file."""
        model = schema.ModelT()
        model.version = 3
        model.description = "Ferrolite conformance vector"
        model.subgraphs = [graph.packed() for graph in self.subgraphs]
        model.buffers = self.buffers
        model.operatorCodes = []
        for code, custom in self.codes:
            c = schema.OperatorCodeT()
            c.deprecatedBuiltinCode = min(code, 127)
            c.builtinCode = code
            c.customCode = custom
            c.version = 1
            model.operatorCodes.append(c)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())
