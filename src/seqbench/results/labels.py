"""Labels of runs: a task or a model with the settings that tell it from others of the same name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from seqbench.config.identity import with_defaults
from seqbench.errors import printable
from seqbench.results.settings import TARGET, defaults_of, settings_of
from seqbench.runs.result import Result

#: The keys that say which data a run is on; the first by which data can be told apart names them.
NAMES_OF_DATA = ("task.name", "task.path", "task.dataset", "task.folder")
#: Up to so many settings every label of a model names; of more it leaves out those at their defaults.
MOST_NAMED = 4
#: A task with "", or a model and the label of its task.
Name = tuple[str, str]


class Naming(NamedTuple):
    """How the labels of one model, or of one task, tell its configurations apart.

    Attributes:
        said: by setting that tells them apart how a label says its values.
        defaults: by setting that a label leaves out where it is at its default, that default.
    """

    said: dict[str, dict[str, str]]
    defaults: dict[str, str]


def label_runs(results: Sequence[Result], beside: str = "task.length") -> list[tuple[str, str]]:
    """Return the labels of task and model of every run: `adding`, `lstm (lr=0.01)`.

    The settings of a task are compared between all its runs. All other settings are compared between the
    runs of one model on one task: a setting that differs only from task to task, such as the number of
    steps, makes no other model and is in no label. Nor is one that follows from the key `beside`, such as a
    memory of half of it. Of more than four settings a label leaves out those that are at the defaults of
    their class. `notes` has what labels do not say.

    Args:
        results: the runs.
        beside: the key that no label names, since tables and figures have it beside the labels.
    """
    configs = list(settings_of(results))
    of_task = [{k: text for k, text in c.items() if k.startswith("task.") and k != beside} for c in configs]
    _name_data(results, of_task)
    names = [(result.task, "") for result in results]
    namings = _namings(names, of_task, [0] * len(results), {})
    tasks = [_label(name[0], its, namings[name]) for name, its in zip(names, of_task, strict=True)]
    of_models = _of_models(results, configs, tasks, beside)
    models = [
        _label(result.model, config, of_models[result.model, task])
        for result, config, task in zip(results, configs, tasks, strict=True)
    ]
    return list(zip(tasks, models, strict=True))


def notes(results: Sequence[Result], labels: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Return for each task what its labels do not say: `with_length` and `left_out`."""
    found = with_length(results, labels)
    for task, sentences in left_out(results, labels).items():
        found.setdefault(task, []).extend(sentences)
    return found


def left_out(
    results: Sequence[Result], labels: Sequence[tuple[str, str]], beside: str = "task.length"
) -> dict[str, list[str]]:
    """Return for each task a sentence on every model whose labels leave out what is at its default.

    `Of peephole_lstm labels leave out the defaults candidate=tanh, coupled=False, input_gate=True.`

    Args:
        results: the runs.
        labels: theirs, see `label_runs`.
        beside: as there.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for (model, task), naming in sorted(_namings_of(results, labels, beside).items()):
        if naming.defaults:
            shown = _shown(naming.said)
            said = ", ".join(f"{shown[key]}={value}" for key, value in naming.defaults.items())
            found[task].append(printable(f"Of {model} labels leave out the defaults {said}."))
    return found


def told_by(
    results: Sequence[Result], labels: Sequence[tuple[str, str]], beside: str = "task.length"
) -> dict[tuple[str, str], set[str]]:
    """Return by model and label of its task the settings that tell its variants there apart."""
    return {name: {*its.said} for name, its in _namings_of(results, labels, beside).items()}


def _namings_of(
    results: Sequence[Result], labels: Sequence[tuple[str, str]], beside: str
) -> dict[Name, Naming]:
    return _of_models(results, list(settings_of(results)), [task for task, _ in labels], beside)


def _of_models(
    results: Sequence[Result], configs: Sequence[Mapping[str, str]], tasks: Sequence[str], beside: str
) -> dict[Name, Naming]:
    """Return how the labels of each model on a task name settings."""
    names = [(result.model, task) for result, task in zip(results, tasks, strict=True)]
    # Two classes of a part may have other defaults under the same key: such a key is always named.
    defaults: dict[Name, set[tuple[str, str]]] = {}
    one_each = {(name, result.hash): result for name, result in zip(names, results, strict=True)}
    for (name, _), result in one_each.items():
        its = {*defaults_of(result.config)}
        defaults[name] = defaults.get(name, its) & its
    return _namings(names, list(map(_of_model, configs)), _lengths(results, beside), defaults)


def _name_data(results: Sequence[Result], of_task: Sequence[dict[str, str]]) -> None:
    """Put the names of data into the place of their fingerprints, where each has one of its own.

    A name alone makes no other task: the same file may lie at two places.
    """
    runs: dict[str, list[int]] = defaultdict(list)
    for i, result in enumerate(results):
        if result.data is not None:
            runs[result.task].append(i)
    for its in runs.values():
        for key in NAMES_OF_DATA:
            named = {i: results[i].config.get("task", {}).get(_last(key)) for i in its}
            pairs = {(name, results[i].data) for i, name in named.items()}
            if None not in named.values() and len(pairs) == len({*dict(pairs)}) == len({d for _, d in pairs}):
                for i, name in named.items():
                    del of_task[i]["task.data"]
                    of_task[i][key] = printable(str(name))
                break


def with_length(
    results: Sequence[Result], labels: Sequence[tuple[str, str]], beside: str = "task.length"
) -> dict[str, list[str]]:
    """Return for each task a sentence on every model whose settings go with the training length.

    `gru has chrono=25 at 50 and chrono=50 at 100.`

    Args:
        results: the runs.
        labels: theirs, see `label_runs`.
        beside: as there.
    """
    runs: dict[tuple[str, str], dict[int, dict[str, str]]] = defaultdict(dict)
    for label, settings, length in zip(labels, settings_of(results), _lengths(results, beside), strict=True):
        runs[label][length] = _of_model(settings)
    found: dict[str, list[str]] = defaultdict(list)
    for (task, model), of_length in sorted(runs.items()):
        keys = sorted(_differing([*of_length.values()]))
        at = []
        for length, settings in sorted(of_length.items()):
            values = ", ".join(f"{_last(key)}={settings.get(key, 'null')}" for key in keys)
            at.append(f"{values} at {length}")
        if keys:
            # What a configuration holds may come from anywhere.
            found[task].append(printable(f"{model} has {', '.join(at[:-1])} and {at[-1]}."))
    return found


def preset_of(label: str) -> str:
    """Return the preset of a label: `lstm` of `lstm (lr=0.01)`."""
    return label.partition(" (")[0]


def _namings(
    names: Sequence[Name],
    settings: Sequence[Mapping[str, str]],
    lengths: Sequence[int],
    defaults: Mapping[Name, Set[tuple[str, str]]],
) -> dict[Name, Naming]:
    """Return for each name how its configurations are told apart.

    What differs under another name is not named: a label says what it must, and a model may have another
    label on another task. The class of a part is named where the other settings do not tell two runs apart,
    and in the place of settings that only one class has.
    """
    namesakes: dict[Name, list[tuple[int, Mapping[str, str]]]] = defaultdict(list)
    for name, mine, length in zip(names, settings, lengths, strict=True):
        namesakes[name].append((length, mine))
    found = {}
    for name, its in namesakes.items():
        said = {key: _said({mine[key] for _, mine in its if key in mine}) for key in sorted(_telling(its))}
        # A setting that some lack would be told from its default by nothing.
        everywhere = {key for key in said if all(key in mine for _, mine in its)}
        known = {
            key: value
            for key, value in sorted(defaults.get(name, ()))
            if key in everywhere and any(mine[key] == value for _, mine in its)
        }
        found[name] = Naming(said, known if len(said) > MOST_NAMED else {})
    return found


def _said(values: Set[str]) -> dict[str, str]:
    """Return values as a label says them: with four digits, if these tell them apart."""
    short = {value: _rounded(value) for value in values}
    return short if len({*short.values()}) == len(values) else {value: value for value in values}


def _rounded(value: str) -> str:
    """Return a number that is not whole with four digits, where that is shorter; any other text as it is."""
    try:
        short = f"{float(value):.4g}" if "." in value else value
    except ValueError:
        return value
    return min(value, short, key=len)


def _telling(namesakes: Sequence[tuple[int, Mapping[str, str]]]) -> set[str]:
    """Return the settings that tell runs of one name apart, each of which has a length."""
    differing = _differing([mine for _, mine in namesakes])
    found = {key for key in differing if not key.endswith(TARGET)}
    found -= _follow_length(namesakes, found)
    for target in (key for key in sorted(differing) if key.endswith(TARGET)):
        own = _of_one_class([mine for _, mine in namesakes], target, found)
        found -= {key for key, follows in own.items() if follows}
        if own and f"preset.{target.partition('.')[0]}" not in found:
            found.add(target)
    alike: dict[tuple[int | str | None, ...], list[Mapping[str, str]]] = defaultdict(list)
    for length, mine in namesakes:
        alike[length, *(mine.get(key) for key in sorted(found))].append(mine)
    return found.union(*(_differing(some) for some in alike.values()))


def _of_one_class(settings: Sequence[Mapping[str, str]], target: str, keys: Set[str]) -> dict[str, bool]:
    """Return the settings of a part that another class of it does not have, and whether the class says them.

    Args:
        settings: of the runs of one name.
        target: the key of the class.
        keys: settings that differ.
    """
    found = {}
    for key in (key for key in keys if key.startswith(target.removesuffix(TARGET) + ".")):
        values: dict[str | None, set[str | None]] = defaultdict(set)
        for mine in settings:
            values[mine.get(target)].add(mine.get(key))
        if {None} in values.values():
            found[key] = all(len(its) == 1 for its in values.values())
    return found


def _follow_length(namesakes: Sequence[tuple[int, Mapping[str, str]]], keys: set[str]) -> set[str]:
    """Return the settings that follow from the length: one value at each length, and another at every other.

    That holds of runs that are alike in all settings whose values are the same at every length: of a tuned
    model beside that with defaults, the learning rate tells the two apart, and the memory need not. A value
    at two lengths and another at a third make two models, of which each was run at some.
    """
    by_length: dict[int, list[Mapping[str, str]]] = defaultdict(list)
    for length, mine in namesakes:
        by_length[length].append(mine)
    moving = {
        key
        for key in keys
        if len({frozenset(mine.get(key) for mine in its) for its in by_length.values()}) > 1
    }
    groups: dict[tuple[str | None, ...], list[tuple[int, Mapping[str, str]]]] = defaultdict(list)
    for length, mine in namesakes:
        groups[tuple(mine.get(key) for key in sorted(keys - moving))].append((length, mine))
    return {
        key
        for key in moving
        if all(_one_to_one({(length, mine.get(key)) for length, mine in group}) for group in groups.values())
    }


def _one_to_one(pairs: set[tuple[int, str | None]]) -> bool:
    """Return whether each length has one value, and each value one length, or all lengths the same value."""
    lengths, values = {length for length, _ in pairs}, {value for _, value in pairs}
    return len(pairs) == len(lengths) and len(values) in (1, len(lengths))


def _differing(settings: Sequence[Mapping[str, str]]) -> set[str]:
    return {key for key in set().union(*settings) if len({mine.get(key) for mine in settings}) > 1}


def _label(name: str, settings: Mapping[str, str], naming: Naming) -> str:
    """Return `name (key=value, …)`, with the last part of a key where that is enough to tell keys apart.

    Args:
        name: of the task or model.
        settings: its own.
        naming: which of them are named, and how.
    """
    shown = _shown(naming.said)
    named = [
        f"{shown[key]}={naming.said[key][settings[key]]}"
        for key in shown
        if key in settings and settings[key] != naming.defaults.get(key)
    ]
    return f"{name} ({', '.join(named)})" if named else name


def _shown(keys: Iterable[str]) -> dict[str, str]:
    """Return by key how it is shown: its last part where no other ends with the same."""
    short = {key: _last(key) for key in keys}
    uses = Counter(short.values())
    return {key: last if uses[last] == 1 else key.removesuffix(TARGET) for key, last in short.items()}


def _last(key: str) -> str:
    """Return the last part of a key: `lr` of `optim.lr`."""
    return key.removesuffix(TARGET).rpartition(".")[2]


def _lengths(results: Iterable[Result], key: str = "task.length") -> list[int]:
    """Return the training length of each run, or another key of its task; 0 where it has none."""
    return [int(with_defaults(result.config.get("task", {})).get(_last(key)) or 0) for result in results]


def _of_model(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that are not of the task."""
    return {key: text for key, text in settings.items() if not key.startswith("task.")}
