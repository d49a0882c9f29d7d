"""The course of a search: rungs, failures, what was stopped, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from optuna.trial import TrialState

from seqbench.errors import ConfigError, StoreError
from seqbench.search import tune as module
from seqbench.search.found import rows as table
from seqbench.search.plan import plan
from seqbench.search.study import Trial, open_storage
from seqbench.search.tune import _came_to, check_space, rows
from seqbench.sweeps.job import Refused
from tests.runs.handmade import result
from tests.search.trials import Launcher, answers, attempt, learns, search


def of(every):
    return [(each.part.model, each.trials, each.best and each.best.number) for each in every]


@pytest.mark.slow
def test_a_search_that_is_stopped_and_then_given_more_trials_finds_what_an_undisturbed_one_finds(
    monkeypatch, tmp_path
):
    whole = Launcher(learns)
    undisturbed = of(search(whole, monkeypatch, "model=rnn"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    stopping, stops, n_trials = Launcher(learns), 0, 4
    while n_trials <= 8:
        stopping.left = 9
        try:
            resumed = of(search(stopping, monkeypatch, "model=rnn", f"search.n_trials={n_trials}"))
            n_trials += 4
        except KeyboardInterrupt:
            stops += 1
    assert stops > 1 and resumed == undisturbed
    assert stopping.trained == whole.trained and set(whole.trained.values()) == {1}


@pytest.mark.slow
def test_the_best_of_a_bracket_go_on_and_runs_that_have_solved_the_task_do_not(monkeypatch):
    launcher = Launcher(learns)
    (rnn,) = search(launcher, monkeypatch, "model=rnn")
    for bracket in (rnn.trials[:4], rnn.trials[4:]):
        assert sorted(len(trial.rungs) for trial in bracket) == [1, 1, 2, 3]
        assert sorted(trial.state for trial in bracket) == [TrialState.COMPLETE, *3 * [TrialState.PRUNED]]
        by_first = sorted(bracket, key=lambda trial: trial.score_at(0), reverse=True)
        assert all(len(trial.rungs) == 1 for trial in by_first[2:])
    assert rnn.best is max((t for t in rnn.trials if len(t.rungs) == 3), key=lambda trial: trial.score_at(2))
    solved = {folder for (folder, steps) in launcher.trained if steps == 100}
    assert rnn.steps == sum(run.steps for trial in rnn.trials for run in trial.outcomes) < 2 * 2 * 1000
    assert len(solved) == 8 * 2  # each trial's two seeds at the first rung


def test_what_was_found_is_kept_for_each_model_and_not_searched_again(monkeypatch):
    few = ("search.n_trials=4", "search.rungs=1")
    first = of(search(Launcher(learns), monkeypatch, *few, "model=gru"))
    launcher = Launcher(learns)
    both = of(search(launcher, monkeypatch, *few, "model=gru,rnn"))
    assert both[0] == first[0] and all("rnn" in folder for folder, _ in launcher.trained)


@pytest.mark.slow
def test_a_trial_fails_alone_and_optuna_is_told(monkeypatch):
    def breaks(cfg, seed):
        if cfg["optim"]["lr"] > 0.01 and seed % 2:
            return {"status": "failed", "error": "ValueError: too much"}
        return learns(cfg, seed)

    (rnn,) = search(Launcher(breaks), monkeypatch, "model=rnn")
    assert rnn.failed and all(trial.state == TrialState.FAIL for trial in rnn.failed)
    assert {trial.error for trial in rnn.failed} == {"ValueError: too much"}
    assert [trial for trial in rnn.trials if trial.params["optim.lr"] > 0.01005] == rnn.failed
    assert rnn.best is not None and table([rnn])[0]["failed"] == str(len(rnn.failed))


@pytest.mark.slow
def test_a_trial_that_cannot_be_run_fails_with_the_reason(monkeypatch):
    def refuses(cfg, seed):
        return Refused("no such width", 2, for_good=True) if cfg["optim"]["lr"] > 0.01 else learns(cfg, seed)

    (rnn,) = search(Launcher(refuses), monkeypatch, "model=rnn", "search.n_trials=4")
    assert {trial.error for trial in rnn.failed} == {"no such width"} and rnn.best is not None
    assert [trial for trial in rnn.trials if trial.params["optim.lr"] > 0.01005] == rnn.failed


@pytest.mark.slow
@pytest.mark.parametrize(
    "lack",
    [
        None,  # its process was killed
        {"status": "failed", "error": "MemoryError"},
        Refused("its check was ended by SIGKILL", 1),
    ],
)
def test_what_a_machine_did_to_a_run_is_no_result_and_it_is_trained_when_asked_again(
    monkeypatch, tmp_path, lack
):
    few = ("model=rnn,gru", "search.n_trials=4")
    undisturbed = of(search(Launcher(learns), monkeypatch, *few))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    hit = []

    def once(cfg, seed):
        at_second_rung = cfg["preset"]["model"] == "rnn" and cfg["trainer"]["max_steps"] == 200
        if at_second_rung and not hit:
            hit.append(seed)
            return lack
        return learns(cfg, seed)

    launcher = Launcher(once)
    (rnn, gru), lacking = attempt(launcher, monkeypatch, *few)
    assert len(lacking) == 1 and lacking[0].startswith("rnn trial ") and of([gru]) == undisturbed[1:]
    assert rnn.best is None and not rnn.failed and all(not t.state.is_finished() for t in rnn.trials)
    found, lacking = attempt(launcher, monkeypatch, *few)
    assert lacking == [] and of(found) == undisturbed
    assert sorted(launcher.trained.values())[-2:] == [1, 2]  # that one alone was trained again


def test_a_trial_comes_to_its_runs_or_to_what_its_configuration_is_at_fault_for():
    (part,) = plan(["task=latch", "model=rnn", "task.length=50"]).models
    trial = Trial(0, {}, TrialState.RUNNING, [])
    whole = [result(seed=seed) for seed in part.settings.seeds]
    assert [run.seed for run in _came_to(part, trial, whole)] == [10_000, 10_001]
    failed = [replace(whole[0], status="failed", error=error) for error in ("MemoryError", "ValueError: no")]
    assert _came_to(part, trial, [failed[0], whole[1]]) is _came_to(part, trial, whole[:1]) is None
    assert _came_to(part, trial, failed) == _came_to(part, trial, failed[1:]) == "ValueError: no"


@pytest.mark.slow
def test_a_study_that_was_made_with_something_else_is_refused(monkeypatch):
    first = ("model=rnn", "search.n_trials=4", "task.length=50")
    search(Launcher(learns), monkeypatch, *first)
    for more, sentence in [
        ("search.space.optim.lr.high=0.1", r"search.space.optim.lr=Range\(low=0.0003, high=0.03, log=True"),
        ("optim.clip_norm=1", r"search.space.optim.clip_norm=Range\(.*, and this one has None"),
        ("search.n_seeds=3", "search.n_seeds=2, and this one has 3; .* search.folder=…"),
        ("trainer.max_steps=800", "trainer.max_steps=400, and this one has 800"),
        ("task.length=70", r"search.lengths=\[50\], and this one has \[70\]"),
    ]:
        with pytest.raises(ConfigError, match=f"search/study.db holds a search of rnn with {sentence}"):
            search(Launcher(learns), monkeypatch, *first, more)


@pytest.mark.slow
def test_a_study_that_was_made_of_other_code_or_data_is_refused(monkeypatch):
    few = ("model=rnn", "search.n_trials=4")
    cell, data = "the code of model.cell", "the data"
    attempt(Launcher(learns), monkeypatch, *few, made_of={cell: ["12ab"], data: ["7"]})
    for made_of, sentence in [
        ({cell: ["34cd"], data: ["7"]}, "the code of model.cell=12ab, and this one has 34cd"),
        ({cell: ["12ab"], data: ["8"]}, "the data=7, and this one has 8"),
        ({}, "the code of model.cell=12ab, and this one has None"),
    ]:
        with pytest.raises(ConfigError, match=f"holds a search of rnn with {sentence}; give it a folder"):
            attempt(Launcher(learns), monkeypatch, *few, made_of=made_of)


@pytest.mark.slow
def test_a_study_of_a_version_that_did_not_note_what_it_was_made_of_goes_on(monkeypatch):
    few = ("model=rnn", "search.n_trials=4")
    with monkeypatch.context() as before:
        before.setattr("seqbench.search.study.MADE_OF", "nothing yet")
        old = of(attempt(Launcher(learns), before, *few)[0])
    its = {"the execution's engine": ["fused"]}
    assert of(attempt(Launcher(learns), monkeypatch, *few, made_of=its)[0]) == old
    with pytest.raises(ConfigError, match="the execution's engine=fused, and this one has loop"):
        attempt(Launcher(learns), monkeypatch, *few, made_of={"the execution's engine": ["loop"]})


@pytest.mark.parametrize(
    ("known", "code", "data", "changed"),
    [
        ({"the code of model.cell": ["1"], "the data": ["7"]}, "1", "7", None),
        ({"the code of model.cell": ["1"], "the data": ["7"]}, "2", "7", "the code of model.cell"),
        ({"the code of model.cell": ["1", "2"], "the data": ["7"]}, "3", "7", "the code of model.cell"),
        ({"the code of model.cell": ["1"], "the data": ["7"]}, "1", "8", "the data"),
        ({"the code of model.cell": ["1"], "the data": ["6", "9"]}, "1", "8", None),  # an end is 6, one 9
        ({}, "1", None, "the code of model.cell"),
    ],
)
def test_a_run_of_code_that_was_edited_while_the_search_went_on_is_not_counted(
    monkeypatch, known, code, data, changed
):
    def edited(cfg, seed):
        return learns(cfg, seed) | {"code": {"model.cell": code}, "data": data}

    few = ("model=rnn", "search.n_trials=2", "search.bracket=2", "search.rungs=1")
    if changed is None:
        attempt(Launcher(edited), monkeypatch, *few, made_of=known)
    else:
        with pytest.raises(StoreError, match=f"^{changed} was changed while rnn was searched, so that its "):
            attempt(Launcher(edited), monkeypatch, *few, made_of=known)


@pytest.mark.slow
def test_fewer_trials_than_there_are_count_the_first_alone(monkeypatch):
    models = "model=rnn,gru"
    of_4 = of(search(Launcher(learns), monkeypatch, models, "search.n_trials=4", "search.folder=few"))
    search(Launcher(learns), monkeypatch, "model=rnn", "search.n_trials=8", "search.folder=more")
    again = search(Launcher(learns), monkeypatch, models, "search.n_trials=4", "search.folder=more")
    assert of(again) == of_4 and [row["trials"] for row in table(again)] == ["4", "4"]


def test_what_is_no_study_is_one_sentence(tmp_path):
    (tmp_path / "study.db").write_text("something else, and long enough to be taken for a database" * 100)
    with pytest.raises(StoreError, match=r"study.db is no study: .*file is not a database"):
        open_storage(tmp_path / "study.db")


@pytest.mark.slow
def test_several_lengths_count_together(monkeypatch):
    launcher = Launcher(learns)
    (rnn,) = search(launcher, monkeypatch, "model=rnn", "search.lengths=[20,40]", "search.n_trials=4")
    assert {(run.length, run.seed) for run in rnn.trials[0].outcomes} == {
        *((20, 10_000), (20, 10_001), (40, 10_000), (40, 10_001))
    }
    assert rnn.best is not None and rnn.figures()["runs"] == 4


def test_seeds_in_a_row_are_one_job():
    assert rows([3, 4, 6]) == [range(3, 5), range(6, 7)] and rows([]) == []


def test_what_a_step_takes_is_of_all_threads(monkeypatch):
    monkeypatch.setattr(module, "answers", answers)
    assert check_space(plan(["task=latch", "model=rnn"]), timed=True)["rnn"].seconds == 1.0
