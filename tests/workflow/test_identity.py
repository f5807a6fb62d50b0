"""Results belong to one study: whose a folder is, what is moved aside, what is refused at once.

The Snakefile runs as users run it; of real runs only jobs that need no torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from threetconv import open_study
from threetconv.support.files import read_parquet

ROOT = Path(__file__).resolve().parents[2]


def study(name: str = "tiny", **changes: object) -> dict:
    """One thin network, one data set of the user's, no explanations."""
    return {
        "study": name,
        "replicates": 1,
        "networks": ["resnet18"],
        "width": 0.0625,
        "variants": [{"init": "scratch", "convolution": "3t"}],
        "datasets": {
            "mine": {
                "adapter": "folder",
                "root": "videos",
                "clip": {"frames": 8, "height": 16, "width": 16},
            }
        },
        "training": {"epochs": 1, "batch_size": 2, "learning_rate": {"3t": 1.0e-3}},
        "explanations": {"replicates": 0},
    } | changes


def write(folder: Path, config: dict) -> list[str]:
    """The study as a file; the options that run it."""
    path = folder / f"{config.get('study', 'nameless')}.yaml"
    path.write_text(yaml.safe_dump(config))
    return ["--configfile", str(path)]


def ran(folder: Path, config: dict, snakemake) -> None:
    """Start a study for real, as far as the job that writes its configuration."""
    results = config.get("output", {}).get("results", f"results/{config['study']}")
    done = snakemake(folder, *write(folder, config), "--", f"{results}/run_config.yaml")
    assert done.returncode == 0, done.stderr


def test_a_second_study_is_refused_in_the_first_ones_folder(tmp_path, snakemake):
    output = {"output": {"results": "shared", "reports": "pages"}}
    ran(tmp_path, study("first", **output), snakemake)
    (tmp_path / "shared/run_config.yaml").unlink()  # as after a run that was interrupted early
    done = snakemake(tmp_path, *write(tmp_path, study("second", **output)), "--dry-run")
    assert done.returncode == 1
    said = done.stdout + done.stderr  # a dry run says it on stdout
    assert "shared/ holds the study 'first'; this is 'second'" in said
    assert "leave output out" in said
    assert "Traceback" not in said
    own = snakemake(tmp_path, *write(tmp_path, study("second")), "--dry-run", "--quiet", "rules")
    assert own.returncode == 0, own.stderr


@pytest.mark.parametrize(
    ("config", "options"),
    [
        ({k: v for k, v in study().items() if k != "study"}, []),
        (None, ["--config", "seed=3"]),
        ({}, []),
    ],
)
def test_what_names_no_study_is_refused(tmp_path, snakemake, config, options):
    """It would run the embedded study with some keys replaced, in the embedded study's folders."""
    given = [] if config is None else write(tmp_path, config)
    done = snakemake(tmp_path, *given, *options, "--dry-run")
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "no study" in said
    assert "--configfile config.yaml" in said
    assert "Traceback" not in said


def test_config_changes_a_study_that_is_named(tmp_path, snakemake):
    options = [*write(tmp_path, study()), "--config", "replicates=3", "--dry-run", "-q", "rules"]
    done = snakemake(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    assert any(line.split() == ["train", "3"] for line in (done.stdout + done.stderr).splitlines())


def test_runs_that_the_study_no_longer_has_are_moved_aside_and_not_pooled(tmp_path, snakemake):
    """`replicates` lowered from 2 to 1: what readers pool is moved, what was trained is kept."""
    ran(tmp_path, study(replicates=2), snakemake)
    results = tmp_path / "results/tiny"
    cell = {"network": "resnet18", "dataset": "mine", "init": "scratch", "recipe": "paper"}
    folder = results / "parameters" / "/".join(f"{k}={v}" for k, v in cell.items())
    ids = [f"resnet18-mine-scratch-3t-r{i}" for i in (1, 2)]
    for run_id in ids:
        folder.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"run_id": [run_id]}).to_parquet(folder / f"{run_id}.parquet", index=False)
        (results / "runs" / run_id).mkdir(parents=True)
        (results / "runs" / run_id / "run.json").write_text("{}")
    (results / "figures").mkdir()
    for name in ("clips_mine", "clips_renamed"):
        (results / f"figures/{name}.svg").touch()
    once = study(replicates=1)

    plan = snakemake(tmp_path, *write(tmp_path, once), "--dry-run", "--quiet", "rules")
    assert plan.returncode == 0, plan.stderr
    stale = [folder / f"{ids[1]}.parquet", results / "figures/clips_renamed.svg"]
    for path in stale:
        assert f"  {path.relative_to(tmp_path)}\n" in plan.stderr
        assert path.exists()
    assert "A run would move to results/tiny/aside/" in plan.stderr

    target = ["--", "results/tiny/run_config.yaml"]
    done = snakemake(tmp_path, *write(tmp_path, once), *target)
    assert done.returncode == 0, done.stderr
    assert "last ran with other settings in: replicates" in done.stderr
    assert "Moved to results/tiny/aside/" in done.stderr
    for path in stale:
        assert f"  {path.relative_to(tmp_path)}\n" in done.stderr
        assert not path.exists()
        assert (results / "aside" / path.relative_to(results)).exists()
    assert (folder / f"{ids[0]}.parquet").exists()
    assert (results / "figures/clips_mine.svg").exists()
    assert (results / "runs" / ids[1] / "run.json").exists()
    runs = pd.DataFrame([{"run_id": ids[0], **cell, "convolution": "3t", "control": "none"}])
    runs.to_parquet(results / "runs.parquet", index=False)
    assert open_study(results).parameters["run_id"].tolist() == ids[:1]


BRACES = "a {b} {c!r} {{d}} {"


def test_braces_in_every_text_are_planned_and_kept(tmp_path, snakemake):
    clip = {"frames": 8, "height": 16, "width": 16}
    checkpoint = {
        "network": "resnet18",
        "dataset": "mine",
        "source": f"file:{BRACES}",
        "licence": BRACES,
        "classes": [BRACES, "b"],
    }
    config = study(
        title=BRACES,
        variants=[{"init": "scratch", "convolution": "3t", "checkpoints": [checkpoint]}],
        datasets={
            "mine": {
                "adapter": "folder",
                "root": str(tmp_path / BRACES),
                "clip": clip,
                "options": {"classes": [BRACES, "b"]},
                "store": "streamed",
            },
            "made": {
                "adapter": "jester",
                "clip": clip,
                "render": {"set": "gestures", "clips": {"train": 4, "val": 2}},
            },
        },
        explanations={"replicates": 1},
    )
    options = write(tmp_path, config)
    plan = snakemake(tmp_path, *options, "--dry-run", "--quiet", "rules")
    assert plan.returncode == 0, plan.stderr
    assert "explorer" in plan.stdout + plan.stderr
    paths = [
        tmp_path / BRACES / f"{s}/{c}/{BRACES}.mp4" for s in ("train", "val") for c in (BRACES, "b")
    ]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"a video, as far as a list is concerned")
    targets = ["results/tiny/run_config.yaml", "results/tiny/clips/mine.parquet"]
    done = snakemake(tmp_path, *options, "--", *targets)
    assert done.returncode == 0, done.stderr
    kept = yaml.safe_load((tmp_path / targets[0]).read_text())
    assert kept["title"] == BRACES
    assert kept["datasets"]["mine"]["options"] == config["datasets"]["mine"]["options"]
    assert sorted(read_parquet(tmp_path / targets[1])["path"]) == sorted(map(str, paths))


def test_a_checkout_in_a_folder_with_braces_is_told_why_not(tmp_path):
    checkout = tmp_path / "che{ck}out"
    checkout.mkdir()
    for name in ("Snakefile", "config.yaml", "src", "workflow"):
        (checkout / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "snakemake", "--directory", str(tmp_path), "--dry-run"]
    command += ["-s", str(checkout / "Snakefile"), "--quiet", "rules"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1
    assert "Move this checkout to a folder without braces" in done.stdout + done.stderr


@pytest.mark.skipif(any(Path("/dev").glob("nvidia[0-9]*")), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_said_before_anything_is_rendered(tmp_path, snakemake):
    config = study(training=study()["training"] | {"device": "cuda"})
    options = write(tmp_path, config)
    plan = snakemake(tmp_path, *options, "--dry-run", "--quiet", "rules")
    assert plan.returncode == 0, plan.stderr
    done = snakemake(tmp_path, *options)
    assert done.returncode == 1
    assert "cuda, and no GPU on this machine" in done.stderr
    assert "set training.device to cpu" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results/tiny/clips").exists()
    # what needs no GPU goes on, for example in a folder of finished runs
    ran(tmp_path, config, snakemake)


WAITS = """
include: "{root}/Snakefile"

rule waits:
    output: f"{{STUDY['study']}}.done"
    params: name=STUDY["study"]
    shell: "touch {{params.name}}.started; until test -e go; do sleep 0.1; done; touch {{output}}"
"""


def begin(folder: Path, name: str) -> subprocess.Popen[str]:
    """Start a study as `make` does, with a job that waits for the file `go`."""
    (folder / "Snakefile").write_text(WAITS.format(root=ROOT))
    command = [sys.executable, "-m", "snakemake", "-s", str(folder / "Snakefile"), "--nolock"]
    command += ["--directory", str(folder), "--cores", "1", "--rerun-incomplete"]
    return subprocess.Popen(
        [*command, *write(folder, study(name)), "--", f"{name}.done"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_studies_run_at_once_and_one_study_not_twice(tmp_path):
    names, running = ("one", "two"), []
    try:
        running = [begin(tmp_path, name) for name in names]
        end = time.monotonic() + 120
        while not all((tmp_path / f"{name}.started").exists() for name in names):
            assert time.monotonic() < end
            assert all(process.poll() is None for process in running)
            time.sleep(0.1)
        running.append(begin(tmp_path, "one"))
        said = running[-1].communicate(timeout=120)[0]
        assert running[-1].returncode == 1
        assert f"the study 'one' is being run by process {running[0].pid} on" in said
        assert "Traceback" not in said
        (tmp_path / "go").touch()
        for process in running[:2]:
            said = process.communicate(timeout=120)[0]
            assert process.returncode == 0, said
    finally:
        (tmp_path / "go").touch()
        for process in running:
            process.kill()
            process.communicate()
    assert all((tmp_path / f"{name}.done").exists() for name in names)


def test_the_first_analysis_plan_is_kept_and_what_changes_is_listed(tmp_path, snakemake):
    plan = tmp_path / "results/tiny/analysis_plan.json"
    contents = []
    for replicates in (1, 2):
        options = write(tmp_path, study(replicates=replicates))
        done = snakemake(tmp_path, *options, "--", "results/tiny/analysis_plan.json")
        assert done.returncode == 0, done.stderr
        contents.append(json.loads(plan.read_text()))
    first, second = contents
    assert first["before_training"]
    assert first["deviations"] == []
    assert (second["sha256"], second["written"]) == (first["sha256"], first["written"])
    changed = {d["key"]: (d["planned"], d["now"]) for d in second["deviations"]}
    assert changed == {"runs per cell.resnet18-mine-scratch-3t": (1, 2)}


def test_no_rule_has_an_ancient_input():
    """Behind a job that runs, Snakemake notices no other change, even across `ancient` inputs."""
    for file in (ROOT / "workflow/rules").glob("*.smk"):
        assert "ancient(" not in file.read_text(), file
    rule = (ROOT / "workflow/rules/models.smk").read_text().partition("rule analysis_plan:")[2]
    assert "priority: 100" in rule.partition("\nrule ")[0]
