"""Encoder and decoder, against loops that take one row and one step at a time."""

from __future__ import annotations

import math
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from seqbench.models import Seq2Seq
from seqbench.models.cells.clockwork import ClockworkRNN
from seqbench.models.cells.feed_forward import FeedForward
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.lru import LRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.rnn import RNN
from seqbench.models.cells.skip import SkipRNN
from seqbench.models.memory.ntm import NTM
from seqbench.models.seq2seq.beam import beam_search
from seqbench.models.seq2seq.decoder import Decoder

INPUTS, OUTPUTS, END = 5, 4, 3
KINDS = [
    {"attention": None, "context": "every_step"},
    {"attention": None, "context": "start"},
    {"attention": "additive"},
    {"attention": "dot"},
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
every_cell = pytest.mark.parametrize("cell", [RNN, GRU, LSTM, ClockworkRNN])


def stirred(cell=GRU, scale=0.5, **options) -> Seq2Seq:
    model = Seq2Seq(cell, INPUTS, OUTPUTS, end=END, hidden_size=6, **options).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=scale)
    return model


def batch(rows=4, source=6, target=5):
    g = torch.Generator().manual_seed(1)
    inputs = torch.randint(INPUTS, (rows, source), generator=g)
    truth = torch.randint(OUTPUTS, (rows, target), generator=g)
    lengths = torch.tensor([source, 1, 3, source - 1])[:rows]
    return inputs, lengths, truth


def by_hand(model, inputs, truth, forced):
    """One row, step by step, as the docstring says; `forced` says where the truth is fed."""

    def encode(layers, sequence):
        outputs = sequence
        for layer in layers:
            state, found = layer.initial_state(1), []
            for x in outputs:
                h, state = layer.step(layer.project(x[None]), state)
                found.append(h[0])
            outputs = found
        return outputs

    one_hot = torch.eye(INPUTS).double()
    sequence = [one_hot[token] for token in inputs]
    forth = encode(model.encoder.layers, sequence)
    annotations, final = torch.stack(forth), forth[-1]
    if model.encoder.backward_layers:
        back = encode(model.encoder.backward_layers, sequence[::-1])
        annotations = torch.cat([annotations, torch.stack(back[::-1])], dim=1)
        final = torch.cat([final, back[-1]])
    decoder = model.decoder
    maps, states = iter(decoder.first), []
    for layer in decoder.body.layers:
        parts = []
        for part in layer.initial_state(1):
            is_units = part.shape[1:] == (6,)
            parts.append(torch.tanh(next(maps)(final))[None] if is_units else part)
        states.append(tuple(parts))
    # s(0), which the context has set: of all cells here h is the first part of the state.
    query, own, outputs, weights = states[-1][0][0], torch.zeros(OUTPUTS).double(), [], []
    for t in range(len(truth)):
        before = torch.zeros(OUTPUTS).double() if t == 0 else torch.eye(OUTPUTS).double()[truth[t - 1]]
        y = before if forced[t] else own
        context = final
        attention = decoder.attention
        if attention and attention.kind == "additive":
            scores = [attention.v @ torch.tanh(attention.W_a(query) + attention.U_a(h)) for h in annotations]
        elif attention:
            scores = [query @ attention.U_a(h) / 6**0.5 for h in annotations]
        if attention:
            alpha = torch.softmax(torch.stack(scores), dim=0)
            weights.append(alpha)
            context = sum(a * h for a, h in zip(alpha, annotations, strict=True))
        context_read = [context] if decoder.reads_context else []
        h = torch.cat([y, *context_read])[None]
        for i, layer in enumerate(decoder.body.layers):
            h, states[i] = layer.step(layer.project(h), states[i])
        query = h[0]
        o = decoder.readout(torch.cat([h[0], *context_read]))
        outputs.append(o)
        own = torch.eye(OUTPUTS).double()[o.argmax()]
    return torch.stack(outputs), weights


@every_kind
@every_cell
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("feeding", ["truth", "own", "mixed"])
def test_every_row_is_as_by_hand(kind, cell, bidirectional, feeding):
    layers = 2 if bidirectional is False else 1  # by hand, layers of both ways are not stacked
    model = stirred(cell, bidirectional=bidirectional, num_layers=layers, **kind)
    inputs, lengths, truth = batch()
    forced = {
        "truth": torch.ones(4, 5, dtype=torch.bool),
        "own": torch.zeros(4, 5, dtype=torch.bool),
        "mixed": torch.rand(4, 5) < 0.5,
    }[feeding]
    outputs, attention = model(inputs, lengths, truth, None if feeding == "truth" else forced)
    assert (attention is None) == (kind["attention"] is None)
    for row, length in enumerate(lengths.tolist()):
        expected, weights = by_hand(model, inputs[row, :length], truth[row], forced[row])
        torch.testing.assert_close(outputs[row], expected, rtol=0, atol=1e-12)
        for t, alpha in enumerate(weights):
            torch.testing.assert_close(attention[row, t, :length], alpha, rtol=0, atol=1e-12)
            assert (attention[row, t, length:] == 0).all()


@pytest.mark.parametrize("kind", ["additive", "dot"])
def test_attention_is_the_equations_of_bahdanaus_appendix(kind):
    """Section 3.1 and appendix A.2.2, in NumPy; u is their 1 − z, and the readout is this model's own."""
    model = stirred(partial(GRU, form="before"), attention=kind)
    inputs, _, truth = batch(rows=1)
    p = {name: value.detach().numpy() for name, value in model.named_parameters()}
    h = model.encode(inputs, None)[0][0].detach().numpy()  # the annotations h_j

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    s = np.tanh(p["decoder.first.0.weight"] @ h[-1] + p["decoder.first.0.bias"])  # s_0 = tanh(W_s h)
    y = np.zeros(OUTPUTS)
    U, W, b = (np.split(p[f"decoder.body.layers.0.{letter}"], 3) for letter in "UWb")
    outputs, attention = model(inputs, None, truth)
    for i in range(5):
        if kind == "additive":
            scores = [
                p["decoder.attention.v"]
                @ np.tanh(
                    p["decoder.attention.W_a.weight"] @ s
                    + p["decoder.attention.W_a.bias"]
                    + p["decoder.attention.U_a.weight"] @ h_j
                )
                for h_j in h
            ]
        else:
            scores = [s @ (p["decoder.attention.U_a.weight"] @ h_j) / math.sqrt(6) for h_j in h]
        alpha = np.exp(scores) / np.exp(scores).sum()
        c = alpha @ h
        fed = np.concatenate([y, c])
        r, u = (sigmoid(U[k] @ fed + W[k] @ s + b[k]) for k in (0, 1))
        s = u * s + (1 - u) * np.tanh(U[2] @ fed + W[2] @ (r * s) + b[2])
        o = p["decoder.readout.weight"] @ np.concatenate([s, c]) + p["decoder.readout.bias"]
        np.testing.assert_allclose(attention[0, i].detach(), alpha, rtol=0, atol=1e-12)
        np.testing.assert_allclose(outputs[0, i].detach(), o, rtol=0, atol=1e-12)
        assert np.ptp(alpha) > 1e-3  # of the first step too
        y = np.eye(OUTPUTS)[truth[0, i]]


def test_the_first_query_of_a_step_of_ones_own_is_not_the_output_of_the_base():
    class OwnOutput(RNN):
        def step(self, projected, state):
            h, state = super().step(projected, state)
            return 3 * h.square(), state

    class Said(OwnOutput):
        def output_of(self, projected, state):
            return 3 * state[0].square()

    inputs, lengths, _ = batch()
    for cell in (OwnOutput, Said):
        model = stirred(cell, attention="dot").eval()
        annotations, final = model.encode(inputs, lengths)
        state = model.decoder.start(annotations, final, lengths)
        if cell is Said:
            expected = 3 * torch.tanh(model.decoder.first[0](final)).square()
        else:
            expected = torch.tanh(model.decoder.first_query(final))
        torch.testing.assert_close(state.query, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", ["additive", "dot"])
@pytest.mark.parametrize("cell", [RNN, LSTM, SkipRNN, NTM, FeedForward, LRU])
def test_the_first_query_is_the_output_of_the_first_state(kind, cell):
    """However the decoder is fed: the first α depends on the input alone."""
    model = stirred(cell, attention=kind, beam=3).eval()
    inputs, lengths, truth = batch()
    annotations, final = model.encode(inputs, lengths)
    state = model.decoder.start(annotations, final, lengths)
    (layer,), maps = state.layers, model.decoder.first
    if cell in (FeedForward, LRU):  # the output does not follow from the state
        expected = torch.tanh(model.decoder.first_query(final))
    else:
        expected = torch.tanh(maps[-1 if cell is SkipRNN else 0](final))  # SkipRNN: h(1−d), …, h(0)
    if cell is NTM:
        expected = torch.cat([expected, layer.read.flatten(1)], dim=1)
    torch.testing.assert_close(state.query, expected, rtol=0, atol=1e-14)
    alpha = model.decoder.attention(expected, state.source)[1]
    nowhere = torch.zeros(4, 5, dtype=torch.bool)
    found = {
        "truth": model(inputs, lengths, truth)[1],
        "beam": model(inputs, lengths, truth, nowhere)[1],
        "observed": model.observe(inputs, truth, lengths).attention,
    }
    model.beam = 1
    found["own"] = model(inputs, lengths, truth, nowhere)[1]
    for name, attention in found.items():
        torch.testing.assert_close(attention[:, 0], alpha, rtol=0, atol=1e-12, msg=name)
    assert (alpha[0].max() - alpha[0].min()).item() > 1e-4


@pytest.mark.parametrize("cell", [FeedForward, LRU])
def test_a_context_that_cannot_reach_the_decoder_is_refused(cell):
    with pytest.raises(ValueError, match=rf"the state of {cell.__name__} has no vector .*every_step"):
        stirred(cell, context="start")
    stirred(cell, context="every_step")


@every_kind
def test_without_a_truth_it_is_fed_its_own(kind):
    model = stirred(**kind)
    inputs, lengths, truth = batch()
    nowhere = torch.zeros(4, 5, dtype=torch.bool)
    torch.testing.assert_close(
        model(inputs, lengths, steps=5)[0], model(inputs, lengths, truth, nowhere)[0], rtol=0, atol=1e-14
    )
    with pytest.raises(ValueError, match="neither a true output nor a number of steps"):
        model(inputs, lengths)


@every_kind
def test_padding_changes_nothing_and_a_batch_of_one_is_its_row(kind):
    model = stirred(bidirectional=True, **kind)
    inputs, lengths, truth = batch()
    outputs, _ = model(inputs, lengths, truth)
    past = torch.arange(6) >= lengths[:, None]
    torch.testing.assert_close(model(torch.where(past, 4 - inputs, inputs), lengths, truth)[0], outputs)
    for row, length in enumerate(lengths.tolist()):
        alone, _ = model(inputs[row : row + 1, :length], None, truth[row : row + 1])
        torch.testing.assert_close(alone[0], outputs[row], rtol=0, atol=1e-12)


@every_kind
def test_an_output_ignores_the_truth_that_comes_later(kind):
    model = stirred(**kind)
    inputs, lengths, truth = batch()
    outputs, _ = model(inputs, lengths, truth)
    for t in range(1, 5):
        later = torch.cat([truth[:, :t], (truth[:, t:] + 1) % OUTPUTS], dim=1)
        after, _ = model(inputs, lengths, later)
        torch.testing.assert_close(after[:, : t + 1], outputs[:, : t + 1], rtol=0, atol=1e-13)
        if t < 4:
            assert (after[:, t + 1 :] - outputs[:, t + 1 :]).abs().max() > 1e-6


@every_kind
def test_gradcheck(kind):
    model = stirred(RNN, bidirectional=True, **kind)
    names, values = zip(*model.named_parameters(), strict=True)
    inputs, _, truth = batch(rows=2, source=3, target=2)

    def run(*parameters):
        given = dict(zip(names, parameters, strict=True))
        return functional_call(model, given, (inputs, torch.tensor([3, 2]), truth))[0]

    assert torch.autograd.gradcheck(run, values, fast_mode=True)


@every_kind
def test_two_under_vmap_are_each_alone(kind):
    models = [stirred(engine="loop", **kind) for _ in range(2)]
    inputs, lengths, truth = batch()
    forced = torch.rand(4, 5) < 0.5
    both = [torch.stack([part, part.flip(0)]) for part in (inputs, lengths, truth, forced)]

    def loss(parameters, *batch):
        return functional_call(models[0], parameters, batch)[0].square().sum()

    grads = vmap(grad(loss))(stack_module_state(models)[0], *both)
    for i, model in enumerate(models):
        alone = grad(loss)(dict(model.named_parameters()), *(part[i] for part in both))
        for name, value in alone.items():
            torch.testing.assert_close(grads[name][i], value, rtol=0, atol=1e-9)


def log_probability(model, inputs, tokens):
    """What a sequence of tokens costs, read off the outputs of a model that is fed it."""
    outputs, _ = model(inputs, None, tokens[None])
    return outputs[0].log_softmax(-1).gather(1, tokens[:, None]).sum()


@pytest.mark.parametrize(
    ("kind", "penalty"),
    [(KINDS[2], 1.0), *(pytest.param(KINDS[0], x, marks=pytest.mark.slow) for x in (0.0, 1.0))],
    ids=str,
)
def test_a_beam_of_all_there_are_finds_the_best_sequence(kind, penalty):
    """Against every sequence of up to three tokens."""
    found_others = 0
    for _ in range(6):
        model = stirred(scale=0.5, beam=OUTPUTS**3, length_penalty=penalty, **kind).eval()
        inputs, _, _ = batch(rows=1)
        best, score = None, -float("inf")
        for tokens in product(range(OUTPUTS), repeat=3):
            ended = tokens.index(END) + 1 if END in tokens else 3
            if END in tokens and set(tokens[ended:]) - {END}:
                continue  # counted once
            its = log_probability(model, inputs, torch.tensor(tokens[:ended])).item()
            its /= ((5 + ended) / 6) ** penalty
            if its > score:
                best, score = tokens[:ended], its
        said = model(inputs, steps=3)[0].argmax(-1)[0].tolist()
        assert tuple(said[: len(best)]) == best
        model.beam = 1
        found_others += tuple(model(inputs, steps=3)[0].argmax(-1)[0].tolist()[: len(best)]) != best
    assert found_others  # the likeliest token at each step is not always the best


class Chain(Decoder):
    """A decoder whose next token depends on the last one alone, by a table of probabilities."""

    def __init__(self, first, table):
        super().__init__(RNN, len(first), 1, 1, 1, None, True, "loop")
        self.chances = torch.tensor([first, *table]).log()

    def step(self, x, fed, state):
        before = torch.where(fed[0].any(1), fed[0].argmax(1) + 1, 0)
        return self.chances[before], state, fed


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_sequence_that_has_ended_does_not_fall_out_of_the_beam(penalty):
    """Two continuations of A are likelier than the end (the last token); all that follows is unlikely."""
    first, table = [0.7, 0.1, 0.2], [[0.49, 0.49, 0.02], [0.49, 0.49, 0.02], [0.0, 0.0, 1.0]]
    decoder = Chain(first, table)
    scores = {}
    for tokens in product(range(3), repeat=4):
        length = tokens.index(2) + 1 if 2 in tokens else 4
        p, before = 1.0, first
        for token in tokens[:length]:
            p, before = p * before[token], table[token]
        scores[tokens[:length]] = math.log(p) / ((5 + length) / 6) ** penalty
    best = max(scores, key=scores.get)
    assert best == (2,)  # of 0.2; before it in a beam of two come AA and AB, of 0.343 each
    state = decoder.start(torch.zeros(1, 1, 1), torch.zeros(1, 1), None)
    outputs, _ = beam_search(decoder, state, steps=4, beam=2, end=2, length_penalty=penalty)
    assert outputs.argmax(-1).tolist() == [[2, 2, 2, 2]]
    assert outputs[0, 0, 2].exp().item() == pytest.approx(0.7)  # it has changed places with the likeliest


def test_beam_search_goes_by_rows_and_tells_the_truth_of_its_outputs():
    model = stirred(scale=1.0, beam=3, attention="additive").eval()
    inputs, lengths, truth = batch()
    outputs, attention = model(inputs, lengths, steps=5)
    torch.testing.assert_close(outputs.logsumexp(-1), torch.zeros(4, 5).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(attention.sum(-1), torch.ones(4, 5).double())
    for row, length in enumerate(lengths.tolist()):
        alone, _ = model(inputs[row : row + 1, :length], steps=5)
        torch.testing.assert_close(alone[0], outputs[row], rtol=0, atol=1e-12)
    # In use it searches wherever not all is forced; the truth in its place is as ever.
    nowhere = torch.zeros(4, 5, dtype=torch.bool)
    torch.testing.assert_close(model(inputs, lengths, truth, nowhere)[0], outputs)
    forced = model(inputs, lengths, truth)[0]
    model.beam = 1
    torch.testing.assert_close(model(inputs, lengths, truth)[0], forced)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam": 0}, r"beam=0 leaves no sequence; give at least 1"),
        ({"hidden_size": 0}, r"hidden_size=0 leaves no unit"),
        ({"num_layers": 0}, r"num_layers=0 leaves no layer"),
        ({"engine": "scan"}, r"engine=scan: GRU has no such engine"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Seq2Seq(GRU, INPUTS, OUTPUTS, end=END, **options)
