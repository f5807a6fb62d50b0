"""What a study costs: known answers, and step times measured on a very small network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from threetconv.cli import estimate as command
from threetconv.cli.app import app
from threetconv.errors import InputError
from threetconv.study import measure_step as measuring
from threetconv.study.cost import Data, Kind, data_table, estimate, totals, updates_of, wall_hours
from threetconv.study.measure_step import Step, measure_step, network_size, precision_here
from threetconv.study.recorded_steps import recorded_steps
from threetconv.study.size import clip_counts, jobs_before_training
from threetconv.training.step import Steps

DATA = Data("d", train=3600, val=1200, test=200, clip=(10, 20, 30), packed=True)
KIND = Kind(
    "net", "3t", DATA, runs=5, epochs=10, batch_size=10, snapshot_every=1000, step=2.0,
    validation=0.3, source="s", parameters=1_000_000, temporal=4_000,
)  # fmt: skip


@pytest.mark.parametrize(
    ("clips", "batch", "expected"),
    [(100, 10, 10), (99, 10, 10), (101, 10, 10), (102, 10, 11), (1, 10, 1), (5, 10, 1), (3, 1, 3)],
)
def test_updates_leave_a_last_batch_of_one_out(clips, batch, expected):
    assert updates_of(clips, batch, 1) == expected
    assert updates_of(clips, batch, 7) == 7 * expected


def test_hours_and_disk_of_a_kind():
    line = estimate([KIND]).iloc[0]
    assert line["updates"] == 3600
    assert line["validation_hours"] == pytest.approx(10 * 1200 * 0.3 / 3600)  # 1 hour
    assert line["run_hours"] == pytest.approx(2 + 1)
    assert line["hours"] == pytest.approx(15)
    assert (line["decode_hours"], line["bound"]) == (0, "step")
    snapshots = 3 + 3  # every 1000 of 3600 updates; and init, best, last
    assert line["run_gb"] == pytest.approx(5 * 4 * (1e6 + 4000 * snapshots) / 1e9)
    assert line["parameters_gb"] == pytest.approx(5 * 13 * 1000 * snapshots / 1e9)
    assert line["checkpoint_gb"] == pytest.approx(2 * 4 * (4 * 1e6 + 4000 * snapshots) / 1e9)


def test_networks_without_temporal_parameters_have_no_table():
    line = estimate([replace(KIND, temporal=0)]).iloc[0]
    assert line["parameters_gb"] == 0
    assert line["run_gb"] == pytest.approx(5 * 4e6 / 1e9)


def test_streamed_clips_are_decoded_at_every_epoch_beside_training():
    def line(rate: float | None) -> pd.Series:
        data = replace(DATA, packed=False, decode_rate=rate)
        return estimate([replace(KIND, data=data)]).iloc[0]

    slow, fast, unknown = line(1.0), line(1000.0), line(None)
    assert slow["decode_hours"] == pytest.approx(10 * 4800 / 3600)
    assert (slow["bound"], slow["run_hours"]) == ("decoding", slow["decode_hours"])
    assert (fast["bound"], fast["run_hours"]) == ("step", pytest.approx(3))
    assert np.isnan(unknown["decode_hours"])
    assert unknown["run_hours"] == pytest.approx(3)


def test_packed_clips_on_disk():
    sets = [replace(DATA, decode_rate=10.0), DATA, replace(DATA, packed=False)]
    table = data_table(sets)
    assert table["packed_gb"].tolist() == pytest.approx([5000 * 10 * 20 * 30 * 3 / 1e9] * 2 + [0])
    assert table["packing_hours"].tolist()[::2] == pytest.approx([5000 / 10 / 3600, 0])
    assert np.isnan(table["packing_hours"][1])
    assert table["stored"].tolist() == ["packed", "packed", "streamed"]


@pytest.mark.parametrize(
    ("runs", "jobs", "expected"),
    [
        ([(3.0, 4)], 1, 12), ([(3.0, 4)], 2, 6), ([(3.0, 4)], 3, 6), ([(3.0, 4)], 9, 3),
        ([(1.0, 4), (4.0, 1)], 2, 4), ([(1.0, 2), (2.0, 1), (3.0, 1)], 2, 4), ([], 2, 0),
    ],
)  # fmt: skip
def test_wall_time(runs, jobs, expected):
    assert wall_hours(runs, jobs) == expected


@given(
    st.lists(st.tuples(st.floats(0.1, 9), st.integers(1, 5)), min_size=1, max_size=5),
    st.integers(1, 6),
)
def test_wall_time_is_between_its_bounds(runs, jobs):
    total, longest = sum(h * n for h, n in runs), max(h for h, _ in runs)
    wall = wall_hours(runs, jobs)
    assert max(longest, total / jobs) <= wall * (1 + 1e-9)
    assert wall <= (total / jobs + longest) * (1 + 1e-9)


def test_totals():
    small = replace(KIND, convolution="3d", runs=2, parameters=500_000, temporal=0)
    table, sets = estimate([small, KIND]), data_table([DATA])
    sums = totals(table, sets, jobs=6, other_jobs=4)
    assert (sums["runs"], sums["jobs"]) == (7, 11)
    assert sums["hours"] == pytest.approx(7 * 3)
    assert sums["wall_hours"] == pytest.approx(6)
    large, little = table["checkpoint_gb"][1], table["checkpoint_gb"][0]
    assert sums["checkpoint_gb"] == pytest.approx(5 * large + little)
    parts = ("packed_gb", "run_gb", "parameters_gb", "checkpoint_gb")
    assert sums["disk_gb"] == pytest.approx(sum(sums[name] for name in parts))
    assert totals(table, sets, jobs=1, other_jobs=0)["checkpoint_gb"] == pytest.approx(large)


# ------------------------------------------------------------------------- step times


def test_a_measured_step():
    step = measure_step("resnet18", "3t", (8, 16, 16), 3, width=0.125, budget=1)
    assert step.seconds > step.validation > 0
    assert step.source.startswith("measured on this CPU, 1 thread")


def test_a_step_measured_with_fewer_clips_is_scaled(monkeypatch):
    asked = []

    class Trial(measuring._Trial):
        def update(self, n: int) -> float:
            asked.append(n)
            return 0.5 * n

        def forward(self, n: int) -> float:
            return 0.125 * n

    monkeypatch.setattr(measuring, "_Trial", Trial)
    shape = ("resnet18", "3d", (8, 16, 16), 40)
    step = measure_step(*shape, width=0.125, budget=25)
    assert asked == [2, 2, 10, 10, 10, 10]  # 25 s over 5 updates of 0.5 s a clip
    assert (step.seconds, step.validation) == (20, 0.125)
    assert step.source.endswith("with 10 of 40 clips, scaled by their number")
    monkeypatch.setattr(measuring, "_memory_free", lambda device: 0.0)
    asked.clear()
    step = measure_step(*shape, width=0.125, budget=1000)
    assert asked == [2, 2, 2, 2]
    assert step.seconds == 20


class Watched(Steps):
    """Training's own updates, which tell what they were given."""

    seen: ClassVar[list[tuple[object, ...]]] = []

    def step(self, batches, labels, rate):
        sums = super().step(batches, labels, rate)
        sizes = [len(its_labels) for _, its_labels in batches]
        self.seen.append((sizes, self._settings.precision, self._settings.micro_batch, sums.seen))
        return sums


@pytest.fixture
def watched(monkeypatch):
    Watched.seen.clear()
    monkeypatch.setattr("threetconv.training.step.Steps", Watched)
    return Watched.seen


def test_a_measured_step_is_one_of_training(watched):
    """In the parts of the study's micro-batch, at its precision, by the loop's own `Steps`."""
    shape = ("resnet18", "3d", (8, 16, 16), 7)
    step = measure_step(*shape, micro_batch=3, precision="float16", width=0.125, budget=60)
    assert watched[:2] == [([2], "float16", 3, 2)] * 2  # what a clip costs
    assert watched[2:] == [([3, 2, 2], "float16", 3, 7)] * 4
    assert step.source == "measured on this CPU, 1 thread in float16, 3 clips at a time"
    watched.clear()
    assert "at a time" not in measure_step(*shape, width=0.125, budget=60).source
    assert watched[2:] == [([7], "float32", None, 7)] * 4


def test_networks_with_more_than_one_head_are_measured(watched):
    measure_step("googlenet", "3t", (8, 32, 32), 4, micro_batch=2, width=0.125, budget=60)
    assert watched[-1] == ([2, 2], "float32", 2, 4)


@pytest.mark.parametrize(
    ("by_time", "by_memory", "expected"),
    [
        (99, 99, [14, 13, 13]), (40, 14, [14, 13, 13]), (39, 99, [14, 13]), (20, 14, [14]),
        (13, 99, [13]), (99, 13, [13]), (30, 5, [5]), (1, 1, [2]),
    ],
)  # fmt: skip
def test_parts_that_are_measured(by_time, by_memory, expected):
    """Whole parts as long as there is time; memory has to hold one part, not the batch."""
    assert measuring._parts([14, 13, 13], 2, by_time, by_memory) == expected


def test_a_few_parts_of_a_batch_are_scaled(monkeypatch):
    class Trial(measuring._Trial):
        def update(self, *parts: int) -> float:
            return 0.5 * sum(parts) + 0.25 * len(parts)

        def forward(self, n: int) -> float:
            return 0.125 * n

    monkeypatch.setattr(measuring, "_Trial", Trial)
    shape = ("resnet18", "3d", (8, 16, 16), 40)
    step = measure_step(*shape, micro_batch=10, width=0.125, budget=70)  # time for 22 clips
    assert (step.seconds, step.validation) == (40 * (0.5 + 0.025), 0.125)
    assert step.source.endswith("10 clips at a time with 20 of 40 clips, scaled by their number")


def test_precision_that_training_would_not_run_here(monkeypatch):
    assert precision_here("float32", "cpu") == ("float32", "")
    measured, said = precision_here("float16", "cpu")
    assert measured == "float32"
    assert "trains in float16, which was not measured here (training runs it on GPUs only)" in said
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: False)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "an old GPU")
    assert precision_here("float16", "cuda") == ("float16", "")
    measured, said = precision_here("bfloat16", "cuda")
    assert (measured, "(an old GPU cannot)" in said) == ("float32", True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: True)
    assert precision_here("bfloat16", "cuda") == ("bfloat16", "")


def test_measuring_leaves_torch_as_it_was():
    import torch  # slow

    torch.manual_seed(3)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    measure_step("googlenet", "3d", (8, 32, 32), 2, width=0.125, threads=2, budget=0.1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_size_of_a_network():
    parameters, temporal = network_size("resnet18", "3t", (8, 16, 16), 0.125)
    assert 0 < temporal < parameters
    assert temporal % 4 == 0
    flat, none = network_size("resnet18", "3d", (8, 16, 16), 0.125)
    assert (none, flat > parameters) == (0, True)


def record(folder: Path, name: str, **fields: object) -> None:
    run = {
        "run_id": name, "network": "resnet18", "convolution": "3t", "dataset": "d", "frames": 8,
        "height": 32, "width": 40, "batch_size": 4, "n_updates": 50, "n_parameters": 7,
    }  # fmt: skip
    path = folder / "runs" / name / "run.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"run": run | fields}))


def test_recorded_steps(tmp_path):
    for i, seconds in enumerate((100, 150, 300)):
        record(tmp_path, f"a{i}", seconds=seconds)
    record(tmp_path, "b", seconds=10, convolution="3d")
    record(tmp_path, "fetched", dataset="e")  # was not trained: no time
    table = recorded_steps(tmp_path).set_index("convolution")
    assert table["seconds"].to_dict() == {"3t": 3.0, "3d": 0.2}
    assert (table.loc["3t", "runs"], table.loc["3t", "clip"]) == (3, "8x32x40")
    assert table["micro_batch"].tolist() == [0, 0]
    assert table["precision"].tolist() == ["float32"] * 2
    with pytest.raises(InputError, match="no record of a finished run"):
        recorded_steps(tmp_path / "nowhere")


def test_recorded_steps_of_the_runs_that_a_study_has(tmp_path):
    for name, seconds in (("kept", 100), ("removed", 300)):
        record(tmp_path, name, seconds=seconds)
    present = {"run_id": "kept", "network": "resnet18", "dataset": "d", "init": "scratch"}
    present |= {"convolution": "3t", "recipe": "paper", "control": "none"}
    pd.DataFrame([present]).to_parquet(tmp_path / "runs.parquet", index=False)
    assert recorded_steps(tmp_path)["seconds"].tolist() == [2.0]


# ------------------------------------------------------------------------- a study


def study(folder: Path, **changes: object) -> Path:
    content = {
        "study": "cost",
        "networks": ["resnet18"],
        "replicates": 2,
        "width": 0.125,
        "variants": [
            {"init": "pretrained", "convolution": "3t"},
            {"init": "scratch", "convolution": "3t"},
            {"init": "scratch", "convolution": "3t", "control": "static"},
        ],
        "datasets": {
            "made": {
                "adapter": "jester",
                "clip": {"frames": 8, "height": 32, "width": 32},
                "render": {"set": "gestures", "clips": {"train": 20, "val": 6}},
            },
            "real": {
                "adapter": "ucf101",
                "root": "nowhere",
                "store": "streamed",
                "clip": {"frames": 8, "height": 32, "width": 32},
            },
        },
        "output": {"results": str(folder / "results"), "reports": str(folder / "reports")},
        "training": {"epochs": 2, "batch_size": 10, "learning_rate": {"3t": 0.001}},
    }
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(content | changes))
    return file


@pytest.fixture
def run(monkeypatch):
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb"), ("COLUMNS", "400")):
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(app, ["estimate", *map(str, arguments)])


def flat(text: str) -> str:
    return " ".join(text.split())


GIVEN = ("--step-time", "resnet18-3t-made=0.5", "resnet18-3t-real=36")


def test_command_with_times_given_by_hand(run, tmp_path):
    out = tmp_path / "cost.json"
    result = run(study(tmp_path), *GIVEN, "--jobs", 3, "--decode-rate", 2, "--json", out)
    assert result.exit_code == 0, result.output
    made, real = json.loads(out.read_text())
    assert (made["runs"], made["updates"], made["source"]) == (6, 4, real["source"])
    validation = 2 * 6 * 0.5 / 10 / 3  # two epochs, six clips, a third of a training clip each
    assert made["hours"] == pytest.approx(6 * (4 * 0.5 + validation) / 3600)
    assert made["source"].startswith("as given")
    clips = 9_537 - round(0.1 * 9_537)  # the rest is held out
    assert real["updates"] == updates_of(clips, 10, 2)
    assert real["decode_hours"] == pytest.approx(2 * 9_537 / 2 / 3600)
    assert real["bound"] == "step"
    assert real["run_hours"] == pytest.approx(real["updates"] / 100 + 2 * 954 * 3.6 / 3 / 3600)
    text = flat(result.stdout)
    assert "in 12 runs" in text
    # made: render, table, pack; real: table; stills, and weights from them
    assert "Jobs: 18 = 12 training runs + 6 before them" in text
    assert "made: 20 training, 6 validation clips, to be rendered." in text
    assert "real: 8,583 training, 954 validation, 3,783 test clips, as published." in text
    assert "Not counted" in text
    assert "decoding is not counted" not in text


def test_command_measures_what_is_not_given(run, tmp_path, monkeypatch):
    calls = []

    def measured(*shape: object, **options: object) -> Step:
        assert (options["micro_batch"], options["precision"]) == (None, "float32")
        calls.append((*shape, options["device"], options["threads"]))
        return Step(1.0, 0.0, "measured on paper")

    monkeypatch.setattr(measuring, "measure_step", measured)
    training = {
        "epochs": 1, "batch_size": 10, "learning_rate": {"3t": 0.001}, "device": "cuda",
    }  # fmt: skip
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = run(study(tmp_path, training=training), "--threads", 2)
    assert result.exit_code == 0, result.output
    assert calls == [("resnet18", "3t", (8, 32, 32), 10, "cpu", 2)]  # the two sets cost the same
    text = flat(result.stdout)
    assert "CPU-hours of this machine, not GPU-hours" in text
    assert "Step times [1] measured on paper." in text
    assert "real: decoding is not counted; give --decode-rate" in text
    assert "CPU-hours in 12 runs" in text
    by_hand = run(study(tmp_path, training=training), *GIVEN)
    assert "GPU-hours in 12 runs" in flat(by_hand.stdout)
    assert "of this machine" not in flat(by_hand.stdout)


@pytest.mark.parametrize("gpu", [False, True])
def test_command_measures_as_the_study_trains(run, tmp_path, monkeypatch, gpu):
    calls = []

    def measured(*shape: object, **options: object) -> Step:
        calls.append([options[name] for name in ("micro_batch", "precision", "device")])
        return Step(1.0, 0.0, "measured on paper")

    monkeypatch.setattr(measuring, "measure_step", measured)
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    training = {
        "epochs": 1, "batch_size": 10, "learning_rate": {"3t": 0.001}, "device": "cuda",
        "micro_batch": 4, "precision": "float16",
    }  # fmt: skip
    result = run(study(tmp_path, training=training))
    assert result.exit_code == 0, result.output
    assert calls == [[4, "float16", "cuda"] if gpu else [4, "float32", "cpu"]]
    said = "The study trains in float16, which was not measured here"
    assert (said in flat(result.stdout)) is not gpu
    assert said not in flat(run(study(tmp_path, training=training), *GIVEN).stdout)


def test_command_names_what_differs_in_a_finished_study(run, tmp_path):
    for name, fields in (("made", {"micro_batch": 2, "precision": "bfloat16"}), ("real", {})):
        shape = {"width": 32, "batch_size": 10}
        record(tmp_path / "old", name, seconds=25, dataset=name, **shape, **fields)
    result = run(study(tmp_path), "--from-results", tmp_path / "old")
    assert result.exit_code == 0, result.output
    text = flat(result.stdout)
    assert "NOT scaled: 2 at a time (micro_batch), in bfloat16." in text
    assert text.count("NOT scaled") == 1
    training = {"epochs": 1, "batch_size": 10, "learning_rate": {"3t": 0.001}, "micro_batch": 2}
    other = flat(run(study(tmp_path, training=training), "--from-results", tmp_path / "old").stdout)
    assert "NOT scaled: all of a batch at a time (micro_batch)." in other


def test_command_takes_times_of_a_finished_study(run, tmp_path):
    for name in ("made", "real"):
        record(tmp_path / "old", name, seconds=25, dataset=name)
    result = run(study(tmp_path), "--from-results", tmp_path / "old", "--clips", "real=100/50")
    assert result.exit_code == 0, result.output
    text = flat(result.stdout)
    assert "1 finished runs in" in text
    assert "validation included; NOT scaled: clips of 8x32x40, 4 per update." in text
    assert "real: 100 training, 50 validation clips, as given." in text
    other = run(study(tmp_path, networks=["googlenet"]), "--from-results", tmp_path / "old")
    assert other.exit_code == 1
    assert "no finished run of googlenet-3t-made" in flat(other.stderr)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--no-measure"], "--step-time resnet18-3t-made=SECONDS"),
        (["--step-time", "resnet18-3t-mode=1"], "did you mean 'resnet18-3t-made'?"),
        (["--step-time", "resnet18-3t-made"], "a number above 0"),
        (["--step-time", "resnet18-3t-made=nan"], "a number above 0"),
        (["--clips", "reel=5"], "did you mean 'real'?"),
        (["--clips", "real=-5"], "a number above 0"),
        (["--jobs", "0"], "1 or more"),
        (["--from-results", "nowhere"], "no record of a finished run"),
    ],
)
def test_wrong_input_is_explained(run, tmp_path, arguments, message):
    result = run(study(tmp_path), *arguments)
    assert result.exit_code == 1
    assert message in flat(result.stderr)


def test_numbers_of_clips(tmp_path):
    config: dict[str, object] = {
        "datasets": {"s": {"adapter": "folder", "options": {}, "root": "r"}},
        "output": {"results": str(tmp_path)},
    }
    with pytest.raises(InputError, match="--clips s=NUMBER"):
        clip_counts(config)
    splits = pd.DataFrame({"split": ["train"] * 3 + ["val"] * 2 + ["test"]})
    (tmp_path / "clips").mkdir()
    splits.to_parquet(tmp_path / "clips" / "s.parquet", index=False)
    assert clip_counts(config)[0] == {"s": (3, 2, 1)}
    assert clip_counts(config, ["s=7"])[0] == {"s": (7, 0, 0)}
    config["datasets"] = {"s": {"adapter": "jester", "options": {}, "root": "r"}}
    config["output"] = {"results": str(tmp_path / "none")}
    assert clip_counts(config)[0] == {"s": (118_562, 14_787, 0)}
    paper = {"adapter": "ucf101", "options": {"selection": "test", "split": 3}, "root": "r"}
    config["datasets"] = {"s": paper}
    assert clip_counts(config)[0] == {"s": (9_624, 3_696, 0)}


def stills(folder: Path) -> str:
    """A clip of three frames, as a folder of images."""
    from PIL import Image

    folder.mkdir(parents=True)
    for i in range(3):
        Image.new("RGB", (40, 32)).save(folder / f"{i}.jpg")
    return str(folder)


@pytest.mark.parametrize(
    ("broken", "policy", "measured"),
    [(0, "fail", True), (1, "fail", False), (1, "skip", True), (2, "skip", False)],
)
def test_decoding_is_measured_when_clips_are_there(tmp_path, broken, policy, measured):
    """Bad clips are left out as training would leave them out: here, one of four at most."""
    paths = [stills(tmp_path / str(i)) for i in range(4)]
    for path in paths[:broken]:
        (Path(path) / "0.jpg").write_bytes(b"no image")
    dataset = {
        "clip": {"frames": 8, "height": 32, "width": 32},
        "on_bad_clip": policy,
        "max_bad_share": 0.25,
    }
    rate = command._decode_rate(pd.DataFrame({"path": paths}), dataset)
    assert (rate is not None) is measured
    assert (rate or 2) > 1


def own_study(folder: Path, adapter: str = "folder") -> Path:
    clip = {"frames": 8, "height": 32, "width": 32}
    root = {"adapter": adapter, "root": str(folder / "mine"), "clip": clip, "store": "streamed"}
    return study(folder, datasets={"own": root})


def test_command_lists_folders_before_the_first_run(run, tmp_path):
    for name in ("train/a/1", "train/a/2", "train/b/1", "val/a/1", "val/b/1"):
        stills(tmp_path / "mine" / name)
    result = run(own_study(tmp_path), "--step-time", "resnet18-3t-own=1")
    assert result.exit_code == 0, result.output
    text = flat(result.stdout)
    assert f"own: 3 training, 2 validation clips, listed in {tmp_path / 'mine'}." in text
    assert "own: one process decodes" in text
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("adapter", "code"), [("folder", 1), ("ucf101", 0)])
def test_a_folder_that_cannot_be_listed_is_named(run, tmp_path, adapter, code):
    (tmp_path / "mine").mkdir()
    result = run(own_study(tmp_path, adapter), "--step-time", "resnet18-3t-own=1")
    assert result.exit_code == code
    said = flat(result.stderr if code else result.stdout)
    assert "own: " in said
    assert f"{tmp_path / 'mine'}" in said
    assert "could not be listed" in said
    if not code:
        assert "8,583 training, 954 validation, 3,783 test clips, as published." in said


def test_jobs_before_training():
    from threetconv.study.validate import validate_study

    root = Path(__file__).parents[2]
    for name, expected in (("smoke", 2 + 2 + 1 + 2 + 1), ("paper", 2 + 2), ("planted", 12 + 2)):
        content = yaml.safe_load((root / f"workflow/studies/{name}.yaml").read_text())
        assert jobs_before_training(validate_study(content)) == expected
