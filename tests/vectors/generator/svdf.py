"""SVDF: the samples of a case are one stream, since TFLM keeps states."""

import numpy as np

from .model import ACTIVATIONS, NONE, Graph
from .suite import rng_of

DEFAULTS = dict(
    batch=1, features=7, units=5, rank=1, memory=3, zp=(-3, 5, 0), gain=1.0, s_in=0.02, s_out=0.03, s_state=0.04,
    with_bias=True, state="i8", activation="relu",
)

SVDF = {
    "odd": {},
    "one_feature": dict(features=1),
    "one_unit": dict(units=1),
    "all_one": dict(features=1, units=1, memory=1),
    "memory_1": dict(memory=1),
    "memory_10": dict(memory=10),
    "aligned": dict(features=16, units=8, memory=8),
    "wide": dict(features=37, units=21, memory=5),
    "rank_2": dict(rank=2, units=6),
    "rank_3": dict(rank=3, units=3, memory=4),
    "batch_3": dict(batch=3),
    "batch_2_rank_2": dict(batch=2, rank=2),
    "no_bias": dict(with_bias=False),
    "state_zero_point": dict(zp=(-3, 5, -50)),
    "state_zero_point_wraps": dict(zp=(-3, 5, 37), gain=6.0),
    "zero_points_low": dict(zp=(-128, -128, 0)),
    "zero_points_high": dict(zp=(127, 127, 25)),
    "saturates": dict(gain=12.0),
    "multiplier_small": dict(gain=0.05),
    "no_activation": dict(activation=None),
    "int16_state": dict(state="i16", s_state=0.0005),
    "int16_state_rank_2": dict(state="i16", s_state=0.0005, rank=2, memory=6),
    "int16_state_saturates": dict(state="i16", s_state=0.0001, gain=4.0),
    "int16_state_batch_3": dict(state="i16", s_state=0.0005, batch=3),
}


def add_svdf(suite, case_name, **given):
    """One layer; its weights fill about half of the range of its state and of its results, times `gain`."""
    case, name = DEFAULTS | given, f"svdf/{case_name}"
    rng, g = rng_of(name), Graph()
    batch, features, units, rank, memory = (case[key] for key in ("batch", "features", "units", "rank", "memory"))
    filters, wide = units * rank, case["state"] == "i16"
    most = 32767 if wide else 127
    x = g.input((batch, features), case["s_in"], case["zp"][0])

    def random(shape, highest):
        values = rng.integers(-highest, highest + 1, shape)
        values.flat[0] = highest
        return values

    s_feature = case["gain"] * case["s_state"] * 0.5 * most / (np.sqrt(features) * 73.0 * 73.0 * case["s_in"])
    feature = g.const(random((filters, features), 127), s_feature)
    s_time = case["gain"] * case["s_out"] * 64 / (np.sqrt(memory * rank) * 0.33 * most * most * case["s_state"])
    time = g.const(random((filters, memory), most), s_time, dtype=case["state"])
    s_bias = case["s_state"] * s_time
    bias = NONE
    if case["with_bias"]:
        bias = g.const(np.round(rng.normal(0, 20 * case["s_out"], units) / s_bias), s_bias, dtype="i32")
    state = g.tensor((batch, filters * memory), case["state"], case["s_state"], case["zp"][2])
    g.tensors[state].isVariable = True
    y = g.output((batch, units), case["s_out"], case["zp"][1])
    g.op("SVDF", [x, feature, time, bias, state], [y], "SVDFOptions", rank=rank,
         fusedActivationFunction=ACTIVATIONS[case["activation"]])
    suite.add(name, g, samples=12)


def cases(suite):
    """All forms."""
    for name, case in SVDF.items():
        add_svdf(suite, name, **case)
