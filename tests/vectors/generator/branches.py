"""IF, and the comparisons that it asks for."""

import numpy as np

from .graphs import S, Z, Layers
from .suite import rng_of

COMPARISONS = ("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "EQUAL", "NOT_EQUAL")


class Branching(Layers):
    """A graph with branches. `branch` makes the graph of one, with inputs like these values."""

    def branch(self, values):
        """A subgraph, and its inputs."""
        inner = type(self)("")
        inner.rng = self.rng
        self.add_subgraph(inner)
        specs = [self.specs[value] for value in values]
        return inner, [inner.input(shape, scale, zero, dtype) for shape, dtype, scale, zero in specs]

    def choose(self, condition, values, yes, no, final=True):
        """IF: each of `yes` and `no` adds its layers to a subgraph, and returns its results."""
        numbers, results = [], None
        for build in (yes, no):
            inner, inputs = self.branch(values)
            numbers.append(inner.number)
            made = build(inner, *inputs)
            inner.outputs = made
            specs = [inner.specs[value] for value in made]
            assert results is None or [s[:2] for s in results] == [s[:2] for s in specs]
            results = specs
        outs = [self.value(shape, final, scale, zero, dtype) for shape, dtype, scale, zero in results]
        self.op("IF", [condition, *values], outs, "IfOptions", thenSubgraphIndex=numbers[0],
                elseSubgraphIndex=numbers[1])
        return outs

    def compare(self, builtin, x, bound, scale=S, zero_point=Z):
        """A comparison with a constant."""
        shape = self.specs[x][0]
        y = self.tensor(shape, "bool")
        self.op(builtin, [x, self.const(np.full(shape, bound), scale, zero_point)], [y], f"{OPTIONS[builtin]}Options")
        return y

    def largest(self, x):
        """REDUCE_MAX of everything."""
        shape = self.specs[x][0]
        y = self.value(())
        self.op("REDUCE_MAX", [x, self.ints(list(range(len(shape))))], [y], "ReducerOptions")
        return y


OPTIONS = {"GREATER": "Greater", "GREATER_EQUAL": "GreaterEqual", "LESS": "Less", "LESS_EQUAL": "LessEqual",
           "EQUAL": "Equal", "NOT_EQUAL": "NotEqual"}


def wide(inner, x):
    """Two dense layers."""
    return [inner.dense(inner.dense(x, 24, act="relu"), 5)]


def narrow(inner, x):
    """One."""
    return [inner.dense(x, 5)]


def bool_input(g):
    """A truth value from outside decides between two dense layers and one."""
    condition = g.input((1,), dtype="bool")
    g.choose(condition, [g.input((1, 12), S, Z)], wide, narrow)


def scalar_condition(g):
    """The same of no dimensions, which is the last input."""
    x, condition = g.input((1, 12), S, Z), g.input((), dtype="bool")
    g.choose(condition, [x], narrow, wide)


def threshold(g):
    """The largest of what the first layer makes decides how much is made of it."""
    x = g.dense(g.input((1, 9), S, Z), 12)
    condition = g.compare("GREATER", g.largest(x), 30)
    (y,) = g.choose(condition, [x], wide, narrow, final=False)
    g.softmax(y)


def pass_through(g):
    """One branch leaves its operand as it is."""
    x = g.dense(g.input((1, 9), S, Z), 5)
    condition = g.compare("LESS", g.largest(x), 30)
    (y,) = g.choose(condition, [x], lambda inner, x: [x], narrow, final=False)
    g.dense(y, 4, final=True)


def constant_branch(g):
    """One branch is a constant, the other an operand."""
    condition = g.input((1,), dtype="bool")
    numbers = g.rng.integers(-128, 128, (1, 5))

    def fixed(inner, x):
        return [inner.const(numbers, S, Z)]

    g.choose(condition, [g.input((1, 5), S, Z)], fixed, lambda inner, x: [x])


def reshaped(g):
    """A branch that only gives another shape, beside a convolution."""
    condition, x = g.input((1,), dtype="bool"), g.conv(g.input((1, 4, 4, 3), S, Z), 3)

    def flat(inner, x):
        return [inner.reshape(x, (1, 48))]

    def conv(inner, x):
        return [inner.reshape(inner.conv(x, 3, kernel=3), (1, 48))]

    g.choose(condition, [x], flat, conv)


def two_results(g):
    """Two results, of which one is used further."""
    condition, a, b = g.input((1,), dtype="bool"), g.input((1, 6), S, Z), g.input((1, 6), S, Z)

    def yes(inner, a, b):
        return [inner.add(a, b), inner.dense(a, 4)]

    def no(inner, a, b):
        return [b, inner.dense(inner.add(a, b), 4)]

    first, second = g.choose(condition, [a, b], yes, no, final=False)
    g.dense(first, 3, final=True)
    g.unary("ABS", second, final=True)


def nested(g):
    """IFs in both branches of an IF, with conditions from outside and from within."""
    outer, inner_condition = g.input((1,), dtype="bool"), g.input((1,), dtype="bool")
    x = g.dense(g.input((1, 8), S, Z), 10)

    def yes(branch, condition, x):
        y = branch.dense(x, 6, act="relu")
        return branch.choose(condition, [y], wide, narrow, final=False)

    def no(branch, condition, x):
        condition = branch.compare("GREATER_EQUAL", branch.largest(x), 20)
        y = branch.dense(x, 7)
        return branch.choose(condition, [x, y], lambda b, x, y: [b.dense(x, 5)],
                             lambda b, x, y: [b.dense(y, 5)], final=False)

    (y,) = g.choose(outer, [inner_condition, x], yes, no, final=False)
    g.dense(y, 3, final=True)


def in_turn(g):
    """Two IFs on one condition; a layer serves both branches of the second."""
    condition, x = g.input((1,), dtype="bool"), g.input((1, 8), S, Z)
    (y,) = g.choose(condition, [x], wide, narrow, final=False)
    z = g.dense(y, 7)
    g.choose(condition, [y, z], lambda b, y, z: [b.dense(z, 5)], lambda b, y, z: [b.add(y, b.dense(z, 5))])


def no_condition(g):
    """A condition that is known."""
    condition = g.const(np.array([True]), dtype="bool")
    g.choose(condition, [g.input((1, 8), S, Z)], wide, narrow)


GRAPHS = (bool_input, scalar_condition, threshold, pass_through, constant_branch, reshaped, two_results, nested,
          in_turn, no_condition)


def samples(g, rng):
    """All truth values, with numbers over the full range and near the zero point."""
    conditions = [i for i in g.inputs if g.specs[i][1] == "bool"]
    ways = 1 << len(conditions)
    count = max(6, 2 * ways)
    arrays = []
    for index in g.inputs:
        shape, dtype, _, _ = g.specs[index]
        if dtype == "bool":
            place = conditions.index(index)
            truths = [(sample >> place) & 1 for sample in range(count)]
            arrays.append(np.array(truths, np.bool_).reshape((count, *shape)))
        else:
            spread = np.where(np.arange(count) // max(ways, 1) % 2 == 0, 128, 24).reshape((count,) + (1,) * len(shape))
            noise = rng.integers(-128, 128, (count, *shape))
            arrays.append(np.clip(noise * spread // 128 + Z, -128, 127).astype(np.int8))
    return arrays


def comparison(suite, builtin, name, bound, numbers, bound_numbers):
    """A comparison that decides between two constants."""
    case = f"{builtin.lower()}/{name}"
    g = Branching(case)
    x = g.input((1,), *numbers)
    condition = g.compare(builtin, x, bound, *bound_numbers)

    def constant(number):
        return lambda inner: [inner.const(np.arange(4) * 3 + number, S, Z)]

    g.choose(condition, [], constant(1), constant(-100))
    suite.add(case, g, inputs=[np.arange(-128, 128).astype(np.int8).reshape((256, 1))])


def cases(suite):
    """Each function above is one case of its name; comparisons have some each."""
    for build in GRAPHS:
        name = f"if/{build.__name__}"
        g = Branching(name)
        build(g)
        suite.add(name, g, inputs=samples(g, rng_of(name + " samples")))
    for builtin in COMPARISONS:
        comparison(suite, builtin, "one_scale", 17, (S, Z), (S, Z))
        comparison(suite, builtin, "other_scale", -40, (0.021, 5), (0.0317, 11))
        comparison(suite, builtin, "coarse", 90, (0.0007, -128), (0.0005, -128))
