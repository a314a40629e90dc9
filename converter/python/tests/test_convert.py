"""Conversion: models and samples in all their forms, options, errors."""

import warnings
from pathlib import Path

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
    with pytest.raises(ferrolite.InputError, match="`calibrate`: array `in0`"):
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


def test_options_in_messages_become_arguments():
    from ferrolite._model import _in_python, _unwritten

    for said, wanted in {
        "give `--flash-budget N`": "give `flash_budget=`",
        "`ferrolite run --help` lists the arguments": "`ferrolite run --help` lists the arguments",
        "with `--input-shape NAME=1,28,28,1`": 'with `input_shape={"NAME": (1, 28, 28, 1)}`',
        "with `--input-value NAME=V`": "with `input_values=`",
        "as in `--input-value sr=16000`": 'as in `input_values={"sr": 16000}`',
        "as in `--input-shape input:0=1,28`": 'as in `input_shape={"input:0": (1, 28)}`',
        "'--scale <RANGE>'": "`scale=`",
        "leave out --strict": "leave out `strict=`",
        "invalid value '--x' for '--on <BOARD>'": "invalid value '--x' for `on=`",
        "./--help: cannot be opened": "./--help: cannot be opened",
        "--calibrate was not needed": "`calibrate=` was not needed",
        "give samples with `--calibrate DATA`": "give samples with `calibrate=`",
        "`--scale 0..255` or a-b--c": '`scale="0..255"` or a-b--c',
    }.items():
        assert _in_python(said) == wanted
    folder = Path("here")
    told = _unwritten(f"{folder / 'x.npz'}: several arrays fit\nsay which one: {folder / 'x.npz'}:bar", folder)
    assert told == '`x`: several arrays fit\ngive the one alone, as `{"bar": …}`'


def test_words_that_begin_with_a_dash_are_no_options(model, tmp_path):
    for wrong in (lambda: ferrolite.convert("--help"), lambda: model.run("-x.npz"), lambda: ferrolite.inspect("-V")):
        with pytest.raises(ferrolite.InputError):
            wrong()
    with pytest.raises(ferrolite.Error, match="clock"):
        model.bench(clock=-1)


def test_saving_and_loading_say_what_is_wrong(model, tmp_path):
    import os
    import stat
    import typing

    with pytest.raises(ferrolite.InputError, match="there is no folder") as raised:
        model.save(tmp_path / "absent" / "m.ferro")
    assert "absent" in str(raised.value) and ".m.ferro." not in str(raised.value)
    before = os.umask(0o027)
    try:
        model.save(tmp_path / "m.ferro")
    finally:
        os.umask(before)
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "m.ferro").stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["m.ferro"]
    assert bytes(ferrolite.load(bytes(model))) == bytes(model) == bytes(ferrolite.load(tmp_path / "m.ferro"))
    with pytest.raises(ferrolite.InputError, match="path"):
        ferrolite.load(3)
    with pytest.raises(ferrolite.UsageError, match="signature"):
        ferrolite.inspect(tmp_path / "m.ferro", signature="x")
    with pytest.raises(ferrolite.InputError, match="^the model: "):
        ferrolite.inspect(b"PK\x03\x04 and no more")
    with pytest.raises(ferrolite.UsageError, match="input_shape"):
        ferrolite.inspect(tmp_path / "m.ferro", input_shape=(1, 4))
    assert typing.get_type_hints(ferrolite.Model.session)["return"].__name__ == "Session"


def test_layers_of_ones_own_are_exported():
    keras = pytest.importorskip("keras")

    class Twice(keras.layers.Layer):
        def call(self, x):
            return x * 2.0

    net = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4), Twice(), keras.layers.Lambda(lambda x: x + 1.0)])
    x = np.random.default_rng(11).normal(size=(50, 6)).astype("f4")
    found = ferrolite.convert(net, x).predict(x)
    wanted = np.asarray(net(x))
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def test_a_graph_of_tensorflow_1_says_where_it_begins():
    folder = Path(__file__).resolve().parents[3] / "tests" / "models" / "tf1"
    with np.load(folder / "spotter.npz") as data:
        samples, answers = data["fingerprint"], data["labels_softmax"]
    shape = {"fingerprint": (1, 80)}
    m = ferrolite.convert(
        folder / "spotter.pb", calibrate=samples, inputs="fingerprint", outputs=["labels_softmax"], input_shape=shape
    )
    assert m.accuracy(samples, answers.argmax(1)) > 0.9
    with pytest.raises(ferrolite.InputError, match="no node `other`"):
        ferrolite.convert(folder / "spotter.pb", calibrate=samples, outputs="other")
