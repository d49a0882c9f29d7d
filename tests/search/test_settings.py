"""The settings of a search: rungs, budget, and what is refused."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from seqbench.errors import ConfigError
from seqbench.search.settings import SearchSettings, settings_of


def test_the_rungs_are_evaluations_and_end_at_the_last_step():
    assert SearchSettings().steps(2000, 100) == [500, 1000, 2000]
    assert SearchSettings().steps(2000, 300) == [600, 1200, 2000]
    assert SearchSettings().steps(100, 100) == [100] == SearchSettings(rungs=1).steps(100, 10)
    assert SearchSettings(keep=1 / 3, bracket=9, n_trials=9).steps(900, 100) == [100, 300, 900]


def test_the_budget_is_counted():
    settings = SearchSettings(n_trials=16, bracket=8, rungs=3, keep=0.5, n_seeds=2)
    assert [settings.alive(rung) for rung in range(3)] == [8, 4, 2]
    assert [SearchSettings(bracket=9, n_trials=9, keep=1 / 3).alive(rung) for rung in range(4)] == [
        9,
        3,
        1,
        1,
    ]
    # of each bracket 8 to step 500, 4 of them to 1000, 2 of these to 2000
    assert settings.most_steps([500, 1000, 2000], n_lengths=3) == 2 * (8 * 500 + 4 * 500 + 2 * 1000) * 3 * 2
    assert list(settings.seeds) == [10_000, 10_001]


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        ({"n_trials": 0}, "search.n_trials=0 must be at least 1"),
        ({"n_trials": 12, "bracket": 8}, "search.n_trials=12 must be a multiple of search.bracket=8"),
        ({"keep": 1}, "search.keep=1.0 must lie between 0 and 1"),
        ({"lengths": [50, 50]}, r"search.lengths=\[50,50\] must name at least one length, and each once"),
        ({"lengths": "long"}, "search.lengths=long must be a list of whole numbers"),
        ({"n_seeds": "two"}, "search.n_seeds=two must be a whole number"),
        ({"n_trails": 3}, "There is no key search.n_trails. Did you mean 'search.n_trials'"),
    ],
)
def test_what_does_not_fit_is_one_sentence_with_the_whole_key(node, sentence):
    with pytest.raises(ConfigError, match=sentence):
        settings_of(OmegaConf.create(node))
