"""The panel: what every model preset, and every part of training, computes in 20 steps, to 1e-10.

Each entry starts from the weights in `panel/weights.pt`, trains two seeds one by one in float64 with the loop
engine, and must give the numbers in `panel/numbers.json`. A number that changes is either a fault or a
correction, which the revision of its component must say.

    python -m tests.test_panel NAME …     writes entries anew; without names those that are missing
"""

from __future__ import annotations

import csv
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import seqbench
from seqbench.runs.plan import Plan

FOLDER = Path(__file__).parent / "panel"
NUMBERS, WEIGHTS = FOLDER / "numbers.json", FOLDER / "weights.pt"
SEEDS = 2
COMMON = (
    f"n_seeds={SEEDS} logger=none batch_size=4 task.eval_size=6 trainer.precision=64-true "
    "trainer.max_steps=20 trainer.eval_every=10 trainer.stop_when_solved=false "
    "trainer.seeds_together=false trainer.progress=false"
)
CELLS = (
    *("clockwork_rnn", "coupled_lstm", "deep_transition_rnn", "gru", "gru_as_printed", "irnn", "leaky_rnn"),
    *("lru", "lstm", "mgu", "min_gru", "mut1", "peephole_lstm", "rnn", "skip_rnn"),
)
LOOP = "model.hidden_size=6 model.engine=loop"
REBER = f"task=embedded_reber task.length=16 {LOOP}"
SINES = "task=sum_of_sines task.variant=continue task.length=176 model.hidden_size=5 model.engine=loop"
WARP = f"task=time_warp task.length=12 task.warp=3 {LOOP}"
REVERSE = f"task=reverse task.length=5 task.eval_lengths=[5,7] {LOOP}"
TREES = "task=listops task.length=3 task.eval_lengths=[3,4] task.max_tokens=30 model.hidden_size=6"
STORIES = (
    "task=stories task.types=[one_fact,two_facts] task.length=5 task.eval_lengths=[5] model.hidden_size=6"
)
NTM = f"task=ntm_copy task.length=4 model=ntm {LOOP} model.cell.memory_size=7 model.cell.word_size=3"
#: One of each kind; the others are slow tests.
QUICK = (
    *("leaky_rnn", "lstm", "echo_state", "ntm", "memn2n", "tree_lstm", "seq2seq_attention"),
    *("bidirectional", "omega"),
)
ENTRIES = {
    **{name: f"{REBER} model={name}" for name in CELLS},
    "echo_state": "task=narma10 task.length=40 model=echo_state model.hidden_size=9 model.engine=loop",
    "output_rnn": f"{WARP} model=output_rnn",
    "dilated_rnn": f"{REBER} model=dilated_rnn model.num_layers=3",
    "ntm": NTM,
    "memn2n": f"{STORIES} model=memn2n",
    "memory_network": f"{STORIES} model=memory_network",
    "recursive_net": f"{TREES} model=recursive_net",
    "tree_lstm": f"{TREES} model=tree_lstm",
    "seq2seq": f"{REVERSE} model=seq2seq",
    "seq2seq_attention": f"{REVERSE} model=seq2seq_attention",
    # Options of models, and parts of training.
    "adding": f"task=adding task.length=12 model=gru {LOOP}",
    "bidirectional": f"{REBER} model=lstm model.bidirectional=true model.num_layers=2",
    "deep_output": f"{REBER} model=rnn model/readout=deep",
    "dilated_gru": f"{REBER} model=gru model.num_layers=2 model.dilation=3",
    "gru_before": f"{REBER} model=gru model.cell.form=before",
    "lstm_chrono": f"{REBER} model=lstm model.cell.chrono=10 model.cell.peepholes=true",
    "lstm_odd": f"{REBER} model=lstm model.cell.output_gate=false model.cell.candidate=sigmoid",
    "lstm_ungated": f"{REBER} model=lstm model.cell.input_gate=false model.cell.forget_gate=false",
    "leaky_learnt": f"{REBER} model=leaky_rnn model.cell.alpha=[0.3,0.9] model.cell.learn_alpha=true",
    "skip_connection": f"{REBER} model=deep_transition_rnn model.cell.skip=true",
    "feedback": f"{WARP} model=gru model.feedback=true trainer.teacher_forcing=0.5",
    "closed_loop": f"{SINES} model=gru trainer.teacher_forcing=[1.0,0.2]",
    "feedback_that_predicts": f"{SINES} model=rnn model.feedback=true",
    "dilated_closed_loop": f"{WARP} model=rnn model.num_layers=2 model.dilation=2 model.feedback=true "
    "trainer.teacher_forcing=0.5",
    "omega": f"{REBER} model=rnn optim=sgd_omega",
    "truncated": f"{REBER} model=lstm optim.truncate=5",
    "truncated_sequences": f"task=temporal_order task.length=22 model=rnn {LOOP} optim.truncate=8 "
    "optim=momentum",
    "schedule": f"{REBER} model=rnn optim=rmsprop optim.schedule=cosine optim.warmup_steps=5 "
    "optim.clip_value=0.01",
    "ntm_feed_forward": f"{NTM} model.cell.memory_init=learnt "
    "model.cell.controller._target_=seqbench.models.cells.feed_forward.FeedForward",
    "ntm_heads": f"{NTM} model.cell.read_heads=2 model.cell.write_heads=2 model.cell.shift=2",
    "memn2n_layerwise": f"{STORIES} model=memn2n model.tying=layerwise model.encoding=bag",
    "story_lstm": f"{STORIES} model=lstm model.engine=loop",
    "tree_child_sum": f"{TREES} model=tree_lstm model.kind=child_sum",
    "tree_n_ary": f"{TREES} model=tree_lstm model.kind=n_ary",
    "tree_lstm_flat": f"{TREES} model=lstm model.engine=loop",
    "seq2seq_start": f"{REVERSE} model=seq2seq model.context=start model.num_layers=2 "
    "trainer.teacher_forcing=0.5",
    "seq2seq_beam": f"{REVERSE} model=seq2seq model.beam=3",
    "seq2seq_dot": f"{REVERSE} model=seq2seq_attention model.attention=dot model.beam=2",
    "reservoir_of_classes": f"{REBER} model=echo_state model.num_layers=2 model.cell.alpha=0.3",
}


#: Parts of the names of saved weights -> what models call them now; the first that fits is taken.
RENAMED = (
    (r"^((?:backward_)?layers\.)", r"body.\1"),
    (r"^((?:backward_)?layers\.)", r"encoder.\1"),
    (r"^decoder\.layers\.", r"decoder.body.layers."),
    (r"^decoder\.(U_a|W_a|v)\b", r"decoder.attention.\1"),
    (r"^layers\.(\d+)\.(U|W|b)$", r"body.layers.\1.controller.\2"),
    (r"^factor$", "readout.factor"),
)


def renamed(weights: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Return saved weights by the names that the model gives them."""
    known = model.state_dict()

    def name_now(name: str) -> str:
        candidates = [name, *(re.sub(old, new, name) for old, new in RENAMED)]
        return next((candidate for candidate in candidates if candidate in known), name)

    # What an NTM's controller reads is one matrix now: [U R].
    for name in [name for name in weights if name.endswith(".R")]:
        both = [weights[f"{name[:-1]}U"], weights[name]]
        weights = {k: v for k, v in weights.items() if k != name} | {f"{name[:-1]}U": torch.cat(both, 1)}
    return {name_now(name): value for name, value in weights.items()}


def numbers(overrides: str, initial: list[dict[str, Tensor]] | None) -> tuple[Any, Any]:
    """Train an entry; return, for each seed, its numbers, and the weights that it started from."""
    started: list[dict[str, Tensor]] = []
    plain = Plan.model

    def model_of(plan: Plan, seed: int) -> nn.Module:
        model = plain(plan, seed)
        if initial is not None:
            model.load_state_dict(renamed(initial[seed], model))
        started.append({name: value.clone() for name, value in model.state_dict().items()})
        return model

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plan, "model", model_of)
        results = seqbench.train(
            seqbench.compose([*COMMON.split(), *overrides.split(), f"runs_dir={folder}"])
        )
        found = []
        for result in results:
            assert result.status != "failed", result.error
            (rows,) = Path(folder).glob(f"*/*/seed-{result.seed}/metrics.csv")
            with rows.open() as file:
                metrics = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
            for row in metrics:
                del row["seconds"]
            found.append({"metrics": metrics, "test": result.test, "baseline_loss": result.baseline_loss})
    return found, started


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ENTRIES]
)
def test_numbers_are_those_of_the_panel(name: str) -> None:
    initial = torch.load(WEIGHTS, weights_only=True)[name]
    found, _ = numbers(ENTRIES[name], initial)
    _compare(found, json.loads(NUMBERS.read_text())[name], name)


def _compare(found: Any, expected: Any, where: str) -> None:
    """Compare to 1e-10: absolutely up to 1, relatively above."""
    if isinstance(expected, dict):
        assert set(found) == set(expected), where
        for key, value in expected.items():
            _compare(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for i, value in enumerate(expected):
            _compare(found[i], value, f"{where}[{i}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-10, abs=1e-10, nan_ok=True), where
    else:
        assert found == expected, where


def main(names: list[str]) -> None:
    """Write entries of the panel: those named, or those that are missing.

    An entry keeps the weights that it starts from. One whose weights no longer fit must be taken out of
    `WEIGHTS` first.
    """
    known = json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {}
    weights = torch.load(WEIGHTS, weights_only=True) if WEIGHTS.exists() else {}
    drawn = {}
    for name in names or [name for name in ENTRIES if name not in known]:
        known[name], started = numbers(ENTRIES[name], weights.get(name))
        if name not in weights:
            drawn[name] = started
        print(name)
    FOLDER.mkdir(exist_ok=True)
    NUMBERS.write_text(json.dumps({name: known[name] for name in ENTRIES}, indent=0) + "\n")
    if drawn:
        torch.save({name: (weights | drawn)[name] for name in ENTRIES}, WEIGHTS)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
