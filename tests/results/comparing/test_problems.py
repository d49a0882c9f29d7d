"""Which runs are compared, and which are refused."""

import re

import pytest
from tests.results.handmade import failed, mixed, run

from seqbench.errors import ConfigError, SeqbenchError
from seqbench.results.comparing.problems import problems, remarks

FAST = "leaky_rnn (alpha=0.9)"


def test_runs_are_gathered_by_task_length_and_model() -> None:
    longer = [run(length=80, seed=s) for s in range(2)] + [run(model="gru", length=80)]
    found = problems([*mixed(), *longer], ["lstm", "gru", FAST])
    assert [str(problem) for problem in found] == ["adding at 50", "adding at 80"]
    counts = [{model: len(runs) for model, runs in problem.runs.items()} for problem in found]
    assert counts == [{"lstm": 5, "gru": 4, FAST: 3}, {"lstm": 2, "gru": 1}]


def test_the_later_of_two_runs_with_one_seed_counts() -> None:
    old, new = run(value=0.5, finished_at="2025"), run(value=0.1, finished_at="2026")
    (problem,) = problems([new, old, run(model="gru")], ["lstm", "gru"])
    assert problem.runs["lstm"] == (new,)


def test_a_variant_whose_setting_is_null_has_the_name_of_its_preset() -> None:
    variants = [run(model="gru", seed=s, model__cell__chrono=c) for s in range(2) for c in (None, 100)]
    longer = run(model="gru", length=80, model__cell__chrono=100)  # no run of `gru` at that length
    alone = run("latch", "gru", model__cell__chrono=None)  # the only one there
    found = problems([*variants, longer, alone, run("latch")], ["gru", "gru (chrono=100)", "lstm"])
    assert [(str(problem), list(problem.runs)) for problem in found] == [
        ("adding at 50", ["gru", "gru (chrono=100)"]),
        ("latch at 50", ["gru", "lstm"]),
    ]
    assert [its.config["model"]["cell"]["chrono"] for its in found[0].runs["gru"]] == [None, None]
    another = run("latch", "gru", model__cell__chrono=100)  # which is `gru` there, as the only one
    with pytest.raises(ConfigError, match=r"gru is not the same .*chrono is null on adding and 100 on latch"):
        problems([*variants, another, run("latch")], ["gru", "lstm"])
    # Settings that tell no variants apart, such as a rate that was found for each task, make no other model.
    rates = [run("latch", "gru", model__cell__chrono=None, optim__lr=0.1), run("latch"), *variants]
    assert len(problems([*rates, run()], ["gru", "lstm"])) == 2


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        (["lstm", "grv"], "no runs of grv; there are gru, leaky_rnn, .* Did you mean 'gru'?"),
        (
            ["lstm", "leaky_rnn"],
            r"leaky_rnn stands for 2 models on adding at 50: leaky_rnn \(alpha=0.5\), .*by its label",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(models: list[str], sentence: str) -> None:
    with pytest.raises(SeqbenchError, match=sentence):
        problems(mixed(), models)


def test_models_without_a_problem_in_common_are_refused() -> None:
    apart = [run("copy_memory", length=20), run(model="gru"), failed(model="gru", task="copy_memory")]
    sentence = "There are lstm: copy_memory at 20; gru: adding at 50."
    with pytest.raises(SeqbenchError, match=re.escape(sentence)):
        problems(apart, ["lstm", "gru"])


@pytest.mark.parametrize("key", ["trainer__max_steps", "trainer__patience", "batch_size"])
def test_runs_of_different_budgets_are_refused(key: str) -> None:
    runs = [run(**{key: 200}), run(model="gru", **{key: 300})]
    name = key.replace("__", ".")
    sentence = rf"the runs on adding at 50 differ in {name}: lstm with 200, gru with 300. .*--where {name}=…"
    with pytest.raises(SeqbenchError, match=sentence):
        problems(runs, ["lstm", "gru"])


def test_a_model_that_is_solved_for_has_no_budget_of_steps() -> None:
    ridge = "seqbench.models.readouts.RidgeReadout"
    solved = run(model="echo_state", model__readout={"_target_": ridge}, trainer__max_steps=9)
    trained = [run(trainer__max_steps=2000), run(model="gru", trainer__max_steps=2000)]
    (problem,) = problems([solved, *trained], ["lstm", "gru", "echo_state"])
    assert remarks(problem, ["lstm", "echo_state"]) == ["the models differ in trainer.max_steps too"]
    with pytest.raises(SeqbenchError, match=r"lstm with 2000, gru with 300\. Runs of different budgets"):
        problems(
            [solved, trained[0], run(model="gru", trainer__max_steps=300)], ["lstm", "gru", "echo_state"]
        )


def test_a_budget_left_out_is_the_default() -> None:
    target = "seqbench.training.settings.TrainerSettings"
    runs = [
        run(trainer___target_=target, trainer__max_steps=2000),
        run(model="gru", trainer___target_=target),
    ]
    assert len(problems(runs, ["lstm", "gru"])) == 1


def test_platforms_settings_and_sizes_that_differ_are_remarked() -> None:
    (same,) = problems([run(), run(model="gru")], ["lstm", "gru"])
    assert remarks(same, ["lstm", "gru"]) == []
    other = run(model="gru", optim__lr=0.1, device="another", parameters=20100)
    (problem,) = problems([run(optim__lr=0.01), other], ["lstm", "gru"])
    assert remarks(problem, ["lstm", "gru"]) == [
        "the runs are of 2 devices",
        "the models differ in optim.lr too",
        "the models differ in size: lstm 10,050, gru 20,100 parameters",
    ]
    assert remarks(problem, ["gru", "rnn"]) == []


def test_what_labels_say_is_not_remarked() -> None:
    runs = [run(optim__lr=lr, trainer__patience=patience) for lr, patience in ((0.01, 3), (0.1, 3))]
    models = ["lstm (lr=0.01)", "lstm (lr=0.1)"]
    (problem,) = problems(runs, models)
    assert remarks(problem, models) == []


def test_runs_of_one_model_that_mix_revisions_are_remarked() -> None:
    first, second = {"model.cell": 1}, {"model.cell": 2}
    mixed_ones = [run(seed=s, revisions=first if s > 2 else second) for s in range(5)]
    (problem,) = problems([*mixed_ones, *(run(model="gru", seed=s) for s in range(5))], ["lstm", "gru"])
    assert remarks(problem, ["lstm", "gru"]) == [
        "the runs of lstm are of 2 revisions, which give other numbers"
    ]
