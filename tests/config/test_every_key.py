"""Every key of every preset with values that nobody means: one sentence with the whole key, or accepted.

What is accepted is trained for two steps. It stands in `every_key.txt`, which a person has read line by line;
below it stands what is refused by a sentence about another key. After a change both are written anew by

    python -m tests.config.test_every_key                        all of it
    python -m tests.config.test_every_key model=dnc model=s5     what it says of these presets

and the difference is read again.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict

import seqbench
from seqbench.config.fit import shown
from seqbench.config.presets import model_accepts, preset_names
from seqbench.data import loading
from seqbench.data.hub import HubError
from seqbench.errors import ConfigError, DataError, nearest_key
from seqbench.runs import memory
from seqbench.runs.plan import plan

LIST = Path(__file__).with_name("every_key.txt")
#: A wrong type, a word, zero, a negative, nan, something huge, a fraction, true, null, a list, nothing.
VALUES = [{"a": 1}, "nonsense", 0, -1, float("nan"), 10**10, 2.5, True, None, [1], ""]
#: The keys that no preset has.
TOP_LEVEL = ["seed", "n_seeds", "batch_size", "runs_dir", "data_dir"]
#: A task of each kind, on which a model is tried, and a model that takes it.
TASKS = {"sequence": "latch", "two-sequence": "reverse", "tree": "listops", "story": "stories"}
MODELS = {"sequence": "gru", "two-sequence": "seq2seq", "tree": "tree_lstm", "story": "memn2n"}
#: Presets that need a package which is not always there, or start more processes by this one's command line.
LEFT_OUT = ("logger=mlflow", "logger=tensorboard", "logger=trackio", "trainer=ddp", "trainer=ddp_cpu")


#: The titles of the two parts of the list.
ACCEPTED = "Accepted: key=value, and the presets"
ELSEWHERE = "Refused by a sentence about another key: key=value, the sentence, and the presets"
#: Lines, each with the presets of which it is said.
Said = dict[str, set[str]]


def bases(only: Collection[str] = ()) -> Iterator[tuple[str, DictConfig, list[str]]]:
    """Yield every preset, or those of `only`, a configuration with it, and the keys that are its own."""
    if not only:
        yield "", seqbench.compose(["task=latch", "model=gru", "logger=none"]), TOP_LEVEL
    for group in ("task", "model", "model/readout", "model/block", "optim", "trainer", "logger"):
        for name in preset_names(group):
            chosen = f"{group}={name}"
            if chosen in LEFT_OUT or (only and chosen not in only):
                continue
            others = ["task=latch", "model=gru", "logger=none"]
            if group == "task":
                kind = seqbench.build_task(seqbench.compose([chosen])).kind
                others = [f"model={MODELS[kind]}", "logger=none"]
            elif group == "model":
                kind = next(kind for kind in TASKS if kind in model_accepts(name))
                others = [f"task={TASKS[kind]}", "logger=none"]
            elif group == "logger":
                others.remove("logger=none")
            cfg = seqbench.compose([*others, chosen])
            prefix = group.replace("/", ".")
            yield chosen, cfg, [key for key in keys(cfg) if key.startswith(f"{prefix}.")]


def keys(node: object, prefix: str = "") -> Iterator[str]:
    """Yield every dotted key of a configuration but those of Hydra and those of a named node itself."""
    for key in map(str, node) if isinstance(node, DictConfig) else ():
        if not key.startswith("_"):
            if f"{prefix}{key}" not in ("logger.wandb", "logger.csv"):
                yield f"{prefix}{key}"
            yield from keys(node._get_node(key), f"{prefix}{key}.")


def survey(only: Collection[str] = ()) -> tuple[str, list[str]]:
    """Return the list as text, and what is wrong: no sentence, or none about a key that is in the command.

    Args:
        only: the presets that are tried; of others the list says what it said. None for all.
    """
    accepted, elsewhere = listed(LIST.read_text(encoding="utf-8"), but=only) if only else listed("")
    wrong = []
    for preset, base, its_keys in bases(only):
        name = preset.partition("=")[2]
        for key in its_keys:
            for value in VALUES:
                cfg = base.copy()
                with open_dict(cfg):
                    OmegaConf.update(cfg, key, value, merge=False)
                typed = f"{key}={shown(value)}"
                try:
                    plan(cfg)
                except (ConfigError, DataError) as error:
                    told = str(error)
                    if not re.fullmatch(r"[^\n]{10,400}[.?]", told) or "validation error" in told:
                        wrong.append(f"{preset} {typed}: {told!r} is no sentence")
                    elif key not in told and not isinstance(error, DataError):
                        elsewhere[f"{typed}: {told}"].add(name)
                except Exception as error:
                    wrong.append(f"{preset} {typed}: {type(error).__name__}: {error}")
                else:
                    if (only or not accepted[typed]) and (told := failure(cfg, key)):
                        wrong.append(f"{preset} {typed}: {told}")
                    accepted[typed].add(name)
    return written(accepted, elsewhere), wrong


def written(accepted: Said, elsewhere: Said) -> str:
    """Return a list as text."""
    parts = [
        "\n".join([title, "", *(f"{line}  {' '.join(sorted(said[line]))}".rstrip() for line in sorted(said))])
        for title, said in ((ACCEPTED, accepted), (ELSEWHERE, elsewhere))
    ]
    return "\n\n".join(parts) + "\n"


def listed(text: str, but: Collection[str] = ()) -> tuple[Said, Said]:
    """Return what a list says, accepted and refused, without what it says of the presets `but`."""
    found: dict[str, Said] = {ACCEPTED: defaultdict(set), ELSEWHERE: defaultdict(set)}
    title = ""
    for line in filter(None, text.splitlines()):
        if line in found:
            title = line
            continue
        said, _, names = line.partition("  ")
        groups = (chosen.partition("=") for chosen in but)
        gone = {name for group, _, name in groups if said.startswith(f"{group.replace('/', '.')}.")}
        if left := {*names.split(" ")} - gone:
            found[title][said] = left
    return found[ACCEPTED], found[ELSEWHERE]


#: Keys that decide how long a run is: what was accepted of them is not trained.
TOO_LONG = ("trainer.max_steps",)
#: What makes a trial short.
SHORT = {"trainer.max_steps": 2, "trainer.eval_every": 2, "batch_size": 4, "task.eval_size": 8}


def failure(cfg: DictConfig, key: str) -> str:
    """Train a configuration for two steps, and return how that failed; nothing where it went well.

    A loss that is not finite is no failure: the run ends as diverged.
    """
    if key in TOO_LONG:
        return ""
    cfg = cfg.copy()
    for short, value in SHORT.items():
        if short != key and OmegaConf.select(cfg, short) is not None:
            OmegaConf.update(cfg, short, value)
    try:
        with pytest.MonkeyPatch.context() as patch:  # what needs more is refused, and no trial takes it
            patch.setattr(memory, "free_memory", lambda: 2 * 10**8)
            results = seqbench.train(cfg)
    except (ConfigError, DataError) as error:  # two steps are too few for it
        return "" if re.fullmatch(r"[^\n]{10,400}[.?]", str(error)) else f"{error!r} is no sentence"
    except Exception as error:
        return f"training fails: {type(error).__name__}: {error}"
    failed = [str(result.error).strip() for result in results if result.status == "failed"]
    return f"training fails: {failed[0].splitlines()[-1]}" if failed else ""


def isolate(patch: pytest.MonkeyPatch) -> None:
    """Make what is accepted the same on every machine: no data, no hub, and so much memory."""

    def offline(*_: object) -> None:
        raise HubError("is out of reach and not cached")

    patch.setattr(loading, "load_from_hub", offline)
    patch.setattr(memory, "free_memory", lambda: 16 * 10**9)


def test_a_part_of_the_list_is_written_anew_and_the_rest_stays() -> None:
    text = LIST.read_text(encoding="utf-8")
    assert written(*listed(text)) == text
    accepted, elsewhere = listed(text, but=["model=lstm", "model/readout=ridge", "optim=momentum"])
    assert accepted["model.cell.forget_bias=0"] == {"min_lstm", "peephole_lstm"}
    assert accepted["model.readout.ridge=0"] == {"echo_state"}
    assert accepted["seed=0"] == {""} and not elsewhere


@pytest.mark.slow
def test_every_key_is_refused_in_one_sentence_or_accepted_knowingly(monkeypatch: pytest.MonkeyPatch) -> None:
    isolate(monkeypatch)
    found, wrong = survey()
    assert not wrong, "\n".join(wrong)
    expected = LIST.read_text(encoding="utf-8")
    changes = difflib.unified_diff(expected.splitlines(), found.splitlines(), "every_key.txt", "now", n=0)
    assert found == expected, "\n".join(changes)


@pytest.mark.slow
def test_every_key_that_is_misspelt_is_found() -> None:
    for _, cfg, its_keys in bases():
        known = list(keys(cfg))
        for key in its_keys:
            for misspelt in {f"{key}{key[-1]}", key.rpartition(".")[2]} - {key}:
                guess = nearest_key(misspelt, [*known, *TOP_LEVEL])
                same_name = [other for other in known if other.rpartition(".")[2] == key.rpartition(".")[2]]
                assert any(guess == f" Did you mean {other!r}?" for other in (key, *same_name)), misspelt


if __name__ == "__main__":
    os.environ["WANDB_MODE"] = "offline"
    os.chdir(tempfile.mkdtemp())
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch)
        text, wrong = survey(sys.argv[1:])
    LIST.write_text(text, encoding="utf-8")
    print("\n".join(wrong))
