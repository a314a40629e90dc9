"""Variables: what one inference leaves to the next. The samples of these cases are one sequence."""

import numpy as np

from . import tflm
from .branches import Branching
from .graphs import S, Z


class Keeping(Branching):
    """A graph with variables, named by what they are called in the file."""

    def handle(self, name):
        """VAR_HANDLE."""
        handle = self.tensor((), "resource")
        self.op("VAR_HANDLE", [], [handle], "VarHandleOptions", container="", sharedName=name)
        return handle

    def read(self, name, shape, final=False, scale=S, zero_point=Z):
        """READ_VARIABLE."""
        y = self.value(shape, final, scale, zero_point)
        self.op("READ_VARIABLE", [self.handle(name)], [y], "ReadVariableOptions")
        return y

    def assign(self, name, x):
        """ASSIGN_VARIABLE."""
        self.op("ASSIGN_VARIABLE", [self.handle(name), x], [], "AssignVariableOptions")

    def begin(self, scale=S, zero_point=Z, **shapes):
        """CALL_ONCE of a subgraph that gives variables random numbers."""
        inner = Keeping("")
        self.add_subgraph(inner)
        for name, shape in shapes.items():
            inner.assign(name, inner.const(self.rng.integers(-128, 128, shape), scale, zero_point))
        self.op("CALL_ONCE", [], [], "CallOnceOptions", initSubgraphIndex=inner.number)

    def part(self, x, begin, size, final=False):
        """SLICE."""
        y = self.value(size, final)
        self.op("SLICE", [x, self.ints(begin), self.ints(size)], [y], "SliceOptions")
        return y

    def times(self, x, factor, scale=S, zero_point=Z):
        """MUL by a number below 1."""
        y = self.value(self.specs[x][0], scale=scale, zero_point=zero_point)
        self.op("MUL", [x, self.const(np.array([127]), factor / 127, 0)], [y], "MulOptions")
        return y

    def window(self, name, x, kept, axis=1):
        """The elements of a stream that were kept, and new ones behind them; keeps the last."""
        old = self.read(name, [kept if d == axis else n for d, n in enumerate(self.specs[x][0])])
        both = self.concat([old, x], axis)
        shape = self.specs[both][0]
        begin = [n - kept if d == axis else 0 for d, n in enumerate(shape)]
        self.assign(name, self.part(both, begin, self.specs[old][0]))
        return both


def window(g):
    """Two layers with windows over a stream, as microWakeWord has them."""
    g.begin(first=(1, 2, 1, 6), second=(1, 4, 1, 8))
    x = g.window("first", g.input((1, 3, 1, 6), S, Z), 2)
    y = g.conv(g.reshape(x, (1, 1, 5, 6)), 8, kernel=1)
    y = g.part(y, (0, 0, 4, 0), (1, 1, 1, 8))
    y = g.window("second", g.reshape(y, (1, 1, 1, 8)), 4)
    g.dense(g.reshape(y, (1, 40)), 5, final=True)


def inner_axis(g):
    """A window whose elements are not neighbours in memory."""
    g.begin(kept=(3, 4))
    y = g.window("kept", g.input((3, 2), S, Z), 4)
    g.dense(y, 3, final=True)


def zeros(g):
    """A variable that nothing gives its first value."""
    y = g.window("kept", g.input((1, 2, 6), S, Z), 3)
    g.dense(g.reshape(y, (1, 30)), 4, final=True)


def before_and_after(g):
    """A variable is read, assigned, and read again; what was read first stays what it was."""
    g.begin(v=(1, 8))
    x, old = g.input((1, 8), S, Z), g.read("v", (1, 8))
    g.assign("v", g.add(g.times(old, 0.5), x))
    new = g.read("v", (1, 8))
    g.unary("ABS", old, final=True)
    g.dense(new, 5, final=True)
    g.add(old, new, final=True)


def assigned_first(g):
    """A variable that is only read behind its assignment keeps nothing; one that is assigned twice has the last."""
    g.begin(v=(1, 8), w=(1, 8))
    x, old = g.input((1, 8), S, Z), g.read("w", (1, 8))
    g.assign("v", x)
    y = g.add(g.read("v", (1, 8)), old)
    g.assign("w", x)
    g.assign("w", y)
    g.dense(g.read("w", (1, 8)), 5, final=True)


def constant(g):
    """A variable that an inference only reads."""
    g.begin(v=(1, 8))
    g.add(g.input((1, 8), S, Z), g.read("v", (1, 8)), final=True)


def swapped(g):
    """Two variables change places, with a third that gets the input of the inference before."""
    g.begin(a=(1, 7), b=(1, 7), c=(1, 7))
    x = g.input((1, 7), S, Z)
    a, b, c = (g.read(name, (1, 7)) for name in "abc")
    g.assign("a", b)
    g.assign("b", g.add(a, c))
    g.assign("c", x)
    g.dense(a, 4, final=True)
    g.unary("ABS", b, final=True)


def running_mean(g):
    """A mean that forgets, taken from each input; it is an output itself."""
    g.begin(mean=(1, 9))
    x, old = g.input((1, 9), S, Z), g.read("mean", (1, 9))
    new = g.add(g.times(old, 0.9), g.times(x, 0.1), final=True)
    g.assign("mean", new)
    g.op("SUB", [x, new], [g.value((1, 9), True)], "SubOptions")


def read_only_output(g):
    """Outputs are what a variable was, and the same in another shape."""
    g.begin(v=(2, 5))
    x, old = g.input((2, 5), S, Z), g.read("v", (2, 5), final=True)
    g.assign("v", x)
    y = g.value((1, 10), True)
    g.op("RESHAPE", [old, g.ints([1, 10])], [y], "ReshapeOptions", newShape=[1, 10])


def shared(g):
    """One value goes to two variables, a constant to a third."""
    g.begin(a=(1, 6), b=(1, 6), c=(1, 6))
    x = g.dense(g.input((1, 9), S, Z), 6)
    olds = [g.read(name, (1, 6)) for name in "abc"]
    for name in "ab":
        g.assign(name, g.add(x, olds[0]))
    g.assign("c", g.const(g.rng.integers(-128, 128, (1, 6)), S, Z))
    g.dense(g.concat(olds, 1), 5, final=True)


def branches(g):
    """A branch changes a variable, and the other one reads it."""
    g.begin(v=(1, 6))
    condition, x = g.input((1,), dtype="bool"), g.input((1, 6), S, Z)

    def yes(inner, x):
        inner.assign("v", inner.add(inner.read("v", (1, 6)), x))
        return [inner.dense(x, 4)]

    def no(inner, x):
        return [inner.dense(inner.add(inner.read("v", (1, 6)), x), 4)]

    g.choose(condition, [x], yes, no)
    g.dense(g.read("v", (1, 6)), 3, final=True)


def circular_buffer(g):
    """The windows of TensorFlow Lite Micro's streaming models."""
    x = g.input((1, 1, 2, 3), S, Z)
    y = g.value((1, 5, 2, 3), True)
    g.op("CUSTOM", [x], [y], custom="CIRCULAR_BUFFER")
    z = g.value((1, 3, 2, 3))
    g.op("CUSTOM", [x], [z], custom="CIRCULAR_BUFFER")
    g.operators[-1].customOptions = list(ONE_CYCLE)
    g.dense(g.reshape(z, (1, 18)), 4, final=True)


# A flexbuffer: `cycles_max` is 1.
ONE_CYCLE = b"cycles_max\0\x01\x0c\x01\x01\x01\x01\x04\x02\x24\x01"

# More inferences than a buffer has slots.
WARM = 6


class BehindZeros:
    """TFLM's answers behind some inferences of zero bytes. Its buffers begin with whatever the arena held, addresses of
    its own process among them: nobody can equal that. Behind as many zeroes as they have slots they hold zeroes."""

    @staticmethod
    def run(model, inputs, outputs):
        """As `tflm.run`."""
        before = [np.concatenate([np.zeros((WARM, *array.shape[1:]), array.dtype), array]) for array in inputs]
        return tflm.run(model, before, outputs)[WARM:]


CASES = (window, inner_axis, zeros, before_and_after, assigned_first, constant, swapped, running_mean, read_only_output,
         shared, branches)


def cases(suite):
    """All cases of this family."""
    for build in CASES:
        name = f"variables/{build.__name__}"
        graph = Keeping(name)
        build(graph)
        suite.add(name, graph, samples=12)
    graph = Keeping("variables/circular_buffer")
    circular_buffer(graph)
    suite.add("variables/circular_buffer", graph, samples=12, runner=BehindZeros)
    graph = Keeping("lost")
    graph.add(graph.input((1, 8), S, Z), graph.read("weights", (1, 8)), final=True)
    suite.add_file("bad/variable_lost", graph.bytes())
