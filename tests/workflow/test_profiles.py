"""The profiles: machine settings only, of rules that exist, and plans that Snakemake accepts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
import yte

from threetconv.study.config import Study

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ("default", "slurm", "kubernetes")
SMOKE = "workflow/studies/smoke.yaml"
CLUSTER = {  # what a user sets in the shell
    "THREETCONV_PARTITION": "batch",
    "THREETCONV_GPU_PARTITION": "gpus",
    "THREETCONV_ACCOUNT": "group-1",
    "THREETCONV_GPUS": "2",
    "THREETCONV_TRAIN_CPUS": "6",
    "THREETCONV_IMAGE": "registry.example/threetconv@sha256:0",
    "THREETCONV_BUCKET": "s3://bucket/study",
}


def profile(name: str, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> dict:
    """A profile as Snakemake reads it, with these variables in the shell and no others of ours."""
    for key in [key for key in os.environ if key.startswith("THREETCONV_")]:
        monkeypatch.delenv(key)
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    text = (ROOT / f"workflow/profiles/{name}/config.yaml").read_text()
    return yte.process_yaml(text, require_use_yte=True)


def plan(folder: Path, name: str, *arguments: str, **variables: str) -> str:
    """What a dry run through a profile prints."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("THREETCONV_")}
    command = [sys.executable, "-m", "snakemake", "--directory", str(folder), "--dry-run"]
    command += ["--workflow-profile", f"workflow/profiles/{name}", "--configfile", SMOKE]
    done = subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    return done.stdout + done.stderr


def resources(text: str, rule: str) -> dict[str, str]:
    """The resources of the first planned job of a rule."""
    block = re.search(rf"(?ms)^ *rule {rule}:$(.*?)^ *resources: (.*?)$", text)
    assert block is not None, f"no job of {rule} was planned"
    return dict(pair.split("=", 1) for pair in block.group(2).split(", "))


@pytest.fixture(scope="module")
def rules() -> set[str]:
    """Every rule of the workflow, those of some studies only included."""
    files = [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
    return {
        name
        for file in files
        for name in re.findall(r"(?m)^ *(?:rule|checkpoint) (\w+):", file.read_text())
    }


@pytest.mark.parametrize("name", PROFILES)
def test_every_rule_named_exists(name, rules, monkeypatch):
    settings = profile(name, monkeypatch, CLUSTER)
    for key in ("set-resources", "set-threads", "groups"):
        unknown = set(settings.get(key, {})) - rules
        assert not unknown, f"{key} names {sorted(unknown)}"


@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_only_training_and_local_rules_are_jobs_of_their_own(name, rules, monkeypatch):
    """A rule that is added must be put into a group, or it is one more job in the queue."""
    settings = profile(name, monkeypatch, CLUSTER)
    alone = rules - set(settings["groups"])
    assert alone == {
        "train",
        "take_from_batch",  # on the login node
        "explain",
        "fetch_run",
        "train_on_stills",
        "fetch_imagenet",
        "render_stills",
        "all",
        "run_config",
        "analysis_plan",  # on the login node
    }


@pytest.mark.parametrize("name", PROFILES)
def test_no_science_in_a_profile(name, monkeypatch):
    settings = profile(name, monkeypatch, CLUSTER)
    assert not set(settings) & ({"config", "configfile", "configfiles"} | set(Study.model_fields))
    given = {key for rule in settings.get("set-resources", {}).values() for key in rule}
    machine = {"mem_mb", "runtime", "disk_mb", "gpu", "gpu_manufacturer", "scale", "processes"}
    assert given <= machine | {"slurm_partition"}


@pytest.mark.parametrize("name", ["slurm", "kubernetes"])
def test_what_the_user_leaves_out_is_left_to_the_cluster(name, monkeypatch):
    needed = {k: v for k, v in CLUSTER.items() if k in ("THREETCONV_IMAGE", "THREETCONV_BUCKET")}
    settings = profile(name, monkeypatch, needed)
    words = yaml.safe_dump(settings)
    for key in ("slurm_partition", "slurm_account", "gpu"):
        assert f"{key}:" not in words
    assert "train" not in settings.get("set-threads", {})


def test_the_kubernetes_profile_wants_image_and_bucket(monkeypatch):
    with pytest.raises(Exception, match="THREETCONV_IMAGE"):
        profile("kubernetes", monkeypatch, {"THREETCONV_BUCKET": "s3://bucket"})


def test_default_profile_plans_the_study(tmp_path):
    assert re.search(r"train +28\b", plan(tmp_path, "default", "--quiet", "rules"))


def test_slurm_profile_gives_more_at_the_second_attempt(tmp_path):
    first = plan(tmp_path, "slurm", "--cores=8", **CLUSTER)
    second = plan(tmp_path, "slurm", "--cores=8", "--attempt=2", **CLUSTER)
    for rule in ("train", "train_on_stills", "pack_clips", "summaries", "effects", "notebook"):
        before, after = resources(first, rule), resources(second, rule)
        for key in ("mem_mb", "runtime"):
            assert int(after[key]) == 2 * int(before[key]), (rule, key)
    train = resources(first, "train")
    assert (train["slurm_partition"], train["slurm_account"]) == ("gpus", "group-1")
    assert train["gpu"] == "2"
    assert resources(first, "summaries")["slurm_partition"] == "batch"
    assert "gpu" not in resources(first, "summaries")
    assert re.search(r"(?ms)^rule train:$.*?^    threads: 6$", first)


def test_a_study_is_few_slurm_jobs(tmp_path):
    """Beside its 28 runs: one per data set, three for the 2D weights, parameters, analysis."""
    text = plan(tmp_path, "slurm")
    groups = re.findall(r"Group job (\w+)", text)
    assert sorted(groups) == ["analysis", "data", "data", "parameters"]
    alone = set(re.findall(r"(?m)^rule (\w+):", text)) - {
        "all",
        "run_config",
        "analysis_plan",
    }  # on the login node
    assert alone == {"train", "train_on_stills", "render_stills", "explain"}
    assert len(re.findall(r"(?m)^rule train\w*:", text)) == 28 + 2


def test_kubernetes_profile_plans_the_study(tmp_path):
    """A folder stands in for the bucket. A plan asks no cluster: pods are not shown to work."""
    store = tmp_path / "store"
    store.mkdir()
    variables = CLUSTER | {"THREETCONV_STORAGE": "fs", "THREETCONV_BUCKET": str(store)}
    text = plan(tmp_path, "kubernetes", "--cores=8", "--attempt=2", **variables)
    train = resources(text, "train")
    assert (train["mem_mb"], train["gpu"], train["gpu_manufacturer"]) == ("32000", "2", "nvidia")
    assert train["scale"] == "0"
    assert "gpu" not in resources(text, "summaries")
    outputs = re.findall(r"(?m)^ *output: (\S+) \(send to storage\)", text)
    assert len(outputs) > 28
    assert all(name.startswith(f"{store}/") for name in outputs)
