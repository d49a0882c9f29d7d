"""The study of one model: its trials, kept in SQLite by Optuna, bracket after bracket.

What a trial's parameters are follows from the trials of the brackets before it and from its number; nothing
that happens in between decides it. So a search that was killed goes on as if it had not been.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from seqbench.errors import ConfigError, StoreError, one_line
from seqbench.search.objective import Outcome, Score, score, value
from seqbench.search.settings import SearchSettings
from seqbench.search.space import Space, drawn
from seqbench.sweeps.outcome import DATA

#: The attributes of a study that say what it is a study of: its configuration, and code, data and execution.
MADE_WITH, MADE_OF = "made_with", "made_of"


class Trial(NamedTuple):
    """A configuration that is tried.

    number: its place in the study.
    params: a point of the space.
    state: of Optuna's: RUNNING until its bracket is over.
    rungs: for each rung that it was trained to, how its runs stand, or why it failed.
    """

    number: int
    params: dict[str, Any]
    state: TrialState
    rungs: list[list[Outcome] | str]

    @property
    def error(self) -> str | None:
        """Why it failed; None if it did not."""
        last = self.rungs[-1] if self.rungs else None
        return last if isinstance(last, str) else None

    @property
    def outcomes(self) -> list[Outcome]:
        """How its runs stand; none of a trial that failed at once."""
        return next((rung for rung in reversed(self.rungs) if not isinstance(rung, str)), [])

    def score_at(self, rung: int) -> Score | None:
        """Return how good it was at a rung; None where it failed there or was not trained so far."""
        found = self.rungs[rung] if rung < len(self.rungs) else ""
        return None if isinstance(found, str) else score(found)


class Study:
    """The trials of one model.

    Args:
        storage: of all models.
        name: of the model.
        space: what is varied.
        settings: of the search.
        steps: of the rungs.
        made_with: what decides the numbers, key to value.
        made_of: what decides them beside the configuration, name to values, see `Checked`.

    Raises:
        ConfigError: there is a study of this model that was made with something else.
    """

    def __init__(
        self,
        storage: RDBStorage,
        name: str,
        space: Space,
        settings: SearchSettings,
        steps: Sequence[int],
        made_with: Mapping[str, Any],
        made_of: Mapping[str, list[str]],
    ) -> None:
        self.space = space
        self.settings = settings
        self.steps = steps
        self._made_of = made_of
        self._storage = storage
        try:
            self._id = storage.get_study_id_from_name(name)
        except KeyError:
            self._id = storage.create_new_study([StudyDirection.MAXIMIZE], name)
        mine = json.loads(json.dumps(made_with))
        of_these = {name: ", ".join(values) for name, values in made_of.items()}
        stored = storage.get_study_user_attrs(self._id)
        theirs = stored.get(MADE_WITH)
        if theirs is None:
            storage.set_study_user_attr(self._id, MADE_WITH, mine)
        if MADE_OF not in stored:  # it is new, or of a version that did not note it
            storage.set_study_user_attr(self._id, MADE_OF, of_these)
        mine, theirs = mine | of_these, (theirs or mine) | stored.get(MADE_OF, of_these)
        if theirs != mine:
            key = next(key for key in {**theirs, **mine} if theirs.get(key) != mine.get(key))
            raise ConfigError(
                f"{storage.url.removeprefix('sqlite:///')} holds a search of {name} with {key}="
                f"{theirs.get(key)}, and this one has {mine.get(key)}; give it a folder of its own with "
                "search.folder=…."
            )

    def differs(self, made_of: Mapping[str, str]) -> str | None:
        """Return the name of what a run was made of and the study is not; None if there is nothing.

        Only the ends of ranges were looked at: data that differ between them differ within, too.
        """
        for name, its in made_of.items():
            known = self._made_of.get(name, [])
            if its not in known and (len(known) < 2 or name != DATA):
                return name
        return None

    def trials(self) -> list[Trial]:
        """Return the trials by number, without those that a larger `search.n_trials` has left."""
        return [
            Trial(
                trial.number,
                trial.params,
                trial.state,
                [
                    found if isinstance(found, str) else [Outcome(**run) for run in found]
                    for rung in range(len(self.steps))
                    if (found := trial.user_attrs.get(f"rung {rung}")) is not None
                ],
            )
            for trial in self._stored()[: self.settings.n_trials]
        ]

    def due(self) -> tuple[int, list[Trial]] | None:
        """Return the rung that comes next, and the trials that are to be trained to it; None at the end."""
        size = self.settings.bracket
        for first in range(0, self.settings.n_trials, size):
            for number in range(len(self._stored()), first + size):
                self._add(number)
            bracket = self.trials()[first : first + size]
            if all(trial.state.is_finished() for trial in bracket):
                continue
            alive = bracket
            for rung in range(len(self.steps)):
                if rung:
                    alive = best(alive, rung - 1)[: self.settings.alive(rung)]
                if lacking := [trial for trial in alive if len(trial.rungs) <= rung]:
                    return rung, lacking
            self._close(bracket)
        return None

    def note(self, trial: Trial, rung: int, runs: Sequence[Outcome] | str) -> None:
        """Keep how the runs of a trial stand at a rung, or why it failed."""
        plain = runs if isinstance(runs, str) else [asdict(run) for run in runs]
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._id, trial.number)
        if not isinstance(runs, str):
            reached = value(score(runs), self.steps[-1])
            self._storage.set_trial_intermediate_value(trial_id, self.steps[rung], reached)
        self._storage.set_trial_user_attr(trial_id, f"rung {rung}", plain)

    def _close(self, bracket: Sequence[Trial]) -> None:
        """Tell Optuna how the trials of a bracket ended."""
        for trial in bracket:
            if trial.state.is_finished():  # before the search was stopped just here
                continue
            last = trial.score_at(len(trial.rungs) - 1)
            state, values = TrialState.FAIL, None
            if last is not None:
                done = len(trial.rungs) == len(self.steps)
                state, values = (
                    TrialState.COMPLETE if done else TrialState.PRUNED,
                    [value(last, self.steps[-1])],
                )
            trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._id, trial.number)
            self._storage.set_trial_state_values(trial_id, state, values)

    def _stored(self) -> list[FrozenTrial]:
        return sorted(self._storage.get_all_trials(self._id), key=lambda trial: trial.number)

    def _add(self, number: int) -> None:
        """Add the trial of a number, in one transaction."""
        distributions = {key: varied.distribution() for key, varied in self.space.items()}
        if number < self.settings.bracket:
            params = drawn(self.space, self.settings.bracket)[number]
        else:
            params = _proposed(self._stored(), distributions, number)
        trial = create_trial(state=TrialState.RUNNING, params=params, distributions=distributions)
        self._storage.create_new_trial(self._id, trial)


def _proposed(before: Sequence[FrozenTrial], distributions: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return what Optuna's tree-structured Parzen estimator proposes; the trial's number is its seed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of its options are said to be experimental
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=1, multivariate=True, constant_liar=True, seed=number
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials(before)
        return study.ask(dict(distributions)).params


def best(trials: Sequence[Trial], rung: int) -> list[Trial]:
    """Return trials, the best at a rung first, of equal ones the first; without those that failed there."""
    found = [(trial.score_at(rung), trial) for trial in trials]
    scored = [(its, trial) for its, trial in found if its is not None]
    return [trial for _, trial in sorted(scored, key=lambda pair: pair[0], reverse=True)]


def open_storage(file: Path) -> RDBStorage:
    """Open the file of a study, or make it.

    Raises:
        StoreError: it cannot be written, or is none.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return RDBStorage(f"sqlite:///{file}", engine_kwargs={"connect_args": {"timeout": 60}})
    except OSError as error:
        raise StoreError(f"cannot write {error.filename}: {error.strerror}.") from error
    except Exception as error:  # of SQLAlchemy and Alembic, which have many
        raise StoreError(f"{file} is no study: {one_line(error)}.") from error
