"""UNIDIRECTIONAL_SEQUENCE_LSTM: the samples of a case are one sequence, since TFLM keeps states."""

import numpy as np

from .model import NONE, Graph, schema
from .suite import rng_of

DEFAULTS = dict(
    batch=1, steps=4, features=5, units=6, zp=(-3, 5), gain=1.0, s_in=0.02, s_out=1 / 128, cell=-11, clip=0.0,
    time_major=False, with_bias=True,
)

LSTM = {
    "odd": {},
    "one_step": dict(steps=1),
    "one_unit": dict(units=1),
    "one_feature": dict(features=1),
    "all_one": dict(steps=1, features=1, units=1),
    "long": dict(steps=40, features=3, units=4),
    "aligned": dict(steps=5, features=16, units=16),
    "wide": dict(steps=3, features=37, units=21),
    "batch_3": dict(batch=3),
    "time_major": dict(time_major=True),
    "time_major_batch_3": dict(time_major=True, batch=3),
    "zero_points_low": dict(zp=(-128, -128)),
    "zero_points_high": dict(zp=(127, 127)),
    "saturates": dict(gain=12.0),
    "multiplier_above_one": dict(s_in=4.0, gain=4.0),
    "multiplier_small": dict(gain=0.02),
    "cell_coarse": dict(cell=-8, steps=9),
    "cell_very_coarse": dict(cell=-5, steps=9, gain=4.0),
    "cell_fine": dict(cell=-15, steps=9),
    "cell_finer_than_tangent": dict(cell=-13, steps=9),
    "clip": dict(clip=0.75, steps=9, gain=4.0),
    "clip_beyond": dict(clip=1000.0),
    "hidden_fine": dict(s_out=1 / 500, zp=(0, -7)),
}


def add_lstm(suite, case_name, **given):
    """One layer; its weights fill about a quarter of the range of the sums, times `gain`."""
    case, name = DEFAULTS | given, f"unidirectional_sequence_lstm/{case_name}"
    rng, g = rng_of(name), Graph()
    batch, steps, features, units = (case[key] for key in ("batch", "steps", "features", "units"))
    first, second = (steps, batch) if case["time_major"] else (batch, steps)
    x = g.input((first, second, features), case["s_in"], case["zp"][0])

    def matrix(columns, scale):
        values = rng.integers(-127, 128, (units, columns))
        values.flat[0] = 127
        s_w = case["gain"] * 2.0 / (np.sqrt(columns) * 73.0 * 73.0 * scale) * 2.0 ** rng.uniform(-1, 1)
        return g.const(values, s_w), s_w

    inputs = [matrix(features, case["s_in"]) for _ in range(4)]
    states = [matrix(units, case["s_out"]) for _ in range(4)]
    biases = [
        g.const(np.round(rng.normal(0, 1, units) / (case["s_in"] * s_w)), case["s_in"] * s_w, dtype="i32")
        for _, s_w in inputs
    ]
    hidden = g.tensor((batch, units), "i8", case["s_out"], case["zp"][1])
    cell = g.tensor((batch, units), "i16", 2.0 ** case["cell"], 0)
    for state in (hidden, cell):
        g.tensors[state].isVariable = True
    y = g.output((first, second, units), case["s_out"], case["zp"][1])
    operands = [x, *(m for m, _ in inputs), *(m for m, _ in states), NONE, NONE, NONE, *biases, NONE, NONE]
    g.op("UNIDIRECTIONAL_SEQUENCE_LSTM", [*operands, hidden, cell, NONE, NONE, NONE, NONE], [y],
         "UnidirectionalSequenceLSTMOptions", timeMajor=case["time_major"], cellClip=case["clip"],
         fusedActivationFunction=schema.ActivationFunctionType.TANH)
    suite.add(name, g)


def cases(suite):
    """All layers over time."""
    for name, case in LSTM.items():
        add_lstm(suite, name, **case)
