"""The table of primary endpoints: the widest line of each, one test each, and what is missing."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from threetconv.schemas.endpoints import ENDPOINTS, UNITS
from threetconv.schemas.truth import AGREEMENT, REPRODUCIBILITY
from threetconv.statistics.analysis_plan import AGAINST, PRIMARY
from threetconv.statistics.truth.agreement import agreement_by_run, agreement_table
from threetconv.statistics.truth.endpoints import endpoints_table
from threetconv.statistics.truth.need import need_runs, need_tests
from threetconv.statistics.truth.reproducibility import reproducibility_table

from ...builders.need_tables import need_study
from ...builders.truth_tables import agreeing, grid, moving
from .test_agreement import one

VALUES = need_runs(*need_study()).assign(recipe="paper")
NOTHING = pd.DataFrame(columns=AGREEMENT.names), pd.DataFrame(columns=REPRODUCIBILITY.names)


def direction(values: pd.DataFrame, **more: object) -> pd.DataFrame:
    tests = need_tests(values, seed=1)
    table = endpoints_table(*NOTHING, values, tests, seed=1, **more)  # type: ignore[arg-type]
    pa.Table.from_pandas(table, ENDPOINTS, preserve_index=False)
    return table[table["endpoint"] == "direction use"]


def test_endpoints_are_those_of_the_plan() -> None:
    assert list(UNITS) == list(PRIMARY)


def test_lines_are_the_widest_of_their_tables() -> None:
    names = ["none", "label-shuffled"]
    runs = grid(["resnet18", "googlenet"], controls=names, recipes=["paper", "fast"], each=2)
    real = runs["control"] == "none"
    parts = [agreeing(runs[real], 0.8, seed=1), agreeing(runs[~real], 0.2, seed=2)]
    by_run = agreement_by_run(*map(pd.concat, zip(*parts, strict=True)), runs, seed=1, draws=9)
    agreement = agreement_table(by_run, seed=1)
    moved = moving(runs, by_dataset=0.2, layers=((2, 60),))
    again = reproducibility_table(moved, runs, seed=1)
    table = endpoints_table(agreement, again, VALUES, need_tests(VALUES, seed=1), seed=1)
    pa.Table.from_pandas(table, ENDPOINTS, preserve_index=False)
    keys = ["recipe", "endpoint", "dataset", "comparison"]
    assert not table.duplicated(keys).any()
    assert len(table) == 2 * 3 * 3
    for recipe in ("paper", "fast"):
        for against in ("zero", "label-shuffled"):
            keys_ = {"recipe": recipe, "network": "all", "against": against, "control": "none"}
            for name, expected in (
                ("tuning agreement", one(agreement, parameter="diagonal", scope="first", **keys_)),
                ("reproducibility", one(again, measure="specific", parameter="all", **keys_)),
            ):
                line = one(table, recipe=recipe, endpoint=name, comparison=against)
                for column in ("estimate", "ci_low", "ci_high", "p_raw", "p_floor", "n_other"):
                    assert line[column] == expected[column]
                assert line["adjustment"] == "none (one test)"
    missing = table[table["status"] == "missing"]
    # static controls of two endpoints and recipes, label-shuffled ones of direction use,
    # and direction use of the recipe that it was not measured of
    assert len(missing) == 2 * 2 + 1 + 3
    assert missing["estimate"].isna().all()


def test_one_cell_stands_for_itself_and_is_one_test() -> None:
    values = VALUES.copy()
    use = values["measure"] == "direction use"
    more = values[use & (values["replicate"] == 1)].assign(replicate=4)
    values = pd.concat([values, more.assign(run_id=more["run_id"] + "b")], ignore_index=True)
    tests = need_tests(values, seed=1)
    # after Holm over two measures four runs against four cannot reach .05, alone they can
    assert tests.loc[tests["measure"] == "direction use", "status"].tolist() == ["untestable"]
    table = direction(values)
    line = one(table, comparison="static")
    assert (line["network"], line["init"], line["dataset"]) == ("resnet18", "scratch", "gestures")
    assert (line["status"], line["reason"]) == ("ok", "")
    assert line["p_adjusted"] == line["p_floor"] == pytest.approx(2 / 70)
    zero = one(table, comparison="zero")
    assert (zero["estimate"], zero["n_runs"], zero["n_other"]) == (85, 4, 0)
    assert (zero["status"], zero["p_floor"]) == ("untestable", pytest.approx(1 / 16))
    assert zero["reason"].count("smallest attainable") == 1


def test_cells_of_a_data_set_are_pooled_and_data_sets_are_not() -> None:
    other = VALUES.assign(init="pretrained", value=VALUES["value"] / 2)
    values = pd.concat([VALUES, other, VALUES.assign(dataset="scenes")], ignore_index=True)
    values = pd.concat([values, VALUES.assign(convolution="3d")], ignore_index=True)
    table = direction(values)
    line = one(table, dataset="gestures", comparison="static")
    assert (line["init"], line["estimate"]) == ("all", pytest.approx((80 + 40) / 2))
    assert line["p_adjusted"] == pytest.approx(2 / 400)
    assert line["method"] == "labels of runs, two-sided"
    zero = one(table, dataset="gestures", comparison="zero")
    assert (zero["estimate"], zero["n_runs"]) == (60, 6)
    assert zero["p_adjusted"] == pytest.approx(1 / 64)
    scenes = one(table, dataset="scenes", comparison="static")
    assert (scenes["init"], scenes["status"]) == ("scratch", "untestable")


LEAK = {"network": "resnet18", "dataset": "gestures", "convolution": "3t", "kind": "network",
        "leaks": True}  # fmt: skip


def test_networks_with_an_order_leak_are_left_out_before_blocks_are_formed() -> None:
    other = VALUES.assign(network="googlenet", value=VALUES["value"] / 2)
    other = pd.concat([other, other.assign(init="pretrained")], ignore_index=True)
    values = pd.concat([VALUES, other], ignore_index=True)
    told = direction(values, order_leak=pd.DataFrame([LEAK]))
    alone = direction(other)
    for comparison, runs in (("zero", (6, 0)), ("static", (6, 6))):
        line, expected = (one(table, comparison=comparison) for table in (told, alone))
        assert line["reason"] == "without resnet18, which can tell order without motion"
        assert (line["n_runs"], line["n_other"]) == runs
        assert line["estimate"] == expected["estimate"] == pytest.approx(40)
        for column in ("ci_low", "p_raw", "p_floor", "p_adjusted", "status", "rng_seed"):
            assert line[column] == expected[column]
    for change in ({"leaks": False}, {"convolution": "3d"}, {"dataset": "scenes"}):
        table = direction(values, order_leak=pd.DataFrame([LEAK | change]))
        line = one(table, comparison="static")
        assert (line["status"], line["reason"], line["n_runs"]) == ("ok", "", 9)


def test_a_data_set_with_leaking_networks_alone_has_no_direction_use() -> None:
    told = direction(VALUES, order_leak=pd.DataFrame([LEAK]))
    assert set(told["status"]) == {"missing"}
    assert set(told["reason"]) == {
        "resnet18 can tell order without motion, and there is no other network"
    }


def test_ties_between_runs_do_not_make_a_comparison_untestable() -> None:
    """All runs but one at 0: the permutations tie, but there are runs enough."""
    values = pd.concat([VALUES, VALUES.assign(init="pretrained")], ignore_index=True)
    use = (values["measure"] == "direction use") & (values["transforms"] == "intact")
    values.loc[use, "value"] = 0.0
    values.loc[values.index[use & (values["control"] == "none")][0], "value"] = 5.0
    table = direction(values)
    zero, static = (one(table, comparison=name) for name in ("zero", "static"))
    assert (zero["status"], zero["p_adjusted"], zero["p_floor"]) == ("ok", 0.5, 1 / 64)
    # the run may stand in either arm of its block
    assert (static["status"], static["p_adjusted"]) == ("ok", 1)
    assert static["p_floor"] == pytest.approx(2 / 400)


def test_reproducibility_is_that_of_pretrained_runs_over_networks() -> None:
    runs = grid(["resnet18", "googlenet"], inits=["pretrained", "scratch"], each=2)
    moved = moving(runs, by_dataset=0.3, layers=((2, 60),))
    again = reproducibility_table(moved, runs, seed=1)
    table = endpoints_table(NOTHING[0], again, seed=1)
    line = one(table, endpoint="reproducibility", comparison="zero")
    assert (line["network"], line["init"], line["n_runs"]) == ("all", "pretrained", 8)
    cells = again[(again["measure"] == "specific") & (again["parameter"] == "all")]
    cells = cells[(cells["scope"] == "model") & (cells["init"] == "pretrained")]
    cells = cells[cells["network"] != "all"]["estimate"]
    assert line["estimate"] == pytest.approx(cells.mean())
    table = endpoints_table(NOTHING[0], again[again["init"] == "scratch"], seed=1)
    scratch = table[table["endpoint"] == "reproducibility"]
    assert scratch["status"].tolist() == ["missing"] * 3
    assert scratch["reason"].str.startswith("no pretrained runs").all()


def test_what_was_not_measured_has_lines_that_say_so() -> None:
    assert endpoints_table(*NOTHING, seed=1).empty
    real = VALUES[VALUES["control"] == "none"]
    table = endpoints_table(*NOTHING, real, need_tests(real, seed=1), seed=1)
    assert table["comparison"].tolist() == ["zero", *AGAINST] * 3
    known = table[table["status"] != "missing"]
    assert known[["endpoint", "comparison"]].to_numpy().tolist() == [["direction use", "zero"]]
    reasons = set(table.loc[table["status"] == "missing", "reason"])
    assert reasons == {"no runs with a value"} | {
        f"no {c} runs beside it with a value" for c in AGAINST
    }
