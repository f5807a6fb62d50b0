"""Planning: tabled powers, floors, detectable effects, the spread of a finished study."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from threetconv.errors import InputError
from threetconv.schemas.statistics import POWER
from threetconv.statistics.calibration.batch import CORRELATION
from threetconv.statistics.calibration.own_study import correlation_from, study_power, tau_from
from threetconv.statistics.calibration.power import COLUMNS, power_table
from threetconv.statistics.summaries.summarise import summarise

BOTH = ["resnet18", "googlenet"]


@pytest.fixture(scope="module")
def table():
    return power_table(networks=BOTH, seeds=(1, 3, 5, 8), replicates=300)


def line(table: pd.DataFrame, seeds: int, family: str) -> pd.Series:
    found = table[(table["seeds"] == seeds) & (table["family"] == family)]
    found = found[~found["design"].str.endswith("joint")]
    assert len(found) == 1 or found["design"].tolist() == ["all blocks", "one block"]
    return found.iloc[0]


def test_lines_of_the_full_design(table):
    assert list(table) == COLUMNS
    first = table[table["seeds"] == 3]
    assert first["family"].tolist() == [
        "dataset", "init", "dataset or init", "dataset x init", "dataset", "init",
    ]  # fmt: skip
    assert first["blocks"].tolist() == [4, 4, 1, 4, 4, 4]
    assert first["level"].tolist() == [0.0125] * 4 + [0.05] * 2
    assert set(first["runs"]) == {24}


@pytest.mark.parametrize(
    ("seeds", "family", "floor"),
    [(1, "dataset", 0.125), (3, "dataset", 1.25e-5), (3, "dataset or init", 0.1),
     (5, "dataset or init", 2 / 252), (5, "dataset", 1e-5),
     (8, "dataset or init", 2 / 12870), (1, "dataset x init", 1.0)],
)  # fmt: skip
def test_floors(table, seeds, family, floor):
    assert line(table, seeds, family)["p_floor"] == pytest.approx(floor)


def test_untestable_designs_have_a_reason_and_no_power(table):
    untestable = table[~table["testable"]]
    assert set(zip(untestable["seeds"], untestable["family"], strict=True)) == {
        (1, "dataset"), (1, "init"), (1, "dataset or init"), (1, "dataset x init"),
        (3, "dataset or init"),
    }  # fmt: skip
    assert (untestable["power"] == 0).all()
    assert untestable["detectable_ratio"].isna().all()
    assert (untestable["reason"] != "").all()
    assert "0.4 after Holm" in line(table, 3, "dataset or init")["reason"]
    assert (table.loc[table["testable"], "reason"] == "").all()


@pytest.mark.parametrize(
    ("seeds", "d", "power"),
    [(3, 1, 0.38), (3, 1.5, 0.82), (3, 2, 0.98), (5, 1, 0.71), (5, 1.5, 0.97)],
)
def test_tabled_powers_in_four_blocks(seeds, d, power):
    table = power_table(
        networks=list("abcd"), inits=1, seeds=[seeds], ratio=math.exp(d * 0.1), replicates=1_000
    )
    assert line(table, seeds, "dataset")["power"] == pytest.approx(power, abs=0.05)


def test_more_seeds_find_smaller_effects(table):
    for family in ("dataset", "dataset x init"):
        lines = table[(table["family"] == family) & table["testable"]]
        lines = lines[~lines["design"].str.endswith("joint")]
        assert lines["seeds"].tolist() == [3, 5, 8]
        assert lines["power"].is_monotonic_increasing
        assert lines["power"].iloc[0] < lines["power"].iloc[-1]
        assert (lines["detectable_ratio"].diff().dropna() < 0).all()


def test_an_interaction_is_harder_to_find(table):
    assert (
        line(table, 5, "dataset x init")["detectable_ratio"]
        > line(table, 5, "dataset")["detectable_ratio"]
    )


def test_detectable_ratio_has_the_power_it_promises(table):
    ratio = line(table, 5, "dataset")["detectable_ratio"]
    again = power_table(
        networks=list("abcd"), inits=1, seeds=[5], ratio=ratio, replicates=1_000, seed=2
    )
    assert line(again, 5, "dataset")["power"] == pytest.approx(0.8, abs=0.05)


def test_ratio_and_its_inverse_are_the_same_effect():
    up, down = (power_table(networks=["resnet18"], seeds=[4], ratio=r, replicates=200)
                for r in (1.25, 0.8))  # fmt: skip
    assert up["power"].equals(down["power"])


def test_only_the_questions_that_the_study_can_answer():
    alone = power_table(networks=["resnet18"], datasets=2, inits=1, seeds=[5], replicates=50)
    assert alone["family"].tolist() == ["dataset", "dataset"]
    assert alone["blocks"].tolist() == [1, 1]
    inits = power_table(networks=BOTH, datasets=1, inits=2, seeds=[5], replicates=50)
    assert inits["family"].tolist() == ["init", "init", "init"]


def test_same_seed_same_table(table):
    again = power_table(networks=BOTH, seeds=(1, 3, 5, 8), replicates=300)
    pd.testing.assert_frame_equal(again, table)
    lone = power_table(networks=BOTH, seeds=(5,), replicates=300)
    part = table[table["seeds"] == 5].reset_index(drop=True)
    pd.testing.assert_frame_equal(lone, part)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"networks": []}, "networks"),
        ({"networks": ["a", "a"]}, "each named once"),
        ({"datasets": 1, "inits": 1}, "at least two of one of them"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [0]}, "at least 1"),
        ({"seeds": [3, 3]}, "each once"),
        ({"ratio": 1.0}, "effect"),
        ({"ratio": -2.0}, "effect"),
        ({"ratio": math.nan}, "effect"),
        ({"tau": 0.0}, "tau"),
        ({"alpha": 1.0}, "alpha"),
        ({"replicates": 0}, "replicates"),
    ],
)
def test_nonsense_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        power_table(**{"networks": BOTH, **settings})


def summaries(values: dict[str, list[float]]) -> pd.DataFrame:
    """Summaries of one cell per key, with these D for every parameter."""
    lines = [
        {
            "run_id": f"{cell}-r{i}", "network": "n", "dataset": cell, "init": "scratch",
            "tag": "best", "scope": "model", "rows": "reachable", "weighting": "pooled",
            "parameter": parameter, "log_mean_abs": scale * value,
        }
        for cell, cell_values in values.items()
        for i, value in enumerate(cell_values)
        for parameter, scale in (("s", 1.0), ("r", 2.0), ("px", 3.0), ("py", 4.0))
    ]  # fmt: skip
    return pd.DataFrame(lines)


def test_tau_is_the_median_of_pooled_spreads():
    table = summaries({"a": [0.0, 0.2], "b": [5.0, 5.3, 5.6], "c": [9.0]})
    squares = 2 * 0.1**2 + 2 * 0.3**2
    assert tau_from(table) == pytest.approx(2.5 * math.sqrt(squares / 3))


def test_tau_of_a_simulated_study(make_study):
    study = make_study(k=8, spread=0.2, seed=3)
    tau = tau_from(summarise(study.parameters, study.runs, study.snapshots), study.runs)
    assert tau == pytest.approx(0.2, rel=0.35)


def test_tau_leaves_out_controls_and_3d_runs():
    table = summaries({"a": [0.0, 0.2, 7.0, 8.0]})
    runs = pd.DataFrame(
        {
            "run_id": [f"a-r{i}" for i in range(4)], "convolution": ["3t", "3t", "3d", "3t"],
            "control": ["none", "none", "none", "static"],
        }
    )  # fmt: skip
    assert tau_from(table, runs) == pytest.approx(tau_from(summaries({"a": [0.0, 0.2]})))


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0], [1.0, -np.inf]])
def test_tau_needs_two_runs_that_differ(values):
    with pytest.raises(InputError, match="no two runs of one cell that differ"):
        tau_from(summaries({"a": values}))


def test_the_joint_test_gains_from_parameters_that_move_together_but_not_by_copies():
    """The more px and py are one parameter, the less there is to add up."""
    joint = {
        rho: power_table(networks=BOTH, inits=1, seeds=[5], correlation=rho, replicates=400)
        for rho in (0.0, 0.96)
    }
    ratio = {
        rho: table.set_index("design").loc["all blocks, joint", "detectable_ratio"]
        for rho, table in joint.items()
    }
    alone = line(joint[0.0], 5, "dataset")["detectable_ratio"]
    assert ratio[0.0] < ratio[0.96] < alone


def test_correlation_is_that_of_residuals_within_cells():
    table = summaries({"a": [0.0, 0.2, 0.1], "b": [5.0, 5.3]})
    assert correlation_from(table) == pytest.approx(1)  # scaled copies
    turned = table.assign(
        log_mean_abs=table["log_mean_abs"].where(table["parameter"] != "py", -table["log_mean_abs"])
    )
    assert correlation_from(turned) == pytest.approx(-1)
    assert correlation_from(summaries({"a": [0.0]})) == CORRELATION


def test_what_a_study_could_have_found_is_at_its_own_spread(make_summaries):
    tables, runs = make_summaries(k=5, spread=0.05)
    found = study_power(tables, runs, seed=1, replicates=200)
    assert found.columns.tolist() == POWER.names
    assert set(found["recipe"]) == {"paper"}
    assert set(found["seeds"]) == {5}
    assert found["tau"].iloc[0] == pytest.approx(tau_from(tables, runs))
    plain = power_table(
        networks=BOTH, seeds=[5], tau=found["tau"].iloc[0], replicates=200, seed=1,
        correlation=found["correlation"].iloc[0],
    )  # fmt: skip
    assert found["detectable_ratio"].tolist() == plain["detectable_ratio"].tolist()
    assert (
        found["detectable_ratio"].max()
        < power_table(networks=BOTH, seeds=[5], replicates=200)["detectable_ratio"].max()
    )
    alone, one = make_summaries(k=1)
    assert study_power(alone, one, seed=1).empty  # no spread is known
