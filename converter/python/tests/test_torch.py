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


class Cnn(torch.nn.Module):
    def __init__(self):
        super().__init__()
        nn = torch.nn
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )  # fmt: skip
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        return self.head(torch.flatten(self.features(x), 1))


class Recurrent(torch.nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.cells = kind(6, 12, batch_first=True, **options)
        self.head = torch.nn.Linear(24 if options.get("bidirectional") else 12, 4)

    def forward(self, x):
        return self.head(self.cells(x)[0].mean(1))


class Transformer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dropout=0.0)
        self.embed, self.head = torch.nn.Linear(6, 16), torch.nn.Linear(16, 4)
        self.encoder = torch.nn.TransformerEncoder(layer, 2)

    def forward(self, x):
        return self.head(self.encoder(self.embed(x)).mean(1))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (Cnn, (1, 16, 16)),
        (lambda: Recurrent(torch.nn.LSTM), (10, 6)),
        (lambda: Recurrent(torch.nn.LSTM, num_layers=2), (10, 6)),
        (lambda: Recurrent(torch.nn.GRU, bidirectional=True), (10, 6)),
        (lambda: Recurrent(torch.nn.RNN), (10, 6)),
        (Transformer, (10, 6)),
    ],
    ids=["cnn", "lstm", "lstm of two layers", "gru both ways", "rnn", "transformer"],
)
def test_networks_of_every_kind(make, shape):
    torch.manual_seed(2)
    model, x = make().eval(), torch.randn(100, *shape)
    with torch.no_grad():
        expected = model(x).numpy()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, torch.zeros(100)), batch_size=16)
    int8 = ferrolite.convert(model, calibrate=loader)
    assert np.abs(int8.predict(x) - expected).max() < 0.1 * np.abs(expected).max()
    assert int8.compare(model, x)["sqnr_db"] > 28
    # A loader's first sample is that of its array.
    for one, other in zip(int8.layers(loader).values(), int8.layers(x[:1]).values(), strict=True):
        assert np.array_equal(one, other)
