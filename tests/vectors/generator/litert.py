"""Runs a model in LiteRT's reference kernels, in a child process."""

import os
import pickle
import tempfile

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from .tflm import Refused


def _invoke_all(model, inputs, outputs):
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
    results = []
    for sample in range(len(inputs[0])):
        for index, array in enumerate(inputs):
            interpreter.set_tensor(ins[index]["index"], array[sample])
        interpreter.invoke()
        results.append([interpreter.get_tensor(outs[i]["index"]).copy() for i in range(outputs)])
    return results


def run(model, inputs, outputs):
    """The outputs of each sample: `result[sample][output]`. Raises `Refused`."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as result:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            status = 1
            try:
                pickle.dump(_invoke_all(model, inputs, outputs), result)
                result.flush()
                status = 0
            except Exception as error:  # The parent reports it.
                os.write(2, f"{error}\n".encode())
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        if status != 0:
            said.seek(0)
            lines = [line.strip() for line in said.read().decode(errors="replace").splitlines()]
            raise Refused(next((line for line in reversed(lines) if line), "no reason given"))
        result.seek(0)
        return pickle.load(result)
