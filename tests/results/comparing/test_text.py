"""A comparison of models as text, and its figure."""

import json

import pytest
from tests.results.comparing.test_overall import MODELS, results
from tests.results.handmade import run

from seqbench.errors import StoreError
from seqbench.results.comparing.comparison import compare_models
from seqbench.results.comparing.figure import draw
from seqbench.results.comparing.text import overall_rows, rows, sentences, text_rows, to_markdown
from seqbench.runs.result import Result
from seqbench.tasks.metrics import Metric


def test_a_row_for_each_quantity() -> None:
    lstm = [run(seed=s, value=0.01) for s in range(5)]
    gru = [run(model="gru", seed=s, value=0.1, solved_at=None) for s in range(5)]
    comparison = compare_models([*lstm, *gru], ["lstm", "gru"])
    first = text_rows(comparison)[0]
    assert first == {
        **{"task": "adding", "length": "50", "": "solved", "lstm": "5/5", "gru": "0/5"},
        **{"difference": "+100 [+39 to +100] %", "p": "0.002", "Holm": "0.0059 *"},
    }
    steps, loss = text_rows(comparison)[1:]
    assert (steps["lstm"], steps["gru"], steps["difference"]) == ("100", "never", "–")
    assert (loss["lstm"], loss["gru"], loss["difference"]) == ("0.01", "0.1", "×0.1")
    assert "null" in json.dumps(rows(comparison))  # not Infinity, which is no JSON


def test_a_line_says_what_is_peculiar_to_it() -> None:
    lstm = [run(seed=s, value=v) for s, v in enumerate([0.0, 0.0, 0.1, 0.2])]
    comparison = compare_models([*lstm, *(run(model="gru", seed=s) for s in range(2))], ["lstm", "gru"])
    loss = text_rows(comparison)[2]
    assert loss[""] == "loss, arithmetic: 2 are 0"
    assert (loss["lstm"], loss["gru"], loss["difference"], loss["p"]) == ("0.075", "–", "–", "–")
    assert "–: of fewer than 3 runs there is no mean or median" in sentences(comparison)[0]
    assert "fewer than 3 runs" not in sentences(compare_models(results(), MODELS))[0]


def test_why_there_is_no_score_is_said() -> None:
    def no_score(*extra: Result) -> str:
        lines = sentences(compare_models([*results(), *extra], MODELS))
        return "".join(line for line in lines if "no score" in line or "none is scored" in line)

    nrmse = {"metric": "nrmse", "metrics": {"nrmse": Metric("nrmse", "min", "", 0.0)}}
    other = [
        run("lorenz", model, seed=s, test={"50": {"nrmse": 0.1}}, **nrmse)
        for model in MODELS
        for s in range(5)
    ]
    assert no_score() == ""
    assert no_score(*other) == (
        "There is no score over tasks: the metric of lorenz at 50 has no scale that tasks share."
    )
    few = [run("latch", model, seed=s) for model in MODELS for s in range(2)]
    assert no_score(*few) == ("There is no score over tasks: a model has fewer than 3 seeds on latch at 50.")
    apart = compare_models(
        [run(t, m) for t in ("adding", "latch") for m in MODELS[:2]] + [run(model="rnn")], MODELS
    )
    assert any("fewer than two tasks have runs of all models" in line for line in sentences(apart))


def test_many_models_have_pairs_and_ranks() -> None:
    comparison = compare_models(results(), MODELS)
    assert {row["models"] for row in text_rows(comparison)} == {"lstm : gru", "lstm : rnn", "gru : rnn"}
    assert [row["average rank"] for row in overall_rows(comparison)] == ["1", "2", "3"]
    assert any("Nemenyi). Not told apart: lstm, gru, rnn." in line for line in sentences(comparison))
    page = to_markdown(comparison)
    assert page.count("| model ") == 1 and "| lstm : gru |" in page


def test_the_figure_has_a_line_for_each_pair_and_the_ranks() -> None:
    figure = draw(compare_models(results(), MODELS))
    differences, ranks = figure.axes
    assert len(differences.get_yticks()) == 9
    assert {text.get_text() for text in ranks.texts} == set(MODELS)
    assert len(draw(compare_models(results(), MODELS[:2])).axes) == 1


def test_without_a_solve_rate_there_is_nothing_to_draw() -> None:
    comparison = compare_models([run(solved_when=None), run(model="gru", solved_when=None)], ["lstm", "gru"])
    with pytest.raises(StoreError, match="no solve rate to draw"):
        draw(comparison)
