"""A study with one run per cell: nothing can be tested, and everything can be written and drawn."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from threetconv.figures.effects import effects
from threetconv.figures.profile import profile
from threetconv.schemas import TABLES
from threetconv.statistics.tests.contrasts import run_tests
from threetconv.statistics.tests.families import FAMILIES
from threetconv.statistics.tests.layerwise import layer_profile, layer_tests
from threetconv.statistics.tests.sentences import sentences
from threetconv.support.files import read_parquet, write_parquet

ONE = (("resnet18",), ("gestures",), ("scratch",))
TWO = (("resnet18",), ("gestures", "scenes"), ("scratch",))
BOTH = ("best", "matched")
Made = tuple[pd.DataFrame, pd.DataFrame]


@pytest.fixture(params=product((ONE, TWO), [(), ("static",), ("static", "label-shuffled")]))
def tables(
    request: pytest.FixtureRequest, make_summaries: Callable[..., Made], tmp_path: Path
) -> dict[str, pd.DataFrame]:
    """Tests and profile as the report finds them on the disk."""
    summaries, runs = make_summaries(k=1, cells=request.param[0], controls=request.param[1])
    found = {
        "tests": pd.concat(
            [
                run_tests(summaries, runs, seed=1, families=tuple(FAMILIES), checkpoint=BOTH),
                layer_tests(summaries, runs, seed=1),
            ],
            ignore_index=True,
        ),
        "layer_profile": layer_profile(summaries, runs),
    }
    for name, table in found.items():
        write_parquet(table, tmp_path / f"{name}.parquet", TABLES[name])
    return {name: read_parquet(tmp_path / f"{name}.parquet") for name in found}


def test_columns_of_nothing_are_numbers(tables: dict[str, pd.DataFrame]) -> None:
    tests = tables["tests"]
    assert not (tests["status"] == "ok").any()
    for name in ("ci_low", "ci_high", "p_adjusted", "hedges_g"):
        assert tests[name].dtype == "float64", name
    assert tests["p_adjusted"].isna().all()


def test_figures_are_drawn(tables: dict[str, pd.DataFrame]) -> None:
    drawn = effects(tables["tests"])
    assert bool(drawn.axes) == bool(len(tables["tests"]))
    assert sentences(tables["tests"], alpha=0.05).notna().all()
    assert profile(tables["layer_profile"], tables["tests"], network="resnet18", alpha=0.05).axes
