"""A p-value at its level passes, one beyond it does not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from threetconv.support.levels import passes

P = {0.0: True, 0.0499: True, 0.05: True, 0.05 + 1e-15: True, 0.050001: False, np.nan: False}


@pytest.mark.parametrize(("p", "passed"), P.items())
def test_a_number(p: float, passed: bool) -> None:
    assert passes(p, 0.05) == passed


def test_arrays_and_series() -> None:
    assert passes(np.array([*P]), 0.05).tolist() == [*P.values()]
    assert passes(pd.Series([*P]), 0.05).tolist() == [*P.values()]


def test_sums_that_miss_the_level_by_their_last_bit() -> None:
    assert 0.1 + 0.2 > 0.3
    assert passes(0.1 + 0.2, 0.3)
