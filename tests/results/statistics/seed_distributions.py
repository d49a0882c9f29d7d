"""The family of distributions over seeds on which an interval of a metric must hold, and the candidates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import expit, logit

from seqbench.results.statistics.metrics import median_ranks

Sampler = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


@dataclass(frozen=True)
class Seeds:
    """A distribution of a metric over seeds: samples of a shape, and its bounds."""

    sample: Sampler
    low: float = -np.inf
    high: float = np.inf


def mixture(solved: float) -> Sampler:
    """Return accuracies at chance of four classes, or near 1 with a probability."""

    def sample(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        chance, near_one = rng.normal(0.25, 0.02, shape), 1 - rng.exponential(0.005, shape)
        return np.clip(np.where(rng.random(shape) < solved, near_one, chance), 0, 1)

    return sample


FAMILY = {
    "normal": Seeds(lambda rng, shape: rng.normal(0.5, 0.1, shape)),
    "uniform": Seeds(lambda rng, shape: rng.random(shape), 0, 1),
    "lognormal, sd 0.5": Seeds(lambda rng, shape: rng.lognormal(0, 0.5, shape), 0),
    "lognormal, sd 1.5": Seeds(lambda rng, shape: rng.lognormal(0, 1.5, shape), 0),
    "near one, beta(60, 1)": Seeds(lambda rng, shape: rng.beta(60, 1, shape), 0, 1),
    "near one, beta(20, 0.5)": Seeds(lambda rng, shape: rng.beta(20, 0.5, shape), 0, 1),
    **{
        f"solved or chance, {100 * solved:.0f} %": Seeds(mixture(solved), 0, 1)
        for solved in (0.05, 0.1, 0.2, 0.35, 0.45, 0.65, 0.8, 0.9, 0.95)
    },
}
N_SEEDS = (3, 5, 10, 20)


def student(x: np.ndarray, seeds: Seeds) -> np.ndarray:
    half = stats.t.ppf(0.975, x.shape[1] - 1) * x.std(axis=1, ddof=1) / np.sqrt(x.shape[1])
    return np.stack([x.mean(axis=1) - half, x.mean(axis=1) + half])


def transformed_student(x: np.ndarray, seeds: Seeds) -> np.ndarray:
    """Student's on the logit where the metric has two bounds, on the logarithm where it has one."""
    if np.isfinite(seeds.high):
        return expit(student(logit(np.clip(x, 1e-6, 1 - 1e-6)), seeds))
    return np.exp(student(np.log(x), seeds)) if np.isfinite(seeds.low) else student(x, seeds)


def hoeffding(x: np.ndarray, seeds: Seeds) -> np.ndarray:
    """Hoeffding's bound for the mean (1963), cut at the metric's range; all numbers without two bounds."""
    half = (seeds.high - seeds.low) * np.sqrt(np.log(2 / 0.05) / (2 * x.shape[1]))
    mean = x.mean(axis=1)
    return np.stack([np.maximum(mean - half, seeds.low), np.minimum(mean + half, seeds.high)])


def bootstrap(statistic: Callable[..., np.ndarray]) -> Callable[[np.ndarray, Seeds], np.ndarray]:
    """The bias-corrected and accelerated bootstrap; no interval where all resamples are equal."""

    def interval(x: np.ndarray, seeds: Seeds) -> np.ndarray:
        with np.errstate(all="ignore"):
            found = stats.bootstrap(
                (x,), statistic, axis=1, vectorized=True, n_resamples=499, batch=50, method="BCa", rng=0
            )
        return np.stack(found.confidence_interval)

    return interval


def order_statistics(x: np.ndarray, seeds: Seeds) -> np.ndarray:
    low, high = median_ranks(x.shape[1]) or (0, x.shape[1] - 1)
    ordered = np.sort(x, axis=1)
    return np.stack([ordered[:, low], ordered[:, high]])


#: Each candidate: what it estimates, and its interval for samples (repeats, n) as (2, repeats).
CANDIDATES = {
    "t, mean": (np.mean, student),
    "t on logit or log, median": (np.median, transformed_student),
    "Hoeffding, mean": (np.mean, hoeffding),
    "BCa, mean": (np.mean, bootstrap(np.mean)),
    "BCa, median": (np.median, bootstrap(np.median)),
    "order statistics, median": (np.median, order_statistics),
}


def coverage(candidate: str, seeds: Seeds, n: int, repeats: int) -> tuple[float, float]:
    """Return how often an interval covers, and its median width as a share of the seeds' 95 % range."""
    rng = np.random.default_rng(0)
    population = seeds.sample(rng, (1, 100_001))
    estimated, interval = CANDIDATES[candidate]
    truth = float(estimated(population))
    low, high = interval(seeds.sample(rng, (repeats, n)), seeds)
    spread = np.diff(np.quantile(population, [0.025, 0.975])).item()
    return float(np.mean((low <= truth) & (truth <= high))), float(np.nanmedian(high - low)) / spread
