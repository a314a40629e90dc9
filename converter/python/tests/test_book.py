"""The scripts of the book's page on TensorFlow 2: what they print, and with TensorFlow installed that they still save what
the page converts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ferrolite

SCRIPTS = Path(__file__).resolve().parents[3] / "boards" / "book" / "tf2"


def run(folder, *words):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout


def test_eager(tmp_path):
    said = run(tmp_path, str(SCRIPTS / "eager.py"))
    assert "matmul [[1.0, 2.98" in said and "BATCH_MATMUL" in said and "[3, 2]" in said, said


def test_what_is_saved_converts():
    with np.load(SCRIPTS / "mnist.npz") as data:
        model = ferrolite.convert(SCRIPTS / "mnist.keras", calibrate=data["cal_x"])
        assert model.accuracy(data["test_x"], data["test_y"]) > 0.9
        reader = ferrolite.convert(SCRIPTS / "reader", calibrate=data["cal_x"])
        assert reader.accuracy(data["test_x"], data["test_y"]) > 0.75


@pytest.mark.parametrize(("script", "made"), [("loop.py", "peak"), ("average.py", "average"), ("iris.py", "iris.keras")])
def test_the_scripts_save_it(script, made, tmp_path):
    pytest.importorskip("tensorflow")
    shutil.copy(SCRIPTS / "iris.csv", tmp_path)
    run(tmp_path, str(SCRIPTS / script))
    samples = np.loadtxt(SCRIPTS / "readings.csv", delimiter=",", skiprows=1, dtype="f4")
    if made == "iris.keras":
        samples = np.loadtxt(tmp_path / "iris.csv", delimiter=",", skiprows=1, dtype="f4")[:, :4]
    one, other = (ferrolite.convert(folder / made, calibrate=samples) for folder in (tmp_path, SCRIPTS))
    assert [port.name for port in one.outputs] == [port.name for port in other.outputs]
    assert [port.shape for port in one.inputs] == [port.shape for port in other.inputs]
