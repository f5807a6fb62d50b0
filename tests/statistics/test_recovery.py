"""The planted-truth tables on simulated studies whose truth is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import permutation_test, spearmanr, t, ttest_ind

from threetconv.data.synthetic.planted import MOTIONS
from threetconv.errors import InputError
from threetconv.schemas.runs import CONTROLS
from threetconv.statistics.planted.alignment import AXES, COLUMNS, alignment_table, sign_flip
from threetconv.statistics.planted.recovery import COLUMNS as TABLE_COLUMNS
from threetconv.statistics.planted.recovery import (
    EXPECTED,
    LAYER_COLUMNS,
    planted_layers,
    planted_table,
)
from threetconv.statistics.tests.permutation import permute_runs

SETS = {"slides": "translation", "spins": "rotation", "zooms": "zoom", "rests": "none"}
PARAMETERS = ("s", "r", "px", "py")
LAYERS = {0: "conv1", 1: "layer1.0.conv1", 2: "layer1.0.conv2"}


def runs_of(k=5, sets=SETS, controls=("none", *CONTROLS)):
    rows = []
    for dataset, control in itertools.product(sets, controls):
        for replicate in range(1, k + 1):
            middle = "" if control == "none" else f"-{control}"
            run_id = f"resnet18-{dataset}-scratch-3t{middle}-r{replicate}"
            rows.append((run_id, "resnet18", dataset, "scratch", "3t", control, replicate))
    names = ["run_id", "network", "dataset", "init", "convolution", "control", "replicate"]
    return pd.DataFrame(rows, columns=names)


def summaries_of(runs, *, ratio=1.6, seed=0, moves=EXPECTED, floor=0.009, steps=(100,)):
    """D of every run; parameters in `moves` of a set's motion are `ratio` times as large."""
    rng = np.random.default_rng(seed)
    rows = []
    for run in runs.itertuples():
        planted = moves[SETS[run.dataset]] if run.control == "none" else ()
        for step, index, parameter in itertools.product(steps, [-1, *LAYERS], PARAMETERS):
            d = math.log(0.01) + 0.05 * rng.standard_normal()
            d += math.log(ratio) if parameter in planted else 0.0
            scope = "model" if index < 0 else "layer"
            layer = LAYERS.get(index, "")
            tag = "last" if step == max(steps) else "snapshot"
            weightings = ("pooled", "layer") if index < 0 else ("pooled",)
            for weighting in weightings:
                rows.append(
                    (run.run_id, run.network, run.dataset, run.init, run.replicate, step, tag,
                     scope, index, layer, parameter, "reachable", d, floor, weighting)
                )  # fmt: skip
    names = [
        "run_id", "network", "dataset", "init", "replicate", "step", "tag", "scope",
        "layer_index", "layer", "parameter", "rows", "log_mean_abs", "noise_floor", "weighting",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=names)


def pointing(**changed):
    """Alignment of real runs in the first layer; `changed` says what is else of a parameter."""
    rows = []
    for dataset, motion in SETS.items():
        for axis in AXES[motion]:
            line = {
                "network": "resnet18", "dataset": dataset, "init": "scratch", "recipe": "paper",
                "control": "none", "scope": "first", "parameter": axis.parameter,
                "correlation": 0.4, "p_adjusted": 0.03, "status": "ok",
            }  # fmt: skip
            rows += [
                line | changed.get(axis.parameter, {}),
                # of no interest: the whole model, and the mean over axes
                line | {"scope": "model", "p_adjusted": 1.0},
                line | {"control": "static", "p_adjusted": 1.0},
                line | {"parameter": "px, py", "p_adjusted": 1.0},
            ]
    return pd.DataFrame(rows)


def verdicts(table):
    """(motion, parameter) -> recovered."""
    lines = table.drop_duplicates(["motion", "parameter"])
    return {
        (m, p): v for m, p, v in zip(lines.motion, lines.parameter, lines.recovered, strict=True)
    }


def test_what_was_planted_is_recovered_and_nothing_else():
    runs = runs_of()
    table = planted_table(summaries_of(runs), pointing(), runs, SETS)
    assert list(table.columns) == TABLE_COLUMNS
    found = verdicts(table)
    assert len(found) == 16
    for (motion, parameter), verdict in found.items():
        assert verdict == ("yes" if parameter in EXPECTED[motion] else "no"), (motion, parameter)
    expected = table[table["expected"]]
    assert {(m, p) for m, p in zip(expected.motion, expected.parameter, strict=True)} == {
        ("translation", "px"), ("translation", "py"), ("rotation", "r"), ("zoom", "s"),
    }  # fmt: skip


def test_what_moves_without_being_planted_shows_up():
    runs = runs_of()
    moves = EXPECTED | {"rotation": ("r", "px")}
    found = verdicts(planted_table(summaries_of(runs, moves=moves), pointing(), runs, SETS))
    assert found["rotation", "px"] == "yes"
    assert found["rotation", "py"] == "no"


def test_numbers_of_one_line():
    """Against scipy: ratio, Welch's interval, exact permutation, Holm; and the floor's interval.

    Planted parameters one-sided, Holm over these two; the other two of the motion two-sided.
    """
    runs = runs_of()
    summaries = summaries_of(runs)
    table = planted_table(summaries, pointing(), runs, SETS).set_index(
        ["dataset", "parameter", "comparison"]
    )
    last = summaries[(summaries.step == 100) & (summaries.scope == "model")]
    last = last[last.weighting == "pooled"].merge(runs[["run_id", "control"]], on="run_id")
    d = {
        key: group["log_mean_abs"].to_numpy()
        for key, group in last.groupby(["dataset", "parameter", "control"])
    }
    a, b = d["slides", "px", "none"], d["slides", "px", "static"]
    line = table.loc["slides", "px", "static"]
    welch = ttest_ind(a, b, equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert line["estimate"] == pytest.approx(math.exp(a.mean() - b.mean()))
    assert (line["ci_low"], line["ci_high"]) == pytest.approx(
        (math.exp(interval.low), math.exp(interval.high))
    )
    options = {"permutation_type": "independent", "n_resamples": np.inf}
    for name, alternative, least in (("px", "greater", 1 / 252), ("s", "two-sided", 2 / 252)):
        arms = d["slides", name, "none"], d["slides", name, "static"]
        exact = permutation_test(
            arms, lambda x, y: x.mean() - y.mean(), alternative=alternative, **options
        )
        other = table.loc["slides", name, "static"]
        assert other["p_raw"] == pytest.approx(exact.pvalue)
        assert other["p_floor"] == pytest.approx(least)
    assert (line["alternative"], line["adjustment"]) == ("larger", "Holm over 2 planted")
    assert line["p_adjusted"] == pytest.approx(2 / 252)
    assert other["alternative"] == "two-sided"
    assert other["adjustment"] == "Holm over 2 not planted"
    line = table.loc["spins", "r", "static"]
    assert line["p_adjusted"] == line["p_raw"] == pytest.approx(1 / 252)
    assert table.loc["rests", "r", "static"]["adjustment"] == "Holm over 4 not planted"
    line = table.loc["slides", "px", "noise floor"]
    excess = a - math.log(0.009)
    half = t.ppf(0.975, 4) * excess.std(ddof=1) / math.sqrt(5)
    assert line["estimate"] == pytest.approx(math.exp(excess.mean()))
    assert line["ci_low"] == pytest.approx(math.exp(excess.mean() - half))
    assert math.isnan(line["p_raw"])
    line = table.loc["spins", "r", "no motion"]
    shift = d["spins", "r", "none"].mean() - d["rests", "r", "none"].mean()
    assert line["estimate"] == pytest.approx(math.exp(shift))
    assert ("rests", "r", "no motion") not in table.index


def test_the_floor_is_shown_beside_and_takes_no_part():
    runs = runs_of()
    table = planted_table(summaries_of(runs, floor=0.02), pointing(), runs, SETS)
    floors = table[table["comparison"] == "noise floor"]
    assert set(floors["beyond"]) == {"no"}
    assert (floors["ci_high"] < 1).all()
    high = planted_table(summaries_of(runs, floor=1e-4), pointing(), runs, SETS)
    assert verdicts(table) == verdicts(high)
    assert verdicts(table)["rotation", "r"] == "yes"


@pytest.mark.parametrize(
    ("changed", "direction"),
    [
        ({"p_adjusted": 0.06}, "no"),
        ({"p_adjusted": 0.05, "correlation": 0.2}, "yes"),
        ({"correlation": -0.4}, "no"),
        ({"status": "untestable", "p_adjusted": np.nan}, "untestable"),
        ({"status": "degenerate", "p_adjusted": np.nan, "correlation": np.nan}, "untestable"),
    ],
)
def test_recovered_is_beyond_the_controls_and_in_direction(changed, direction):
    runs = runs_of()
    table = planted_table(summaries_of(runs), pointing(r=changed), runs, SETS)
    turning = table[(table["dataset"] == "spins") & (table["parameter"] == "r")]
    assert set(turning["in_direction"]) == {direction}
    assert set(turning["beyond_controls"]) == {"yes"}
    assert set(turning["recovered"]) == {direction}
    assert set(table.loc[~table["expected"], "in_direction"]) == {""}
    assert verdicts(table)["zoom", "s"] == "yes"
    # not moved is not recovered, whatever the direction
    still = planted_table(summaries_of(runs, ratio=0.9), pointing(r=changed), runs, SETS)
    assert verdicts(still)["rotation", "r"] == "no"


def test_without_alignment_nothing_planted_can_be_recovered():
    runs = runs_of()
    table = planted_table(summaries_of(runs), pointing().head(0), runs, SETS)
    assert set(table.loc[table["expected"], "recovered"]) == {"untestable"}


def test_three_runs_per_arm_can_show_one_planted_parameter_and_no_other():
    """1 / 20 one-sided is 0.05; over two planted ones, or two-sided, three runs are too few."""
    runs = runs_of(k=3)
    table = planted_table(summaries_of(runs), pointing(), runs, SETS)
    assert verdicts(table)["translation", "px"] == "untestable"
    assert verdicts(table)["rotation", "r"] == verdicts(table)["zoom", "s"] == "yes"
    controls = table[table["comparison"] != "noise floor"]
    alone = controls["expected"] & (controls["motion"] != "translation")
    assert set(controls.loc[alone, "status"]) == {"ok"}
    controls = controls[~alone]
    assert set(controls["status"]) == {"untestable"}
    assert controls["p_adjusted"].isna().all()
    assert controls["estimate"].notna().all()
    least = np.where(controls["expected"], "p is 0.05 ", "p is 0.1 ")
    assert all(text in why for text, why in zip(least, controls["reason"], strict=True))


def test_one_run_per_arm_and_missing_controls():
    runs = runs_of(k=1)
    table = planted_table(summaries_of(runs), pointing(), runs, SETS)
    assert set(table["status"]) == {"untestable"}
    assert table["estimate"].notna().all()
    runs = runs_of(controls=("none", "static"))
    table = planted_table(summaries_of(runs), pointing(), runs, SETS)
    lacking = table[table["comparison"] == "label-shuffled"]
    assert lacking["reason"].str.contains("no runs to compare with").all()
    assert verdicts(table)["translation", "px"] == "untestable"
    assert verdicts(table)["translation", "r"] == "no"  # one control suffices for that


def test_runs_that_never_moved_are_degenerate():
    runs = runs_of()
    summaries = summaries_of(runs)
    summaries.loc[summaries["run_id"].str.contains("static"), "log_mean_abs"] = -np.inf
    table = planted_table(summaries, pointing(), runs, SETS)
    assert set(table.loc[table["comparison"] == "static", "status"]) == {"degenerate"}
    assert verdicts(table)["translation", "px"] == "untestable"


def test_matched_step_and_best():
    runs = runs_of(sets={"slides": "translation"})
    summaries = summaries_of(runs, steps=(50, 100))
    early = runs["run_id"][0]
    cut = summaries[(summaries["run_id"] != early) | (summaries["step"] == 50)]
    at_50 = planted_table(summaries[summaries["step"] == 50], pointing(), runs, SETS)
    pd.testing.assert_frame_equal(planted_table(cut, pointing(), runs, SETS), at_50)
    best = summaries.assign(tag="best").query("step == 100")
    best = planted_table(best, pointing(), runs, SETS, checkpoint="best")
    assert set(best["checkpoint"]) == {"best"}
    assert verdicts(best)["translation", "px"] == "yes"
    apart = summaries[(summaries["run_id"] != early)].query("step == 100")
    other = summaries[(summaries["run_id"] == early)].query("step == 50")
    with pytest.raises(InputError, match="snapshots on one grid"):
        planted_table(pd.concat([apart, other]), pointing(), runs, SETS)


def test_order_of_rows_seed_and_other_runs_do_not_matter():
    runs = runs_of(sets={"slides": "translation", "rests": "none"})
    summaries = summaries_of(runs)
    shuffled = summaries.sample(frac=1, random_state=1)
    table = planted_table(summaries, pointing(), runs, SETS)
    pd.testing.assert_frame_equal(
        planted_table(shuffled, pointing(), runs.iloc[::-1], SETS), table, check_exact=True
    )
    extra = runs.assign(run_id="x" + runs["run_id"], convolution="3d")
    pd.testing.assert_frame_equal(
        planted_table(summaries, pointing(), pd.concat([runs, extra]), SETS), table
    )
    with_control = summaries.merge(runs[["run_id", "control"]], on="run_id")
    pd.testing.assert_frame_equal(planted_table(with_control, pointing(), runs, SETS), table)
    with pytest.raises(InputError, match="planted motion"):
        planted_table(summaries, pointing(), runs, {"slides": "sliding"})


def test_type_one_error_of_the_verdict():
    """Nothing planted, the floor far below: beyond three controls at once is a rare accident."""
    runs = runs_of(sets={"slides": "translation"})
    called = []
    for seed in range(10):
        summaries = summaries_of(runs, ratio=1, seed=seed, floor=1e-3, steps=(1,))
        called.append("yes" in verdicts(planted_table(summaries, pointing(), runs, SETS)).values())
    assert np.mean(called) <= 0.1


def test_power_and_level_of_a_planted_parameter():
    """Five runs, true shift in SDs of a run, against one control and against three.

    Against one the test is a one-sided t test's equal in power; all three at once have the power
    .44, .74 and .99 at 1.5, 2 and 3.
    """
    rng = np.random.default_rng(4)
    known = ((0, 0.048, 0.005), (1.5, 0.68, 0.44), (2, 0.88, 0.74), (3, 0.99, 0.985))
    for shift, one, three in known:
        beyond = np.zeros((1500, 3), bool)
        for study in beyond:
            real = rng.normal(shift, 1, 5)
            for i in range(3):
                result = permute_runs([(real, rng.normal(0, 1, 5))], two_sided=False, seed=0)
                study[i] = result.p <= 0.05
        for found, share in ((beyond[:, 0], one), (beyond.all(axis=1), three)):
            spread = math.sqrt(share * (1 - share) / len(found))
            assert found.mean() == pytest.approx(share, abs=4 * spread)


def test_layers():
    runs = runs_of()
    summaries = summaries_of(runs)
    deep = summaries["layer_index"] == 2
    moved = summaries["dataset"] == "slides"
    summaries.loc[deep & moved & (summaries["parameter"] == "px"), "log_mean_abs"] = math.log(0.005)
    table = planted_layers(summaries, runs, SETS)
    assert list(table.columns) == LAYER_COLUMNS
    assert len(table) == 3 * 4 * (3 * 5 + 4)
    lines = table.set_index(["dataset", "layer", "parameter", "comparison"])
    assert lines.loc[("slides", "conv1", "px", "static"), "beyond"] == "yes"
    assert lines.loc[("slides", "conv1", "px", "noise floor"), "beyond"] == "yes"
    assert lines.loc[
        ("slides", "layer1.0.conv2", "px", "noise floor"), "estimate"
    ] == pytest.approx(0.005 / 0.009)
    assert lines.loc[("slides", "layer1.0.conv2", "px", "noise floor"), "beyond"] == "untestable"
    assert lines.loc[("spins", "conv1", "r", "label-shuffled"), "beyond"] == "yes"
    a, b = (
        summaries[(summaries.run_id.str.contains(f"spins-scratch-3t{c}-r"))
                  & (summaries.step == 100)
                  & (summaries.layer == "conv1") & (summaries.parameter == "r")]["log_mean_abs"]
        for c in ("", "-static")
    )  # fmt: skip
    assert lines.loc[("spins", "conv1", "r", "static"), "estimate"] == pytest.approx(
        math.exp(a.mean() - b.mean())
    )


# Alignment


def channels_of(runs, *, strength=1.0, seed=0, n=12, sets=SETS):
    """Parameter rows and preferences; real runs point where they prefer, as far as `strength`.

    The second transition of the last layer is not reachable.
    """
    rng = np.random.default_rng(seed)
    index, transition, channel = (
        a.ravel() for a in np.meshgrid(list(LAYERS), [0, 1], np.arange(n), indexing="ij")
    )
    names = np.array(list(LAYERS.values()))[index]
    tables, scores = [], []
    for run in runs.itertuples():
        z = pd.DataFrame(
            {name: rng.standard_normal(6 * n) for name in ("z_s", "z_r", "z_x", "z_y")}
        )
        reachable = (index != 2) | (transition == 0)
        raw = {
            "run_id": run.run_id, "step": 100, "epoch": 1, "tag": "best", "layer_index": index,
            "layer": names, "kernel_t": 3, "kernel_hw": 3, "jump": 1, "channel": channel,
            "transition": transition, "reachable": reachable, "scale": np.exp(-0.1 * z["z_s"]),
            "rotate": -z["z_r"], "translate_x": -2 * z["z_x"], "translate_y": 2 * z["z_y"],
        }  # fmt: skip
        tables.append(pd.DataFrame(raw))
        mean = z[reachable].groupby([index[reachable], channel[reachable]]).mean()
        layer, who = (mean.index.get_level_values(k).to_numpy() for k in (0, 1))
        for axis in AXES[sets[run.dataset]]:
            wish = (strength if run.control == "none" else 0) * mean[axis.z].to_numpy()
            wish = wish * (1 + layer) + 0.3 * rng.standard_normal(3 * n)
            for label, sign in ((axis.towards, 0.5), (axis.away, -0.5)):
                line = {
                    "run_id": run.run_id, "layer_index": layer, "channel": who, "label": label,
                    "layer": names[::2 * n][layer], "preference": sign * wish + 7.0, "n_clips": 10,
                }  # fmt: skip
                scores.append(pd.DataFrame(line))
    return pd.concat(tables, ignore_index=True), pd.concat(scores, ignore_index=True)


def test_labels_and_parameters_of_the_axes():
    assert set(AXES) == set(MOTIONS) == set(EXPECTED)
    for motion, axes in AXES.items():
        assert {label for axis in axes for label in axis[:2]} <= set(MOTIONS[motion])
        assert tuple(axis.parameter for axis in axes) == EXPECTED[motion]


def test_alignment_is_found_where_it_is_and_only_there():
    runs = runs_of()
    table = alignment_table(*channels_of(runs), runs, SETS)
    assert list(table.columns) == COLUMNS
    real = table[table["control"] == "none"]
    assert real["correlation"].min() > 0.5
    assert (real["ci_low"] > 0.2).all()
    controls = table[(table["control"] != "none") & (table["scope"] == "model")]
    assert controls["correlation"].abs().max() < 0.3
    for scope in ("model", "first"):
        whole = real[(real["scope"] == scope) & real["axis"].isin(["all", "growing - shrinking"])]
        assert whole["p_raw"].tolist() == [1 / 32] * 2
        assert whole["p_adjusted"].tolist() == [1 / 32] * 2
    first = real[real["scope"] == "first"].set_index("axis")["correlation"]
    conv1 = real[(real["scope"] == "layer") & (real["layer_index"] == 0)].set_index("axis")[
        "correlation"
    ]
    assert first.drop("all").to_dict() == conv1.to_dict()
    assert first["all"] == pytest.approx((conv1["right - left"] + conv1["up - down"]) / 2)
    single = real[(real["scope"] == "model") & (real["axis"] == "right - left")].iloc[0]
    assert single["status"] == "untestable"  # two axes, and 2 / 32 is above 0.05
    assert "0.0625 after Holm)" in single["reason"]
    assert single["adjustment"] == "Holm over 2 axes"
    turning = real[(real["motion"] == "rotation") & (real["scope"] == "first")].iloc[0]
    assert turning["status"] == "ok"
    assert turning["p_adjusted"] == turning["p_raw"] == 1 / 32
    assert turning["adjustment"] == "none"
    assert set(real.loc[real["axis"] == "all", "adjustment"]) == {"none"}
    assert set(real.loc[real["scope"] == "layer", "adjustment"]) == {"BH over 3 layers"}
    assert not (table["motion"] == "none").any()
    opposite, scores = channels_of(runs, strength=-1.0)
    back = alignment_table(opposite, scores, runs, SETS)
    assert (back.loc[back["control"] == "none", "correlation"] < -0.5).all()
    assert (back.loc[back["control"] == "none", "p_raw"] == 1.0).all()


def test_correlations_of_one_run_by_hand():
    runs = runs_of(k=1, sets={"slides": "translation"}, controls=("none",))
    parameters, preferences = channels_of(runs)
    table = alignment_table(parameters, preferences, runs, SETS).set_index(
        ["scope", "axis", "layer"]
    )
    whole, counts = [], []
    for index, layer in LAYERS.items():
        rows = parameters[(parameters.layer_index == index) & parameters.reachable]
        z = (-0.5 * rows["translate_x"]).groupby(rows["channel"]).mean()
        wide = preferences[preferences.layer_index == index].pivot_table(
            index="channel", columns="label", values="preference"
        )
        rho = spearmanr(wide["right"] - wide["left"], z).statistic
        assert table.loc[("layer", "right - left", layer), "correlation"] == pytest.approx(rho)
        whole.append(rho)
        counts.append(len(z))
    model = table.loc[("model", "right - left", "")]
    assert model["correlation"] == pytest.approx(np.average(whole, weights=counts))
    assert math.isnan(model["ci_low"])
    both = table.loc[("model", "all", "")]
    other = table.loc[("model", "up - down", "")]
    assert both["correlation"] == pytest.approx((model["correlation"] + other["correlation"]) / 2)
    assert both["parameter"] == "px, py"
    assert both["status"] == "untestable"


def test_interval_over_runs():
    runs = runs_of(sets={"spins": "rotation"}, controls=("none",))
    parameters, preferences = channels_of(runs)
    table = alignment_table(parameters, preferences, runs, SETS)
    each = [
        alignment_table(
            parameters, preferences, runs[runs["run_id"] == run_id], SETS
        )["correlation"].to_numpy()
        for run_id in runs["run_id"]
    ]  # fmt: skip
    values = np.array(each)
    assert table["correlation"].to_numpy() == pytest.approx(values.mean(axis=0))
    half = t.ppf(0.975, 4) * values.std(axis=0, ddof=1) / math.sqrt(5)
    assert table["ci_low"].to_numpy() == pytest.approx(values.mean(axis=0) - half)


def test_alignment_does_not_depend_on_the_order_of_rows():
    runs = runs_of(k=2)
    parameters, preferences = channels_of(runs)
    table = alignment_table(parameters, preferences, runs, SETS)
    other = alignment_table(
        parameters.sample(frac=1, random_state=0),
        preferences.sample(frac=1, random_state=0),
        runs.sample(frac=1, random_state=0),
        SETS,
    )
    pd.testing.assert_frame_equal(table, other, check_exact=True)


def test_channels_that_never_vary_and_missing_runs():
    runs = runs_of(k=5, sets={"zooms": "zoom"}, controls=("none",))
    parameters, preferences = channels_of(runs)
    still = parameters.assign(scale=1.0)
    table = alignment_table(still, preferences, runs, SETS)
    assert set(table["status"]) == {"degenerate"}
    assert table["correlation"].isna().all()
    first = runs["run_id"][0]
    one_still = parameters.assign(
        scale=parameters["scale"].where(parameters["run_id"] != first, 1.0)
    )
    table = alignment_table(one_still, preferences, runs, SETS)
    assert set(table["n_runs"]) == {4}
    assert table["reason"].str.contains("1 runs in which nothing varies").all()
    with pytest.raises(InputError, match="preference tables"):
        alignment_table(parameters, preferences[preferences["run_id"] != first], runs, SETS)
    with pytest.raises(InputError, match="parameter tables"):
        alignment_table(parameters[parameters["run_id"] != first], preferences, runs, SETS)


@given(hnp.arrays(np.float64, st.integers(1, 8), elements=st.integers(-20, 20)))
@settings(max_examples=50, deadline=None)
def test_sign_flip_against_all_assignments(values):
    p, floor = sign_flip(values)
    assert floor == 0.5 ** len(values)
    sums = [np.dot(signs, values) for signs in itertools.product((1, -1), repeat=len(values))]
    assert p == pytest.approx(np.mean(np.array(sums) >= values.sum() - 1e-9), abs=1e-12)
    assert floor <= p <= 1


def test_sign_flip_by_draws_and_its_level():
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 1.0, 18)
    drawn, floor = sign_flip(values, seed=1, draws=20_000)
    assert floor == 1 / 20_001
    exact, least = sign_flip(values, max_enumeration=2**18)
    assert least == 0.5**18
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(exact / 20_000))
    assert sign_flip(values, seed=1, draws=20_000) == (drawn, floor)
    null = [sign_flip(rng.standard_normal(6))[0] for _ in range(2000)]
    assert np.mean(np.array(null) <= 0.0625) == pytest.approx(0.0625, abs=0.02)


def test_one_layer_alone():
    runs = runs_of(sets={"slides": "translation"})
    summaries = summaries_of(runs)
    summaries.loc[summaries["layer_index"] != 1, "log_mean_abs"] = math.log(0.01)
    table = planted_table(summaries, pointing(), runs, SETS, layer_index=1)
    assert set(table["layer_index"]) == {1}
    assert verdicts(table)["translation", "px"] == "yes"
    lines = table.set_index(["parameter", "comparison"])["estimate"]
    layers = planted_layers(summaries, runs, SETS).query("layer_index == 1")
    for line in layers[layers["n_b"] > 0].itertuples():
        assert lines[line.parameter, line.comparison] == line.estimate
    assert set(planted_table(summaries, pointing(), runs, SETS)["layer_index"]) == {-1}


def test_less_than_a_control_is_not_beyond_it():
    """Far below the controls, however significantly, is no sign of motion."""
    runs = runs_of(sets={"slides": "translation"})
    moves = {"translation": ("px", "s")}
    summaries = summaries_of(runs, ratio=0.5, floor=1e-3, moves=moves)
    table = planted_table(summaries, pointing(), runs, SETS)
    static = table[table["comparison"] == "static"].set_index("parameter")
    assert static.loc["s", "p_adjusted"] <= 0.05
    assert static.loc["px", "p_raw"] == 1
    assert (static.loc[["s", "px"], "estimate"] < 1).all()
    assert set(static["beyond"]) == {"no"}
    assert verdicts(table)["translation", "px"] == "no"
