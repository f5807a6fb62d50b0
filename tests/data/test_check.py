"""A broken set, in the layouts of Jester and UCF101: everything wrong with it is found."""

from __future__ import annotations

import signal
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from threetconv.data.adapters.adapter import Groups
from threetconv.data.checks import inspection
from threetconv.data.checks.check import check_clips, check_table
from threetconv.data.checks.findings import Finding, adapter_finding, findings_table
from threetconv.data.checks.inspection import clips_on_disk, inspect_clip, inspect_clips
from threetconv.data.checks.listed import listed_clips
from threetconv.errors import InputError


def video(path: Path, frames: int, *, seed: int, size: tuple[int, int] = (32, 48)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(25))
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for _ in range(frames):
            pixels = noise.integers(0, 256, (*size, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def images(folder: Path, frames: int, *, seed: int, width: int = 16) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed)
    for i in range(1, frames + 1):
        pixels = noise.integers(0, 256, (10, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:05d}.jpg")


def table(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["clip_id", "path", "label", "split"], dtype="str")


def plain(**splits: list[str]) -> pd.DataFrame:
    """Clips of one class without files."""
    return table(*((clip, clip, "A", split) for split, ids in splits.items() for clip in ids))


def lines(findings: pd.DataFrame) -> set[tuple[str, str, str, int]]:
    columns = ["severity", "check", "split", "count"]
    return set(findings[columns].itertuples(index=False, name=None))


def only(findings: pd.DataFrame, check: str) -> pd.Series:
    part = findings[findings["check"] == check]
    assert len(part) == 1, findings.to_string()
    return part.iloc[0]


@pytest.fixture
def good(tmp_path) -> pd.DataFrame:
    """Two classes, two splits, a video or a folder each, nothing wrong."""
    rows = []
    for i, (label, split) in enumerate((c, s) for c in "AB" for s in ("train", "val")):
        path = tmp_path / split / label / (f"{i}.avi" if label == "A" else f"{i}")
        video(path, 9, seed=i) if label == "A" else images(path, 9, seed=i, width=48)
        rows.append((str(i), str(path), label, split))
    return table(*rows)


def test_a_good_set_has_no_error_and_no_warning(good):
    found = check_clips(good, frames=9, published={"train": 2, "val": 2, "classes": 2})
    assert lines(found) == {("note", "frame sizes", "", 4)}
    assert only(found, "frame sizes")["examples"] == "10 x 48 (2), 32 x 48 (2)"
    assert next(iter(found)) == "dataset"


@pytest.mark.parametrize("quick", [False, True])
def test_workers_and_progress_do_not_change_what_is_found(good, quick):
    calls = []
    paths = good["path"].tolist() * 5
    one = inspect_clips(paths, quick=quick)
    two = inspect_clips(paths, workers=2, quick=quick, progress=lambda *n: calls.append(n))
    assert one == two
    assert calls == [(8, 20), (16, 20), (20, 20)]
    assert {clip.frames for clip in one} == {9}
    assert ({clip.digest for clip in one} == {""}) == quick
    assert (one[0].height, one[0].width) == (32, 48)


def test_files_that_cannot_be_read(good, tmp_path):
    paths = good["path"].tolist()
    whole = Path(paths[0]).read_bytes()
    Path(paths[0]).write_bytes(whole[: len(whole) // 2])
    Path(paths[1]).write_bytes(b"")
    frame = Path(paths[2]) / "00005.jpg"  # neither the first nor the last
    frame.write_bytes(frame.read_bytes()[:100])
    for file in Path(paths[3]).iterdir():
        file.unlink()
    more = table(("gone", str(tmp_path / "gone.avi"), "A", "train"))
    noise = tmp_path / "noise.avi"
    noise.write_bytes(bytes(range(256)) * 8)
    more.loc[1] = ["noise", str(noise), "A", "train"]
    found = check_clips(pd.concat([good, more]), frames=8)
    assert lines(found) == {
        ("error", "unreadable", "train", 4),
        ("error", "unreadable", "val", 2),
        ("note", "class balance", "train", 2),
    }
    text = " ".join(inspect_clip(path).problem for path in [*paths, *more["path"]])
    for part in (
        "truncated file", "an empty file", "00005.jpg: an image that cannot be read",
        "without images", "nothing at this path", "cannot be decoded",
    ):  # fmt: skip
        assert part in text
    quick = check_clips(pd.concat([good, more]), frames=8, quick=True)
    assert only(quick[quick["split"] == "train"], "unreadable")["count"] == 3  # not the 5th frame


def test_short_clips_with_the_distribution_of_lengths(good, tmp_path):
    video(tmp_path / "s.avi", 3, seed=9)
    more = table(("s", str(tmp_path / "s.avi"), "A", "train"))
    for quick in (False, True):
        found = only(check_clips(pd.concat([good, more]), frames=8, quick=quick), "too short")
        assert (found["severity"], found["split"], found["count"]) == ("warning", "train", 1)
        assert "fewer than 8 frames; all clips have 3 to 9, median 9" in found["found"]
        assert found["examples"] == "'s' (3)"
        assert ("containers state" in found["found"]) == quick


def test_the_same_content_under_another_name(good, tmp_path):
    def copy(row: int, clip: str, label: str, split: str) -> tuple[str, str, str, str]:
        source, target = Path(good["path"][row]), tmp_path / "copies" / clip
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            target.mkdir()
            for file in source.iterdir():
                (target / file.name).write_bytes(file.read_bytes())
        else:
            target.write_bytes(source.read_bytes())
        return clip, str(target), label, split

    def check(*copied: tuple[str, str, str, str]) -> set[tuple[str, str, str, int]]:
        found = check_clips(pd.concat([good, table(*copied)]), frames=8)
        return {line for line in lines(found) if line[1] not in ("frame sizes", "class balance")}

    assert check(copy(0, "a.avi", "A", "train")) == {("warning", "repeated content", "train", 1)}
    assert check(copy(2, "b", "B", "val")) == {("error", "leak by content", "train + val", 1)}
    assert check(copy(2, "c", "A", "train")) == {("error", "labels", "train", 1)}
    assert check(copy(0, "d.avi", "A", "")) == {("warning", "repeated content", "train", 1)}
    both = check(copy(2, "e", "A", "val"))
    assert {line[1] for line in both} == {"leak by content", "labels"}


def test_ids_twice_and_in_two_splits():
    found = check_table(plain(train=["a", "a", "a", "b", "c"], val=["b", "d"], test=["d", "b"]))
    assert lines(found) == {
        ("error", "repeated id", "train", 1),
        ("error", "leak by id", "train + val", 1),
        ("error", "leak by id", "train + test", 1),
        ("error", "leak by id", "val + test", 2),
    }
    again = check_table(table(("a", "x", "A", "train"), ("a", "x", "B", "val")))
    assert ("error", "labels", "", 1) in lines(again)


def group(clip: str, label: str) -> str:
    if "_" not in clip:
        raise InputError(clip, found="no group", expected="one", remedy="name it")
    return f"{label} {clip.split('_')[-2]}"


def test_groups_of_a_class_in_two_splits():
    rows = [
        ("v_A_g01_c01", "A", "train"), ("v_A_g01_c02", "A", "val"),
        ("v_A_g02_c01", "A", "train"), ("v_B_g02_c01", "B", "train"),
        ("v_B_g01_c01", "B", "val"),  # group 1 of another class: no leak
        ("odd", "B", "train"),
    ]  # fmt: skip
    clips = table(*((clip, clip, label, split) for clip, label, split in rows))
    found = check_table(clips, groups=Groups(group, "groups", "error", "move them"))
    leak = only(found, "leak by group")
    assert (leak["severity"], leak["split"], leak["count"]) == ("error", "train + val", 1)
    assert leak["examples"] == "'A g01'"
    assert (leak["found"], leak["remedy"]) == ("groups in both splits", "move them")
    assert only(found, "groups")["examples"] == "'odd'"
    assert "leak by group" not in set(check_table(clips)["check"])


def test_classes_without_clips_and_their_balance():
    clips = table(
        *((f"{i}", "", "A", "train") for i in range(6)),
        *((f"b{i}", "", "B", "train") for i in range(3)),
        ("v", "", "A", "val"), ("w", "", "C", "val"),
    )  # fmt: skip
    found = check_table(clips)
    assert lines(found) == {
        ("error", "classes", "train", 1),
        ("warning", "classes", "val", 1),
        ("note", "class balance", "train", 2),
    }
    assert found["severity"].tolist() == ["error", "warning", "note"]
    balance = only(found, "class balance")
    assert "3 to 6 clips (median 4.5)" in balance["found"]
    assert balance["examples"] == "fewest: 'B'; most: 'A'"


@pytest.mark.parametrize(
    ("published", "wrong"),
    [
        ({"train": 3, "val": 2, "test": 1}, set()),
        ({"train": 3, "val": 2}, set()),
        ({"train": 5, "test": 1}, set()),  # val was taken from the training list
        ({"train": 4, "val": 2, "test": 9}, {("train", 1), ("test", 8)}),
        ({"train": 3, "val": 2, "classes": 2}, {("", 1)}),
    ],
)
def test_published_counts(published, wrong):
    clips = plain(train=["a", "b", "c"], val=["d", "e"], test=["f"])
    found = check_table(clips, published=published)
    assert {(line[2], line[3]) for line in lines(found)} == wrong


def test_published_test_list_as_val_and_repeats_counted_once():
    clips = plain(train=["a", "b", "b"], val=["d", "e"])
    found = check_table(clips, published={"train": 2, "test": 2})
    assert set(found["check"]) == {"repeated id"}
    assert "1 clips where" not in found["found"].str.cat()
    fewer = only(check_table(clips, published={"train": 2, "test": 3}), "published count")
    assert (fewer["split"], fewer["found"]) == ("test", "2 clips where 3 are published")


def test_jester_whose_lists_the_adapter_refuses(tmp_path):
    for i in range(5):
        images(tmp_path / "20bn-jester-v1" / f"{i}", 2, seed=i)
    (tmp_path / "jester-v1-train.csv").write_text("0;Swipe\n1;Swipe\n1;Swipe\nx\n7;Swipe\n")
    (tmp_path / "jester-v1-validation.csv").write_text("0;Swipe\n2;Stop; Sign\n3;Stop Sign\n")
    listed, missing, unlisted, _ = listed_clips("jester", tmp_path)
    assert listed["clip_id"].tolist() == ["0", "1", "1", "0", "3"]
    assert listed["split"].tolist() == ["train"] * 3 + ["val"] * 2
    assert missing == ["7"]
    assert unlisted["clip_id"].tolist() == ["2", "4"]


def test_newer_jester_lists(tmp_path):
    images(tmp_path / "Train" / "07", 2, seed=1)
    (tmp_path / "Train.csv").write_text('\ufeffvideo_id,label\r\n07,"a, b"\r\n\r\n', newline="")
    (tmp_path / "Validation.csv").write_text("id,label\n8,b\n")
    listed, missing, *_ = listed_clips("jester", tmp_path)
    assert listed[["clip_id", "label", "split"]].to_numpy().tolist() == [["07", "a, b", "train"]]
    assert missing == ["8"]


def test_jester_lists_where_and_as_the_adapter_finds_them(tmp_path):
    """The last release: below labels, in lower case, with a header; or v1's, without one."""
    images(tmp_path / "Train" / "07", 2, seed=1)
    images(tmp_path / "Validation" / "8", 2, seed=2)
    labels = tmp_path / "Labels"
    labels.mkdir()
    (labels / "train.csv").write_text("ID,Label\n07,a\n9,a\n")
    (labels / "validation.csv").write_text("video_id,label\n8,b\n")
    listed, missing, unlisted, _ = listed_clips("jester", tmp_path)
    rows = listed[["clip_id", "label", "split"]].to_numpy().tolist()
    assert rows == [["07", "a", "train"], ["8", "b", "val"]]
    assert (missing, len(unlisted)) == (["9"], 0)
    (labels / "train.csv").rename(labels / "jester-v1-train.csv")
    (labels / "jester-v1-train.csv").write_text("07;a\n")
    assert listed_clips("jester", tmp_path)[0]["split"].tolist() == ["train"]  # v1 has no val here
    (tmp_path / "Train.csv").write_text("id,label\n8,b\n")  # lists in the root come first
    assert listed_clips("jester", tmp_path)[0]["label"].tolist() == ["b"]


def test_jester_lists_that_answer_to_one_name(tmp_path):
    """Nothing is refused here; the adapter names them."""
    images(tmp_path / "Train" / "1", 2, seed=1)
    for name in ("Train.csv", "train.csv", "TRAIN.csv"):
        (tmp_path / name).write_text("id,label\n1,a\n")
    assert len(listed_clips("jester", tmp_path)[0]) == 1  # one has the very name
    (tmp_path / "Train.csv").unlink()
    assert listed_clips("jester", tmp_path)[2]["clip_id"].tolist() == ["1"]
    assert len(listed_clips("jester", tmp_path / "nowhere")[2]) == 0


def test_ucf101_lists(tmp_path):
    for i in (1, 2):
        video(tmp_path / "UCF-101" / "YoYo" / f"v_YoYo_g0{i}_c01.avi", 2, seed=i)
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "trainlist02.txt").write_text("YoYo/v_YoYo_g01_c01.avi 1\nYoYo/v_YoYo_g09_c01.avi 1\n")
    (lists / "testlist02.txt").write_text("YoYo/v_YoYo_g01_c01.avi\n")
    listed, missing, unlisted, _ = listed_clips("ucf101", tmp_path, split=2)
    assert listed["split"].tolist() == ["train", "test"]
    assert missing == ["v_YoYo_g09_c01"]
    assert unlisted["label"].tolist() == ["YoYo"]
    assert len(listed_clips("ucf101", tmp_path, split=1)[2]) == 2


def test_what_is_on_disk(good, tmp_path):
    (tmp_path / "train" / "A" / ".hidden.avi").touch()
    (tmp_path / "train" / "A" / "notes.txt").touch()
    disk, faults = clips_on_disk(tmp_path)
    assert not faults
    assert sorted(disk["path"]) == sorted(good["path"])
    assert set(disk["split"]) == {""}
    assert clips_on_disk(tmp_path / "nowhere")[1] == {}


def test_nothing_to_look_at():
    found = check_clips(table(), frames=8, workers=2)
    assert len(found) == 0
    assert list(found) == list(findings_table([]))


def test_adapter_error_as_a_finding():
    error = InputError("here", found="this", expected="that", remedy="mend it")
    finding = adapter_finding(error)
    assert isinstance(finding, Finding)
    assert (finding.severity, finding.examples, finding.remedy) == ("error", "here", "mend it")
    assert finding.found == "this (expected: that)"


def test_interrupts_reach_the_parent_again():
    before = signal.getsignal(signal.SIGINT)
    with inspection._interrupts_ignored():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is before
