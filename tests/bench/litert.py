#!/usr/bin/env python3
"""Compares the host's speed with LiteRT's interpreters, in one run on one thread.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install ai-edge-litert numpy
    /tmp/venv/bin/python tests/bench/litert.py MODEL.tflite ...

Times are medians in microseconds. "plain" is LiteRT without its default delegate (XNNPACK), "xnnpack" with it.
Rounds alternate between both programs, so that a busy machine slows down all; the best round of each counts.
Exits with 1 where Ferrolite takes longer than LiteRT's plain interpreter.
"""
import collections
import pathlib
import statistics
import subprocess
import sys
import time

import numpy
from ai_edge_litert.interpreter import Interpreter, OpResolverType

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ["cargo", "run", "--release", "-q", "-p", "ferrolite-conformance", "--example", "host_speed", "--"]
ROUNDS = 3
SECONDS = 0.4
KINDS = {
    "plain": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "xnnpack": OpResolverType.BUILTIN,
}


def litert(model: str, kind: OpResolverType) -> float:
    """The median time of an inference on zeroes; infinite for a model that LiteRT refuses."""
    try:
        net = Interpreter(model_path=model, num_threads=1, experimental_op_resolver_type=kind)
    except ValueError as error:
        print(f"{pathlib.Path(model).stem}: {str(error)[:80]}", file=sys.stderr)
        return float("inf")
    net.allocate_tensors()
    for port in net.get_input_details():
        net.set_tensor(port["index"], numpy.zeros(port["shape"], port["dtype"]))
    times, start = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - start < SECONDS:
        begin = time.perf_counter()
        net.invoke()
        times.append((time.perf_counter() - begin) * 1e6)
    return statistics.median(times)


def main(models: list[str]) -> int:
    best = collections.defaultdict(lambda: float("inf"))
    for _ in range(ROUNDS):
        lines = subprocess.run(EXAMPLE + models, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for line in lines.splitlines():
            name, kernels, target, micros = line.split()
            if target == "host" or kernels == "portable":
                best[name, kernels] = min(best[name, kernels], float(micros))
        for model in models:
            for kind, resolver in KINDS.items():
                key = pathlib.Path(model).stem, kind
                best[key] = min(best[key], litert(model, resolver))
    columns = ["portable", "avx2", "host", *KINDS]
    print(f"{'us, one thread':<28}" + "".join(f"{column:>10}" for column in columns) + "  host : plain")
    slower = 0
    for name in [pathlib.Path(model).stem for model in models]:
        ratio = best[name, "host"] / best[name, "plain"]
        slower += ratio > 1
        print(f"{name:<28}" + "".join(f"{best[name, column]:>10.1f}" for column in columns) + f"{ratio:>14.2f}")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main([str(pathlib.Path(model).resolve()) for model in sys.argv[1:]]))
