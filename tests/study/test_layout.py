"""Where a study's files lie, and which runs they are of."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from threetconv.explain.tables import TABLES as CHANNEL_TABLES
from threetconv.records.parameters import CELL
from threetconv.study import layout as layouts
from threetconv.study.layout import StudyLayout
from threetconv.study.validate import validate_study
from threetconv.training.recipes import PAPER
from threetconv.training.settings import Settings

from ..builders.small_study import PRETRAINED, SCRATCH, put, study

ENTRY = {"network": "resnet18", "dataset": "mine", "replicate": 2, "source": "file:a.pt"}
SHUFFLED = SCRATCH | {"control": "label-shuffled"}


def layout(**changes: Any) -> StudyLayout:
    return StudyLayout(validate_study(study(**changes)))


def test_controls_have_a_folder_of_their_own() -> None:
    found = layout(replicates=1, variants=[SCRATCH, SHUFFLED])
    assert found.parameter_files == [
        "results/s/parameters/network=resnet18/dataset=mine/init=scratch/recipe=paper/"
        "resnet18-mine-scratch-3t-r1.parquet",
        "results/s/parameters/network=resnet18/dataset=made/init=scratch/recipe=paper/"
        "resnet18-made-scratch-3t-r1.parquet",
    ]
    assert found.control_files == [
        file.replace("/parameters/", "/control_parameters/").replace("-r1", "-label-shuffled-r1")
        for file in found.parameter_files
    ]


@pytest.mark.parametrize("kind", ["3d", "2d", "r2plus1d"])
def test_other_runs_have_no_temporal_parameters(kind: str) -> None:
    rates = {"3t": 0.001, kind: 0.002}
    found = layout(
        replicates=1,
        variants=[SCRATCH, PRETRAINED | {"convolution": kind}],
        training={"epochs": 1, "batch_size": 4, "learning_rate": rates},
    )
    assert [run.init for run in found.runs_3t] == ["scratch"] * 2
    assert found.inits == ["scratch"]
    assert len(found.parameter_files) == 2
    assert len(found.runs) == 4
    run_id = f"resnet18-mine-pretrained-{kind}-r1"
    assert found.run_settings(run_id)["learning_rate"] == 0.002
    assert found.explained_parameters(run_id) == ""
    assert set(found.explained_inputs(run_id)) == {"record", "weights", "table", "packed"}


def test_rendered_sets_lie_with_the_results() -> None:
    found = layout()
    assert found.dataset_root("mine") == "videos"
    assert found.dataset_root("made") == "results/s/data/made"
    assert found.rendered == ["made"]
    assert found.planted == {}


def preferences(found: StudyLayout, dataset: str) -> list[str]:
    runs = [run.run_id for run in found.runs_3t if run.dataset == dataset]
    return [f"results/s/preferences/{run_id}.parquet" for run_id in runs]


def test_3t_runs_of_opposite_classes_have_preferences_controls_too() -> None:
    found = layout(replicates=1, variants=[SCRATCH, SHUFFLED])
    assert list(found.paired) == ["made"]
    assert found.paired["made"] == found.opposites("made")
    assert len(found.preferring) == 2
    assert found.preference_files == preferences(found, "made")
    config = put(study(), "datasets.made.opposites", [])
    assert StudyLayout(validate_study(config)).preference_files == []


def test_where_motion_is_planted_every_3t_run_has_preferences() -> None:
    made = {"set": "planted", "motion": "zoom", "clips": {"train": 4, "val": 2}}
    config = put(put(study(replicates=1), "datasets.made.adapter", "folder"), "seed", 1)
    found = StudyLayout(validate_study(put(config, "datasets.made.render", made)))
    assert found.planted == {"made": "zoom"}
    assert found.preference_files == preferences(found, "made")
    assert found.paired == {"made": [("growing", "shrinking")]}
    still = put(config, "datasets.made.render", made | {"motion": "none"})
    assert StudyLayout(validate_study(still)).preference_files == []


def test_every_run_is_tuned_unless_fewer_are_asked_for() -> None:
    found = layout(replicates=2)
    assert found.tuned == list(found.runs)
    assert found.tuning_files[:2] == [
        f"results/s/tuning/{folder}{found.tuned[0]}.parquet" for folder in ("", "responses/")
    ]
    assert len(layout(replicates=2, tuning={"replicates": 1}).tuned) == len(found.runs) // 2
    assert layout(tuning={"replicates": 0}).tuning_files == []


def test_the_ruler_is_held_to_3d_runs_that_are_tuned() -> None:
    variants = [PRETRAINED, PRETRAINED | {"convolution": "3d"}]
    assert layout(variants=variants).ruler_files == []
    found = layout(replicates=2, variants=variants, tuning={"replicates": 1, "ruler": "all"})
    assert found.ruler_files == [
        f"results/s/ruler/resnet18-{name}-pretrained-3d-r1.parquet" for name in ("mine", "made")
    ]


def test_what_runs_need_is_measured_where_it_is_asked_for() -> None:
    assert layout().need_files == []
    found = layout(replicates=2, need={"replicates": 1})
    assert found.needing == [run_id for run_id in found.runs if run_id.endswith("-r1")]
    assert found.need_files[0] == f"results/s/need/{found.needing[0]}.parquet"
    assert layout(replicates=2, need={}).needing == list(found.runs)


def test_opposites_are_those_of_the_study_or_known() -> None:
    found = layout()
    assert found.opposites("mine") == []
    assert ("Swiping Left", "Swiping Right") in found.opposites("made")
    assert len(found.opposites("made")) == 11
    config = put(study(), "datasets.mine.opposites", [["opening", "closing"]])
    config = put(config, "datasets.made.opposites", [])
    found = StudyLayout(validate_study(config))
    assert found.opposites("mine") == [("opening", "closing")]
    assert found.opposites("made") == []


def test_clips_are_read_packed_or_as_they_are() -> None:
    found = StudyLayout(validate_study(put(study(), "datasets.mine.store", "streamed")))
    clips, packed = "results/s/clips/mine", "results/s/packed/made"
    assert found.clip_inputs("mine") == {
        "table": f"{clips}.parquet",
        "contents": f"{clips}.contents.json",
    }
    assert found.clip_inputs("made") == {"table": f"{packed}.parquet", "packed": f"{packed}.npy"}


def test_a_run_is_fetched_where_the_variant_that_it_is_of_says_so() -> None:
    variants = [PRETRAINED | {"checkpoints": [ENTRY | {"licence": "CC0"}]}, SCRATCH]
    found = layout(variants=variants)
    run_id, trained = "resnet18-mine-pretrained-3t-r2", "resnet18-mine-pretrained-3t-r1"
    assert list(found.fetched) == [run_id]
    assert found.fetched_from(run_id) == {
        "source": "file:a.pt",
        "format": "threetconv",
        "licence": "CC0",
    }
    assert "weights" not in found.run_inputs(run_id)
    assert found.run_inputs(trained)["weights"] == "results/s/weights_2d/resnet18.safetensors"
    assert "weights" not in found.run_inputs("resnet18-mine-scratch-3t-r1")
    assert found.card_facts(run_id) == {"synthetic": False, "selection": "val", "licence": "CC0"}
    assert found.card_facts("resnet18-made-scratch-3t-r1") == {
        "synthetic": True,
        "selection": "val",
        "licence": "",
    }


def test_a_card_says_that_the_best_epoch_was_chosen_by_the_test_list() -> None:
    config = put(study(), "datasets.mine.options", {"selection": "test"})
    found = StudyLayout(validate_study(config))
    assert found.card_facts("resnet18-mine-pretrained-3t-r1")["selection"] == "test"
    assert found.card_facts("resnet18-made-pretrained-3t-r1")["selection"] == "val"


def test_settings_are_those_of_a_training_run() -> None:
    """One batch size for each network, one rate for each convolution; the others for all."""
    training = {
        "epochs": 3,
        "batch_size": {"resnet18": 4, "googlenet": 6},
        "learning_rate": {"3t": 0.1, "3d": 0.2},
        "micro_batch": 2,
        "device": "cuda",
    }
    variants = [PRETRAINED, PRETRAINED | {"convolution": "3d"}]
    found = layout(networks=["resnet18", "googlenet"], variants=variants, training=training)
    settings = found.run_settings("googlenet-mine-pretrained-3d-r1")
    assert set(settings) == {field.name for field in fields(Settings)}
    made = Settings(**settings)
    assert (made.epochs, made.batch_size, made.learning_rate) == (3, 6, 0.2)
    assert (made.micro_batch, made.early_stopping, made.snapshot_every) == (2, None, 1000)
    assert found.run_settings("resnet18-mine-pretrained-3t-r1")["batch_size"] == 4
    assert found.run_data("resnet18-mine-pretrained-3t-r1") == {
        "sampling": "even",
        "augment": {},
        "on_bad_clip": "fail",
        "max_bad_share": 0.01,
    }


def test_the_first_real_runs_of_each_cell_are_explained() -> None:
    found = layout(
        networks=["resnet18", "googlenet"],
        variants=[SCRATCH, SHUFFLED],
        explanations={"replicates": 2, "networks": ["googlenet"]},
    )
    assert found.explained == [
        f"googlenet-{dataset}-scratch-3t-r{k}" for dataset in ("mine", "made") for k in (1, 2)
    ]
    assert found.explained_pairs == [("googlenet", "mine"), ("googlenet", "made")]
    assert len(found.explanations) == 4 * 5
    assert "trajectories" in found.explained_tables
    assert layout(explanations={"replicates": 0}).explained == []


def test_an_explained_run_is_compared_with_one_on_permuted_labels() -> None:
    found = layout(variants=[SCRATCH, PRETRAINED, SHUFFLED])
    files = found.explained_inputs("resnet18-mine-pretrained-3t-r1")
    assert files["record"] == "results/s/runs/resnet18-mine-pretrained-3t-r1/run.json"
    other = "results/s/runs/resnet18-mine-scratch-3t-label-shuffled-r1"
    assert files["shuffled"] == f"{other}/run.json"
    assert files["shuffled_weights"] == f"{other}/best.safetensors"
    assert files["parameters"].endswith("/resnet18-mine-pretrained-3t-r1.parquet")
    assert "shuffled" not in layout(variants=[SCRATCH]).explained_inputs(
        "resnet18-mine-scratch-3t-r1"
    )


def test_changed_clips_of_the_users_sets_are_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = layout()
    assert found.note_changed_clips() == []
    (tmp_path / "results/s/clips").mkdir(parents=True)
    for name in ("mine", "made"):
        Path(f"results/s/clips/{name}.contents.json").write_text("damaged, which counts as changed")
    told = found.note_changed_clips()
    assert [text.partition(":")[0] for text in told] == ["Data set 'mine'"]
    assert found.changed_note("mine").exists()
    assert not found.changed_note("made").exists()


def test_an_order_leak_is_told_before_anything_runs() -> None:
    told = layout(replicates=1).order_leak()
    assert "resnet18 at 8, 16 frames (not at 33) can tell" in told
    assert "symmetric_time: true" in told
    assert layout(symmetric_time=True).order_leak() == ""
    exact = {"frames": 33, "height": 32, "width": 32}
    config = put(put(study(), "datasets.mine.clip", exact), "datasets.made.clip", exact)
    assert StudyLayout(validate_study(config)).order_leak() == ""


def test_leaks_are_measured_once_for_each_kind_of_run() -> None:
    found = layout(replicates=2, variants=[SCRATCH, SHUFFLED, PRETRAINED | {"convolution": "3d"}])
    kinds = [(c["network"], c["dataset"], c["convolution"]) for c in found.leak_cells]
    expected = [("resnet18", name, kind) for kind in ("3t", "3d") for name in ("mine", "made")]
    assert sorted(kinds) == sorted(expected)
    assert len(found.leak_cells[0]["clip_shape"]) == 3


PAIRS = study()["training"] | {"runs_per_job": 2}
FAST = {
    "recipes": {
        "fast": {"rate_factor": 30, "spread": {"scale": 0, "rotate": 0.1, "translate": 0.2}}
    }
}
WITH_FAST = {"variants": [SCRATCH, SCRATCH | {"recipe": "fast"}], **FAST}


def test_a_recipe_is_in_ids_folders_and_settings_and_the_papers_is_not() -> None:
    found = layout(replicates=1, **WITH_FAST)
    paper, fast = (
        found.runs["resnet18-mine-scratch-3t-r1"],
        found.runs["resnet18-mine-scratch-3t-fast-r1"],
    )
    assert (paper.recipe, fast.recipe, found.recipes) == ("paper", "fast", ["paper", "fast"])
    assert "/init=scratch/recipe=fast/" in found.parameter_file(fast)
    made = Settings.from_dict(found.run_settings(fast.run_id)).recipe
    assert made.rate_factor == dict.fromkeys(("scale", "rotate", "translate"), 30)
    assert made.spread == {"scale": 0, "rotate": 0.1, "translate": 0.2}
    assert Settings.from_dict(found.run_settings(paper.run_id)).recipe == PAPER
    # a run of the paper's recipe keeps the seed that it had before there were others
    assert paper.seed == layout(replicates=1, variants=[SCRATCH]).runs[paper.run_id].seed


def test_folders_of_parameter_tables_are_those_that_readers_know() -> None:
    assert layouts.CELL == CELL
    assert layouts.CHANNEL_TABLES == CHANNEL_TABLES


def test_one_job_trains_several_runs_of_a_cell() -> None:
    changes = {"replicates": 5, "variants": [SCRATCH], "training": PAIRS}
    found = layout(**changes)
    ids = [run_id for run_id in found.runs if "-mine-" in run_id]
    assert [found.batches[f"resnet18-mine-scratch-3t-batch{i}"] for i in (1, 2, 3)] == [
        ids[:2], ids[2:4], ids[4:],
    ]  # fmt: skip
    assert found.trained_alone == []
    assert set(found.batch_of) == set(found.runs)
    assert "runs_per_job" not in found.run_settings(ids[0])
    # more replicates leave the batches that are full as they are
    more = layout(**changes | {"replicates": 6})
    assert {k: more.batches[k] for k in list(found.batches) if "batch3" not in k} == {
        k: v for k, v in found.batches.items() if "batch3" not in k
    }
    alone = layout(replicates=2, variants=[SCRATCH])
    assert alone.batches == {}
    assert alone.trained_alone == list(alone.runs)


def test_one_job_measures_all_runs_of_a_cell_where_one_trains_several() -> None:
    changes = {"replicates": 3, "variants": [SCRATCH | {"checkpoints": [ENTRY]}]}
    found = layout(**changes, tuning={"replicates": 2}, training=PAIRS)
    ids = [run_id for run_id in found.runs if "-mine-" in run_id]
    assert found.jobs(list(found.runs))["resnet18-mine-scratch-3t"] == ids
    assert found.jobs(found.tuned)["resnet18-mine-scratch-3t"] == ids[:2]
    assert found.jobs([]) == {}
    alone = layout(**changes)
    assert alone.jobs(ids) == {run_id: [run_id] for run_id in ids}


def test_fetched_runs_are_in_no_batch() -> None:
    fetched = SCRATCH | {"checkpoints": [ENTRY]}
    found = layout(replicates=2, variants=[fetched], training=PAIRS)
    assert list(found.fetched) == ["resnet18-mine-scratch-3t-r2"]
    assert found.batches["resnet18-mine-scratch-3t-batch1"] == ["resnet18-mine-scratch-3t-r1"]
