"""Outputs of all kinds, state, TensorFlow Lite's verbs, and copies."""

import copy
import pickle

from pathlib import Path

import numpy as np
import pytest

import ferrolite
from conftest import MODELS


@pytest.fixture(scope="module")
def streaming():
    source = MODELS.parent / "import" / "keras" / "today" / "bad_stateful.keras"
    shape = ferrolite.inspect(source)["inputs"][0]["shape"][1:]
    typical = np.random.default_rng(1).normal(size=(100, *shape)).astype("f4")
    return ferrolite.convert(source, typical), typical


def test_state_takes_finite_numbers_only(streaming):
    model, _ = streaming
    session = model.session()
    [name, *_] = session.state
    before = session.snapshot()
    for wrong in (np.nan, np.inf, -np.inf):
        with pytest.raises(ferrolite.InputError, match="variable"):
            session.state[name] = np.full_like(session.state[name], wrong, dtype="f4")
    with pytest.raises(ferrolite.InputError, match="int64.*\n.*float32"):
        session.state[name] = np.ones(session.state[name].shape, "i8").tolist()
    assert session.snapshot() == before


def test_inputs_are_written_through_tensor():
    net = ferrolite.Interpreter(str(MODELS / "mnist_cnn" / "mnist_cnn_int8_tf.tflite"))
    [into], [out] = net.get_input_details(), net.get_output_details()
    given = np.random.default_rng(2).integers(-128, 128, into["shape"]).astype(np.int8)
    net.set_tensor(into["index"], given)
    net.invoke()
    wanted = net.get_tensor(out["index"])
    shown = net.tensor(out["index"])
    net.set_tensor(into["index"], np.zeros_like(given))
    net.invoke()
    assert not np.array_equal(shown(), wanted)
    net.tensor(into["index"])()[...] = given
    net.invoke()
    assert np.array_equal(shown(), wanted) and np.array_equal(net.get_tensor(into["index"]), given)
    with pytest.raises(ValueError):
        shown()[...] = 0
    runner = net.get_signature_runner()
    assert runner.get_input_details()[into["name"]]["dtype"] == np.int8
    assert list(runner.get_output_details()) == [out["name"]]
    assert np.array_equal(pickle.loads(pickle.dumps(net)).get_tensor(out["index"]), wanted)


def test_an_interpreter_refuses_what_it_does_not_know(digits):
    path, data = digits
    with pytest.raises(TypeError, match="foo"):
        ferrolite.Interpreter(str(path), foo=3)
    with pytest.raises(ferrolite.InputError, match=path.name):
        ferrolite.Interpreter(str(path))
    assert ferrolite.Interpreter(str(path), calibrate=data["cal_x"]).get_output_details()


def test_copies_answer_alike(streaming, digits):
    model, typical = streaming
    session = model.session()
    session.run(typical[0])
    others = [copy.deepcopy(session), pickle.loads(pickle.dumps(session))]
    wanted = session.run(typical[1])
    for other in others:
        again = other.run(typical[1])
        assert all(np.array_equal(again[key], wanted[key]) for key in wanted)
    twin = pickle.loads(pickle.dumps(model))
    assert bytes(twin) == bytes(model) and twin.conversion == model.conversion and copy.copy(model).inputs == model.inputs


def test_one_sample_has_the_shape_that_many_have(streaming):
    model, typical = streaming
    for name, array in model.run(typical[:1]).items():
        found = model.session().run(typical[:1])[name]
        assert found.shape == array.shape and np.array_equal(found, array)
        found[...] = 0  # It is the caller's own.
    layers = model.layers(typical[:1])
    next(iter(layers.values()))[...] = 0


def test_layers_and_sessions_take_what_yields_samples(model, digits, tmp_path):
    x = digits[1]["test_x"][:5]
    expected = model.run(x)
    for samples in (lambda: iter(x), lambda: ((row, 0) for row in x), lambda: (row[None] for row in x), lambda: iter([x[:3], x[3:]])):
        for name, answers in model.session().run(samples()).items():
            assert np.array_equal(answers, expected[name])
        stream = model.session().stream(samples())
        for index, answers in enumerate(stream):
            assert all(np.array_equal(answers[name], expected[name][index : index + 1]) for name in expected)
        assert index == 4
        one, other = model.layers(samples()), model.layers(x[:1])
        assert list(one) == list(other) and all(np.array_equal(one[name], other[name]) for name in one)
    for wrong, what in (("x.npz", "path"), (tmp_path, "path"), (iter(()), "no samples"), (3, "."), (object(), ".")):
        for take in (model.layers, model.session().run):
            with pytest.raises(ferrolite.InputError, match=what):
                take(wrong)


def test_a_session_goes_on_over_an_iterator():
    path = Path(__file__).resolve().parents[3] / "tests" / "vectors" / "variables" / "before_and_after.tflite"
    model = ferrolite.load(path) if path.suffix == ".ferro" else ferrolite.convert(path)
    x = [np.full(port.shape, value, "f4") for value in (0.1, 0.2, 0.3) for port in model.inputs[:1]]
    if len(model.inputs) != 1:
        pytest.skip("the model has several inputs")
    one_by_one, at_once = model.session(), model.session()
    answers = [one_by_one.run(sample) for sample in x]
    together = at_once.run(iter(x))
    for name in together:
        assert np.array_equal(together[name], np.concatenate([answer[name] for answer in answers]))
    assert at_once.snapshot() == one_by_one.snapshot()


def test_outputs_of_one_name_and_classes_as_numbers():
    keras = pytest.importorskip("keras")
    tf = pytest.importorskip("tensorflow")
    i = keras.Input((6,), name="x")
    d = keras.layers.Dense(3, name="d")(i)
    twice = keras.Model(i, [d, d])
    x = np.random.default_rng(7).normal(size=(50, 6)).astype("f4")
    model = ferrolite.convert(twice, x)
    names = [port.name for port in model.outputs]
    assert len(set(names)) == 2 and any(names[1] in note for note in model.notes)
    first, second = model.run(x).values()
    assert np.array_equal(first, second)

    class Classes(tf.Module):
        def __init__(self):
            self.w = tf.Variable(np.random.default_rng(8).normal(size=(6, 5)).astype("f4"))

        @tf.function(input_signature=[tf.TensorSpec((1, 6), tf.float32, name="x")])
        def __call__(self, x):
            return tf.argmax(tf.nn.softmax(x @ self.w), axis=-1, output_type=tf.int32)

    source = Classes()
    y = (x @ source.w.numpy()).argmax(axis=1)
    model = ferrolite.convert(source, x)
    assert model.outputs[0].dtype.kind == "i" and model.outputs[0].scale is None
    share = float((next(iter(model.run(x).values())).ravel() == y).mean())
    assert share > 0.8 and model.accuracy(x, y) == share
    found = model.compare(source, x, y)
    assert found["accuracy_float"] == 1 and abs(found["accuracy_quantized"] - share) < 1e-9


def test_a_mask_has_no_accuracy():
    keras = pytest.importorskip("keras")
    net = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")])
    x = np.random.default_rng(9).normal(size=(30, 8, 8, 1)).astype("f4")
    model = ferrolite.convert(net, x)
    with pytest.raises(ferrolite.InputError, match="no list of scores"):
        model.accuracy(x, np.zeros(30))
    assert any("no list of scores" in told for told in _warnings(model, net, x))


def _warnings(model, source, x):
    with pytest.warns(ferrolite.Doubt) as told:
        model.compare(source, x, np.zeros(len(x), int))
    return [str(one.message) for one in told]


def test_yes_or_no_takes_labels_of_0_and_1():
    keras = pytest.importorskip("keras")
    net = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, activation="sigmoid")])
    x = np.random.default_rng(10).normal(size=(50, 6)).astype("f4")
    model = ferrolite.convert(net, x)
    y = (model.predict(x).ravel() > 0.5).astype(int)
    assert model.accuracy(x, y) == 1
    with pytest.raises(ferrolite.InputError, match="-1 to 1"):
        model.accuracy(x, 2 * y - 1)
    with pytest.raises(ferrolite.UsageError, match="signature"):
        ferrolite.convert(net, x, signature="x")


def test_an_index_that_names_no_row_is_refused_everywhere():
    folder = MODELS.parent / "vectors" / "gather"
    model = ferrolite.convert(folder / "embedding_rows_of_17.tflite")
    [port] = model.inputs
    net = ferrolite.Interpreter(model_content=bytes(model))

    def invoke(x):
        net.set_tensor(0, x.reshape(port.shape))
        net.invoke()

    for take in (model.run, model.layers, model.session().run, invoke):
        take(np.zeros((1, *port.shape), "i4"))
        for wrong in (-1, 1 << 20):
            with pytest.raises(ferrolite.InputError, match="is asked for index"):
                take(np.full((1, *port.shape), wrong, "i4"))
