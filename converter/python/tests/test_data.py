"""What samples and labels may look like, and what is refused in place of being misread."""

import numpy as np
import pytest

import ferrolite
from conftest import MODELS
from ferrolite import _data

SHAPE = [1, 4, 3]
ONE = [("x", SHAPE)]
TWO = [("zeta", [1, 4]), ("alpha", [1, 4, 3])]


def written(tmp_path, x, ports=ONE, most=None):
    with np.load(_data.write(x, tmp_path, "x", ports, most)) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.mark.parametrize("kinds", [("i8", "f4"), ("f4", "f8"), ("u1", "i8", "f4"), ("?", "f4")])
def test_later_samples_keep_their_fractions(tmp_path, kinds):
    random = np.random.default_rng(3)
    batches = [(random.normal(size=(7, 4, 3)) * 2).astype(kind) for kind in kinds for _ in range(2)]
    assert np.array_equal(written(tmp_path, iter(batches))["in0"], np.concatenate(batches))


def yielded(samples, labels):
    """All the ways to yield the same samples."""
    step = range(0, len(samples), 5)
    return {
        "sample": iter(samples),
        "batch": (samples[i : i + 5] for i in step),
        "nested lists of a batch": (samples[i : i + 5].tolist() for i in step),
        "list of samples": (list(samples[i : i + 5]) for i in step),
        "list of two": (list(samples[i : i + 2]) for i in range(0, len(samples), 2)),
        "nested lists of a sample": (sample.tolist() for sample in samples),
        "pair": ((samples[i : i + 5], labels[i : i + 5]) for i in step),
        "list of both": ([samples[i : i + 5], labels[i : i + 5]] for i in step),
        "sample and label": zip(samples, labels, strict=True),
        "nested lists and labels": ((samples[i : i + 5].tolist(), labels[i : i + 5].tolist()) for i in step),
        "with weights": ((samples[i : i + 5], labels[i : i + 5], labels[i : i + 5]) for i in step),
        "tuple of one, and labels": (((samples[i : i + 5],), labels[i : i + 5]) for i in step),
        "by name, with labels": ({"label": labels[i : i + 5], "x": samples[i : i + 5]} for i in step),
        "named, then labels": (({"x": samples[i : i + 5]}, labels[i : i + 5]) for i in step),
    }


def test_no_sample_is_lost_however_it_is_yielded(tmp_path):
    samples, labels = np.random.default_rng(4).normal(size=(20, 4, 3)).astype("f4"), np.arange(20)
    for how, x in yielded(samples, labels).items():
        [found] = written(tmp_path, x).values()
        assert found.shape == samples.shape and np.allclose(found, samples), how


def test_several_inputs_are_found_by_name_or_place(tmp_path):
    random = np.random.default_rng(5)
    zeta, alpha, y = random.normal(size=(10, 4)), random.normal(size=(10, 4, 3)), np.arange(10)
    step = range(0, 10, 5)
    ways = {
        "names in another order": ({"alpha": alpha[i : i + 5], "y": y[i : i + 5], "zeta": zeta[i : i + 5]} for i in step),
        "names and labels": (({"alpha": a, "zeta": z}, 1) for z, a in zip(zeta, alpha, strict=True)),
        "places": ((zeta[i : i + 5], alpha[i : i + 5]) for i in step),
        "places and labels": (((zeta[i : i + 5], alpha[i : i + 5]), y[i : i + 5]) for i in step),
        "lists and labels": (([zeta[i : i + 5], alpha[i : i + 5]], y[i : i + 5]) for i in step),
        "lists": ([z.tolist(), a.tolist()] for z, a in zip(zeta, alpha, strict=True)),
    }
    for how, x in ways.items():
        found = written(tmp_path, x, TWO)
        assert np.allclose(found.get("zeta", found.get("in0")), zeta), how
        assert np.allclose(found.get("alpha", found.get("in1")), alpha), how
    with pytest.raises(ferrolite.InputError, match="no array for input `zeta`"):
        written(tmp_path, iter([{"alpha": alpha[0]}]), TWO)


def test_what_makes_no_array_is_refused_with_a_reason(tmp_path):
    x = np.zeros((5, 4, 3), "f4")
    for held in ((x, np.zeros(5)), [(x[0], 0), (x[1], 1)], [[1, 2], [3]], ["a", None]):
        with pytest.raises(ferrolite.InputError, match="shape"):
            written(tmp_path, held)
    with pytest.raises(ferrolite.InputError, match=r"yielded has the shape \[7\]"):
        written(tmp_path, iter([np.zeros(7)]))


def test_a_refused_stream_leaves_no_file_open(tmp_path):
    import gc
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        with pytest.raises(ferrolite.InputError):
            written(tmp_path, iter([np.zeros((2, 4, 3)), np.zeros(7)]))
        gc.collect()


def test_samples_counts(tmp_path, digits):
    x = np.random.default_rng(6).normal(size=(20, 4, 3)).astype("f4")
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(20))

    def endless():
        while True:
            yield x

    assert len(np.load(_data.write(tmp_path / "a.npy", tmp_path, "x", ONE, 7))) == 7
    assert [len(a) for a in np.load(_data.write(str(tmp_path / "a.npz"), tmp_path, "x", ONE, 7)).values()] == [7, 7]
    assert [len(a) for a in written(tmp_path, endless(), most=33).values()] == [33]
    assert [len(a) for a in written(tmp_path, x, most=8).values()] == [8]
    for wrong in (-1, 0, 1.5, True):
        with pytest.raises(ferrolite.UsageError, match="samples="):
            written(tmp_path, x, most=wrong)
    with pytest.raises(ferrolite.UsageError, match="counts samples of arrays"):
        _data.write(MODELS, tmp_path, "x", ONE, 3)
    path, data = digits
    assert ferrolite.convert(path, data["cal_x"], samples=40).conversion["calibration_samples"] == 40


def test_labels_that_cannot_be_right_are_refused(model, digits):
    x, y = digits[1]["test_x"][:60], digits[1]["test_y"][:60].astype(int)
    right = model.accuracy(x, y)
    assert right > 0.9 and right == model.accuracy(x, np.eye(10)[y]) == model.accuracy(x, y[:, None].astype("f4"))
    for wrong in (y + 100, -y, np.eye(12)[y], y[:-1], y + 0.5, np.full((60, 10), 0.1)):
        with pytest.raises(ferrolite.InputError, match="label"):
            model.accuracy(x, wrong)
