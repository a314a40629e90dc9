"""Conversion: models and samples in all their forms, options, errors."""

import warnings

import numpy as np
import pytest

import ferrolite


def same(a, b, x):
    """Whether two models give the same integers."""
    one, other = a.run(x, raw=True), b.run(x, raw=True)
    return all(np.array_equal(p, q) for p, q in zip(one.values(), other.values(), strict=True))


def test_a_digit_classifier_keeps_its_accuracy(model, digits):
    _, data = digits
    assert model.accuracy(data["test_x"], data["test_y"]) >= 0.98
    one_hot = np.eye(10)[data["test_y"]]
    assert model.accuracy(data["test_x"], one_hot) == model.accuracy(data["test_x"], data["test_y"])
    assert 0 < model.arena_bytes < 20_000 and model.model_bytes == len(bytes(model))
    assert [port.shape for port in model.inputs] == [(1, 28, 28, 1)]
    assert "int8[1, 28, 28, 1]" in repr(model) and "CONV_2D" in model._repr_html_()


def test_samples_may_come_in_any_form(model, digits, tmp_path):
    path, data = digits
    x, test = data["cal_x"], data["test_x"][:20]
    np.save(tmp_path / "x.npy", x)
    forms = {
        "list": list(x),
        "dictionary": {"in0": x},
        "iterator of samples": iter(x),
        "batches with labels": ((x[i : i + 64], np.zeros(64)) for i in range(0, 256, 64)),
        "uneven batches": [x[:100], x[100:101], x[101:]].__iter__(),
        "path": tmp_path / "x.npy",
        "float64": x.astype("f8"),
    }
    for name, samples in forms.items():
        assert same(ferrolite.convert(path, calibrate=samples), model, test), name
    half = ferrolite.convert(path, calibrate=iter(x), samples=128)
    assert half.conversion["calibration_samples"] == 128


def test_a_model_may_be_bytes(model, digits):
    path, data = digits
    again = ferrolite.convert(path.read_bytes(), calibrate=data["cal_x"])
    assert same(again, model, data["test_x"][:20])


def test_options_have_the_programs_meaning(digits):
    path, data = digits
    fast = ferrolite.convert(path, data["cal_x"], target="cortex-m4", io="float", calibration="minmax", flash_budget="64K")
    assert fast.facts["target"] == "cortex-m4"
    assert fast.inputs[0].dtype == np.float32 and fast.inputs[0].scale is None
    with pytest.raises(ferrolite.BudgetError):
        ferrolite.convert(path, data["cal_x"], ram_budget=1000)


def test_errors_say_what_to_do_in_the_words_of_python(digits, tmp_path):
    path, data = digits
    with pytest.raises(ferrolite.InputError) as raised:
        ferrolite.convert(path)
    assert "`calibrate=`" in raised.value.help and "--" not in str(raised.value)
    with pytest.raises(ferrolite.UsageError, match="portable"):
        ferrolite.convert(path, data["cal_x"], target="cortex-m99")
    with pytest.raises(ferrolite.InputError, match="calibrate.npz: array `in0`"):
        ferrolite.convert(path, np.zeros((3, 5), "f4"))
    with pytest.raises(ferrolite.InputError, match="NaN|nan"):
        ferrolite.convert(path, np.full((3, 28, 28, 1), np.nan, "f4"))
    with pytest.raises(ferrolite.InputError, match="no samples"):
        ferrolite.convert(path, iter([]))
    with pytest.raises(ferrolite.InputError, match="shape"):
        ferrolite.convert(path, iter([np.zeros((5, 5))]))
    with pytest.raises(ferrolite.InputError, match="no model"):
        ferrolite.convert(3)
    with pytest.raises(ferrolite.InputError, match="absent"):
        ferrolite.load(tmp_path / "absent.ferro")
    with pytest.raises(ValueError):
        ferrolite.convert(b"nothing that is a model", data["cal_x"])
    damaged = tmp_path / "damaged.ferro"
    damaged.write_bytes(b"\0\0\0\0FERO" + bytes(100))
    with pytest.raises(ferrolite.InputError):
        ferrolite.load(damaged)


def test_doubts_are_warnings(digits):
    path, data = digits
    with pytest.warns(ferrolite.Doubt):
        # Noise where the model expects digits in its range: most of it lies outside.
        ferrolite.convert(path, data["cal_x"]).run(data["test_x"][:4] * 100 - 50)


def test_saved_and_loaded_models_are_the_same(model, digits, tmp_path):
    path = tmp_path / "m.ferro"
    model.save(path)
    model.save(path)
    assert path.read_bytes() == bytes(model) and [p.name for p in tmp_path.iterdir()] == ["m.ferro"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(ferrolite.load(path), model, digits[1]["test_x"][:4])


def test_inspect_reads_trained_models_too(digits):
    facts = ferrolite.inspect(digits[0])
    assert facts["format"] == "TensorFlow Lite" and facts["unsupported"] == [] and facts["ops"]
    names = [board["name"] for board in ferrolite.boards()]
    assert "qemu-cortex-m4" in names
