from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from threetconv.data.adapters.registry import read_clips
from threetconv.data.decoding.decode import read_frames
from threetconv.data.table import class_names
from threetconv.errors import InputError

TRAIN = {"34870": "Drumming Fingers", "56557": "No gesture", "9": "Drumming Fingers"}
VAL = {"13": "No gesture", "14": "Drumming Fingers"}
HEADER = "video_id,label,frames,label_id,shape,format\n"


def frames(folder: Path) -> None:
    folder.mkdir(parents=True)
    for i in (1, 2):
        Image.new("RGB", (8, 6), (100 * i, 0, 0)).save(folder / f"{i:05d}.jpg")


@pytest.fixture
def v1(tmp_path) -> Path:
    root = tmp_path / "jester"
    for clip in (*TRAIN, *VAL, "777"):  # 777: a clip of the unlabelled test list
        frames(root / "20bn-jester-v1" / clip)
    write(root / "jester-v1-train.csv", TRAIN)
    write(root / "jester-v1-validation.csv", VAL)
    (root / "jester-v1-test.csv").write_text("777\n")
    (root / "jester-v1-labels.csv").write_text("No gesture\nDrumming Fingers\n")
    return root


def write(path: Path, entries: dict[str, str], extra: str = "") -> None:
    path.write_text("".join(f"{clip};{label}\n" for clip, label in entries.items()) + extra)


@pytest.fixture
def newer(tmp_path) -> Path:
    root = tmp_path / "jester"
    for folder, listed in (("Train", TRAIN), ("Validation", VAL)):
        for clip in listed:
            frames(root / folder / clip)
        rows = [f'{c},{name},37,3,"(100, 176)",jpg\n' for c, name in listed.items()]
        (root / f"{folder}.csv").write_text(HEADER + "".join(rows))
    (root / "Test.csv").write_text("id,label,frames,label_id,shape,format\n777,,37,,,jpg\n")
    return root


def expected(places: dict[str, Path]) -> pd.DataFrame:
    rows = [
        ("34870", str(places["train"] / "34870"), "Drumming Fingers", "train"),
        ("9", str(places["train"] / "9"), "Drumming Fingers", "train"),
        ("56557", str(places["train"] / "56557"), "No gesture", "train"),
        ("14", str(places["val"] / "14"), "Drumming Fingers", "val"),
        ("13", str(places["val"] / "13"), "No gesture", "val"),
    ]
    return pd.DataFrame(rows, columns=["clip_id", "path", "label", "split"], dtype="str")


def fails(root: Path, *parts: str, **options: object) -> None:
    with pytest.raises(InputError) as caught:
        read_clips("jester", root, **options)
    for part in ("remedy: ", "expected: ", *parts):
        assert part in str(caught.value)


def test_v1(v1):
    table = read_clips("jester", v1)
    place = v1 / "20bn-jester-v1"
    pd.testing.assert_frame_equal(table, expected({"train": place, "val": place}))
    assert class_names(table) == ["Drumming Fingers", "No gesture"]
    assert read_frames(table["path"][0], frames=2, size=(6, 8))[1, 3, 4, 0] > 150


def test_newer(newer):
    table = read_clips("jester", str(newer))
    places = {"train": newer / "Train", "val": newer / "Validation"}
    pd.testing.assert_frame_equal(table, expected(places))


def test_newer_lists_over_one_folder_of_clips(newer):
    for folder in ("Train", "Validation"):
        for clip in (newer / folder).iterdir():
            clip.rename(newer / clip.name)
        (newer / folder).rmdir()
    pd.testing.assert_frame_equal(
        read_clips("jester", newer), expected({"train": newer, "val": newer})
    )


def test_relative_root_stays_relative(v1, monkeypatch):
    monkeypatch.chdir(v1.parent)
    assert read_clips("jester", "jester")["path"][0] == "jester/20bn-jester-v1/34870"


def test_byte_order_mark_blank_lines_and_windows_ends(v1):
    text = "\ufeff" + "\r\n".join(f"{c};{name}" for c, name in TRAIN.items()) + "\r\n\r\n"
    (v1 / "jester-v1-train.csv").write_bytes(text.encode())
    assert len(read_clips("jester", v1)) == 5


def test_subset_of_classes(v1):
    shutil.rmtree(v1 / "20bn-jester-v1" / "34870")  # of a class that is not kept
    table = read_clips("jester", v1, classes=["No gesture"])
    assert table["clip_id"].tolist() == ["56557", "13"]
    fails(v1, "no class 'No gestur'", "did you mean 'No gesture'?", classes=["No gestur"])
    fails(v1, "classes = []", classes=[])
    fails(v1, "list of different", classes=["No gesture", "No gesture"])
    fails(v1, "list of different", classes="No gesture")


def test_missing_root(tmp_path):
    fails(tmp_path / "nowhere", str(tmp_path / "nowhere"), "nothing at this path", "Jester")


def test_no_lists(tmp_path):
    fails(tmp_path, "jester-v1-train.csv", "no such file", "Train.csv and Validation.csv")


@pytest.mark.parametrize(
    "name", ["jester-v1-train.csv", "jester-v1-validation.csv", "jester-v1-labels.csv"]
)
def test_missing_list(v1, name):
    (v1 / name).unlink()
    fails(v1, str(v1 / name), "no such file", "download")


def test_missing_newer_list(newer):
    (newer / "Validation.csv").unlink()
    fails(newer, str(newer / "Validation.csv"), "no such file")


def test_malformed_lines(v1, newer):
    write(v1 / "jester-v1-train.csv", TRAIN, "35;\n")
    fails(v1, "jester-v1-train.csv, line 4", "'35;'", "34870;Drumming Fingers")


def test_malformed_newer(newer):
    good = (newer / "Train.csv").read_text()
    (newer / "Train.csv").write_text(good + "35,,37,,,\n")
    fails(newer, "Train.csv, line 5", "video_id '35' with label ''")
    (newer / "Train.csv").write_text(good.replace("video_id,label", "clip,gesture"))
    fails(newer, "Train.csv", "columns clip, gesture", "video_id and label")
    (newer / "Train.csv").write_text(HEADER)
    fails(newer, "Train.csv", "no clip")


def test_not_text(v1):
    (v1 / "jester-v1-train.csv").write_bytes(b"\xff\xfe1\x00")
    fails(v1, "jester-v1-train.csv", "not UTF-8 text")


def test_label_that_the_labels_file_lacks(v1):
    write(v1 / "jester-v1-validation.csv", VAL | {"13": "No gestures"})
    fails(v1, "jester-v1-validation.csv", "'No gestures'", "did you mean 'No gesture'?")


def test_class_only_in_validation(newer):
    text = (newer / "Train.csv").read_text()
    (newer / "Train.csv").write_text(text.replace("No gesture", "Drumming Fingers"))
    fails(newer, "Validation.csv", "labels that are not in the labels file", "'No gesture'")


def test_label_without_clips(v1):
    with (v1 / "jester-v1-labels.csv").open("a") as file:
        file.write("Shaking Hand\n")
    fails(v1, "1 classes without a training clip: 'Shaking Hand'", "classes=")


def test_listed_clips_missing_on_disk(v1):
    for clip in TRAIN:
        shutil.rmtree(v1 / "20bn-jester-v1" / clip)
    write(v1 / "jester-v1-train.csv", TRAIN | {"1": "No gesture", "2": "No gesture"})
    fails(v1, str(v1 / "20bn-jester-v1"), "5 of 5 listed clips", "'34870', '56557', '9' and 2 more")


def test_clip_folder_without_frames(v1):
    for file in (v1 / "20bn-jester-v1" / "13").iterdir():
        file.rename(file.with_suffix(".txt"))
    fails(v1, "1 of 2 clip folders hold no image: '13'", ".jpg")


def test_clip_listed_twice(v1):
    write(v1 / "jester-v1-train.csv", TRAIN, "9;No gesture\n")
    fails(v1, "1 clips listed more than once: '9'")


def test_clip_in_both_lists(v1):
    write(v1 / "jester-v1-validation.csv", VAL, "9;Drumming Fingers\n")
    fails(v1, "listed more than once: '9'", "never in both training and validation")


@pytest.mark.parametrize("release", ["v1", "newer"])
def test_quoted_labels_with_commas_and_quotes(request, release):
    root = request.getfixturevalue(release)
    for path in root.glob("*.csv"):
        text = path.read_text().replace("No gesture", '"Zooming, ""Full"" Hand; In"')
        path.write_text(text)
    table = read_clips("jester", root)
    assert class_names(table) == ["Drumming Fingers", 'Zooming, "Full" Hand; In']
    assert len(table) == 5


V1_FILES = [f"jester-v1-{name}.csv" for name in ("train", "validation", "test", "labels")]


def test_label_with_a_comma_without_quotes(v1):
    for name in V1_FILES:
        text = (v1 / name).read_text().replace("No gesture", "No gesture, at all")
        (v1 / name).write_text(text)
    assert class_names(read_clips("jester", v1))[1] == "No gesture, at all"


def test_too_many_fields(v1):
    write(v1 / "jester-v1-train.csv", TRAIN, "35;No gesture;37\n")
    fails(v1, "jester-v1-train.csv, line 4", "'35;No gesture;37'")


@pytest.mark.parametrize("release", ["v1", "newer"])
def test_leading_zeros_are_kept(request, release):
    root = request.getfixturevalue(release)
    name, folder = {
        "v1": ("jester-v1-train.csv", "20bn-jester-v1"),
        "newer": ("Train.csv", "Train"),
    }[release]
    text = (root / name).read_text()
    (root / name).write_text(text.replace("\n9", "\n009"))
    fails(root, "listed clips have no folder: '009'")
    (root / folder / "9").rename(root / folder / "009")
    assert read_clips("jester", root)["clip_id"].tolist() == ["009", "34870", "56557", "14", "13"]


def test_newer_with_windows_ends_byte_order_mark_and_empty_rows(newer):
    for name in ("Train.csv", "Validation.csv"):
        text = "\ufeff" + (newer / name).read_text().replace("\n", "\r\n") + ",,,,,\r\n\r\n"
        (newer / name).write_bytes(text.encode())
    assert len(read_clips("jester", newer)) == 5


@pytest.mark.parametrize("header", ["id,label,frames", "Video_ID,Label,Frames", "label,video_id"])
def test_other_headers(newer, header):
    for name, listed in (("Train.csv", TRAIN), ("Validation.csv", VAL)):
        rows = [
            f"{label},{clip}" if header.startswith("label") else f"{clip},{label},37"
            for clip, label in listed.items()
        ]
        (newer / name).write_text("\n".join([header, *rows]))
    assert len(read_clips("jester", newer)) == 5


@pytest.mark.parametrize("text", ["", "777\n", "id\n777\n", "\x00\n", "id,label\n777,\n9,9\n"])
def test_test_lists_are_not_read(v1, text):
    for name in ("jester-v1-test.csv", "Test.csv", "test.csv"):
        (v1 / name).write_text(text)
    assert set(read_clips("jester", v1)["split"]) == {"train", "val"}


@pytest.mark.parametrize("inside", [True, False])
def test_last_release(v1, inside):
    folder = v1 / "labels" if inside else v1
    folder.mkdir(exist_ok=True)
    for name in V1_FILES:
        (v1 / name).rename(folder / name.removeprefix("jester-v1-"))
    (folder / "test-answers.csv").write_text("777;No gesture\n")
    place = v1 / "20bn-jester-v1"
    table = read_clips("jester", v1)
    pd.testing.assert_frame_equal(table, expected({"train": place, "val": place}))
    (folder / "train.csv").write_text("34870;Drumming Finger\n")
    fails(v1, str(folder / "train.csv"), "did you mean 'Drumming Fingers'?")


def test_names_in_other_case(v1):
    for name in V1_FILES:
        (v1 / name).rename(v1 / name.capitalize())
    (v1 / "20bn-jester-v1").rename(v1 / "20BN-Jester-v1")
    place = v1 / "20BN-Jester-v1"
    pd.testing.assert_frame_equal(
        read_clips("jester", v1), expected({"train": place, "val": place})
    )


@pytest.mark.parametrize(("count", "width"), [(12, 100), (37, 132), (70, 176)])
def test_clips_of_real_lengths_and_widths(v1, count, width):
    """Jester's clips have 12 to 70 frames of 100 px height and of varying width."""
    folder = v1 / "20bn-jester-v1" / "34870"
    shutil.rmtree(folder)
    folder.mkdir()
    for i in range(1, count + 1):
        Image.new("RGB", (width, 100), (3 * i, 0, 0)).save(folder / f"{i:05d}.jpg", quality=95)
    table = read_clips("jester", v1)
    film = read_frames(table["path"][0], frames=30, size=(50, 75))
    assert film.shape == (30, 50, 75, 3)
    reds = film[:, 25, 37, 0].astype(int)
    assert abs(reds[0] - 3) < 8
    assert (reds[1:] >= reds[:-1] - 4).all()
    assert reds[-1] > 3 * count * 0.9 - 8
