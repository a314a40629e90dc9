"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR."""

from .model import Graph

# name: (shape, (height, width))
SIZES = {
    "up_2": ((1, 3, 4, 3), (6, 8)),
    "up_3_of_depth_1": ((1, 2, 3, 1), (6, 9)),
    "up_odd": ((1, 3, 5, 2), (7, 8)),
    "down_2": ((1, 6, 8, 2), (3, 4)),
    "down_odd": ((1, 7, 9, 3), (3, 2)),
    "down_to_1": ((1, 5, 4, 3), (1, 1)),
    "from_1": ((1, 1, 1, 3), (3, 4)),
    "same": ((1, 3, 4, 2), (3, 4)),
    "up_and_down": ((1, 3, 8, 2), (7, 3)),
    "batch_2": ((2, 3, 2, 5), (5, 4)),
}
MODES = {
    "": (False, False),
    "_align_corners": (True, False),
    "_half_pixel_centers": (False, True),
}


def cases(suite):
    """Every size in every mode."""
    for builtin, options in (
        ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
        ("RESIZE_BILINEAR", "ResizeBilinearOptions"),
    ):
        for name, (shape, size) in SIZES.items():
            for suffix, (corners, centers) in MODES.items():
                g = Graph()
                x = g.input(shape, 0.05, -7)
                y = g.output((shape[0], *size, shape[3]), 0.05, -7)
                g.op(builtin, [x, g.ints(size)], [y], options, alignCorners=corners, halfPixelCenters=centers)
                suite.add(f"{builtin.lower()}/{name}{suffix}", g)
