"""Rotten tomatoes, sentences of film reviews for and against a film: on the hub alone."""

from __future__ import annotations

from seqbench.data.text_packages import HubSource

SOURCE = HubSource(
    title="Rotten tomatoes, sentences of film reviews (Pang and Lee, 2005)",
    hub_id="cornell-movie-review-data/rotten_tomatoes",
    columns=("text", "label"),
    rows={"train": 8_530, "validation": 1_066, "test": 1_066},
    licence="none declared on the hub. The sentences are of reviews at Rotten Tomatoes, collected by B. Pang"
    " and L. Lee, ACL 2005.",
)
