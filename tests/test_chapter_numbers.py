"""What results/chapter.md tells of the pages that have records, written anew from their tables."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import pandas as pd
import pytest

RESULTS = Path(__file__).parents[1] / "results"
OPTIMS = "sgd_omega", "sgd", "plain_sgd"
TEXT = (RESULTS / "chapter.md").read_text().partition("## Measured")[2]


@cache
def table(page: str) -> pd.DataFrame:
    return pd.read_csv(RESULTS / f"{page}.csv")


def cells(page: str, column: str, model: str, *lengths: int, task: str = "") -> list[float]:
    """Return a column of a page's table: of one model, at these lengths, or at its one length."""
    rows = table(page)[lambda f: (f["model"] == model) & f["task"].str.startswith(task)]
    found = [rows[rows["length"] == length] for length in lengths] or [rows]
    assert all(len(its) == 1 for its in found), (page, model, lengths)
    return [its[column].iloc[0] for its in found]


def solved(page: str, model: str, *lengths: int, task: str = "") -> str:
    return ", ".join(f"{n:.0f}" for n in cells(page, "solved", model, *lengths, task=task))


def share(page: str, model: str, *lengths: int) -> str:
    return ", ".join(f"{100 * value:.1f}" for value in cells(page, "median", model, *lengths))


def ratios(part: str) -> list[float]:
    rows = json.loads((RESULTS / "speed.json").read_text())[part]
    (column,) = (name for name in rows[0] if " to " in name)
    return [row[column] for row in rows]


def half_spans(part: str, model: str, column: str = "half_span") -> str:
    """Return the spans at 50 % of a model as its preset is and tuned."""
    rows = table(f"chapter/gradient_descent-{part}").drop_duplicates("entrant").set_index("entrant")[column]
    least, most = 5, 400
    texts = {0.0: f"< {least}", math.inf: f"> {most}"}
    found = (rows[model], rows[f"{model} (tuned)"])
    return " and ".join(texts.get(span) or f"{span:.3g}" for span in found)


def sentences() -> Iterator[str]:
    rnn = [half_spans(part, "rnn") for part in ("plain", "clipped", "omega")]
    yield f"RNN plain {rnn[0]}, clipped {rnn[1]}, clipped and with Ω {rnn[2]};"
    yield f"LSTM plain {half_spans('plain', 'lstm')}, clipped {half_spans('clipped', 'lstm')}. By"
    sure = partial(half_spans, column="confirmed_half_span")
    rnn = [sure(part, "rnn") for part in ("plain", "clipped", "omega")]
    yield f"set confirms: RNN plain {rnn[0]}, clipped {rnn[1]}, clipped and with Ω {rnn[2]};"
    yield f"LSTM plain {sure('plain', 'lstm')}, clipped {sure('clipped', 'lstm')}, of rates"
    order = table("published/temporal_order")[lambda f: f["length"] == 200].set_index("model")["solved"]
    omega, clipped, plain = (order[order.index.str.contains(f"optim={o}\\)")].item() for o in OPTIMS)
    yield f"clipped and with Ω {omega:.0f} of 5 seeds, plain {plain:.0f}, clipped {clipped:.0f} |"
    spans = 20, 50, 100
    far = partial(solved, "long_dependency", task="temporal_order")
    for (start, later), models in {
        ("with time constants of up to 100 steps", "long starts"): ("gru_chrono", "lstm_chrono", "leaky_rnn"),
        ("with no more than 4", "short ones"): ("gru", "lstm", "leaky_rnn_short"),
    }.items():
        gru, lstm, leaky = (solved("quickstart", model, *spans) for model in models)
        yield f"{start} GRU {gru}, LSTM {lstm}, leaky units {leaky}"
        gru, lstm, leaky = (far(model, 100, 200) for model in models)
        yield f"{later} GRU {gru}, LSTM {lstm}, leaky units {leaky}"
    yield f"; RNN {solved('quickstart', 'rnn', *spans)}. After"
    yield f"; RNN {far('rnn', 100, 200)} |"

    page = "published/adding"

    def sequences(model: str) -> str:
        steps = cells(page, "median_steps", model, 100, 200, task="adding (solved_at")
        return " and ".join(f"{50 * its:,.0f}" for its in steps)

    yield f": GRU {sequences('gru')}, with a start for long memory {sequences('gru_chrono')};"
    yield f"; LSTM {sequences('lstm')}, with such a start {sequences('lstm_chrono')};"
    yield f"; leaky units {sequences('leaky_rnn')}; the test set confirms all 50 runs"
    halves = table(page)[lambda f: f["task"].str.startswith("adding (solved_at")]
    assert halves["solved"].sum() == 50 and halves["test_differs"].sum() == 0
    assert solved(page, "rnn", 100, 200, task="adding (solved_at") == "0, 0"

    gru, lstm, leaky, rnn = (
        share("published/mnist_rows", model) for model in ("gru", "lstm", "leaky_rnn", "rnn")
    )
    assert gru == lstm
    yield f"GRU and LSTM {gru} %, leaky units {leaky} %, RNN {rnn} %"
    leaky, gru, lstm = (
        share("published/mnist_pixels", model) for model in ("leaky_rnn", "gru_chrono", "lstm_chrono")
    )
    yield f"leaky units {leaky} %, GRU {gru} %, LSTM {lstm} %, both with a start for 784 steps"
    yield f"the IRNN diverges in {cells('published/mnist_pixels', 'diverged', 'irnn')[0]} of 5 runs"

    def lag(model: str, task: str) -> str:
        (steps,) = cells("published/lags_1997", "median_steps", model, 1000, task=task)
        return f"{solved('published/lags_1997', model, 1000, task=task)} of 5 after {steps:,.0f}"

    def confirmed(model: str, task: str) -> int:
        (number,) = cells("published/lags_1997", "solved_on_test", model, 1000, task=task)
        return int(number)

    both = f"{confirmed('lstm', 'latch')} and {confirmed('gru', 'latch')}"
    its = f"LSTM {lag('lstm', 'latch')}, GRU {lag('gru', 'latch')}"
    yield f"The latch: {its}, of which the test set confirms {both}."
    number = confirmed("gru", "adding")
    yield f"Adding: GRU {lag('gru', 'adding')}, of which the test set confirms {number}, LSTM"
    never = solved("published/lags_1997", "lstm", 1000, task="adding")
    yield f"LSTM {never} of 5 within the 853,000 sequences"

    nothing, one, two = (solved("chapter/forget_bias", f"lstm (forget_bias={n})") for n in range(3))
    assert one == two
    yield f"solved by {nothing} with an effective bias of 0, by {one} with 1 and with 2"

    for warp in ("uniform", "variable"):
        rows = table("chapter/time_warp")[lambda f, w=warp: f["task"] == f"time_warp (variant={w})"]
        right = rows.set_index("model")["median"]
        gru, lstm, leaky, rnn = (f"{100 * right[name]:.1f}" for name in ("gru", "lstm", "leaky_rnn", "rnn"))
        yield f"{warp.title()} warp: GRU {gru} %, LSTM {lstm} %, leaky RNN {leaky} %, RNN {rnn} %."

    parts = table("chapter/gates").drop_duplicates("entrant").set_index("entrant")["half_span"]
    changed = ("input_gate=false", "output_gate=false", "candidate=identity", "output=identity")
    less = [f"{parts[f'peephole_lstm {its}']:.0f}" for its in changed]
    whole, coupled = (f"{parts[its]:.0f}" for its in ("peephole_lstm", "peephole_lstm coupled=true"))
    assert parts["peephole_lstm forget_gate=false"] == math.inf
    yield f"with peepholes {whole}, without a forget gate > 400, with coupled gates {coupled};"
    yield f"or of what leaves {parts['lstm']:.0f}, {', '.join(less)}. On chorales"
    loss = table("chapter/gates_chorales").set_index("model")["median"]
    loss = loss[loss.index.str.endswith("lr=0.01)")]

    def chorales(changed: str = "") -> str:
        return f"{loss[f'peephole_lstm ({changed}lr=0.01)']:.2f}"

    first = (chorales(), chorales("forget_gate=False, "), chorales("coupled=True, "))
    others = ("input_gate=False, ", "output_gate=False, ", "candidate=identity, ", "output=identity, ")
    then = map(chorales, others)
    yield f"at a rate of 0.01, in the same order: {', '.join(first)}; "
    yield f"{loss['lstm (lr=0.01)']:.2f}, {', '.join(then)} |"

    page = "memory/associative_recall"
    ((six, twelve), (lstm, later)) = (
        cells(page, "largest", "ntm", 6, 12),
        cells(page, "median", "lstm", 6, 12),
    )
    machine, beside = (table(page).set_index("model")["parameters"][its].iloc[0] for its in ("ntm", "lstm"))
    yield f"Neural Turing Machine ({solved(page, 'ntm', 6)} solve it) has at most {six:.3f} bit errors at 6"
    yield f"and {twelve:.3f} at 12; an LSTM with {beside / machine:.0f} times as many weights "
    yield f"({solved(page, 'lstm', 6)} solve it) {lstm:.2f} and {later:.2f}, medians."

    page = "memory/ntm_copy"
    lengths = 20, 40, 120
    errors = pd.DataFrame(
        dict(zip(lengths, map(json.loads, cells(page, "values", "ntm", *lengths)), strict=True))
    )
    learnt = errors[errors[20] < 0.1]
    assert solved(page, "ntm", 20) == f"{len(learnt)}"
    yield f"the machine ({len(learnt)} solve it) then has at most {learnt[40].max():.3f} bit errors at 40"
    yield f"and {learnt[120].max():.3f} at 120; the others have"
    yield f"{' and '.join(f'{its:.1f}' for its in sorted(errors[20].drop(learnt.index)))} at 20. At ten"
    faster = "ntm (controller=LSTM, lr=0.01)"
    (steps,) = map(json.loads, cells("memory/ntm_copy_rate", "solved_at", faster, 20))
    solving = solved("memory/ntm_copy_rate", faster, 20)
    yield f"times the rate, clipped at 1 and not at 50, {solving} solve it, after {min(steps)} to"
    yield f"{max(steps):,} steps. An LSTM"
    (lstm, later) = cells(page, "median", "lstm", 20, 120)
    machine, beside = (table(page).set_index("model")["parameters"][its].iloc[0] for its in ("ntm", "lstm"))
    yield f"with {beside / machine:.0f} times as many weights ({solved(page, 'lstm', 20)} solve it) has"
    yield f"{lstm:.1f} at 20 and {later:.0f} at 120, medians, after 10,000 steps |"

    page, name = "chapter/continual_reber", "lstm (forget_gate={}, max_steps={})"
    kept, lost, later = (name.format(*its) for its in ((True, 2000), (False, 2000), (False, 4000)))
    long = {model: share(page, model, 10_000) for model in (kept, lost, later)}
    counts = {model: f"({solved(page, model, 200)} of 5" for model in long}
    yield f"{long[kept]} % with the gate {counts[kept]} solve), {long[lost]} % without {counts[lost]});"
    yield f"after 4,000 steps, {long[later]} % {counts[later]})"

    medians = table("chapter/sum_of_sines").set_index("model")["median"]
    clockwork, lstm, rnn = (medians.filter(like=model) for model in ("clockwork", "lstm", "rnn (rec"))
    preset, tuned = (
        its.filter(regex=what).iloc[0] for its, what in ((clockwork, "lr=0.003"), (clockwork, "39"))
    )
    yield f"as the presets are and tuned: {preset:.4f} and {tuned:.4f};"
    preset, tuned = (
        lstm.filter(like="lr=0.003").iloc[0],
        lstm.drop(lstm.filter(like="lr=0.003").index).iloc[0],
    )
    yield f"LSTM of as many parameters {preset:.2f} and {tuned:.2f},"
    preset, tuned = rnn.filter(like="lr=0.003").iloc[0], rnn.drop(rnn.filter(like="lr=0.003").index).iloc[0]
    yield f"RNN {preset:.2f} and {tuned:.2f}"

    settings = sorted(table("chapter/echo_state_mackey_glass")["median"], reverse=True)
    first, *others, last = (f"{value:.1e}".replace("e-0", "e-") for value in settings)
    yield f"at four settings: {first}, {', '.join(others)} and {last};"
    narma = table("chapter/echo_state_narma10")["median"]
    yield f"NARMA10: {narma.min():.3f} with 500 as the experiment has them, {narma.max():.3f} as"

    page = "chapter/output_recurrence"
    rnn, output = (f"{100 * cells(page, 'median', model)[0]:.0f} %" for model in ("rnn", "output_rnn"))
    yield f"RNN {rnn} ({solved(page, 'rnn')} of 5 solve), output RNN {output},"
    yield f"({solved(page, 'output_rnn')} of 5)"

    one, eight, most = ratios("forcing")
    yield f"{one:.1f} times as fast at batch 1, as fast at 8, {most:.1f} times at 32"
    assert round(eight, 1) == 1
    yield f"a batch of 64 trees goes {min(ratios('trees')):.0f} to {max(ratios('trees')):.0f} times faster"

    always, less = (cells("chapter/teacher_forcing", "median", f"gru (teacher_forcing={its})")[0]
                    for its in ("1", "[1.0, 0.5]"))  # fmt: skip
    yield f"an error {always:.2f} of the standard deviation larger in closed loop; {less:.3f} where"

    stories = table("memory/story_facts")[lambda f: f["length"] == 10].set_index(["task", "model"])["median"]
    kinds = [f"stories (types=['{kind}'])" for kind in ("one_fact", "two_facts")]
    one, two = (
        [f"{100 * stories[kind, m]:.1f} %" for m in ("memory_network", "memn2n", "lstm")] for kind in kinds
    )
    assert one[0] == "0.0 %"
    yield f"one fact: told which, none; end to end {one[1]}; LSTM {one[2]}. Two facts: {', '.join(two)}"

    fixed = share("sequences/reverse", "seq2seq", 10, 15, 20).replace(", 17", " and 17")
    yield f"{fixed} % through a fixed context, all with attention"
    assert set(cells("sequences/reverse", "median", "seq2seq_attention", 10, 15, 20)) == {1}
    assert cells("sequences/reverse", "median", "seq2seq", 30) == [0]
    yield f"of 30 tokens none and {share('sequences/reverse', 'seq2seq_attention', 30)} %. English"
    fixed, attention = (share("sequences/g2p", model, 28) for model in ("seq2seq", "seq2seq_attention"))
    yield f": {fixed} % of the held-out words wrong through a fixed context, {attention} % with attention |"

    words, phonemes = table("real/g2p").iloc[0], table("real/g2p-phonemes").iloc[0]
    middle, least, largest = (f"{100 * words[column]:.1f}" for column in ("median", "least", "largest"))
    yield f": {middle} % of the words ({least} to {largest})"
    yield f"and {100 * phonemes['median']:.1f} % of the phonemes wrong"

    tree, recursive, lstm = (
        [share("trees/listops", model, depth) for depth in (5, 8)]
        for model in ("tree_lstm", "recursive_net", "lstm")
    )
    yield f"tree LSTM {tree[0]} % right at depth 5 and, deeper than it was trained, {tree[1]} % at 8;"
    yield f"recursive network {recursive[0]} and {recursive[1]} %;"
    yield f"LSTM on the same lists as strings {lstm[0]} and {lstm[1]} %"


@pytest.mark.parametrize("sentence", list(sentences()))
def test_what_the_chapter_tells_is_what_the_pages_have(sentence: str) -> None:
    assert sentence in TEXT
