#!/usr/bin/env python3
"""Makes all op conformance vectors anew: `python tests/vectors/generate.py`.

With arguments, only the cases whose name begins with one of them: `generate.py conv_2d add/tie`.
`README.md` beside this file says what the vectors are and which versions made them.
"""

import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from generator import FAMILIES  # noqa: E402
from generator.suite import Suite  # noqa: E402


def main():
    only = sys.argv[1:]
    if not only:
        for entry in os.scandir(HERE):
            if entry.is_dir() and entry.name != "generator":
                shutil.rmtree(entry.path)
    suite = Suite(HERE, only)
    for family in FAMILIES:
        family(suite)
    if not only:
        with open(os.path.join(HERE, "refused.txt"), "w") as file:
            file.writelines(f"{name}: {reason}\n" for name, reason in sorted(suite.refused))
    for name, reason in suite.refused:
        print(f"refused: {name}: {reason}")
    for name in suite.dull:
        print(f"dull (fewer than 3 values): {name}")
    print(f"{suite.written} cases written, {len(suite.refused)} refused")


if __name__ == "__main__":
    main()
