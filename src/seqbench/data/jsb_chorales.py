"""JSB Chorales, 382 chorales of Bach as piano rolls: a file of JSON in its folder. The task reads it."""

from __future__ import annotations

from seqbench.data.source import TextSource

SOURCE = TextSource(
    title="JSB Chorales, 382 chorales of Bach in the splits of N. Boulanger-Lewandowski et al. (2012)",
    hub_id=None,
    pattern="*.json",
    columns=("a list of chorales for each of train, valid and test: lists of steps, these lists of pitches",),
    rows={"train": 229, "validation": 76, "test": 77},
    licence="none declared. The chorales are in the public domain. `jsb-chorales-quarter.json`, of a step a"
    " quarter note, is in github.com/czhuang/JSB-Chorales-dataset. The pickle of the same is not read: to"
    " open one runs what it says.",
)
