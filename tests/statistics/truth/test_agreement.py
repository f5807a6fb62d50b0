"""Agreement: known correlations, the contrast and its null, cells and blocks, what is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from threetconv.records.parameters import PARAMETERS
from threetconv.schemas.truth import AGREEMENT, AGREEMENT_RUNS, INDEX_OF
from threetconv.statistics.truth.agreement import agreement_by_run, agreement_table
from threetconv.statistics.truth.net_motion import net_motion

from ...builders.truth_tables import agreeing, grid, rows_of


def one(table: pd.DataFrame, **values: object) -> pd.Series:
    keep = np.ones(len(table), dtype=bool)
    for name, value in values.items():
        keep &= (table[name] == value).to_numpy()
    (line,) = table[keep].to_dict("records")
    return pd.Series(line)


def contrast(table: pd.DataFrame, **values: object) -> pd.Series:
    return one(table, parameter="diagonal", **values)


def test_net_motion_is_the_exact_composition_in_readable_signs() -> None:
    """Up a quarter and then twice as large: the centre's content ends at a half."""
    z = np.zeros((4, 2, 2))
    z[3, 0, 0], z[0, 1, 0] = 0.25, np.log(2)
    z[1, :, 1] = 0.1, 0.2
    z[2, 1, 1] = -0.25
    table = net_motion(rows_of("a", [z]))
    assert table[list(PARAMETERS)].to_numpy() == pytest.approx(
        np.array([[np.log(2), 0, 0, 0.5], [0, 0.3, -0.25, 0]]), abs=1e-6
    )


def test_transitions_out_of_reach_do_not_count() -> None:
    z = np.full((4, 2, 3), 0.1)
    table = rows_of("a", [z, z])
    table.loc[(table["layer_index"] == 0) & (table["transition"] == 1), "reachable"] = False
    table.loc[table["layer_index"] == 1, "reachable"] = False
    found = net_motion(table)
    assert found["layer_index"].tolist() == [0, 0, 0]
    assert found["s"].to_numpy() == pytest.approx(0.1, abs=1e-6)


def test_entries_are_spearmans_correlations() -> None:
    runs = grid(each=1, datasets=["scenes"])
    parameters, tuning = agreeing(runs, 0.6)
    tuning.loc[tuning["channel"] == 3, "turn_index"] = np.nan
    by_run = agreement_by_run(parameters, tuning, runs, seed=1)
    motion = net_motion(parameters).query("layer_index == 0")
    answers = tuning[tuning["layer_index"] == 0]
    for p in PARAMETERS:
        for index in INDEX_OF.values():
            known = stats.spearmanr(motion[p], answers[index], nan_policy="omit")[0]
            line = one(by_run, scope="first", parameter=p, index=index)
            assert line["correlation"] == pytest.approx(known)
            assert line["n_channels"] == 12 - (index == "turn_index")
    pa.Table.from_pandas(by_run, AGREEMENT_RUNS)


def test_the_contrast_is_the_diagonal_beyond_the_size_of_the_rest() -> None:
    runs = grid(each=1, datasets=["scenes"])
    by_run = agreement_by_run(*agreeing(runs, 0.8), runs, seed=1)
    for scope in ("first", "model"):
        lines = by_run[(by_run["scope"] == scope) & (by_run["parameter"] != "diagonal")]
        matrix = lines["correlation"].to_numpy().reshape(4, 4)
        rest = np.abs(matrix[~np.eye(4, dtype=bool)])
        assert contrast(by_run, scope=scope)["correlation"] == pytest.approx(
            np.diag(matrix).mean() - rest.mean()
        )
    first, second = (
        by_run[(by_run["scope"] == "layer") & (by_run["layer_index"] == i)]["correlation"][:16]
        for i in (0, 1)
    )
    lines = by_run[by_run["scope"] == "model"]["correlation"][:16]
    assert lines.to_numpy() == pytest.approx((12 * first.to_numpy() + 20 * second.to_numpy()) / 32)


def test_planted_agreement_is_found_and_none_is_not() -> None:
    runs = grid(["resnet18", "googlenet"], each=3)
    tables = {share: agreeing(runs, share, seed=4) for share in (0.0, 0.7)}
    found = {
        share: agreement_table(agreement_by_run(*both, runs, seed=1), seed=1)
        for share, both in tables.items()
    }
    pooled = {s: contrast(t, network="all", scope="model") for s, t in found.items()}
    line = pooled[0.7]
    assert (line["status"], line["n_runs"]) == ("ok", 12)
    assert line["p_raw"] == line["p_floor"] == pytest.approx(0.5**12)
    assert line["ci_low"] > line["null_high"]
    assert line["estimate"] == pytest.approx(0.68 - 0.14, abs=0.12)
    # sizes are never negative, so exchanged channels lie below 0, and so do these
    assert pooled[0.0]["estimate"] == pytest.approx(pooled[0.0]["null"], abs=0.08)
    assert pooled[0.0]["null"] < -0.1
    assert pooled[0.0]["p_raw"] > 0.9
    # eight labellings of three runs: no cell alone can be tested
    cell = contrast(found[0.7], network="resnet18", dataset="scenes", scope="first")
    assert (cell["status"], cell["p_floor"]) == ("untestable", pytest.approx(1 / 8))
    assert "Holm over 4" in cell["adjustment"]
    pa.Table.from_pandas(found[0.7], AGREEMENT)


def test_the_nulls_upper_point_weights_cells_as_the_estimate_does() -> None:
    """One run of SD .3 and four of .1, drawn: the SD of the mean of both cells' means."""
    runs = grid(each=1, datasets=["scenes"])
    by_run = agreement_by_run(*agreeing(runs, 0.5), runs, seed=1, draws=9)
    line = by_run[(by_run["scope"] == "first") & (by_run["parameter"] == "diagonal")]
    few = line.assign(null=-0.1, null_sd=0.3)
    many = pd.concat([line.assign(run_id=f"b{k}") for k in range(4)], ignore_index=True)
    many = many.assign(dataset="gestures", null=-0.2, null_sd=0.1)
    table = agreement_table(pd.concat([few, many], ignore_index=True), seed=1)
    found = contrast(table, network="all", scope="first")
    rng = np.random.default_rng(1)
    drawn = [rng.normal(-0.1, 0.3, (100_000, 1)), rng.normal(-0.2, 0.1, (100_000, 4))]
    means = np.mean([part.mean(axis=1) for part in drawn], axis=0)
    assert found["null"] == pytest.approx(-0.15)
    assert found["null_high"] == pytest.approx(np.quantile(means, 0.975), abs=0.005)
    # 1.96 of the root of (.3^2 + .1^2 / 4) / 4
    assert found["null_high"] == pytest.approx(-0.15 + 1.96 * 0.1520691, abs=1e-6)


def test_first_layers_are_pooled_whatever_they_are_called() -> None:
    runs = grid(["resnet18", "googlenet"], each=3)
    parameters, tuning = agreeing(runs, 0.7, seed=4)
    named = [
        table.assign(
            layer=table["layer"].where(
                ~table["run_id"].str.startswith("googlenet"), "stem." + table["layer"]
            )
        )
        for table in (parameters, tuning)
    ]
    table = agreement_table(agreement_by_run(*named, runs, seed=1), seed=1)
    assert contrast(table, network="all", scope="first")["n_runs"] == 12
    same = agreement_table(agreement_by_run(parameters, tuning, runs, seed=1), seed=1)
    wanted = contrast(same, network="all", scope="first")["estimate"]
    assert contrast(table, network="all", scope="first")["estimate"] == wanted


def test_crossed_parameters_do_not_pass_for_agreement() -> None:
    """Zoom that makes channels answer to turning, and the reverse, is no agreement."""
    runs = grid(each=3)
    parameters, tuning = agreeing(runs, 0.9)
    names = list(INDEX_OF.values())
    swapped = [names[i] for i in (1, 0, 3, 2)]
    for prefix in ("", "own_"):
        tuning[[prefix + n for n in names]] = tuning[[prefix + n for n in swapped]].to_numpy()
    table = agreement_table(agreement_by_run(parameters, tuning, runs, seed=1), seed=1)
    line = contrast(table, network="all", scope="model")
    assert line["estimate"] < line["null"] < 0
    assert line["p_raw"] == 1
    other = one(table, dataset="scenes", scope="model", parameter="s", index="turn_index")
    assert other["ci_low"] > 0.5
    assert (other["status"], other["p_floor"]) == ("descriptive", pytest.approx(2 / 8))


@pytest.mark.parametrize("control", ["label-shuffled", "static"])
def test_real_runs_are_compared_with_those_of_a_control(control: str) -> None:
    runs = grid(controls=["none", "label-shuffled", "static", "frame-shuffled"], each=3)
    real = runs["control"] == "none"
    parts = [agreeing(runs[real], 0.8, seed=1)]
    for seed, (_, others) in enumerate(runs[~real].groupby("control"), start=2):
        parts.append(agreeing(others, 0.1 * seed, seed=seed))
    parameters, tuning = (pd.concat(tables) for tables in zip(*parts, strict=True))
    by_run = agreement_by_run(parameters, tuning, runs, seed=1)
    table = agreement_table(by_run, seed=1)
    line = contrast(table, network="all", scope="model", against=control)
    assert (line["n_runs"], line["n_other"], line["status"]) == (6, 6, "ok")
    assert line["p_raw"] == pytest.approx(2 / 20**2)
    means = by_run[(by_run["scope"] == "model") & (by_run["parameter"] == "diagonal")]
    means = means.groupby(["control", "dataset"])["correlation"].mean().groupby("control").mean()
    assert line["estimate"] == pytest.approx(means["none"] - means[control])
    assert set(table.loc[table["control"] != "none", "against"]) == {"zero"}
    assert set(table["against"]) == {"zero", "label-shuffled", "static"}
    # families of one control do not grow by another
    cell = contrast(table, scope="model", dataset="scenes", control="none", against=control)
    assert cell["adjustment"] == "Holm over 2 tests"


def test_what_is_missing_breaks_nothing_and_is_told() -> None:
    """No turn index at all, a scale that never moves, one run without tuning, one layer silent."""
    runs = grid(each=2)
    parameters, tuning = agreeing(runs, 0.8)
    parameters["scale"] = np.float32(1)
    tuning["turn_index"] = tuning["own_turn_index"] = np.nan
    tuning.loc[tuning["layer_index"] == 1, [f"own_{n}" for n in INDEX_OF.values()]] = np.nan
    tuning = tuning[tuning["run_id"] != runs["run_id"][0]]
    by_run = agreement_by_run(parameters, tuning, runs, seed=1)
    assert set(by_run["run_id"]) == set(runs["run_id"][1:])
    line = one(by_run, run_id=runs["run_id"][1], scope="first", parameter="s", index="zoom_index")
    assert np.isnan(line["correlation"])
    assert line["reason"] == "s does not vary"
    table = agreement_table(by_run, seed=1)
    line = contrast(table, dataset="scenes", scope="model")
    assert line["reason"].endswith("without s, r")
    assert line["estimate"] > 0.2
    assert np.isfinite(line["ci_low"])
    alone = contrast(table, dataset="gestures", scope="model")
    assert (alone["n_runs"], alone["ci_method"]) == (1, "none (one run in a block)")
    assert alone["p_floor"] == 0.5
    silent = contrast(table, dataset="scenes", scope="layer", layer_index=1)
    assert silent["status"] == "degenerate"
    pa.Table.from_pandas(table, AGREEMENT)


def test_recipes_are_never_pooled_and_no_tuning_gives_an_empty_table() -> None:
    runs = grid(recipes=["paper", "fast"], each=2)
    parameters, tuning = agreeing(runs, 0.5)
    table = agreement_table(agreement_by_run(parameters, tuning, runs, seed=1), seed=1)
    pooled = table[(table["network"] == "all") & (table["scope"] == "first")]
    pooled = pooled[pooled["parameter"] == "diagonal"]
    assert sorted(pooled["recipe"]) == ["fast", "paper"]
    assert pooled["n_runs"].tolist() == [4, 4]
    none = agreement_table(agreement_by_run(parameters, tuning[:0], runs, seed=1), seed=1)
    assert none.empty
    assert none.columns.tolist() == AGREEMENT.names
