"""The plan of `seqbench span`: what was typed, checked, and each entrant's part of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Override
from omegaconf import DictConfig, OmegaConf

from seqbench.config.build import build_task
from seqbench.config.compose import compose
from seqbench.config.compose import named as resolved
from seqbench.config.explain import explain
from seqbench.config.fit import LARGEST, count
from seqbench.config.hydra_api import composed
from seqbench.config.overrides import parse, readable
from seqbench.config.presets import preset_names, preset_node
from seqbench.config.refusal import made
from seqbench.config.targets import find
from seqbench.errors import ConfigError
from seqbench.results.spans.measured import Protocol
from seqbench.results.statistics.span import Outcomes
from seqbench.results.statistics.staircase import next_runs, possible_spans
from seqbench.span.entrants import Entrant, named, read_entrants
from seqbench.sweeps.job import Job
from seqbench.sweeps.sweep import Settings
from seqbench.tasks.base import Task
from seqbench.tasks.span import Span

#: The keys of Hydra's that say how runs are launched.
LAUNCHER = ("hydra.launcher.n_jobs", "hydra.launcher.gpus_per_job")
#: The command's own keys that count something, with the least that each may be. One run at a span says next
#: to nothing of a rate, and two little more.
COUNTS = {"n_seeds": 3, "most_seeds": 3, "least": 1, "max": 1}
#: Where the staircase starts, if the task takes it, and how far it goes, unless it is typed.
LEAST, MOST = 10, 400
N_SEEDS, MOST_SEEDS = 5, 10
#: The seeds of a span v are FIRST_SEED + SEEDS_OF_A_SPAN · v + 0, 1, …: no two spans share one, and they are
#: neither those for tuning (`search.seed`, 10,000) nor those that one types.
FIRST_SEED, SEEDS_OF_A_SPAN = 1_000_000, 1000


@dataclass(frozen=True)
class Part:
    """One entrant on one task.

    Attributes:
        protocol: of the task.
        label: the entrant's name in tables.
        span: of the task.
        template: a job of it, at no span yet.
    """

    protocol: Protocol
    label: str
    span: Span
    template: Job

    def next(self, outcomes: Outcomes) -> dict[int, int]:
        """Return the spans to run next, and how many runs each is to have; see `staircase.next_runs`."""
        unit = self.span.unit
        by_unit = {span // unit: counts for span, counts in outcomes.items()}
        its = self.protocol
        found = next_runs(by_unit, its.least // unit, its.most // unit, its.n_seeds, its.most_seeds)
        return {span * unit: runs for span, runs in found.items()}

    def possible(self) -> list[int]:
        """Return every span that may be tried."""
        unit = self.span.unit
        least, most = self.protocol.least // unit, self.protocol.most // unit
        return [span * unit for span in possible_spans(least, most)]

    def job(self, number: int, span: int, n_seeds: int) -> Job:
        """Return the job of the first seeds at a span."""
        config, first = self.template.config, first_seed(span)
        varied: dict[str, Any] = {self.span.key: span}
        if "eval_lengths" in config["task"]:
            varied["eval_lengths"] = None  # tested where it is trained
        typed = [f"task.{key}={'null' if value is None else value}" for key, value in varied.items()]
        return replace(
            self.template,
            number=number,
            typed=[*self.template.typed, *typed, f"seed={first}", f"n_seeds={n_seeds}"],
            config=config | {"task": config["task"] | varied, "seed": first, "n_seeds": n_seeds},
            label=f"{self.label} {self.protocol.task} at {span}",
        )


def first_seed(span: int) -> int:
    """Return the first seed of the runs at a span."""
    return FIRST_SEED + SEEDS_OF_A_SPAN * span


@dataclass(frozen=True)
class SpanPlan:
    """What `seqbench span` is to find out.

    Attributes:
        parts: each entrant on each task.
        launcher: how runs are launched.
        folder: for logs and for what is found.
    """

    parts: list[Part]
    launcher: Settings
    folder: Path


def plan(words: Sequence[str], file: str | None = None) -> SpanPlan:
    """Return what is typed, `key=value` each, as a plan.

    Args:
        words: those of the command line.
        file: of the entrants, a line each; None where they are the models of the command line.

    Raises:
        ConfigError: a key, a value or a line cannot be used.
    """
    run: list[str] = []
    several: dict[str, list[str]] = {}
    own: dict[str, int] = {}
    launcher: dict[str, Any] = {}
    words = readable(words)
    for text, override in zip(words, parse(words), strict=True):
        key = str(override.key_or_group)
        if key in ("task", "model"):
            several[key] = list(dict.fromkeys(_names(override)))
        elif override.is_sweep_override():
            raise ConfigError(
                f"{text}: span takes several tasks and models, and one {key}; --jobs FILE gives each entrant "
                "settings of its own."
            )
        elif key in COUNTS:
            own[key] = count(override.value(), key, COUNTS[key], SEEDS_OF_A_SPAN if "seeds" in key else 10**6)
        elif key in LAUNCHER:
            launcher[key.rpartition(".")[2]] = override.value()
        elif key == "seed":
            raise ConfigError(
                f"{text}: seeds follow from the span, so that no two share one; n_seeds=… says how many."
            )
        elif key.startswith("hydra"):
            raise ConfigError(f"{text} does not go with span, which runs on this machine.")
        else:
            run.append(text)
    if file is not None and "model" in several:
        raise ConfigError(
            f"model={','.join(several['model'])} has no effect beside --jobs, each line of which names a "
            "model; leave one out."
        )
    entrants = _entrants(run, several.get("model"), file)
    tasks = several.get("task") or [str(compose([*run, *entrants[0].arguments]).preset.task)]
    parts = [_part(task, entrant, run, own) for task in tasks for entrant in entrants]
    return SpanPlan(parts, made(Settings, launcher, "hydra.launcher"), _folder(parts))


def _entrants(run: Sequence[str], models: Sequence[str] | None, file: str | None) -> list[Entrant]:
    if file is not None:
        return read_entrants(file, {str(override.key_or_group) for override in parse(run)})
    if models is None:
        models = [str(compose(run).preset.model)]
    return named([Entrant([f"model={model}"]) for model in models])


def _part(task: str, entrant: Entrant, run: Sequence[str], own: dict[str, int]) -> Part:
    """Compose an entrant's part on a task, and check it."""
    typed = [*run, f"task={task}", *entrant.arguments]
    with entrant.named_in_errors():
        cfg, template = _composed(typed, entrant.label)
        span = build_task(cfg).span
    if span is None:
        raise ConfigError(
            f"task={task} has no span: no key of it sets over how many steps something of a fixed size has "
            f"to be kept. Tasks with one: {', '.join(_with_span())}."
        )
    for text, key in ((text, text.partition("=")[0].lstrip("+~")) for text in run):
        if key == f"task.{span.key}":
            raise ConfigError(f"{text}: this is the span, which is varied; give least=… and max=….")
        if key == "task.eval_lengths":
            raise ConfigError(f"{text}: each run is tested at its own span; leave it out.")
    return Part(_protocol(task, span, own, cfg), entrant.label, span, template)


def _composed(typed: Sequence[str], label: str) -> tuple[DictConfig, Job]:
    """Return a configuration, resolved, and the job of it.

    Raises:
        ConfigError: a key or value is wrong.
    """
    try:
        plain: Any = OmegaConf.to_container(composed(typed), resolve=False)
    except Exception as error:  # Hydra's, OmegaConf's, YAML's
        raise explain(error, typed) from error
    hydra = plain.pop("hydra")
    choices = hydra["runtime"]["choices"]
    if hydra["sweeper"].get("params"):
        raise ConfigError(f"experiment={choices['experiment']} is a sweep; type its keys in its place.")
    job = Job(-1, list(hydra["overrides"]["task"]), plain, choices, label)
    return resolved(OmegaConf.create(plain), choices, typed), job


def _protocol(task: str, span: Span, own: dict[str, int], cfg: DictConfig) -> Protocol:
    """Return the protocol that is typed or usual, if the task has such spans."""
    unit, key = span.unit, f"task.{span.key}"
    for name in ("least", "max"):
        if own.get(name, 0) % unit:
            raise ConfigError(f"{name}={own[name]} must be a multiple of {unit}, as {key} of {task} is.")
    least = own.get("least", math.ceil(max(span.least, LEAST) / unit) * unit)
    most = own.get("max", MOST - MOST % unit)
    n_seeds = own.get("n_seeds", N_SEEDS)
    # Who types how many runs a span has gets so many.
    most_seeds = own.get("most_seeds", n_seeds if "n_seeds" in own else MOST_SEEDS)
    if least < span.least:
        raise ConfigError(f"least={least} is below the least span of {task}, {key}={span.least}.")
    if most < least:
        whose = "least=" if "least" in own else f"the least span of {task}, {key}="
        raise ConfigError(f"max={most} is below {whose}{least}.")
    if most_seeds < n_seeds:
        raise ConfigError(f"most_seeds={most_seeds} is below n_seeds={n_seeds}.")
    if cfg.trainer.get("max_epochs") is not None:
        raise ConfigError(
            f"trainer.max_epochs={cfg.trainer.max_epochs}: every span has the same budget of steps; give "
            "trainer.max_steps."
        )
    patience = cfg.trainer.get("patience")
    return Protocol(
        task=task,
        key=span.key,
        max_steps=count(cfg.trainer.max_steps, "trainer.max_steps", 1, LARGEST),
        eval_every=count(cfg.trainer.eval_every, "trainer.eval_every", 1, LARGEST),
        patience=None if patience is None else count(patience, "trainer.patience", 1, LARGEST),
        stop_when_solved=cfg.trainer.get("stop_when_solved", True),
        batch_size=cfg.batch_size,
        least=least,
        most=most,
        n_seeds=n_seeds,
        most_seeds=most_seeds,
        by_staircase=True,
    )


def _with_span() -> list[str]:
    """Return the presets whose class says a span; nothing of the user's own is imported."""
    targets = {name: str(preset_node("task", name).get("_target_")) for name in preset_names("task")}
    own = {name: find(target) for name, target in targets.items() if target.startswith("seqbench.")}
    return [name for name, task in own.items() if getattr(task, "span", None) is not Task.span]


def _names(override: Override) -> list[str]:
    """Return the presets that an argument names, one or several.

    Raises:
        ConfigError: it does not list them.
    """
    if not override.is_sweep_override():
        return [str(override.value())]
    several = override.value()
    if not isinstance(several, ChoiceSweep):
        raise ConfigError(f"{override.input_line}: span takes names that are listed: one,two,three.")
    return [str(override._convert_value(value)) for value in several.list]


def _folder(parts: Sequence[Part]) -> Path:
    """Return the folder of a plan: the same for the same plan, and of no other."""
    tasks = "+".join(dict.fromkeys(part.protocol.task for part in parts)).replace("/", ".")
    decides = [[part.label, part.template.typed, asdict(part.protocol)] for part in parts]
    digest = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:8]
    return Path(str(parts[0].template.config["runs_dir"])).expanduser() / ".spans" / f"{tasks}-{digest}"
