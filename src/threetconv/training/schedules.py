"""Learning rate schedules: a factor on the rate of the settings, by update.

Most schedules follow the number of the update; "plateau" follows the validation accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["SCHEDULES", "Plateau"]


def _constant(step: int, total: int) -> float:
    return 1.0


def _one_cycle(step: int, total: int) -> float:
    """Smith's one-cycle as a factor on the peak: a linear rise over 25 %, half a cosine to 0."""
    rise = max(1, round(0.25 * total))
    if step < rise:
        return (step + 1) / rise
    # the + 1 in both parts keeps the first and the last update above a rate of 0
    return 0.5 * (1 + math.cos(math.pi * (step + 1 - rise) / (total - rise + 1)))


def _cosine(step: int, total: int) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, one period, no warm-up)."""
    return 0.5 * (1 + math.cos(math.pi * step / total))


SCHEDULES: dict[str, Callable[[int, int], float]] = {
    "constant": _constant,
    "one-cycle": _one_cycle,
    "cosine": _cosine,
    "plateau": _constant,  # times `Plateau.factor`
}
"""(update, updates in all) -> factor on the learning rate."""


@dataclass
class Plateau:
    """Epochs since the best validation accuracy, and what follows from their number.

    The paper's authors meant to halve the rate on a plateau; in their code it never reached the
    optimiser.

    Attributes:
        best: highest accuracy so far.
        waited: epochs since `best`.
        since_halved: epochs since `best` or the last halving, whichever is later.
        factor: on the learning rate.
    """

    # below any accuracy, so that the first epoch is the best so far
    best: float = -1.0
    waited: int = 0
    since_halved: int = 0
    factor: float = 1.0

    def see(self, accuracy: float, *, halve_after: int | None) -> bool:
        """Record an epoch's accuracy; returns whether it is the best one so far.

        Args:
            accuracy: of the validation set.
            halve_after: epochs without a better one after which the factor is halved; None: never.
        """
        if accuracy > self.best:
            self.best, self.waited, self.since_halved = accuracy, 0, 0
            return True
        self.waited += 1
        self.since_halved += 1
        if halve_after is not None and self.since_halved >= halve_after:
            # `waited` goes on: early stopping counts from the best epoch, not from the last halving
            self.factor, self.since_halved = self.factor / 2, 0
        return False
