"""The slurm profile on a real Slurm: slurmctld, slurmd and munged on loopback.

Needs root and Debian (the cluster is installed with apt-get); skipped elsewhere, with the reason.
The cluster is one node whose GPU is /dev/null: that a GPU is requested and granted is shown, not
that it computes. Memory and time are requested, not enforced (no cgroups, no accounting).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from threetconv.records.plan import plan_runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4200)]

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = Path(__file__).parent / "slurm/cluster.sh"
# The cluster keeps no accounts, and a test cannot wait 40 s for the first look at a job.
FOR_TESTS = [
    "--slurm-status-command=squeue",
    "--slurm-init-seconds-before-status-checks=5",
    "--latency-wait=20",
]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """A Slurm of our own, gone when the tests are over."""
    try:
        started = subprocess.run(
            [str(CLUSTER), "start"], capture_output=True, text=True, timeout=600, check=False
        )
        if started.returncode == 3:
            pytest.skip(started.stderr.strip().splitlines()[-1])
        assert started.returncode == 0, started.stderr[-3000:]
        yield
    finally:
        subprocess.run([str(CLUSTER), "stop"], timeout=120, check=False)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the workflow and the library, as on a cluster's shared file system."""
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("workflow", "src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def snakemake(sources: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the workflow through the profile; its messages go to snakemake.log."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("THREETCONV_")}
    variables |= {
        "PYTHONPATH": str(sources / "src"),  # before an installed package
        "OMP_NUM_THREADS": "1",
        "THREETCONV_PARTITION": "test",
        "THREETCONV_GPUS": "1",
    }
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "workflow/profiles/slurm"]
    with open(sources / "snakemake.log", "w") as log:
        return subprocess.Popen(
            [*command, *FOR_TESTS, *arguments],
            cwd=sources,
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )


def finish(process: subprocess.Popen[str], sources: Path, seconds: float) -> str:
    """The messages of a workflow that must end well."""
    try:
        process.wait(seconds)
    finally:
        process.kill()
    text = (sources / "snakemake.log").read_text()
    assert process.returncode == 0, text[-6000:]
    return text


def jobs(text: str) -> list[dict[str, str]]:
    """What Slurm knows of the jobs that a workflow submitted, in the order of submission."""
    found = []
    for job in re.findall(r"has been submitted with SLURM jobid (\d+)", text):
        shown = subprocess.run(
            ["scontrol", "--oneliner", "show", "job", job],
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(dict(pair.split("=", 1) for pair in shown.stdout.split() if "=" in pair))
    assert found
    for job in found:
        keys = ("JobId", "JobState", "MinMemoryNode", "TimeLimit", "NumCPUs", "TresPerJob")
        print(*(job.get(key, "-") for key in keys), job["Comment"], flush=True)
    return found


def wait_for(condition, process: subprocess.Popen[str], sources: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not condition():
        text = (sources / "snakemake.log").read_text
        assert process.poll() is None, f"ended too early: {text()[-6000:]}"
        assert time.monotonic() < until, f"waited {seconds} s: {text()[-6000:]}"
        time.sleep(0.5)


def test_the_smoke_study_of_one_network_runs_through_slurm(sources):
    """Of one network, since jobs start seconds apart: rules and groups are the same."""
    study = yaml.safe_load((sources / "workflow/studies/smoke.yaml").read_text())
    study |= {"networks": ["resnet18"], "replicates": 1}
    (sources / "one.yaml").write_text(yaml.safe_dump(study))
    # the machine may be busy
    text = finish(snakemake(sources, "--configfile", "one.yaml"), sources, 3600)
    done = jobs(text)
    assert {job["JobState"] for job in done} == {"COMPLETED"}
    config = yaml.safe_load((sources / "results/smoke/run_config.yaml").read_text())
    runs = plan_runs(config)
    explained = [p for p in (sources / "results/smoke/explanations").iterdir() if p.is_dir()]
    # two data sets, stills, one 2D network, the parameter tables, the analysis
    assert len(done) == len(runs) + len(explained) + 6
    assert {job["Partition"] for job in done} == {"test"}
    for job in done:
        training = job["Comment"].startswith("rule_train_wildcards")
        assert (job.get("TresPerJob") == "gres:gpu:1") is training
    assert sum("gpu" in job.get("TresPerJob", "") for job in done) == len(runs)
    assert (sources / "reports/smoke/report.html").stat().st_size > 100_000
    assert (sources / "reports/smoke/report.pdf").read_bytes().startswith(b"%PDF")


def test_a_cancelled_run_is_retried_and_goes_on(sources):
    study = yaml.safe_load((sources / "workflow/studies/smoke.yaml").read_text())
    study |= {"networks": ["resnet18"], "replicates": 1}
    study["variants"] = [{"init": "scratch", "convolution": "3t"}]
    study["datasets"] = {"gestures": study["datasets"]["gestures"]}
    study["datasets"]["gestures"]["render"]["clips"] = {"train": 120, "val": 12}
    study["training"]["epochs"] = 60
    study["statistics"] = {"calibration_replicates": 20, "bootstrap_resamples": 100}
    (sources / "study.yaml").write_text(yaml.safe_dump(study))
    settings = sources / "workflow/profiles/slurm/config.yaml"  # a checkpoint sooner than in 60 s
    text = settings.read_text()
    assert text.count("\n  train:\n") == 1
    settings.write_text(text.replace("\n  train:\n", "\n  train:\n    checkpoint_seconds: 2\n"))
    run = "resnet18-gestures-scratch-3t-r1"
    results = sources / "results/smoke"
    record = results / f"runs/{run}/run.json"

    process = snakemake(sources, "--configfile=study.yaml", "--", str(record.relative_to(sources)))
    try:
        checkpoints = results / f"checkpoints/{run}"
        wait_for(
            lambda: any(int(file.name[:9]) >= 50 for file in checkpoints.glob("[0-9]*.pt")),
            process,
            sources,
            600,
        )
        submitted = re.findall(
            rf"SLURM jobid (\d+) \(log: .*rule_train/{run}/",
            (sources / "snakemake.log").read_text(),
        )
        assert len(submitted) == 1
        assert not record.exists()
        subprocess.run(["scancel", submitted[0]], check=True)
        text = finish(process, sources, 1800)
    finally:
        process.kill()

    first, second = (job for job in jobs(text) if job["Comment"].startswith("rule_train_"))
    assert first["JobId"] == submitted[0]
    assert (first["JobState"], second["JobState"]) == ("CANCELLED", "COMPLETED")
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("16000M", "32000M")
    assert (first["TimeLimit"], second["TimeLimit"]) == ("1-00:00:00", "2-00:00:00")
    goes_on = re.search(r"goes on at update (\d+)", (results / f"logs/train/{run}.log").read_text())
    assert goes_on is not None
    assert int(goes_on.group(1)) >= 50
    assert record.exists()
    assert not any(checkpoints.glob("*"))
