"""D of the runs of several simulated studies at once, as run-level tests take it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from threetconv.statistics.calibration.scenarios import TAU
from threetconv.statistics.calibration.simulate import Draw

__all__ = ["CORRELATION", "SPREAD", "UNEQUAL", "Batch", "each"]

CORRELATION = 0.96  # of px and py between runs of a cell, as measured in the embedded study
UNEQUAL = ((3, 5),)  # runs of arms a and b
SPREAD = 2.0  # SD of the smaller arm to that of the other, where arms are unequal


@dataclass(frozen=True)
class Batch:
    """Draws of several studies without their rows: (studies, parameters, blocks, 2, runs, ...)."""

    seeds: np.ndarray
    log_means: np.ndarray
    layer_log_means: np.ndarray
    rng: np.random.Generator
    cells: tuple[tuple[int, int], ...] = UNEQUAL
    correlation: float = CORRELATION

    @classmethod
    def of(
        cls,
        draws: list[Draw],
        rng: np.random.Generator,
        cells: tuple[tuple[int, int], ...] = UNEQUAL,
        correlation: float = CORRELATION,
    ) -> Batch:
        """Stack draws; their rows are let go. `cells`: runs of the arms of unequal designs."""
        return cls(
            np.stack([draw.seeds for draw in draws]),
            np.stack([draw.log_means for draw in draws]),
            np.stack([draw.layer_log_means for draw in draws]),
            rng,
            cells,
            correlation,
        )

    def values(self, runs: int, blocks: int = 1, *, paired: bool = False) -> np.ndarray:
        """D of the first runs and blocks, no effect: (studies, parameters, blocks, 2, runs)."""
        part = np.s_[:, :, :blocks, :, :runs]
        return self.log_means[part] + TAU * self._seeds(paired)[part]

    def together(self, runs: int, blocks: int) -> np.ndarray:
        """The same, of parameters that are tested together: px and py are correlated."""
        values = self.values(runs, blocks)
        own, rho = values[:, 3:], self.correlation
        mixed = rho * values[:, 2:3] + math.sqrt(1 - rho**2) * own
        return np.concatenate([values[:, :3], mixed], axis=1)

    def unequal(self, first: int, second: int, blocks: int) -> np.ndarray | None:
        """D of arms of unequal size and spread: (studies x parameters, blocks, runs), a first.

        None where there are not enough runs for such blocks.
        """
        values = each(self.log_means + TAU * self.seeds)
        values = values.reshape(len(values), -1)[:, : blocks * (first + second)]
        if values.shape[1] < blocks * (first + second):
            return None
        values = (values - values.mean()).reshape(len(values), blocks, -1)
        wider = np.where(np.arange(first + second) < first, first <= second, first > second)
        return values * np.where(wider, SPREAD, 1.0)

    def layers(self, runs: int, blocks: int) -> np.ndarray:
        """The same by layer: (studies, parameters, blocks, 2, runs, layers)."""
        part = np.s_[:, :, :blocks, :, :runs]
        return self.layer_log_means[part] + TAU * self.seeds[part][..., None]

    def pooled(self, runs: int) -> np.ndarray:
        """D in one block of up to blocks x runs runs: (studies x parameters, 1, 2, runs).

        Blocks have no effects of their own, so all runs are draws from one population.
        """
        values = each(self.log_means + TAU * self.seeds)
        arms = np.swapaxes(values, 1, 2).reshape(len(values), 2, -1)
        return arms[:, None, :, :runs]

    def _seeds(self, paired: bool) -> np.ndarray:
        return self.seeds[:, :, :, :1].repeat(2, axis=3) if paired else self.seeds


def each(values: np.ndarray) -> np.ndarray:
    """Every parameter as a study of its own: the first two axes become one.

    Parameters are drawn independently of each other.
    """
    return values.reshape(-1, *values.shape[2:])
