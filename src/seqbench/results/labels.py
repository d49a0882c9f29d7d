"""Labels of runs: a task or a model with the settings that tell it from others of the same name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

from seqbench.config.identity import INCIDENTAL, PLACES, frozen_defaults, public_name, with_defaults
from seqbench.config.presets import GROUPS
from seqbench.errors import printable
from seqbench.runs.result import Result

#: The end of the key that says which class a part is.
TARGET = "._target_"
#: The keys that say which data a run is on; the first by which data can be told apart names them.
NAMES_OF_DATA = ("task.name", "task.path", "task.dataset", "task.folder")
#: The parts of a configuration that no label names.
UNNAMED = {
    *(key for key in (*INCIDENTAL, *PLACES) if key not in ("preset", "model.param_budget")),
    *(f"preset.{group}" for group in GROUPS if group != "optim"),
    "task.eval_lengths",
}
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
    models = [
        _label(result.model, config, naming)
        for result, config, naming in zip(
            results, configs, _of_models(results, configs, tasks, beside), strict=True
        )
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
    tasks = [task for task, _ in labels]
    names = [(result.model, task) for result, task in zip(results, tasks, strict=True)]
    namings = _of_models(results, list(settings_of(results)), tasks, beside)
    return dict(zip(names, namings, strict=True))


def _of_models(
    results: Sequence[Result], configs: Sequence[Mapping[str, str]], tasks: Sequence[str], beside: str
) -> Iterator[Naming]:
    """Yield of each run how the labels of its model name settings among its runs on the same task."""
    names = [(result.model, task) for result, task in zip(results, tasks, strict=True)]
    # Two classes of a part may have other defaults under the same key: such a key is always named.
    defaults: dict[Name, set[tuple[str, str]]] = {}
    one_each = {(name, result.hash): result for name, result in zip(names, results, strict=True)}
    for (name, _), result in one_each.items():
        its = {*_defaults(result.config)}
        defaults[name] = defaults.get(name, its) & its
    namings = _namings(names, list(map(_of_model, configs)), _lengths(results, beside), defaults)
    yield from (namings[name] for name in names)


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
    label on another task. The class of a part is named only where the other settings do not tell two runs
    apart.
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
    found = {key for key in _differing([mine for _, mine in namesakes]) if not key.endswith(TARGET)}
    found -= _follow_length(namesakes, found)
    alike: dict[tuple[int | str | None, ...], list[Mapping[str, str]]] = defaultdict(list)
    for length, mine in namesakes:
        alike[length, *(mine.get(key) for key in sorted(found))].append(mine)
    return found.union(*(_differing(some) for some in alike.values()))


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
    return [int(result.config.get("task", {}).get(_last(key)) or 0) for result in results]


def _of_model(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that are not of the task."""
    return {key: text for key, text in settings.items() if not key.startswith("task.")}


def settings_of(results: Iterable[Result]) -> Iterator[dict[str, str]]:
    """Yield the settings of each run; the seeds of a configuration, which share them, have them made once."""
    made: dict[str, tuple[tuple[object, ...], dict[str, str]]] = {}
    for result in results:
        of = (
            result.data,
            result.execution,
            result.code,
            {k: v for k, v in result.config.items() if k != "seed"},
        )
        if result.hash not in made or made[result.hash][0] != of:
            made[result.hash] = (of, _settings(result))
        yield made[result.hash][1]


def _settings(result: Result) -> dict[str, str]:
    """Return the settings that labels may name: dotted key to value as text.

    A setting that a run leaves out has its frozen default: runs from before an option are labelled as those
    after it. One of None is without what the setting adds, and is not named, unless None takes away what the
    default adds, as `optim.clip_norm=null` does. Other data make another task, and another source of a class
    that is not of seqbench another class. How a run is executed counts
    by what it came to, its engine, not by what was asked for.
    """
    settings = {
        key: public_name(value) if key.endswith(TARGET) and isinstance(value, str) else _text(value)
        for key, value in _flat(
            with_defaults(result.config) | {"task.data": result.data, "execution": result.execution}
        )
    } | {f"{place}.code": source for place, source in result.code.items()}
    if "model.param_budget" in settings:
        settings.pop("model.hidden_size", None)  # derived from the budget, for each task anew
    return settings


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values, without what no label names and without None where it is the default."""
    target = config.get("_target_")
    defaults = frozen_defaults().get(public_name(target), {}) if isinstance(target, str) else {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        if key in UNNAMED or (value is None and defaults.get(name) is None):
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{key}.")
        else:
            yield key, value


def _defaults(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted keys and the defaults, as text, that the classes of a configuration have for them."""
    target = config.get("_target_")
    frozen = frozen_defaults().get(public_name(target), {}) if isinstance(target, str) else {}
    yield from ((f"{prefix}{name}", _text(value)) for name, value in frozen.items() if value is not None)
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _defaults(value, f"{prefix}{name}.")
