"""text8, the first 10⁸ characters of a cleaned Wikipedia: on the hub alone. The task reads it."""

from __future__ import annotations

from seqbench.data.text_packages import HubSource

SOURCE = HubSource(
    title="text8, 10⁸ characters of Wikipedia: a to z and spaces",
    hub_id="afmck/text8",
    columns=("text",),
    rows={"train": 1, "validation": 1, "test": 1},
    licence="The text is of Wikipedia, under CC BY-SA 3.0; M. Mahoney cleaned it.",
)
