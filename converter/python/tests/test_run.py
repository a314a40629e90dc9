"""Runs, layers, comparison, sessions, and TensorFlow Lite's verbs."""

import subprocess
import sys

import numpy as np
import pytest

import ferrolite
from conftest import MODELS


def test_answers_are_those_of_tensorflow_lite_micro():
    folder = MODELS / "mnist_cnn"
    with np.load(folder / "mnist_cnn_int8_tf.oracle.npz") as oracle:
        given, expected = oracle["in0"], oracle["tflm_out0"]
    net = ferrolite.Interpreter(model_path=str(folder / "mnist_cnn_int8_tf.tflite"))
    net.allocate_tensors()
    [into], [out] = net.get_input_details(), net.get_output_details()
    assert into["dtype"] == np.int8 and list(into["shape"]) == [1, 28, 28, 1]
    for sample, answer in zip(given[:5], expected[:5], strict=True):
        net.set_tensor(into["index"], sample.reshape(into["shape"]))
        net.invoke()
        assert np.array_equal(net.get_tensor(out["index"]).ravel(), answer.ravel())
    runner = net.get_signature_runner()
    answer = runner(**{into["name"]: given[0].reshape(into["shape"])})
    assert np.array_equal(answer[out["name"]].ravel(), expected[0].ravel())
    with pytest.raises(ValueError):
        net.set_tensor(into["index"], np.zeros((1, 28, 28, 1), "f4"))
    with pytest.raises(ValueError):
        net.resize_tensor_input(into["index"], [2, 28, 28, 1])
    with pytest.raises(ValueError):
        net.get_tensor(7)


def test_one_sample_and_many_give_the_same(model, digits):
    x = digits[1]["test_x"][:10]
    [many] = model.run(x).values()
    assert many.shape == (10, 10) and np.allclose(many.sum(axis=1), 1, atol=0.05)
    session = model.session()
    for sample, answer in zip(x, many, strict=True):
        assert np.array_equal(session.run(sample)[model.outputs[0].name][0], answer)
    assert np.array_equal(model.predict(x), many)
    stored = model.run(x, raw=True)[model.outputs[0].name]
    assert stored.dtype == np.int8 and np.array_equal(model.outputs[0].real(stored), many)


def test_layers_are_real_numbers_and_end_in_the_answer(model, digits):
    x = digits[1]["test_x"][:1]
    layers = model.layers(x)
    assert len(layers) == len(model.facts["ops"])
    assert np.allclose(list(layers.values())[-1], model.predict(x))


def test_comparison_with_the_source(model, digits, tmp_path):
    path, data = digits
    found = model.compare(path, data["test_x"], data["test_y"], report=tmp_path / "report.html")
    assert found["sqnr_db"] > 30 and abs(found["accuracy_float"] - found["accuracy_quantized"]) <= 0.01
    assert "<html" in (tmp_path / "report.html").read_text("utf-8")[:2000]
    assert "<iframe" in model.report(path, data["test_x"][:20])._repr_html_()


def test_bench_on_the_host(model):
    found = model.bench()
    assert found["board"] == "host" and found["wall_us"] > 0
    with pytest.raises(ferrolite.Error, match="nowhere"):
        model.bench("nowhere")


def test_named_state():
    source = MODELS.parent / "import" / "keras" / "today" / "bad_stateful.keras"
    shape = ferrolite.inspect(source)["inputs"][0]["shape"][1:]
    typical = np.random.default_rng(1).normal(size=(100, *shape)).astype("f4")
    streaming = ferrolite.convert(source, typical)
    assert streaming.variables
    session = streaming.session()
    name = streaming.variables[0].name
    first = session.state[name]
    x = typical[0]
    answers = [session.run(x) for _ in range(3)]
    assert not np.array_equal(session.state[name], first)
    kept = session.snapshot()
    ahead = [session.run(x) for _ in range(2)]
    session.restore(kept)
    again = [session.run(x) for _ in range(2)]
    for one, other in zip(ahead, again, strict=True):
        assert all(np.array_equal(one[key], other[key]) for key in one)
    session.reset()
    assert np.array_equal(session.state[name], first)
    assert all(np.array_equal(session.run(x)[key], answers[0][key]) for key in answers[0])
    session.state[name] = np.zeros_like(first)
    assert not session.state[name].any()
    with pytest.raises(KeyError):
        session.state["nothing"]
    with pytest.raises(ValueError):
        session.state["nothing"] = first
    with pytest.raises(ValueError):
        session.restore(kept[:-1])


def test_the_program_comes_with_the_package():
    def run(*words):
        return subprocess.run([sys.executable, "-m", "ferrolite", *words], capture_output=True, text=True, check=False)

    assert "qemu-cortex-m4" in run("boards").stdout
    wrong = run("inspect", "absent.ferro")
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: ")
    assert run("nonsense").returncode == 2


def test_importing_is_quick_and_needs_only_numpy():
    code = (
        "import sys, time, numpy; before = time.perf_counter(); import ferrolite\n"
        "heavy = [m for m in sys.modules if m.split('.')[0] in ('keras', 'tensorflow', 'torch', 'onnx')]\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
