"""The program: `python -m ferrolite convert model.tflite -o model.ferro`."""

import sys

from ._ferrolite import main


def run() -> int:
    """Runs the command line of this process; returns the exit code."""
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
