"""The study of a model: what is proposed."""

from __future__ import annotations

from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from seqbench.search import study

SPACE = {"optim.lr": FloatDistribution(1e-4, 1e-1, log=True), "optim.clip_norm": FloatDistribution(0.1, 10)}
POINTS = [{"optim.lr": 1e-4 * 2**i, "optim.clip_norm": 1 + i} for i in range(8)]


def trials(values):
    return [
        create_trial(params=point, distributions=SPACE, value=value)
        for point, value in zip(POINTS, values, strict=True)
    ]


def test_what_is_proposed_follows_from_what_was_found_and_from_the_number():
    rising, falling = trials(range(8)), trials(range(8, 0, -1))
    proposed = study._proposed(rising, SPACE, 8)
    assert proposed == study._proposed(rising, SPACE, 8)
    assert proposed != study._proposed(falling, SPACE, 8) and proposed != study._proposed(rising, SPACE, 9)


def test_what_is_proposed_lies_nearer_to_what_was_better():
    def mean_rate(found):
        return sum(study._proposed(found, SPACE, number)["optim.lr"] for number in range(8, 24)) / 16

    assert mean_rate(trials(range(8))) > 2 * mean_rate(trials(range(8, 0, -1)))


def test_trials_that_run_or_have_failed_are_no_obstacle():
    running = create_trial(params=POINTS[0], distributions=SPACE, state=TrialState.RUNNING)
    failed = create_trial(params=POINTS[1], distributions=SPACE, state=TrialState.FAIL)
    assert set(study._proposed([failed, running], SPACE, 8)) == set(SPACE)
