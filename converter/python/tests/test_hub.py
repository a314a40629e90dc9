"""The hub's models from Python."""

import numpy as np
import pytest

import ferrolite
import ferrolite.hub
from conftest import MODELS


def test_models_are_found_and_taken(tmp_path, monkeypatch):
    monkeypatch.delenv("FERROLITE_HUB", raising=False)
    names = [entry["name"] for entry in ferrolite.hub.list()]
    assert "mnist" in names and names == sorted(names)
    entry = ferrolite.hub.show("mnist")
    assert len(entry["source"]["sha256"]) == 64 and entry["labels"][3] == "3"
    m = ferrolite.hub.get("mnist", target="cortex-m4")
    with np.load(MODELS / "mnist_cnn" / "data.npz") as data:
        share = m.accuracy(data["test_x"], data["test_y"])
    assert share == pytest.approx(entry["figures"]["accuracy"]["share"])
    with pytest.raises(ferrolite.InputError, match="no model `other`"):
        ferrolite.hub.get("other")
    with pytest.raises(ferrolite.InputError, match="cannot be read"):
        ferrolite.hub.list(tmp_path / "absent")
