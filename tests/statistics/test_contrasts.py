"""Families of two arms: what is tested, what is called untestable, and invariants of the table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from threetconv.errors import InputError
from threetconv.schemas.statistics import TESTS
from threetconv.statistics.summaries.summarise import summarise
from threetconv.statistics.tests.adjust import holm
from threetconv.statistics.tests.comparisons import COLUMNS
from threetconv.statistics.tests.contrasts import run_tests
from threetconv.statistics.tests.permutation import permute_runs
from threetconv.statistics.tests.sentences import sentences
from threetconv.support.files import write_parquet
from threetconv.support.numerals import p_prose

PLANNED = [  # section 5 of the plan, and the recipe
    "recipe", "family", "contrast", "stratum", "parameter", "scope", "layer_index", "checkpoint",
    "unit",
    "n_a", "n_b", "method", "library_version", "statistic", "estimate", "ci_low", "ci_high",
    "ci_method", "p_raw", "p_floor", "exact", "n_permutations", "p_adjusted", "adjustment",
    "hedges_g", "cliffs_delta", "wasserstein", "status", "reason", "rng_seed",
]  # fmt: skip


@pytest.fixture(scope="module")
def summaries(study):
    return summarise(*study)


@pytest.fixture(scope="module")
def tests_table(summaries, study):
    return run_tests(summaries, study.runs, seed=1)


def values(summaries, **wanted):
    """D of the runs that match."""
    keep = (summaries["scope"] == "model") & (summaries["rows"] == "reachable")
    keep &= summaries["weighting"] == "pooled"
    for column, value in wanted.items():
        keep &= summaries[column] == value
    return summaries.loc[keep, "log_mean_abs"].to_numpy()


def test_columns_and_lines(tests_table):
    assert tests_table.columns.tolist() == COLUMNS == PLANNED
    assert len(tests_table) == 2 * (1 + 4) * 4
    assert set(tests_table["family"]) == {"dataset", "init"}
    assert set(tests_table["contrast"]) == {"gestures / scenes", "scratch / pretrained"}
    first = tests_table[tests_table["family"] == "dataset"]
    assert first["stratum"].unique().tolist() == [
        "all", "googlenet, pretrained", "googlenet, scratch", "resnet18, pretrained",
        "resnet18, scratch",
    ]  # fmt: skip
    assert set(tests_table["unit"]) == {"run"}
    assert set(tests_table["checkpoint"]) == {"best"}


def test_the_estimate_is_the_ratio_of_mean_displacements(tests_table, summaries):
    line = tests_table[
        (tests_table["family"] == "dataset") & (tests_table["parameter"] == "px")
    ].iloc[0]
    differences = [
        values(summaries, parameter="px", dataset="gestures", network=n, init=i).mean()
        - values(summaries, parameter="px", dataset="scenes", network=n, init=i).mean()
        for n in ("googlenet", "resnet18")
        for i in ("pretrained", "scratch")
    ]
    assert line["statistic"] == pytest.approx(np.mean(differences))
    assert line["estimate"] == pytest.approx(np.exp(np.mean(differences)))
    assert line["ci_low"] < line["estimate"] < line["ci_high"]
    assert line["ci_low"] * line["ci_high"] == pytest.approx(line["estimate"] ** 2)


def test_a_planted_effect_is_found_and_an_absent_one_is_not(tests_table):
    blocked = tests_table[tests_table["stratum"] == "all"]
    planted = blocked[blocked["family"] == "dataset"]
    assert planted["estimate"].between(1.5, 2.1).all()
    assert (planted["p_adjusted"] < 0.001).all()
    assert planted["p_floor"].to_numpy() == pytest.approx(1.25e-5)
    assert planted["exact"].all()
    assert (planted["n_permutations"] == 160_000).all()
    absent = blocked[blocked["family"] == "init"]
    assert absent["estimate"].between(0.8, 1.25).all()
    assert (absent["p_adjusted"] > 0.05).all()
    assert set(blocked["status"]) == {"ok"}


def test_holm_is_over_the_four_parameters_of_a_stratum(tests_table):
    for _, group in tests_table[tests_table["stratum"] == "all"].groupby("family"):
        np.testing.assert_allclose(group["p_adjusted"], holm(group["p_raw"]))


def test_three_runs_in_one_block_are_untestable_never_insignificant(tests_table):
    single = tests_table[tests_table["stratum"] != "all"]
    assert set(single["status"]) == {"untestable"}
    assert single["p_adjusted"].isna().all()
    assert single["p_floor"].to_numpy() == pytest.approx(0.1)
    assert single["reason"].str.contains("smallest attainable p is 0.1").all()
    assert single["estimate"].notna().all()
    assert (single["ci_method"] == "Welch t").all()


def test_five_runs_in_one_block_are_testable(make_study):
    study = make_study(k=5, ratio=1.8, networks=("resnet18",))
    tests = run_tests(summarise(*study), study.runs, seed=1, families=("dataset",))
    single = tests[tests["stratum"] != "all"]
    assert set(single["status"]) == {"ok"}
    assert single["p_floor"].to_numpy() == pytest.approx(2 / 252)
    assert (single["p_adjusted"] <= 0.05).all()


def test_four_runs_pass_alpha_but_not_holm(make_study):
    study = make_study(k=4, ratio=1.8, networks=("resnet18",))
    single = run_tests(summarise(*study), study.runs, seed=1, families=("dataset",))
    single = single[single["stratum"] != "all"]
    assert single["p_floor"].to_numpy() == pytest.approx(2 / 70)
    assert set(single["status"]) == {"untestable"}
    assert single["reason"].str.contains(r"0.0286 \(0.114 after Holm\)").all()


def test_one_run_per_arm_gives_estimates_only(make_study):
    study = make_study(k=1, ratio=1.8)
    tests = run_tests(summarise(*study), study.runs, seed=1)
    assert set(tests["status"]) == {"untestable"}
    assert tests["estimate"].notna().all()
    assert tests[["ci_low", "ci_high", "p_adjusted", "hedges_g"]].isna().all().all()
    floors = tests.groupby("stratum")["p_floor"].first()
    assert floors["all"] == pytest.approx(0.125)
    assert (floors.drop("all") == 1).all()


def test_identity_everywhere_is_degenerate(make_study):
    study = make_study(k=3, still=("scenes",))
    tests = run_tests(summarise(*study), study.runs, seed=1)
    first = tests[tests["family"] == "dataset"]
    assert set(first["status"]) == {"degenerate"}
    assert first["reason"].str.contains("D = -inf").all()
    assert first[["estimate", "ci_low", "p_raw", "p_adjusted"]].isna().all().all()
    inside = tests[(tests["family"] == "init") & tests["stratum"].str.contains("gestures")]
    assert set(inside["status"]) == {"untestable"}  # the other dataset moves; three runs are few


def test_3d_runs_and_controls_are_left_out(summaries, study, tests_table):
    extra = study.runs.head(2).assign(
        run_id=["x-3d", "x-control"], convolution=["3d", "3t"], control=["none", "static"]
    )
    lines = summaries[summaries["run_id"] == study.runs["run_id"][0]]
    more = pd.concat(
        [summaries, *(lines.assign(run_id=i, log_mean_abs=9.0) for i in extra["run_id"])]
    )
    again = run_tests(more, pd.concat([study.runs, extra]), seed=1)
    pd.testing.assert_frame_equal(again, tests_table)


def test_only_the_best_checkpoint_counts(summaries, study, tests_table):
    other = summaries.assign(tag="last", log_mean_abs=0.0)
    again = run_tests(pd.concat([other, summaries]), study.runs, seed=1)
    pd.testing.assert_frame_equal(again, tests_table)


def test_a_block_with_one_arm_only_is_left_out_with_a_note(summaries, study):
    gone = (study.runs["network"] == "resnet18") & (study.runs["dataset"] == "scenes")
    gone &= study.runs["init"] == "scratch"
    kept = summaries[~summaries["run_id"].isin(study.runs.loc[gone, "run_id"])]
    tests = run_tests(kept, study.runs, seed=1, families=("dataset",))
    blocked = tests[tests["stratum"] == "all"]
    assert set(blocked["status"]) == {"ok"}
    assert blocked["reason"].str.contains("resnet18, scratch left out").all()
    assert (blocked["n_permutations"] == 20**3).all()
    lone = tests[tests["stratum"] == "resnet18, scratch"]
    assert set(lone["status"]) == {"untestable"}
    assert lone["reason"].str.contains("no block has runs of both gestures and scenes").all()
    assert lone["estimate"].isna().all()


def test_arms_of_different_size_are_studentised_and_the_method_says_so(summaries, study):
    gone = study.runs["run_id"].str.startswith("resnet18-scenes-scratch") & (
        study.runs["replicate"] == 3
    )
    kept = summaries[~summaries["run_id"].isin(study.runs.loc[gone, "run_id"])]
    tests = run_tests(kept, study.runs, seed=1, families=("dataset",)).set_index("stratum")
    said = tests["method"].str.contains("within blocks, studentised (D", regex=False)
    assert set(tests.index[said]) == {"all", "resnet18, scratch"}
    assert not said["resnet18, pretrained"].any()
    line = tests.loc["resnet18, scratch"].iloc[0]
    d = kept.merge(study.runs[["run_id"]], on="run_id")
    d = d[(d["network"] == "resnet18") & (d["init"] == "scratch") & (d["parameter"] == "s")]
    d = d[(d["scope"] == "model") & (d["rows"] == "reachable") & (d["weighting"] == "pooled")]
    arms = [d.loc[d["dataset"] == name, "log_mean_abs"] for name in ("gestures", "scenes")]
    assert (line["n_a"], line["n_b"]) == (3, 2)
    assert line["p_raw"] == permute_runs([tuple(arms)], seed=1).p
    assert line["statistic"] == pytest.approx(arms[0].mean() - arms[1].mean())


def test_one_dataset_leaves_f2_only(summaries, study):
    one = summaries[summaries["dataset"] == "scenes"]
    assert set(run_tests(one, study.runs, seed=1)["family"]) == {"init"}
    assert run_tests(one, study.runs, seed=1, families=("dataset",)).columns.tolist() == COLUMNS


def test_paired_runs_flip_signs(summaries, study):
    tests = run_tests(summaries, study.runs, seed=1, paired=True)
    single = tests[tests["stratum"] != "all"]
    assert single["p_floor"].to_numpy() == pytest.approx(0.25)
    assert (single["ci_method"] == "paired t").all()
    blocked = tests[tests["stratum"] == "all"]
    assert blocked["p_floor"].to_numpy() == pytest.approx(2 / 2**12)
    assert (blocked["n_permutations"] == 2**12).all()


def test_swapping_the_labels_flips_signs_only(summaries, study, tests_table):
    swapped = summaries.assign(
        dataset=summaries["dataset"].map({"gestures": "scenes", "scenes": "gestures"})
    )
    runs = study.runs
    again = run_tests(swapped, runs, seed=1, families=("dataset",))
    first = tests_table[tests_table["family"] == "dataset"].reset_index(drop=True)
    np.testing.assert_allclose(again["statistic"], -first["statistic"])
    np.testing.assert_allclose(again["estimate"], 1 / first["estimate"])
    np.testing.assert_allclose(again["ci_low"], 1 / first["ci_high"])
    np.testing.assert_allclose(again["hedges_g"], -first["hedges_g"])
    same = ["p_raw", "p_floor", "p_adjusted", "status", "n_a", "n_b"]
    pd.testing.assert_frame_equal(again[same], first[same])


def test_the_order_of_lines_does_not_matter_and_bytes_repeat(
    summaries, study, tests_table, tmp_path
):
    shuffled = summaries.sample(frac=1, random_state=4)
    runs = study.runs.sample(frac=1, random_state=5)
    again = run_tests(shuffled, runs, seed=1)
    for name, table in (("one", tests_table), ("two", again)):
        write_parquet(table, tmp_path / name, TESTS)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_monte_carlo_lines_say_so(summaries, study):
    tests = run_tests(
        summaries, study.runs, seed=8, families=("dataset",), max_enumeration=1, draws=199
    )
    assert not tests["exact"].any()
    assert set(tests["n_permutations"]) == {199}
    assert set(tests["rng_seed"]) == {8}
    assert (tests["p_floor"] >= 1 / 200).all()


def test_mistakes_are_named(summaries, study):
    with pytest.raises(InputError, match="no checkpoint of that name"):
        run_tests(summaries, study.runs, seed=1, checkpoint="bst")
    with pytest.raises(InputError, match="no family of that name"):
        run_tests(summaries, study.runs, seed=1, families=("F9",))
    with pytest.raises(InputError, match="more than one 'best' snapshot"):
        run_tests(pd.concat([summaries, summaries]), study.runs, seed=1)


def test_sentences(tests_table):
    texts = sentences(tests_table)
    assert texts.index.equals(tests_table.index)
    line, text = tests_table.iloc[0], texts.iloc[0]
    assert text.startswith("Over all blocks, scale moved ")
    assert f"{line['estimate']:#.3g} times as far with gestures as with scenes" in text
    assert f"{line['ci_low']:#.3g} to {line['ci_high']:#.3g}" in text
    assert (
        "could not be tested at matched noise budgets: the length of training may make it" in text
    )
    assert f"smallest attainable {p_prose(line['p_floor'])}" in text
    null = texts[(tests_table["family"] == "init") & (tests_table["stratum"] == "all")]
    assert null.str.contains("no difference is shown [", regex=False).all()
    untestable = texts[tests_table["status"] == "untestable"]
    assert untestable.str.contains("untestable, because the smallest attainable p").all()
    assert not untestable.str.contains("significant|difference is shown|taken as real").any()


def test_sentences_without_interval_or_ratio(make_study):
    single = make_study(k=1)
    texts = sentences(run_tests(summarise(*single), single.runs, seed=1))
    assert texts.str.contains("(no interval: one run in an arm)", regex=False).all()
    still = make_study(k=1, still=("scenes",))
    text = sentences(run_tests(summarise(*still), still.runs, seed=1)).iloc[0]
    assert text == (
        "Over all blocks, scale: no ratio of gestures to scenes can be formed, because 4 of 4 + 4 "
        "runs never left the start (D = -inf)."
    )


def test_named_datasets_choose_the_contrast_and_its_direction(summaries, study, tests_table):
    names = sorted(study.runs["dataset"].unique(), reverse=True)
    turned = run_tests(summaries, study.runs, seed=1, families=("dataset",), datasets=names)
    assert set(turned["contrast"]) == {" / ".join(names)}
    straight = tests_table[tests_table["family"] == "dataset"]
    np.testing.assert_allclose(turned["estimate"], 1 / straight["estimate"], rtol=1e-12)
    none = run_tests(summaries, study.runs, seed=1, families=("dataset",), datasets=["a", "b"])
    assert none.empty
