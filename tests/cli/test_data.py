"""`threetconv data check` on sets in the layouts of Jester and UCF101, broken in every way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from threetconv.cli import data
from threetconv.cli.app import app
from threetconv.data.checks.findings import Finding, findings_table
from threetconv.errors import InputError
from threetconv.study.size import published_counts

GESTURES = ("Swiping Left", "Swiping Right")
STUDY = {
    "study": "broken",
    "networks": ["resnet18"],
    "variants": [{"init": "scratch", "convolution": "3t"}],
    "training": {"epochs": 1, "batch_size": 2, "learning_rate": {"3t": 0.001}},
}


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(data, "published_counts", lambda dataset: None)
    return lambda *arguments: CliRunner().invoke(app, ["data", "check", *map(str, arguments)])


def flat(text: str) -> str:
    return " ".join(text.split())


def study(folder: Path, **datasets: dict[str, object]) -> Path:
    file = folder / "study.yaml"
    output = {"results": str(folder / "results"), "reports": str(folder / "reports")}
    shape = {"clip": {"frames": 8, "height": 32, "width": 32}}
    sets = {name: shape | dataset for name, dataset in datasets.items()}
    file.write_text(yaml.safe_dump(STUDY | {"output": output, "datasets": sets}))
    return file


def images(folder: Path, frames: int, seed: int) -> None:
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed)
    for i in range(1, frames + 1):
        pixels = noise.integers(0, 256, (10, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:05d}.jpg")


def video(path: Path, frames: int, seed: int) -> None:
    import av  # slow to load

    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for _ in range(frames):
            pixels = noise.integers(0, 256, (32, 48, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def jester(tmp_path) -> Path:
    """Eight clips in v1's layout, two classes, nothing wrong; one unlabelled clip of the test."""
    root = tmp_path / "jester"
    for i in range(9):
        images(root / "20bn-jester-v1" / f"{i}", 9, seed=i)
    for split, ids in (("train", range(4)), ("validation", range(4, 8))):
        text = "".join(f"{i};{GESTURES[i % 2]}\n" for i in ids)
        (root / f"jester-v1-{split}.csv").write_text(text)
    (root / "jester-v1-test.csv").write_text("8\n")
    (root / "jester-v1-labels.csv").write_text("\n".join(GESTURES) + "\n")
    return root


@pytest.fixture
def ucf101(tmp_path) -> Path:
    """Classes with three groups in the training list and one in the test list."""
    root, lists = tmp_path / "UCF-101", {"train": "", "test": ""}
    for c, label in enumerate(("Archery", "YoYo"), start=1):
        for group in range(1, 5):
            name = f"{label}/v_{label}_g{group:02d}_c01.avi"
            video(root / name, 9, seed=10 * c + group)
            test = group == 1
            lists["test" if test else "train"] += f"{name}\n" if test else f"{name} {c}\n"
    folder = root / "ucfTrainTestlist"
    folder.mkdir()
    (folder / "classInd.txt").write_text("1 Archery\n2 YoYo\n")
    for split, text in lists.items():
        (folder / f"{split}list01.txt").write_text(text)
    return root


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_good_sets_pass(run, tmp_path, jester, ucf101):
    file = study(
        tmp_path,
        hands={"adapter": "jester", "root": str(jester)},
        sports={"adapter": "ucf101", "root": str(ucf101)},
        made={
            "adapter": "ucf101",
            "render": {"set": "scenes", "clips": {"train": 4, "val": 2}, "classes": 2},
        },
    )
    result = run(file, "--workers", 1)
    assert result.exit_code == 0, result.output
    text = flat(result.stdout)
    assert "3 data sets, 16 clips decoded in full: 0 errors, 0 warnings, 1 note." in text
    assert "the workflow renders this set; it is not there yet" in text
    one = run(file, "--dataset", "hands", "--quick", "--workers", 1)
    assert "1 data set, 8 clips opened, not decoded: 0 errors" in flat(one.stdout)


def test_a_broken_set_is_told_in_full(run, tmp_path, jester, ucf101):
    clips = jester / "20bn-jester-v1"
    shutil.rmtree(clips / "0")  # no folder
    for file in sorted((clips / "1").iterdir())[5:]:  # too short
        file.unlink()
    shutil.rmtree(clips / "5")  # the same content in both splits
    shutil.copytree(clips / "3", clips / "5")
    append(jester / "jester-v1-train.csv", "2;Swiping Left\n")  # twice
    append(jester / "jester-v1-validation.csv", "3;Swiping Right\n")  # in both splits
    archery = ucf101 / "Archery"
    whole = (archery / "v_Archery_g02_c01.avi").read_bytes()
    (archery / "v_Archery_g02_c01.avi").write_bytes(whole[:-5000])
    (archery / "v_Archery_g03_c01.avi").write_bytes(b"")
    video(archery / "v_Archery_g02_c02.avi", 9, seed=99)  # its group is in the training list
    append(ucf101 / "ucfTrainTestlist" / "testlist01.txt", "Archery/v_Archery_g02_c02.avi\n")
    sets = {
        "hands": {"adapter": "jester", "root": str(jester)},
        "sports": {"adapter": "ucf101", "root": str(ucf101)},
    }
    out = tmp_path / "found.csv", tmp_path / "found.json"
    result = run(study(tmp_path, **sets), "--workers", 2, "--csv", out[0], "--json", out[1])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    csv = pd.read_csv(out[0], keep_default_na=False)
    assert csv.to_dict("records") == json.loads(out[1].read_text())
    found = {(row.dataset, row.severity, row.check) for row in csv.itertuples()}
    assert found >= {
        ("hands", "error", "lists and folders"),
        ("hands", "error", "missing clips"),
        ("hands", "error", "repeated id"),
        ("hands", "error", "leak by id"),
        ("hands", "error", "leak by content"),
        ("hands", "warning", "too short"),
        ("hands", "note", "unlisted clips"),
        ("sports", "error", "unreadable"),
        ("sports", "error", "leak by group"),
    }
    assert "repeated id" not in set(csv.loc[csv["dataset"] == "sports", "check"])
    bad = csv[(csv["dataset"] == "sports") & (csv["check"] == "unreadable")]
    assert bad["count"].sum() == 2
    assert "v_Archery_g02_c01.avi: a truncated file" in " ".join(bad["examples"])
    text = flat(result.stdout)
    assert "Data of the study 'broken'" in text
    assert f"2 data sets, {9 - 1 + 9} clips decoded in full" in text
    errors = (csv["severity"] == "error").sum()
    assert f"{errors} errors, " in text
    for _, part in csv.groupby("dataset"):
        severities = part["severity"].tolist()
        assert severities == sorted(severities, key=["error", "warning", "note"].index)


def test_counts_are_compared_with_the_published(run, monkeypatch, tmp_path, jester):
    file = study(tmp_path, hands={"adapter": "jester", "root": str(jester)})
    monkeypatch.setattr(data, "published_counts", lambda dataset: {"train": 4, "val": 5})
    result = run(file, "--workers", 1, "--quick")
    assert result.exit_code == 1
    assert "4 clips where 5 are published" in flat(result.stdout)


def test_a_missing_root_is_a_finding_and_other_sets_go_on(run, tmp_path, jester):
    file = study(
        tmp_path,
        away={"adapter": "jester", "root": str(tmp_path / "nowhere")},
        hands={"adapter": "jester", "root": str(jester)},
    )
    result = run(file, "--workers", 1, "--quick")
    assert result.exit_code == 1
    assert "nothing at this path" in flat(result.stdout)
    assert "2 data sets, 8 clips opened, not decoded: 1 error, 0 warnings" in flat(result.stdout)


def test_rendered_sets_are_looked_at_where_the_study_put_them(run, tmp_path, jester):
    (tmp_path / "results" / "data").mkdir(parents=True)
    jester.rename(tmp_path / "results" / "data" / "hands")
    render = {"set": "gestures", "clips": {"train": 4, "val": 4}, "classes": list(GESTURES)}
    result = run(study(tmp_path, hands={"adapter": "jester", "render": render}), "--workers", 1)
    assert (result.exit_code, "1 data set, 8 clips decoded" in flat(result.stdout)) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.yaml"], "No such file"),
        (["STUDY", "--dataset", "hnds"], "did you mean 'hands'?"),
        (["STUDY", "--workers", "0"], "1 or more"),
    ],
)
def test_wrong_input_is_explained(run, tmp_path, jester, arguments, message):
    file = study(tmp_path, hands={"adapter": "jester", "root": str(jester)})
    result = run(*[file if argument == "STUDY" else argument for argument in arguments])
    assert result.exit_code == 1
    assert message in flat(result.stderr)
    assert "Traceback" not in result.output


def test_a_study_that_is_no_mapping_or_against_the_schema(tmp_path):
    file = tmp_path / "study.yaml"
    for text, message in (
        ("- a list", "no keys, but list"),
        ("a: [", "while parsing"),
        ("study: x", "networks"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=message):
            data.read_study(file)


def test_command_lines_that_name_a_schema_still_work(run, tmp_path, jester):
    file = study(tmp_path, hands={"adapter": "jester", "root": str(jester)})
    result = run(file, "--schema", "nowhere.yaml")
    assert result.exit_code == 0, result.output
    assert "--schema is no longer read" in result.stderr


@pytest.mark.parametrize(
    ("share", "severity"), [(None, "error"), (0.2, "error"), (0.25, "warning")]
)
def test_clips_that_training_leaves_out_are_no_error(run, tmp_path, jester, share, severity):
    """Two of eight are broken: as many as 25 % allow."""
    for clip in (0, 5):
        (jester / "20bn-jester-v1" / f"{clip}" / "00003.jpg").write_bytes(b"no image")
    skip = {} if share is None else {"on_bad_clip": "skip", "max_bad_share": share}
    out = tmp_path / "found.csv"
    file = study(tmp_path, hands={"adapter": "jester", "root": str(jester)} | skip)
    result = run(file, "--workers", 1, "--csv", out)
    found = pd.read_csv(out)
    bad = found[found["check"] == "unreadable"]
    assert bad["severity"].tolist() == [severity] * 2
    assert result.exit_code == (severity == "error")


def test_films_in_training_and_test_are_a_warning(run, tmp_path):
    """HMDB51: what the hold-out takes for one film; the published lists may share films."""
    root, lists = tmp_path / "hmdb51", tmp_path / "hmdb51" / "testTrainMulti_7030_splits"
    lists.mkdir(parents=True)
    numbers = iter(range(100))
    for label, films in {
        "eat": {"Crash": "1", "Alien": "1", "Heat": "2"},
        "run": {"Fargo": "1", "Speed": "1", "Crash": "2"},  # Crash: of another class in training
    }.items():
        text = ""
        for film, part in films.items():
            name = f"{film}_{label}_h_cm_np1_fr_med_{next(numbers)}.avi"
            video(root / label / name, 9, seed=next(numbers))
            text += f"{name} {part}\n"
        (lists / f"{label}_test_split1.txt").write_text(text)
    options = {"selection": "test"}
    file = study(tmp_path, acts={"adapter": "hmdb51", "root": str(root), "options": options})
    out = tmp_path / "found.csv"
    result = run(file, "--workers", 1, "--csv", out)
    assert result.exit_code == 0, result.output
    found = pd.read_csv(out).set_index("check").loc["leak by group"]
    assert (found["severity"], found["split"], found["count"]) == ("warning", "train + val", 1)
    assert found["examples"] == "'Crash'"
    assert "films" in found["found"]
    assert "published lists" in found["remedy"]


def test_published_numbers_are_for_whole_real_sets():
    ucf = {"adapter": "ucf101", "options": {"split": 2}}
    counts = published_counts(ucf)
    assert counts is not None
    assert (counts["train"], counts["test"], counts["classes"]) == (9586, 3734, 101)
    assert published_counts(ucf | {"options": {}})["train"] == 9537
    assert published_counts(ucf | {"options": {"classes": ["YoYo"]}}) is None
    assert published_counts(ucf | {"render": {}}) is None
    assert published_counts({"adapter": "folder", "options": {}}) is None
    assert published_counts({"adapter": "jester", "options": {}})["val"] == 14_787


def test_long_lists_are_cut_on_screen_only(monkeypatch, capsys):
    monkeypatch.setattr(data, "LINES", 2)
    finding = Finding("error", "unreadable", "train", 4, "clips", "a\nb\nc\nd", "repair them")
    table = findings_table([finding]).assign(dataset="set")
    assert not data.render(table, study="s", sets=1, clips=4, quick=False)
    shown = capsys.readouterr().out
    assert "and 2 more: --csv FILE has all of them" in flat(shown)
    assert "a" in shown
    assert " c " not in shown
