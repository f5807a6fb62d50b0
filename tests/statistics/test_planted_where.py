"""Where a planted motion is lost: numbers by hand, and one small study for each rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from threetconv.schemas.statistics import PLANTED_WHERE
from threetconv.statistics.planted.where import KIND, planted_where

from ..builders.where_tables import need_lines, planted_lines, tuned_lines

LAYERS = {"conv1": 20.0, "layer1.0.conv1": 12.0}


def where(planted: dict[str, Any] | None = None, **need: Any) -> pd.Series:
    """The one line of a study."""
    table = planted_where(planted_lines(**(planted or {})), need_lines(**need), tuned_lines())
    assert pa.Table.from_pandas(table, PLANTED_WHERE, preserve_index=False).num_rows == 1
    return table.iloc[0]


def test_numbers_by_hand() -> None:
    line = where(layers=LAYERS)
    assert (line["n_runs"], line["n_shuffled"]) == (5, 5)
    assert line["accuracy"] == 90
    assert line["accuracy_shuffled"] == pytest.approx(50.3)
    assert line["chance"] == pytest.approx(100 / 3)
    assert line["direction_use"] == 80
    interval = stats.ttest_1samp([70, 80, 90, 75, 85], 0).confidence_interval()
    assert (line["use_low"], line["use_high"]) == pytest.approx(tuple(interval))
    assert line["use_p"] == line["use_p_floor"] == pytest.approx(1 / 252)
    assert (line["kind"], line["drop"], line["drop_all"]) == ("rotation", 50, 60)
    assert line["share"] == pytest.approx(50 / 60)
    assert (line["layer"], line["layer_index"]) == ("conv1", 0)
    assert line["drop_first"] == line["drop_layer"] == 20
    assert (line["tuning"], line["beyond_controls"], line["in_direction"]) == ("yes", "yes", "yes")
    assert KIND == {"s": "scale", "r": "rotation", "px": "translation", "py": "translation"}


def test_direction_use_is_tested_one_sided_against_shuffled_labels() -> None:
    use, shuffled = (10, 2, 7, 3, 8), (5, 1, 4, 6, 0)
    line = where(use=use, shuffled=shuffled)
    exact = stats.permutation_test(
        (use, shuffled), lambda a, b: np.mean(a) - np.mean(b), alternative="greater",
        permutation_type="independent", n_resamples=np.inf,
    )  # fmt: skip
    assert line["use_p"] == pytest.approx(exact.pvalue)
    assert where(use=shuffled, shuffled=use)["use_p"] > 0.5


NOT = {"recovered": "no"}
RULES = {
    # what was recovered is lost nowhere, whatever the network needs
    "recovered": ({}, {"use": (0.0,) * 5}, "", ""),
    "one run": (NOT, {"use": (80,), "shuffled": (1,)}, "unknown", "smallest attainable p is 0.5"),
    "no need": (NOT, {"use": (), "shuffled": ()}, "unknown", "direction use was not measured"),
    "no shuffled runs": (NOT, {"shuffled": ()}, "unknown", "direction use was not measured"),
    "not learned": (
        NOT | {"direction": "no"},
        {"use": (3, 0, -1, 2, 1), "drops": {"all": 60, "rotation": 5}},
        "not learned",
        "",
    ),
    "no drops": (NOT | {"direction": "no"}, {"drops": {}}, "unknown", "at the identity was not"),
    "another kind": (
        NOT | {"direction": "no"},
        {"drops": {"all": 60, "rotation": 29}, "layers": {"conv1": 1, "deep": 50}},
        "not in this parameter",
        "",
    ),
    "exactly half": (
        NOT | {"direction": "no"},
        {"drops": {"all": 60, "rotation": 30}},
        "direction",
        "",
    ),
    "no transform at all": (
        NOT | {"direction": "no"},
        {"drops": {"all": 0, "rotation": 0}},
        "not in this parameter",
        "",
    ),
    "deeper": (
        NOT | {"direction": "no", "beyond": "no"},
        {"layers": {"conv1": 10, "layer1.0.conv1": 30, "layer1.0.conv2": 20}},
        "in other layers",
        "",
    ),
    # channels of the first layer point their way, so it is not the layers
    "deeper, in direction": (
        NOT | {"beyond": "no"},
        {"layers": {"conv1": 10, "layer1.0.conv1": 30}},
        "size",
        "",
    ),
    "direction": (NOT | {"direction": "no"}, {"layers": LAYERS}, "direction", ""),
    "size": (NOT | {"beyond": "no"}, {}, "size", ""),
    "both": (NOT | {"beyond": "no", "direction": "no"}, {}, "direction and size", ""),
    "direction untestable": (
        {"recovered": "untestable", "direction": "untestable"},
        {"layers": LAYERS},
        "unknown",
        "direction cannot be tested",
    ),
    "size untestable": (
        NOT | {"beyond": "untestable", "direction": "no"},
        {},
        "unknown",
        "size cannot be tested",
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_rules(name: str) -> None:
    planted, need, lost, reason = RULES[name]
    line = where(planted, **need)
    assert line["lost"] == lost
    assert reason in line["reason"] if reason else line["reason"] == ""


def test_the_costliest_layer_and_what_is_lacking() -> None:
    line = where(layers={"conv1": 10, "layer1.0.conv1": 30, "layer1.0.conv2": 20})
    assert (line["layer"], line["layer_index"], line["drop_layer"]) == ("layer1.0.conv1", 1, 30)
    assert line["drop_first"] == 10
    line = where()
    assert (line["layer"], line["layer_index"]) == ("", -1)
    assert np.isnan(line["drop_first"])
    table = planted_where(planted_lines(), need_lines())
    assert table["tuning"].tolist() == [""]
    nothing = planted_where(planted_lines(expected=False), need_lines())
    assert nothing.empty
    assert list(nothing.columns) == PLANTED_WHERE.names


def test_a_network_without_batch_norms_has_the_drops_as_trained() -> None:
    needs = need_lines()
    needs = needs[(needs["batch_norm"] == "trained")]
    line = planted_where(planted_lines(), needs).iloc[0]
    assert (line["drop"], line["drop_all"]) == (500, 600)


def test_other_cells_and_the_order_of_lines_do_not_matter() -> None:
    needs = need_lines(layers=LAYERS)
    table = planted_where(planted_lines(), needs, tuned_lines())
    others = [
        needs.assign(**{name: "other", "run_id": "x" + needs["run_id"], "value": -50.0})
        for name in ("network", "dataset", "init", "recipe", "convolution")
    ]
    more = pd.concat([needs, *others]).sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(planted_where(planted_lines(), more, tuned_lines()), table)
