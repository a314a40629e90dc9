"""UNIDIRECTIONAL_SEQUENCE_LSTM: the samples of a case are one sequence, since TFLM keeps states."""

import numpy as np

from .model import NONE, Graph, schema
from .suite import rng_of

DEFAULTS = dict(
    batch=1, steps=4, features=5, units=6, zp=(-3, 5), gain=1.0, s_in=0.02, s_out=1 / 128, cell=-11, clip=0.0,
    time_major=False, with_bias=True, wide=False,
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
    "int16_odd": dict(wide=True, zp=(0, 0), s_in=1 / 8000, s_out=1 / 32768),
    "int16_one": dict(wide=True, zp=(0, 0), s_in=1 / 8000, s_out=1 / 32768, steps=1, features=1, units=1),
    "int16_long": dict(wide=True, zp=(0, 0), s_in=1 / 8000, s_out=1 / 32768, steps=40, features=3, units=4),
    "int16_wide": dict(wide=True, zp=(0, 0), s_in=1 / 8000, s_out=1 / 32768, steps=3, features=37, units=21),
    "int16_batch_3": dict(wide=True, zp=(0, 0), s_in=1 / 8000, s_out=1 / 32768, batch=3),
    "int16_time_major": dict(wide=True, zp=(0, 0), s_in=1 / 8000, s_out=1 / 32768, time_major=True, batch=2),
    "int16_saturates": dict(wide=True, zp=(0, 0), s_in=1 / 8000, s_out=1 / 32768, gain=12.0),
    "int16_cell_coarse": dict(wide=True, zp=(0, 0), s_in=1 / 8000, s_out=1 / 32768, cell=-8, steps=9),
    "int16_clip": dict(wide=True, zp=(0, 0), s_in=1 / 8000, s_out=1 / 32768, clip=0.75, steps=9, gain=4.0),
}


def add_lstm(suite, case_name, **given):
    """One layer; its weights fill about a quarter of the range of the sums, times `gain`."""
    case, name = DEFAULTS | given, f"unidirectional_sequence_lstm/{case_name}"
    rng, g = rng_of(name), Graph()
    batch, steps, features, units = (case[key] for key in ("batch", "steps", "features", "units"))
    first, second = (steps, batch) if case["time_major"] else (batch, steps)
    kind, bias_kind = ("i16", "i64") if case["wide"] else ("i8", "i32")
    # Numbers of an int16 are about as large as those of an int8.
    s_in, s_out = (256 * case[key] if case["wide"] else case[key] for key in ("s_in", "s_out"))
    x = g.input((first, second, features), case["s_in"], case["zp"][0], dtype=kind)

    def matrix(columns, scale):
        values = rng.integers(-127, 128, (units, columns))
        values.flat[0] = 127
        s_w = case["gain"] * 2.0 / (np.sqrt(columns) * 73.0 * 73.0 * scale) * 2.0 ** rng.uniform(-1, 1)
        return g.const(values, s_w), s_w

    inputs = [matrix(features, s_in) for _ in range(4)]
    states = [matrix(units, s_out) for _ in range(4)]
    biases = [
        g.const(np.round(rng.normal(0, 1, units) / (case["s_in"] * s_w)), case["s_in"] * s_w, dtype=bias_kind)
        for _, s_w in inputs
    ]
    hidden = g.tensor((batch, units), kind, case["s_out"], case["zp"][1])
    cell = g.tensor((batch, units), "i16", 2.0 ** case["cell"], 0)
    for state in (hidden, cell):
        g.tensors[state].isVariable = True
    y = g.output((first, second, units), case["s_out"], case["zp"][1], dtype=kind)
    operands = [x, *(m for m, _ in inputs), *(m for m, _ in states), NONE, NONE, NONE, *biases, NONE, NONE]
    g.op("UNIDIRECTIONAL_SEQUENCE_LSTM", [*operands, hidden, cell, NONE, NONE, NONE, NONE], [y],
         "UnidirectionalSequenceLSTMOptions", timeMajor=case["time_major"], cellClip=case["clip"],
         fusedActivationFunction=schema.ActivationFunctionType.TANH)
    suite.add(name, g)


def cases(suite):
    """All layers over time."""
    for name, case in LSTM.items():
        add_lstm(suite, name, **case)
