"""The registry of figures: its entries exist, and each file gets the figure of its name."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from threetconv.figures.profile import profile
from threetconv.figures.registry import FIGURES, draw
from threetconv.figures.theme import save

from ..builders.figure_tables import (
    alignment_rows,
    effects_table,
    layer_tests_table,
    planted_table,
    planted_tuning,
    profile_table,
)


@pytest.mark.parametrize("name", FIGURES)
def test_every_entry_is_a_public_function(name: str) -> None:
    module, function = FIGURES[name].split(".")
    home = import_module(f"threetconv.figures.{module}")
    assert function in home.__all__
    assert inspect.getdoc(getattr(home, function))


def test_one_figure_goes_into_one_file_whatever_its_name(tmp_path: Path) -> None:
    draw("effects", {"tests": effects_table()}, [tmp_path / "any.svg"])
    assert "<svg" in (tmp_path / "any.svg").read_text()


def test_of_several_figures_each_goes_into_the_file_of_its_name(tmp_path: Path) -> None:
    tables = {
        "planted_table": planted_table().assign(layer_index=-1),
        "alignment_table": alignment_rows(),
        "planted_tuning": planted_tuning().assign(layer_index=-1),
    }
    for order in (("planted", "alignment"), ("alignment", "planted")):
        draw("planted", tables, [tmp_path / f"{name}.png" for name in order])
    alone = tmp_path / "planted.svg"
    draw("planted", tables, [alone])
    with pytest.raises(KeyError, match="other"):
        draw("planted", tables, [tmp_path / "other.svg"])
    assert (tmp_path / "planted.png").read_bytes() != (tmp_path / "alignment.png").read_bytes()


@pytest.mark.parametrize("snapshots", ["matched", "best"])
def test_profiles_are_at_matched_updates_where_there_are_such(
    snapshots: str, tmp_path: Path
) -> None:
    table = profile_table()
    both = pd.concat([table.assign(checkpoint=c) for c in ("matched", "best")])
    if snapshots == "best":
        both = both[both["checkpoint"] == "best"]
    one, other = tmp_path / "profile_resnet18.svg", tmp_path / "known.svg"
    options = {"networks": ["resnet18"], "alpha": 0.05}
    tables = {"layer_profile": both, "tests": layer_tests_table()}
    draw("profiles", tables, [one], **options)
    save(profile(both, tables["tests"], network="resnet18", checkpoint=snapshots), other)
    assert one.read_bytes() == other.read_bytes()
