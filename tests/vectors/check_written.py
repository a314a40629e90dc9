#!/usr/bin/env python3
"""Holds what Ferrolite writes as .tflite against TFLM: `python tests/vectors/check_written.py FOLDER`.

FOLDER is what `FERROLITE_WRITTEN=FOLDER cargo test -p ferrolite-conformance --test written` left. TFLM runs each
written model on the inputs of its vector; its answers must be those that it gave for the original, byte for byte.
LiteRT's reference interpreter must load and run it. Needs the packages that README.md lists.
"""

import glob
import os
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro.python.tflite_micro import runtime

HERE = os.path.dirname(os.path.abspath(__file__))


def tflm(model, arrays):
    """Bytes that TFLM answers differently for the written model, over all samples."""
    interpreter = runtime.Interpreter.from_file(model)
    outputs = sum(name.startswith("out") for name in arrays)
    inputs = sum(name.startswith("in") for name in arrays)
    differing = 0
    for sample in range(len(arrays["in0"])):
        for i in range(inputs):
            interpreter.set_input(arrays[f"in{i}"][sample], i)
        interpreter.invoke()
        for i in range(outputs):
            differing += np.count_nonzero(interpreter.get_output(i) != arrays[f"out{i}"][sample])
    return differing


def litert(model, arrays):
    """Whether LiteRT runs the written model, and its share of differing bytes."""
    interpreter = Interpreter(model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    differing = 0
    for sample in range(len(arrays["in0"])):
        for i, detail in enumerate(interpreter.get_input_details()):
            interpreter.set_tensor(detail["index"], arrays[f"in{i}"][sample])
        interpreter.invoke()
        for i, detail in enumerate(interpreter.get_output_details()):
            differing += np.count_nonzero(interpreter.get_tensor(detail["index"]) != arrays[f"out{i}"][sample])
    return differing


def guarded(function, model, arrays):
    """`function` in a child process, which an interpreter may end."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            said = str(function(model, arrays))
        except Exception as error:  # The parent reports it.
            said = "will not run it: " + " ".join(str(error).split())[:300]
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    return said if status == 0 else f"ended with status {status}"


def main():
    folder = sys.argv[1]
    count = bad = 0
    for model in sorted(glob.glob(os.path.join(folder, "*", "*.tflite"))):
        case = os.path.relpath(model, folder)[: -len(".tflite")]
        arrays = dict(np.load(os.path.join(HERE, case + ".npz")))
        count += 1
        for name, function in (("TFLM", tflm), ("LiteRT", litert)):
            said = guarded(function, model, arrays)
            if said != "0":
                bad += name == "TFLM"
                print(f"{case}: {name}: {said}" + (" bytes differ" if said.isdigit() else ""))
    print(f"{count} written models, {bad} differ in TFLM")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
