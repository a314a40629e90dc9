"""Runs a model in TFLM, in a child process: TFLM may abort on a model that it does not support."""

import os
import pickle
import re
import tempfile

from tflite_micro.python.tflite_micro import runtime

ARENA = 1 << 20


class Refused(Exception):
    """TFLM would not run the model; the text is what it said."""


def _invoke_all(model, inputs, outputs):
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=ARENA)
    results = []
    for sample in range(len(inputs[0])):
        for index, array in enumerate(inputs):
            interpreter.set_input(array[sample], index)
        interpreter.invoke()
        results.append([interpreter.get_output(i).copy() for i in range(outputs)])
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
            lines = [line for line in lines if line]
            if os.WIFSIGNALED(status):
                lines.insert(0, f"(ended by signal {os.WTERMSIG(status)})")
            # The first line says why. TFLM prints scales through an integer format: noise.
            reason = re.sub(r" \(-?\d{5,} != -?\d{5,}\)", "", lines[0]) if lines else "no reason given"
            raise Refused(reason)
        result.seek(0)
        return pickle.load(result)
