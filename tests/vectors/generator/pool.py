"""AVERAGE_POOL_2D and MAX_POOL_2D."""

from .model import ACTIVATIONS, PADDINGS, Graph
from .numbers import window

DEFAULTS = dict(
    shape=(1, 5, 4, 3), kernel=(2, 2), stride=(1, 1), padding="valid", act=None, scale=0.047, zp=-5,
)

POOL = {
    "odd_valid": {},
    "odd_same": dict(padding="same"),
    "kernel_3_same": dict(padding="same", kernel=(3, 3)),
    "stride_2": dict(stride=(2, 2), shape=(1, 6, 6, 2)),
    "stride_2_same_odd": dict(stride=(2, 2), shape=(1, 7, 5, 2), padding="same"),
    "stride_above_kernel": dict(stride=(3, 3), shape=(1, 8, 7, 3)),
    "stride_above_kernel_same": dict(stride=(3, 3), shape=(1, 8, 7, 3), padding="same"),
    "stride_rectangular": dict(stride=(1, 2), kernel=(3, 2), shape=(1, 5, 6, 3)),
    "kernel_rectangular": dict(kernel=(1, 3), shape=(1, 4, 5, 3)),
    "kernel_1": dict(kernel=(1, 1), stride=(2, 2)),
    "kernel_above_image": dict(kernel=(5, 5), padding="same", shape=(1, 2, 3, 3)),
    "whole_image": dict(kernel=(5, 4)),
    "whole_image_25_of_5": dict(kernel=(25, 5), stride=(25, 5), shape=(1, 25, 5, 2)),
    "one_pixel": dict(kernel=(1, 1), shape=(1, 1, 1, 5)),
    "depth_1": dict(shape=(1, 5, 6, 1), kernel=(3, 2)),
    "depth_17": dict(shape=(1, 3, 3, 17)),
    "batch_2": dict(shape=(2, 3, 4, 3)),
    "relu": dict(act="relu"),
    "relu6": dict(act="relu6"),
    "relu_n1_to_1": dict(act="relu_n1_to_1", padding="same"),
    "zero_point_low": dict(zp=-128, padding="same"),
    "zero_point_high": dict(zp=127, padding="same"),
    "two_values": dict(kernel=(1, 2), shape=(1, 4, 16, 1), stride=(1, 2)),
    "three_values": dict(kernel=(3, 1), shape=(1, 9, 8, 1), stride=(3, 1)),
}


def cases(suite):
    """Every shape with both operators."""
    for builtin in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
        for name, given in POOL.items():
            case = DEFAULTS | given
            g = Graph()
            n, h, w, depth = case["shape"]
            (kh, kw), (sh, sw) = case["kernel"], case["stride"]
            x = g.input(case["shape"], case["scale"], case["zp"])
            out = (n, window(h, kh, sh, 1, case["padding"]), window(w, kw, sw, 1, case["padding"]), depth)
            y = g.output(out, case["scale"], case["zp"])
            g.op(builtin, [x], [y], "Pool2DOptions", padding=PADDINGS[case["padding"]], strideH=sh, strideW=sw,
                 filterHeight=kh, filterWidth=kw, fusedActivationFunction=ACTIVATIONS[case["act"]])
            suite.add(f"{builtin.lower()}/{name}", g)
