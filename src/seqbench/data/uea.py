"""Eight data sets of the UEA and UCR archives, one with 12 channels, from the Python package aeon."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from seqbench.data.archives import ArchiveSource, Series
from seqbench.data.packages import pip_download

#: What a file says before its series.
DATA = "@data"


@dataclass(frozen=True)
class TsSource(ArchiveSource):
    """Files of a series a line: channels between colons, of values between commas, and the label.

    Source of the layout: aeon's documentation of the .ts format. `?` is a missing value.
    """

    def parse(self, lines: Sequence[str]) -> Iterator[Series]:
        header = next(i for i, line in enumerate(lines) if line.strip().lower() == DATA)
        for line in lines[header + 1 :]:
            if line.strip():
                *channels, label = line.strip().split(":")
                yield Series([_numbers(channel) for channel in channels], label)


def _numbers(channel: str) -> list[float]:
    numbers = [float("nan") if value == "?" else float(value) for value in channel.split(",")]
    while numbers and numbers[-1] != numbers[-1]:  # NaN alone is not itself
        numbers.pop()
    return numbers


SOURCE = TsSource(
    title="eight data sets of the UEA and UCR archives of time series",
    hub_id=None,
    package="the Python package aeon 1.6.0",
    command=pip_download("aeon==1.6.0"),
    sha256="d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",
    rows={"train": 813, "test": 2_156},
    licence="The package is under the BSD licence. The archives ask to be cited: A. Bagnall et al., The UEA"
    " multivariate time series classification archive, 2018; H. A. Dau et al., The UCR time series archive,"
    " 2019.",
    names=(
        *("ACSF1", "ArrowHead", "BasicMotions", "GunPoint", "ItalyPowerDemand", "JapaneseVowels", "OSULeaf"),
        "PickupGestureWiimoteZ",
    ),
    member="aeon/datasets/data/{name}/{name}_{split}.ts",
)
