"""Links the library of the board's core: PlatformIO runs this when a project uses Ferrolite."""
import os

# Folder of `lib` for what `-mcpu` or the chip says. Where a core comes with two ways to pass floats, the flags decide.
CORES = {
    "cortex-m0": "cortex-m0plus",
    "cortex-m0plus": "cortex-m0plus",
    "cortex-m3": "cortex-m3",
    "cortex-m4": "cortex-m4",
    "cortex-m7": "cortex-m4",
    "cortex-m33": "cortex-m33",
    "cortex-m55": "cortex-m55",
    "esp32c3": "riscv32imc",
    "esp32c2": "riscv32imc",
    "esp32c6": "riscv32imac",
    "esp32h2": "riscv32imac",
}
SOFT = {"cortex-m4": "cortex-m4-soft"}


def folder(mcu, flags):
    """The folder of `lib` for a board's `build.cpu` or `build.mcu`, and the compiler's flags."""
    core = CORES.get(mcu.lower())
    if core is None:
        known = ", ".join(sorted(CORES))
        raise SystemExit("Ferrolite has no library for %s; it has them for %s" % (mcu, known))
    hard = "-mfloat-abi=hard" in flags
    return core if hard or core not in SOFT else SOFT[core]


def library(env, here):
    """The folder with the library for the board of an environment."""
    board = env.BoardConfig()
    mcu = board.get("build.cpu", "") or board.get("build.mcu", "")
    flags = [str(flag) for flag in env.get("CCFLAGS", [])]
    return os.path.join(here, "lib", folder(mcu, flags))


try:
    Import("env", "pio_lib_builder")  # noqa: F821: PlatformIO has them
except NameError:
    pass  # imported by a test
else:
    # PlatformIO hands these on to the program that the library is linked with.
    place = library(env, pio_lib_builder.path)  # noqa: F821
    env.Append(LIBPATH=[place], LIBS=["ferrolite"])  # noqa: F821
