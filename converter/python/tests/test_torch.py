"""Models and data sets of the real PyTorch."""

import numpy as np
import pytest

import ferrolite

torch = pytest.importorskip("torch")


def test_a_module_and_a_loader():
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 5))
    x = torch.randn(100, 1, 8, 8)
    with torch.no_grad():
        expected = model(x).numpy()
    int8 = ferrolite.convert(model, calibrate=x)
    assert np.abs(int8.predict(x) - expected).max() < 0.1 * np.abs(expected).max()
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, torch.zeros(100)), batch_size=16)
    again = ferrolite.convert(model, calibrate=data)
    assert np.array_equal(again.predict(x), int8.predict(x))
    assert int8.compare(model, x)["sqnr_db"] > 25
    with pytest.raises(ferrolite.InputError, match="example"):
        ferrolite.convert(model)
