"""Bad input stops the study early: one message, exit code 1, nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def write_study(folder: Path, **changes) -> str:
    """The smoke study with some top-level keys replaced, as a file in `folder`."""
    study = yaml.safe_load((ROOT / "workflow/studies/smoke.yaml").read_text()) | changes
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    return str(path)


def own_dataset(root: Path, adapter: str = "folder") -> dict:
    clip = {"frames": 8, "height": 32, "width": 32}
    return {
        "datasets": {"mine": {"adapter": adapter, "root": str(root), "clip": clip}},
        "statistics": {},
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"netwroks": ["resnet18"]}, ["unknown key 'netwroks'", "did you mean 'networks'?"]),
        ({"networks": ["resnet81"]}, ["resnet81", "one of resnet18, googlenet"]),
        ({"replicates": "three"}, ["replicates", "'three'", "a whole number"]),
    ],
)
def test_a_bad_configuration_starts_no_job(tmp_path, snakemake, changes, words):
    done = snakemake(tmp_path, "--configfile", write_study(tmp_path, **changes))
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_kernel_deeper_than_the_clip_starts_no_job(tmp_path, snakemake):
    changes = own_dataset(tmp_path)
    changes["datasets"]["mine"]["clip"]["frames"] = 5
    done = snakemake(tmp_path, "--configfile", write_study(tmp_path, **changes))
    assert done.returncode == 1
    assert "no kernel may be deeper than the clip" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("adapter", ["folder", "jester", "ucf101"])
def test_a_missing_dataset_names_its_folder(tmp_path, snakemake, adapter):
    missing = tmp_path / "nowhere"
    study = write_study(tmp_path, **own_dataset(missing, adapter))
    table = "results/smoke/clips/mine.parquet"
    done = snakemake(tmp_path, "--configfile", study, "--", table)
    assert done.returncode == 1
    assert str(missing) in done.stderr
    assert "remedy:" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / table).exists()
    assert not list((tmp_path / "results/smoke/clips").glob("*"))


def job_counts(done) -> dict[str, int]:
    """Rule -> number of jobs, from the statistics that a dry run prints."""
    lines = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    return {words[0]: int(words[1]) for words in lines if len(words) == 2 and words[1].isdigit()}


def test_a_plan_needs_no_data(tmp_path, snakemake):
    paper = str(ROOT / "workflow/studies/paper.yaml")
    done = snakemake(tmp_path, "--dry-run", "--quiet", "rules", "--configfile", paper)
    assert done.returncode == 0, done.stderr
    jobs = job_counts(done)
    # 2 networks x 2 data sets x 3 variants x 5 seeds, 3 controls of one network
    assert jobs["train"] == 60 + 30
    assert jobs["parameters"] == 40 + 30  # a job per 3T run
    assert jobs["fetch_imagenet"] == 2
    assert "render" not in jobs


def test_the_alias_plans_the_same_study(tmp_path, snakemake):
    alias = ROOT / "workflow/Snakefile"
    by_alias = snakemake(tmp_path, "-s", str(alias), "--dry-run", "--quiet", "rules")
    plain = snakemake(tmp_path, "--dry-run", "--quiet", "rules")
    assert by_alias.returncode == plain.returncode == 0
    assert job_counts(by_alias) == job_counts(plain)
    jobs = job_counts(plain)
    # 2 data sets x 3 seeds, 9 variants of one network and 7 of the other
    assert jobs["take_from_batch"] == 54 + 42
    # one trains all runs of a cell, and one measures them
    assert jobs["train_batch"] == jobs["tuning"] == jobs["need"] == 18 + 14
    assert jobs["ruler"] == 4
