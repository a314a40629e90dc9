#!/usr/bin/env python3
"""Holds the vectors against a second interpreter: `python tests/vectors/check.py [PREFIX…]`.

LiteRT's reference kernels run each model and infer its shapes themselves, so a case whose file gives TFLM a
wrong shape shows here. Prints each case that differs or that LiteRT will not run; `README.md` explains those.
"""

import glob
import os
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

HERE = os.path.dirname(os.path.abspath(__file__))


def compare(model, arrays):
    """What is to be said of one case, or an empty string."""
    interpreter = Interpreter(model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    worst, differing, total = 0.0, 0, 0
    for sample in range(len(arrays["in0"])):
        for i, detail in enumerate(inputs):
            interpreter.set_tensor(detail["index"], arrays[f"in{i}"][sample])
        interpreter.invoke()
        for i, detail in enumerate(outputs):
            theirs, ours = interpreter.get_tensor(detail["index"]), arrays[f"out{i}"][sample]
            if theirs.shape != ours.shape:
                return f"out{i} has shape {ours.shape}, LiteRT's {theirs.shape}"
            gap = np.abs(theirs.astype(np.float64) - ours.astype(np.float64))
            worst, differing, total = max(worst, gap.max()), differing + np.count_nonzero(gap), total + gap.size
    return f"{differing} of {total} values differ, by at most {worst:g}" if differing else ""


def guarded(model, arrays):
    """`compare` in a child process, which LiteRT may end; its own log is dropped."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            said = compare(model, arrays)
        except Exception as error:  # The parent reports it.
            said = "LiteRT will not run it: " + " ".join(str(error).split())
        os.write(write, said.encode()[:4000])
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    return said if status == 0 else f"LiteRT ended with status {status}"


def main():
    prefixes = tuple(sys.argv[1:]) or ("",)
    count = 0
    for path in sorted(glob.glob(os.path.join(HERE, "*", "*.npz"))):
        name = os.path.relpath(path, HERE)[: -len(".npz")]
        if name.startswith(prefixes):
            said = guarded(os.path.join(HERE, name + ".tflite"), np.load(path))
            count += 1
            if said:
                print(f"{name}: {said}")
    print(f"{count} cases compared")


if __name__ == "__main__":
    main()
