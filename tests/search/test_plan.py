"""The plan of a search: what a preset says, what is typed, and that all models are searched alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqbench.errors import ConfigError
from seqbench.search.plan import plan


def preset(path: str, text: str) -> None:
    file = Path("presets", path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("says", "key", "sentence"),
    [
        (
            "n_trials: 64",
            "search.n_trials=8",
            "search.n_trials is 16 for gru and 64 for mine, and a search is ",
        ),
        ("n_seeds: 5", "search.n_seeds=1", "search.n_seeds is 2 for gru and 5 for mine, "),
        ("seed: 7", "search.seed=9", "search.seed is 10000 for gru and 7 for mine, "),
        (
            "lengths: [20, 40]",
            "search.lengths=[30]",
            r"search.lengths is \[50\] for gru and \[20,40\] for mine, ",
        ),
        ("rungs: 1", "search.rungs=2", "search.rungs is 3 for gru and 1 for mine, "),
    ],
)
def test_models_are_searched_alike_or_not_at_all(says: str, key: str, sentence: str) -> None:
    preset("model/mine.yaml", "defaults: [gru, _self_]\nhidden_size: 3\n")
    preset("search/mine.yaml", f"defaults: [gru, _self_]\n{says}\n")
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        plan(["task=latch", "model=gru,mine"])
    first, second = plan(["task=latch", "model=gru,mine", key]).models
    assert first.settings == second.settings and first.steps == second.steps


def test_a_model_that_brings_settings_of_the_task_is_not_searched_beside_others() -> None:
    preset("model/mine.yaml", "# @package _global_\nmodel: {_target_: x}\ntask: {noise_variance: 0.5}\n")
    preset("search/mine.yaml", "defaults: [gru, _self_]\n")
    with pytest.raises(
        ConfigError, match=r"^task.noise_variance is \S+ for gru and 0.5 for mine, and a search"
    ):
        plan(["task=latch", "model=gru,mine", "search.rungs=1"])


def test_the_fair_comparison_needs_no_further_key() -> None:
    found = plan(["experiment=fair_comparison", "task=temporal_order", "model=rnn,gru"])
    for part in found.models:
        its = part.settings
        assert (its.n_trials, list(its.seeds), its.bracket, its.keep) == (16, [10000, 10001, 10002], 8, 0.5)
        assert part.lengths == [50, 200] and part.steps == [800, 1500, 3000]
        assert part.config.preset.optim == "adam" and part.config.trainer.eval_every == 100
        assert part.config.model.param_budget == 10000 and part.config.batch_size == 32
        assert "optim.lr" in part.space and len(part.space) == 3
    assert found.folder == Path("runs/.searches/temporal_order-50-200")


def test_what_is_typed_wins_over_a_preset() -> None:
    words = ["experiment=fair_comparison", "task=temporal_order", "model=gru"]
    (part,) = plan([*words, "search.n_trials=8", "search.lengths=[20]", "optim=sgd", "batch_size=8"]).models
    assert part.settings.n_trials == 8 and part.settings.n_seeds == 3 and part.lengths == [20]
    assert part.config.preset.optim == "sgd" and part.config.batch_size == 8
    assert plan([*words, "task.length=100"]).models[0].lengths == [100]
    with pytest.raises(ConfigError, match=r"^task.length=100 has no effect beside search.lengths=\[20\].$"):
        plan([*words, "task.length=100", "search.lengths=[20]"])
    with pytest.raises(
        ConfigError, match=r"search.lengths=\[50,200\] are values of task.length, which mnist_rows "
    ):
        plan([words[0], "task=mnist_rows", "model=gru"])
    assert plan([words[0], "task=mnist_rows", "model=gru", "search.lengths=null"]).models[0].lengths == [None]


def test_the_space_of_an_experiment_is_laid_over_that_of_the_model() -> None:
    text = "# @package _global_\nsearch: {n_seeds: 4, space: {optim: {lr: {high: 0.01}}}}\n"
    preset("experiment/mine.yaml", text)
    (part,) = plan(["experiment=mine", "task=latch", "model=gru", "~search.space.optim.clip_norm"]).models
    assert part.settings.n_seeds == 4 and [*part.space] == ["optim.lr", "model.cell.update_bias"]
    assert part.space["optim.lr"].corners() == [3e-4, 0.01]
    preset("experiment/odd.yaml", "# @package _global_\nsearch: gru\n")
    with pytest.raises(ConfigError, match=r"^A preset sets search=gru; it holds keys of a search"):
        plan(["experiment=odd", "task=latch", "model=gru"])
    with pytest.raises(
        ConfigError, match=r"^experiment=long_dependency is a sweep; type its keys in its place"
    ):
        plan(["experiment=long_dependency", "model=gru"])


def test_lengths_are_values_of_the_key_that_sets_the_span() -> None:
    words = ["task=time_warp", "model=leaky_rnn", "task.length=300"]
    (part,) = plan(words).models
    assert (part.span_key, part.lengths) == ("warp", [10])
    (part,) = plan([*words, "search.lengths=[5,20]"]).models
    assert part.lengths == [5, 20] and part.config.task.length == 300
    for more, sentence in [
        (("search.lengths=[5]", "task.warp=7"), r"^task.warp=7 has no effect beside search.lengths=\[5\]"),
        (
            ("task.warp=5,20",),
            r"^task.warp=5,20: a search is of one task.warp; search.lengths=\[…\] takes sev",
        ),
        (
            ("search.space.task.warp={low:2,high:9}",),
            "^search.space.task.warp: a search cannot vary task.warp",
        ),
    ]:
        with pytest.raises(ConfigError, match=sentence):
            plan([*words, *more])


def test_the_last_key_of_a_node_of_the_space_may_be_left_out() -> None:
    words = ["task=latch", "model=lstm"]
    space = plan(words).models[0].space
    cell = [key for key in space if key.startswith("model.cell.")]
    assert cell == ["model.cell.forget_bias"]
    left = plan([*words, f"~search.space.{cell[0]}"]).models[0].space
    assert {*left} == {*space} - {*cell}
    with pytest.raises(ConfigError, match=r"search\.space is empty: there is nothing to vary"):
        plan([*words, *(f"~search.space.{key}" for key in space)])
