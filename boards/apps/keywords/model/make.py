"""Makes what the application is built with, in the folder `made` beside this file, which Git ignores.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy tflite-micro
    FERROLITE_SHARED=/path/to/shared /tmp/venv/bin/python make.py

`keywords.ferro` and `keywords.rs` are TFLM's model micro_speech, by `ferrolite convert`; `features.bin` is a recording of
eight seconds: 399 rows of 40 features, int8, one for each 20 ms. Both are made of other people's files in the shared
folder (without FERROLITE_SHARED: `shared` beside the repository), so the repository has neither.
"""

import os
import pathlib
import subprocess
import sys
import wave

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[3]
MODELS = pathlib.Path(os.environ.get("FERROLITE_SHARED", ROOT.parent / "shared")).resolve() / "models"
MODEL = MODELS / "real/micro_speech_quantized.tflite"
PREPROCESSOR = MODELS / "real/audio_preprocessor_int8.tflite"
SOUNDS = MODELS / "datasets/audio"

# A second each.
SECONDS = ["silence", "yes", "noise", "no", "silence", "yes", "no", "silence"]
RATE = 16_000
# Samples that a row of features is made of, and from one row to the next.
WINDOW, STEP = RATE * 30 // 1000, RATE * 20 // 1000


def samples(path):
    """The sound of a file, int16, its first channel."""
    with wave.open(str(path)) as sound:
        if (sound.getframerate(), sound.getsampwidth()) != (RATE, 2):
            sys.exit(f"{path}: {sound.getframerate()} Hz of {sound.getsampwidth()} bytes; {RATE} Hz of 2 bytes are needed")
        frames = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
        return frames[:: sound.getnchannels()]


def features():
    """Rows of features, as TFLM's preprocessor makes them of windows that follow one another."""
    sound = np.concatenate([samples(SOUNDS / f"{name}_1000ms.wav") for name in SECONDS])
    preprocessor = runtime.Interpreter.from_file(str(PREPROCESSOR))
    rows = []
    for start in range(0, len(sound) - WINDOW + 1, STEP):
        preprocessor.set_input(sound[start : start + WINDOW].reshape(1, WINDOW), 0)
        preprocessor.invoke()
        rows.append(np.array(preprocessor.get_output(0), np.int8).reshape(-1))
    return np.stack(rows)


for needed in [MODEL, PREPROCESSOR, SOUNDS]:
    if not needed.exists():
        sys.exit(f"{needed} is not there (FERROLITE_SHARED names the folder of shared models)")
try:
    import numpy as np
    from tflite_micro.python.tflite_micro import runtime
except ImportError as error:
    sys.exit(f"{error}: pip install numpy tflite-micro")

rows = features()
made = HERE / "made"
made.mkdir(exist_ok=True)
(made / "features.bin").write_bytes(rows.tobytes())
print(f"{made / 'features.bin'}: {rows.shape[0]} rows of {rows.shape[1]} features")
convert = ["cargo", "run", "-q", "-p", "ferrolite", "--", "convert", MODEL, "--target", "cortex-m4"]
words = ["-o", made / "keywords.ferro", "--rust", made / "keywords.rs"]
sys.exit(subprocess.run([*convert, *words], cwd=ROOT).returncode)
