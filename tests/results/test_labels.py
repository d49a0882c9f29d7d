"""Labels name the settings that tell namesakes apart, and no others."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from handmade import run

from seqbench.results.labels import label_runs, notes, with_length
from seqbench.runs.result import Result


def tasks(results: list[Result]) -> list[str]:
    return [task for task, _ in label_runs(results)]


def models(results: list[Result]) -> list[str]:
    return sorted({model for _, model in label_runs(results)})


def test_label_names_only_settings_that_differ_within_a_task() -> None:
    assert models([run(optim__lr=0.01), run(optim__lr=0.1)]) == ["lstm (lr=0.01)", "lstm (lr=0.1)"]
    # A setting that differs only from task to task makes no other model; 1.0 is the same rate as 1.
    assert models([run(optim__lr=0.01), run("latch", optim__lr=0.1)]) == ["lstm"]
    assert models([run(optim__lr=1), run(optim__lr=1.0, seed=1)]) == ["lstm"]
    # A value of None is not named. A setting that differs on one task is not named on another.
    both = [run(model__dropout=None), run(model__dropout=0.5), run("latch", model__dropout=0.5)]
    assert label_runs(both) == [("adding", "lstm"), ("adding", "lstm (dropout=0.5)"), ("latch", "lstm")]
    # Namesakes in two groups keep their full key.
    two = [run(model__decay=1, optim__decay=1), run(model__decay=2, optim__decay=2)]
    assert models(two)[0] == "lstm (model.decay=1, optim.decay=1)"


def test_a_number_has_four_digits_where_these_tell_runs_apart() -> None:
    assert models([run(model__alpha=0.3483643946305226), run(model__alpha=12345.678)]) == [
        "lstm (alpha=0.3484)",
        "lstm (alpha=12345.678)",
    ]
    close = [run(model__alpha=0.34836439), run(model__alpha=0.34839)]
    assert models(close) == ["lstm (alpha=0.34836439)", "lstm (alpha=0.34839)"]
    texts = [run(model__path="1.50000.csv"), run(model__path="100000")]
    assert models(texts) == ["lstm (path=1.50000.csv)", "lstm (path=100000)"]


@pytest.mark.parametrize(
    "key",
    [
        *("n_seeds", "runs_dir", "data_dir", "logger__project", "logger__wandb__mode", "model__engine"),
        *("trainer__devices", "trainer__accelerator", "trainer__num_threads", "trainer__progress"),
    ],
)
def test_keys_that_do_not_decide_the_numbers_are_not_named(key: str) -> None:
    assert models([run(seed=0, **{key: "a"}), run(seed=1, **{key: "b"})]) == ["lstm"]


def test_a_class_is_named_where_nothing_else_tells_two_runs_apart() -> None:
    def of(readout: str, **settings: object) -> Result:
        result = run(**settings)
        result.config["model"] = {"_target_": "x", "readout": {"_target_": f"seqbench.{readout}"}}
        return result

    linear, deep = of("readouts.LinearReadout"), of("readouts.DeepReadout", seed=1)
    assert models([linear, deep]) == ["lstm (readout=DeepReadout)", "lstm (readout=LinearReadout)"]
    # A class that has moved is the same, and what another setting tells apart needs no class.
    assert models([linear, of("elsewhere.LinearReadout", seed=1)]) == ["lstm"]
    assert models([linear, of("readouts.DeepReadout", optim__lr=3)]) == ["lstm", "lstm (lr=3)"]


def test_a_class_is_named_in_the_place_of_settings_that_it_alone_has() -> None:
    def of(cell: str, lr: float = 0.1, **settings: object) -> Result:
        its = {f"model__cell__{key}": value for key, value in settings.items()}
        return run(optim__lr=lr, model__cell___target_=cell, **its)

    cells = [("LSTM", {"bias": 1, "init": "uniform"}), ("Mine", {})]
    runs = [of(cell, lr, **its) for cell, its in cells for lr in (0.1, 0.2)]
    assert models(runs) == [f"lstm (cell={cell}, lr={lr})" for cell, _ in cells for lr in (0.1, 0.2)]
    # A setting that runs of one class differ in is named too.
    several = [of("Theirs", bias=1), of("Theirs", bias=2), of("Mine")]
    assert models(several) == ["lstm (cell=Mine)", "lstm (cell=Theirs, bias=1)", "lstm (cell=Theirs, bias=2)"]
    # One that both have tells them apart as it is.
    assert models([of("Theirs", bias=1), of("Mine", bias=2)]) == ["lstm (bias=1)", "lstm (bias=2)"]
    # A preset tells its class.
    adam, sgd = (
        run(preset__optim=name, optim__optimizer___target_=name, **{f"optim__optimizer__{key}": 1})
        for name, key in (("adam", "betas"), ("sgd", "momentum"))
    )
    assert models([adam, sgd]) == ["lstm (optim=adam)", "lstm (optim=sgd)"]


def test_width_from_a_budget_is_not_named() -> None:
    narrow = run(model__param_budget=10000, model__hidden_size=40)
    wide = run(model__param_budget=10000, model__hidden_size=50, seed=1, task__noise=0.0)
    assert models([narrow, wide]) == ["lstm"]
    free = run(model__param_budget=None, model__hidden_size=128)
    assert models([narrow, free]) == ["lstm (hidden_size=128)", "lstm (param_budget=10000)"]
    other = run(model__param_budget=20000, model__hidden_size=60)
    assert models([narrow, other]) == ["lstm (param_budget=10000)", "lstm (param_budget=20000)"]


def test_a_setting_that_follows_from_the_length_is_not_named_but_noted() -> None:
    """A memory of half the length is one model, which figures join by a line."""

    def half(**settings: Any) -> list[Result]:
        return [run(length=n, model__chrono=n // 2, **settings) for n in (50, 100)]

    assert models(half()) == ["lstm"]
    assert with_length(half(), label_runs(half())) == {
        "adding": ["lstm has chrono=25 at 50 and chrono=50 at 100."]
    }
    left_out = [run(length=100, model__chrono=50), *half()[:1]]  # to the task, whose default it is
    left_out[0].config["task"] = {"_target_": "seqbench.tasks.synthetic.adding.Adding"}
    left_out[1].config["task"]["_target_"] = "seqbench.tasks.synthetic.adding.Adding"
    assert with_length(left_out, label_runs(left_out)) == with_length(half(), label_runs(half()))
    # Beside that with defaults another setting tells the two apart, at every length.
    plain = [run(length=n, optim__lr=0.01) for n in (50, 100)]
    both = [*half(optim__lr=0.1), *plain]
    assert models(both) == ["lstm (lr=0.01)", "lstm (lr=0.1)"]
    assert with_length(both, label_runs(both)) == {
        "adding": ["lstm (lr=0.1) has chrono=25 at 50 and chrono=50 at 100."]
    }
    # With nothing else to tell them apart it is named, and so it is where one length has two of it.
    bare = [run(length=n) for n in (50, 100)]
    assert models([*half(), *bare]) == ["lstm", "lstm (chrono=25)", "lstm (chrono=50)"]
    assert models([*half(), run(model__chrono=100)])[0] == "lstm (chrono=100)"
    # One value at two lengths and another at a third are two models, that were run at some lengths each.
    apart = [run(length=n, optim__lr=0.1 if n > 50 else 0.01) for n in (20, 50, 100)]
    assert models(apart) == ["lstm (lr=0.01)", "lstm (lr=0.1)"]
    # A class too.
    linear, deep = (
        run(model__readout___target_="seqbench.readouts.LinearReadout"),
        run(length=100, model__readout___target_="seqbench.readouts.DeepReadout"),
    )
    assert models([linear, deep]) == ["lstm"]
    assert with_length([linear, deep], label_runs([linear, deep]))["adding"] == [
        "lstm has readout=LinearReadout at 50 and readout=DeepReadout at 100."
    ]


def test_a_null_that_takes_away_what_the_default_adds_is_named() -> None:
    """Without a clipped gradient is no default, and must not read as one."""
    target = "seqbench.training.optimisation.OptimizerConfig"

    def of(seed: int = 0, **settings: Any) -> Result:
        its = {f"optim__{key}": value for key, value in settings.items()}
        return run(seed=seed, optim___target_=target, **its)

    assert models([of(), of(clip_norm=None)]) == ["lstm (clip_norm=1)", "lstm (clip_norm=null)"]
    assert models([of(clip_norm=None), of(clip_norm=None, seed=1)]) == ["lstm"]
    # By default nothing is clipped by value.
    assert models([of(), of(clip_value=None), of(clip_value=3)]) == ["lstm", "lstm (clip_value=3)"]


def test_variants_of_a_task_are_named() -> None:
    results = [run(task__variant="1997"), run(task__variant="halves", optim__lr=0.1)]
    assert tasks(results) == ["adding (variant=1997)", "adding (variant=halves)"]
    assert models(results) == ["lstm"]


def test_a_run_from_before_an_option_is_labelled_as_one_after_it() -> None:
    target = {"_target_": "seqbench.models.sequence.SequenceModel", "hidden_size": 32}
    before, after = run(seed=0), run(seed=1)
    before.config["model"] = dict(target)
    after.config["model"] = target | {"dilation": 1, "bidirectional": False}
    assert models([before, after]) == ["lstm"]
    wide = run(seed=1)
    wide.config["model"] = {"_target_": target["_target_"]}
    assert models([before, wide]) == ["lstm (hidden_size=32)", "lstm (hidden_size=64)"]


def test_other_data_are_another_task() -> None:
    assert tasks([run(data="a1"), run(data="b2")]) == ["adding (data=a1)", "adding (data=b2)"]
    assert tasks([run(data="a1"), run(data="a1", seed=1)]) == ["adding", "adding"]


def test_runs_of_one_seed_by_two_engines_are_two_models() -> None:
    """They are two runs of one seed, and must not count as two seeds."""
    fused, loop = run(seed=0), run(seed=0)
    fused.execution, loop.execution = {"engine": "fused"}, {"engine": "loop", "threads": 2}
    assert models([fused, loop]) == ["lstm (engine=fused)", "lstm (engine=loop, threads=2)"]
    before = run(seed=1)
    assert models([before, run(seed=2)]) == ["lstm"]


def test_the_key_that_stands_beside_a_label_is_not_named() -> None:
    short, long = run(task__warp=4), run(task__warp=8)
    assert tasks([short, long]) == ["adding (warp=4)", "adding (warp=8)"]
    assert {task for task, _ in label_runs([short, long], "task.warp")} == {"adding"}
    lengths = [run(length=20, task__warp=4), run(length=40, task__warp=4)]
    assert tasks(lengths) == ["adding", "adding"]
    assert [task for task, _ in label_runs(lengths, "task.warp")] == [
        "adding (length=20)",
        "adding (length=40)",
    ]


def test_data_are_called_by_their_name_where_each_has_one_of_its_own() -> None:
    def of(name: str, data: str, **more: object) -> Result:
        return replace(run("ucr", task__name=name, task__data_dir="d", **more), data=data)

    assert tasks([of("Coffee", "a1"), of("FordA", "b2"), of("FordA", "b2", seed=1)]) == [
        *("ucr (name=Coffee)", "ucr (name=FordA)", "ucr (name=FordA)")
    ]
    assert tasks([of("Coffee", "a1"), of("Coffee", "a1", model__x=2)]) == ["ucr", "ucr"]
    # The same name for other data, or other names for the same: no name tells them apart.
    assert tasks([of("Coffee", "a1"), of("Coffee", "b2")]) == ["ucr (data=a1)", "ucr (data=b2)"]
    mixed = [of("x.csv", "a1"), of("y.csv", "a1", seed=1), of("z.csv", "b2")]
    assert tasks(mixed) == ["ucr (data=a1)", "ucr (data=a1)", "ucr (data=b2)"]
    # One that has been read from elsewhere has its name all the same.
    paths = [
        replace(run("table", task__path=path), data=data) for path, data in (("p.csv", "a1"), ("q.csv", "b2"))
    ]
    assert tasks(paths) == ["table (path=p.csv)", "table (path=q.csv)"]


CELL = "seqbench.models.cells.lstm_variants.LSTMVariant"
ABLATED: dict[str, Any] = {
    "candidate": "tanh",
    "output": "tanh",
    "coupled": False,
    "input_gate": True,
    "forget_gate": True,
}


CHANGES = [
    ("candidate", "identity"),
    ("output", "identity"),
    ("coupled", True),
    ("input_gate", False),
    ("forget_gate", False),
]


def ablated(name: str, changed: object, target: str = CELL, **settings: Any) -> Result:
    cell = {f"model__cell__{key}": value for key, value in (ABLATED | {name: changed}).items()}
    return run(model="peephole_lstm", model__cell___target_=target, **cell, **settings)


def test_of_many_settings_a_label_leaves_out_those_at_their_defaults() -> None:
    runs = [ablated("candidate", "tanh"), *(ablated(*change) for change in CHANGES)]
    assert models(runs[:4]) == [  # four settings at most: all are named
        "peephole_lstm (candidate=identity, coupled=False, output=tanh)",
        "peephole_lstm (candidate=tanh, coupled=False, output=identity)",
        "peephole_lstm (candidate=tanh, coupled=False, output=tanh)",
        "peephole_lstm (candidate=tanh, coupled=True, output=tanh)",
    ]
    assert notes(runs[:4], label_runs(runs[:4])) == {}
    assert models(runs) == [
        "peephole_lstm",
        "peephole_lstm (candidate=identity)",
        "peephole_lstm (coupled=True)",
        "peephole_lstm (forget_gate=False)",
        "peephole_lstm (input_gate=False)",
        "peephole_lstm (output=identity)",
    ]
    left_out = "candidate=tanh, coupled=False, forget_gate=True, input_gate=True, output=tanh"
    assert notes(runs, label_runs(runs)) == {
        "adding": [f"Of peephole_lstm labels leave out the defaults {left_out}."]
    }
    # What has no default is named of all.
    rates = [ablated(*change, model__rate=rate) for change in CHANGES for rate in (1, 2)]
    assert models(rates)[:2] == [
        "peephole_lstm (candidate=identity, rate=1)",
        "peephole_lstm (candidate=identity, rate=2)",
    ]


def test_a_note_lists_the_defaults_that_some_run_is_at_with_keys_that_are_told_apart() -> None:
    biased = [ablated(*change, model__cell__forget_bias=bias) for change in CHANGES for bias in (3, 5)]
    (note,) = notes(biased, label_runs(biased))["adding"]
    assert "forget_bias" not in note and "coupled=False" in note
    twice = [replace(one, config=deepcopy(one.config)) for one in [ablated("coupled", False), *biased]]
    for one in twice:
        one.config["model"]["second"] = one.config["model"]["cell"] | {"coupled": one is twice[0]}
    (note,) = notes(twice, label_runs(twice))["adding"]
    assert "model.cell.coupled=False" in note and "model.second.coupled=False" in note


def test_no_default_is_left_out_that_is_not_one_of_all() -> None:
    """A class without the setting, or with another default for it, would have the same label."""
    runs = [ablated("candidate", "tanh"), *(ablated(*change) for change in CHANGES)]
    another = ablated("candidate", "tanh", target="mine.Cell")
    del another.config["model"]["cell"]["coupled"]
    labels = [model for _, model in label_runs([*runs, another])]
    assert len({*labels}) == len(labels)
