"""TFLite_Detection_PostProcess: of int8 behind DEQUANTIZE, with TFLM's answers, and of TensorFlow 1's uint8 with LiteRT's.

Rows behind the last box are zero here; both leave what was there before.
"""

import numpy as np
from flatbuffers import flexbuffers

from . import litert, tflm
from .model import Graph
from .suite import rng_of

NAME = "TFLite_Detection_PostProcess"


class Zeroed:
    """A runner whose rows behind the last box are zero."""

    def __init__(self, runner, rows):
        self.runner, self.rows = runner, rows

    def run(self, model, inputs, outputs):
        results = self.runner.run(model, inputs, outputs)
        for result in results:
            count = int(result[3].reshape(-1)[0]) * self.rows
            for output in result[:3]:
                output[0, count:] = 0
        return results


def options(given):
    """The operator's options."""
    builder = flexbuffers.Builder()
    with builder.Map():
        for key, value in given.items():
            if isinstance(value, bool):
                builder.Bool(key, value)
            elif isinstance(value, int):
                builder.Int(key, value)
            else:
                builder.Float(key, value)
    return bytes(builder.Finish())


def anchors(rng, count):
    """Anchors on a grid, of several sizes."""
    side = int(np.ceil(np.sqrt(count)))
    at = np.arange(count)
    centres = (np.stack([at // side, at % side], 1) + 0.5) / side
    return np.concatenate([centres, rng.uniform(0.15, 0.5, (count, 2))], 1).astype(np.float32)


def samples(rng, shapes, dtype, count=8):
    """Boxes anywhere and near their anchors, scores of few values, so that many are equal, and of many."""
    low = np.iinfo(dtype).min
    boxes = [rng.integers(low, low + 256, shapes[0]) for _ in range(count)]
    boxes[1::2] = [low + 128 + rng.integers(-12, 13, shapes[0]) for _ in boxes[1::2]]
    scores = [rng.integers(low, low + 256, shapes[1]) for _ in range(count)]
    scores[1::3] = [low + 200 + rng.integers(0, 4, shapes[1]) for _ in scores[1::3]]
    scores[3] = np.full(shapes[1], low)
    return [np.stack(boxes).astype(dtype), np.stack(scores).astype(dtype)]


CASES = {
    "fast": {},
    "fast_background": dict(background=True),
    "fast_no_threshold": dict(nms_score_threshold=-1.0, nms_iou_threshold=1.0),
    "fast_nothing": dict(nms_score_threshold=2.0),
    "fast_one": dict(boxes=1, max_detections=1, classes=1),
    "fast_more_than_boxes": dict(boxes=5, max_detections=9),
    "fast_keypoints": dict(codes=7, boxes=12),
    "fast_many": dict(boxes=150, classes=3, max_detections=20, nms_iou_threshold=0.3),
    "fast_scales_differ": dict(scales=(10.0, 9.0, 5.0, 4.0)),
    "regular": dict(use_regular_nms=True, detections_per_class=4),
    "regular_background": dict(use_regular_nms=True, detections_per_class=20, background=True),
    "regular_default": dict(use_regular_nms=True, max_detections=12),
    "regular_many": dict(use_regular_nms=True, boxes=100, classes=6, max_detections=25, detections_per_class=9),
    "regular_one_of_class": dict(use_regular_nms=True, detections_per_class=1, nms_iou_threshold=0.9),
}

# LiteRT's alone: TFLM writes beyond its results with several classes for each box.
UINT8 = {
    "fast": {},
    "fast_background": dict(background=True, boxes=60),
    "fast_two_classes": dict(max_classes_per_detection=2, classes=2),
    "regular": dict(use_regular_nms=True, detections_per_class=5, boxes=40),
}

DEFAULTS = dict(
    boxes=24, codes=4, classes=4, background=False, max_detections=10, max_classes_per_detection=1,
    nms_score_threshold=0.3, nms_iou_threshold=0.5, scales=(10.0, 10.0, 5.0, 5.0),
)


def add(suite, name, given, of_uint8):
    """One case."""
    rng, g, case = rng_of(name), Graph(), DEFAULTS | given
    count, columns = case["boxes"], case["classes"] + case["background"]
    shapes = [(1, count, case["codes"]), (1, count, columns)]
    kind, shift = ("u8", 128) if of_uint8 else ("i8", 0)
    # A scale under which no box is without an area in float32.
    quantization = [(0.06, 5 + shift), (1 / 256, shift - 128)]
    inputs = [g.input(shape, *numbers, kind) for shape, numbers in zip(shapes, quantization)]
    places = anchors(rng, count)
    if of_uint8:
        operands = inputs + [g.const(np.clip(np.round(places / 0.006), 1, 255) + 0, 0.006, 0, "u8")]
    else:
        operands = [g.tensor(shape, "f32") for shape in shapes]
        for of, to in zip(inputs, operands):
            g.op("DEQUANTIZE", [of], [to], "DequantizeOptions")
        operands.append(g.const(places, dtype="f32"))
    rows = case["max_detections"] * case["max_classes_per_detection"]
    outputs = [g.output(shape, dtype="f32") for shape in [(1, rows, 4), (1, rows), (1, rows), (1,)]]
    keys = ["max_detections", "max_classes_per_detection", "nms_score_threshold", "nms_iou_threshold",
            "detections_per_class", "use_regular_nms"]
    said = {key: case[key] for key in keys if key in case} | dict(num_classes=case["classes"])
    said |= dict(zip(["y_scale", "x_scale", "h_scale", "w_scale"], case["scales"]))
    g.op("CUSTOM", operands, outputs, options(said), custom=NAME)
    runner = Zeroed(litert if of_uint8 else tflm, case["max_classes_per_detection"])
    suite.add(name, g, inputs=samples(rng, shapes, np.uint8 if of_uint8 else np.int8), runner=runner)


def cases(suite):
    """All of them."""
    for name, given in CASES.items():
        add(suite, f"{NAME.lower()}/{name}", given, False)
    for name, given in UINT8.items():
        add(suite, f"uint8/detection_{name}", given, True)
