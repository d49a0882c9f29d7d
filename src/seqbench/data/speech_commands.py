"""Speech Commands, recordings of single words: on the hub alone."""

from __future__ import annotations

from seqbench.data.text_packages import HubSource

SOURCE = HubSource(
    title="Speech Commands, version 0.02: 35 words, each in a second of sound (Warden, 2018)",
    hub_id="google/speech_commands:v0.02@refs/convert/parquet",
    columns=("audio (WAV, 16 kHz)", "label"),
    rows={"train": 84_848, "validation": 9_982, "test": 4_890},
    licence="CC BY 4.0. The recordings are by Google; P. Warden, arXiv 1804.03209.",
)
