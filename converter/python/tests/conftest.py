"""Models and samples of the repository that all tests share."""

from pathlib import Path

import numpy as np
import pytest

import ferrolite

MODELS = Path(__file__).resolve().parents[3] / "tests" / "models"


@pytest.fixture(scope="session")
def digits():
    """A float digit classifier's path, and its samples."""
    folder = MODELS / "mnist_cnn"
    with np.load(folder / "data.npz") as data:
        return folder / "mnist_cnn_float.tflite", {name: data[name] for name in data.files}


@pytest.fixture(scope="session")
def model(digits):
    """The digit classifier in int8."""
    path, data = digits
    return ferrolite.convert(path, calibrate=data["cal_x"])
