"""Makes files with one BIDIRECTIONAL_SEQUENCE_LSTM each, `directions/*.tflite`, and LiteRT's answers, `directions.npz`.

    /tmp/venv/bin/python make_directions.py     # the environment of make.py

`directions.npz` has `FILE/in` and `FILE/out/NUMBER`, three samples each, from fresh states. Weights are random.
"""

import os

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s
from ai_edge_litert.interpreter import Interpreter, OpResolverType

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLES, BATCH, STEPS, FEATURES = 3, 1, 6, 5
rng = np.random.default_rng(41)
arrays = {}


class File:
    def __init__(self):
        self.graph = s.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.buffers = [s.BufferT()]

    def tensor(self, name, shape, data=None, variable=False, hybrid=False):
        t = s.TensorT()
        t.name, t.shape, t.type, t.buffer, t.isVariable = name, list(shape), s.TensorType.FLOAT32, 0, variable
        if data is not None:
            if hybrid:
                scale = float(np.abs(data).max() / 127)
                data = np.round(data / scale).astype(np.int8)
                t.type, t.quantization = s.TensorType.INT8, s.QuantizationParametersT()
                t.quantization.scale, t.quantization.zeroPoint = [scale], [0]
            buffer = s.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            self.buffers.append(buffer)
            t.buffer = len(self.buffers) - 1
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1


def make(name, units, merged, time_major, peepholes=False, hybrid=False, clip=0.0, bias=True):
    f = File()
    shape = [STEPS, BATCH, FEATURES] if time_major else [BATCH, STEPS, FEATURES]
    x = f.tensor("x", shape)
    inputs = [x] + [-1] * 47

    def weights(at, *shape, matrix=True):
        data = (rng.standard_normal(shape) * 0.6).astype(np.float32)
        inputs[at] = f.tensor(f"w{at}", shape, data, hybrid=hybrid and matrix)

    for at, count in ((1, units[0]), (18, units[1])):
        for gate in range(4):
            weights(at + gate, count, FEATURES)
            weights(at + 4 + gate, count, count)
            if bias:
                weights(at + 11 + gate, count, matrix=False)
        for gate in range(3):
            if peepholes:
                weights(at + 8 + gate, count)
    for at, count in ((35, units[0]), (36, units[0]), (37, units[1]), (38, units[1])):
        inputs[at] = f.tensor(f"state{at}", [BATCH, count], variable=True)
    widths = [sum(units)] if merged else units
    outputs = [f.tensor(f"y{i}", [*shape[:2], width]) for i, width in enumerate(widths)]
    op = s.OperatorT()
    op.inputs, op.outputs, op.opcodeIndex = inputs, outputs, 0
    op.builtinOptionsType = s.BuiltinOptions.BidirectionalSequenceLSTMOptions
    op.builtinOptions = o = s.BidirectionalSequenceLSTMOptionsT()
    o.fusedActivationFunction = s.ActivationFunctionType.TANH
    o.cellClip, o.mergeOutputs, o.timeMajor = clip, merged, time_major
    f.graph.operators, f.graph.inputs, f.graph.outputs = [op], [x], outputs
    code = s.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = s.BuiltinOperator.BIDIRECTIONAL_SEQUENCE_LSTM
    code.version = 3 if hybrid else 1
    model = s.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [f.graph], f.buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    data = bytes(builder.Output())
    with open(os.path.join(HERE, "directions", f"{name}.tflite"), "wb") as file:
        file.write(data)
    rows, answers = [], [[] for _ in outputs]
    for _ in range(SAMPLES):
        net = Interpreter(model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        net.allocate_tensors()
        row = rng.standard_normal(shape).astype(np.float32)
        net.set_tensor(net.get_input_details()[0]["index"], row)
        net.invoke()
        rows.append(row)
        for number, detail in enumerate(net.get_output_details()):
            answers[number].append(net.get_tensor(detail["index"]))
    arrays[f"{name}.tflite/in"] = np.stack(rows)
    for number, answer in enumerate(answers):
        arrays[f"{name}.tflite/out/{number}"] = np.stack(answer)


make("merged", [4, 4], True, True)
make("apart", [4, 4], False, False)
make("peepholes", [4, 4], True, True, peepholes=True)
make("clipped", [4, 4], False, True, clip=0.4)
make("hybrid", [8, 8], True, True, hybrid=True)
with open(os.path.join(HERE, "directions.npz"), "wb") as file:
    np.savez_compressed(file, **arrays)
