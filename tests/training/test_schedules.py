"""Learning rates over time, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from threetconv.training.schedules import SCHEDULES, Plateau


def test_one_cycle_by_hand() -> None:
    """Eight updates: up in two, then half a cosine over six and the zero after them."""
    factor = SCHEDULES["one-cycle"]
    expected = [0.5, 1.0, *(0.5 * (1 + math.cos(math.pi * i / 7)) for i in range(1, 7))]
    assert [factor(step, 8) for step in range(8)] == pytest.approx(expected, abs=1e-12)
    assert [SCHEDULES["constant"](step, 8) for step in range(8)] == [1.0] * 8


@pytest.mark.parametrize(("total", "peak"), [(1, 0), (4, 0), (40, 9), (100, 24), (1000, 249)])
def test_one_cycle_rises_over_a_quarter_of_the_updates(total: int, peak: int) -> None:
    values = [SCHEDULES["one-cycle"](step, total) for step in range(total)]
    assert values[: peak + 1] == pytest.approx([(i + 1) / (peak + 1) for i in range(peak + 1)])
    assert values.index(max(values)) == peak


@pytest.mark.parametrize("total", [1, 2, 3, 7, 100, 999])
def test_one_cycle_stays_between_zero_and_its_peak(total: int) -> None:
    values = np.array([SCHEDULES["one-cycle"](step, total) for step in range(total)])
    assert (values > 0).all()
    assert values.max() == 1
    peak = int(values.argmax())
    assert (np.diff(values[: peak + 1]) > 0).all()
    assert (np.diff(values[peak:]) < 0).all()
    if total == 999:
        assert np.square(values).mean() == pytest.approx(0.25 / 3 + 0.75 * 3 / 8, rel=0.01)


def test_cosine_goes_from_one_to_nearly_nothing() -> None:
    values = np.array([SCHEDULES["cosine"](step, 200) for step in range(200)])
    assert values[0] == 1
    assert values[100] == pytest.approx(0.5)
    assert (np.diff(values) < 0).all()
    assert 0 < values[-1] < 1e-4
    assert values.mean() == pytest.approx(0.5, abs=0.01)


def test_plateau_halves_after_so_many_epochs_without_a_better_one() -> None:
    plateau, factors, better = Plateau(), [], []
    for accuracy in (0.5, 0.6, 0.6, 0.5, 0.55, 0.4, 0.7, 0.1, 0.2, 0.3, 0.4):
        better.append(plateau.see(accuracy, halve_after=2))
        factors.append(plateau.factor)
    assert better == [True, True, *[False] * 4, True, *[False] * 4]
    assert factors == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125, 0.125, 0.0625]
    assert plateau.waited == 4
    assert plateau.best == 0.7


def test_without_patience_the_factor_stays() -> None:
    plateau = Plateau()
    for _ in range(50):
        plateau.see(0.1, halve_after=None)
    assert plateau.factor == 1
    assert plateau.waited == 49
