"""Modular arithmetic, with brackets and without, and equations."""

from __future__ import annotations

import ast
import itertools
import math
from collections import Counter
from random import Random

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.languages.modular_arithmetic import ModularArithmetic, expression
from seqbench.tasks.languages.modular_arithmetic_simple import ModularArithmeticSimple
from seqbench.tasks.languages.solve_equation import SolveEquation

KINDS = [ModularArithmeticSimple, ModularArithmetic, SolveEquation]


def value(text):
    """Return the value of an expression modulo 5, as Python's own parser reads it."""

    def of(node):
        match node:
            case ast.Constant(value=number):
                return number
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -of(operand)
            case ast.BinOp(left=left, op=operator, right=right):
                x, y = of(left), of(right)
                return {ast.Add: x + y, ast.Sub: x - y, ast.Mult: x * y}[type(operator)]
        raise AssertionError(text)

    return of(ast.parse(text, mode="eval").body) % 5


def solutions(equation):
    left, right = equation.split("=")
    assert left.count("x") == 1
    return [x for x in range(5) if value(left.replace("x", str(x))) == int(right)]


def rows_of(task, batch):
    """Yield each sequence in words and its target."""
    names = task.token_names()[0]
    steps = batch.inputs.shape[1]
    lengths = [steps] * len(batch.inputs) if batch.lengths is None else batch.lengths.tolist()
    for given, n, target in zip(batch.inputs.tolist(), lengths, batch.targets.tolist(), strict=True):
        assert not any(given[n:])
        yield "".join(names[token] for token in given[:n]), target


@pytest.mark.parametrize("kind", KINDS)
def test_targets_are_values_and_solutions(kind):
    task = kind(length=25)
    for batch in (
        task.sample(torch.Generator().manual_seed(0), 200, 25),
        task.sample_training(torch.Generator().manual_seed(0), 500),
    ):
        for text, target in rows_of(task, batch):
            assert ([target] == solutions(text)) if kind is SolveEquation else (target == value(text))


@pytest.mark.parametrize(
    ("kind", "steps"),
    [(KINDS[0], range(1, 20, 2)), (KINDS[1], range(1, 11)), (KINDS[2], range(3, 11))],
)
def test_training_has_every_length(kind, steps):
    batch = kind(length=10).sample_training(torch.Generator().manual_seed(0), 1000)
    assert set(batch.lengths.tolist()) == set(steps)


@pytest.mark.parametrize(
    ("kind", "text", "target"),
    [(KINDS[0], "1-2*4+3", 1), (KINDS[1], "((3)*(-4))", 3), (KINDS[2], "((-x)+(1))=3", 3)],
)
def test_the_docstrings_examples(kind, text, target):
    assert ([target] == solutions(text)) if kind is SolveEquation else (target == value(text))
    task = kind(length=4 if kind is ModularArithmeticSimple else len(text))
    if kind is ModularArithmeticSimple:
        assert (text, target) in [*rows_of(task, task.sample(torch.Generator().manual_seed(0), 60_000, 4))]
    assert {*text} <= {*task.token_names()[0]} and task.steps == len(text)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 30])
def test_an_expression_has_its_length_and_its_grammar(length):
    random = Random(0)
    for _ in range(200):
        text, _ = expression(random, length, "+-*")
        assert len(text) == length and text.count("(") == text.count(")")
    if length == 6:  # left and right have 1 and 2 symbols, or the other way round
        shapes = Counter(len(expression(random, 6, "+")[0].split("+")[0]) for _ in range(2000))
        assert set(shapes) == {2, 3} and abs(shapes[2] - 1000) < 112


def shares(length):
    """Return how likely each value of an expression is, by all ways to divide it."""
    if length < 5:
        return [0.2] * 5
    found = [0.0] * 5
    for left in range(1, length - 3):
        one, other = shares(left), shares(length - 3 - left)
        for x, y in itertools.product(range(5), repeat=2):
            for result in (x + y, x - y, x * y):
                found[result % 5] += one[x] * other[y] / (3 * (length - 4))
    return found


@pytest.mark.parametrize("length", [1, 4, 5, 9, 14])
def test_the_baseline_with_brackets(length):
    task, wanted = ModularArithmetic(), shares(length)
    assert task.baseline_loss(length) == pytest.approx(-sum(p * math.log(p) for p in wanted))
    assert task.chance(length) == {"accuracy": pytest.approx(max(wanted))}


@pytest.mark.parametrize("length", [1, 2, 3])
def test_the_baseline_without_brackets_is_that_of_all_expressions(length):
    kinds = ["01234" if i % 2 == 0 else "+-*" for i in range(2 * length - 1)]
    values = Counter(value("".join(text)) for text in itertools.product(*kinds))
    wanted = [n / values.total() for n in values.values()]
    task = ModularArithmeticSimple()
    assert task.baseline_loss(length) == pytest.approx(-sum(p * math.log(p) for p in wanted))
    assert task.chance(length) == {"accuracy": pytest.approx(max(wanted))}


def test_an_equation_of_two_symbols_is_refused():
    with pytest.raises(ConfigError, match=r"task.length=2 is too short .* at least 3"):
        SolveEquation(length=2)
