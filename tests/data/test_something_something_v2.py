from __future__ import annotations

import json
import logging
from pathlib import Path

import pandas as pd
import pytest

from threetconv.data.adapters.registry import read_clips
from threetconv.data.table import class_names
from threetconv.errors import InputError

HOLD, PRETEND = (
    "Holding [something] next to [something]",
    "Pretending to put [something] on a [part], failing",
)
LABELS = [template.replace("[", "").replace("]", "") for template in (HOLD, PRETEND)]
TRAIN = {"78687": HOLD, "42326": PRETEND, "007": HOLD}
VAL = {"74225": PRETEND, "151": HOLD}
TEST = {"1420": LABELS[0], "4": LABELS[1]}


def items(entries: dict[str, str]) -> list[dict[str, object]]:
    return [
        {
            "id": clip,
            "label": template.replace("[something]", "a potato").lower(),
            "template": template,
            "placeholders": ["a potato"],
        }
        for clip, template in entries.items()
    ]


def put(root: Path, prefix: str = "something-something-v2-") -> None:
    root.mkdir(parents=True, exist_ok=True)
    contents = {
        "train": items(TRAIN),
        "validation": items(VAL),
        "test": [{"id": clip} for clip in TEST],
        "labels": {label: str(number) for number, label in enumerate(LABELS)},
    }
    for name, content in contents.items():
        (root / f"{prefix}{name}.json").write_text(json.dumps(content))


def videos(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for clip in (*TRAIN, *VAL, *TEST):
        (folder / f"{clip}.webm").write_bytes(b"adapters do not open videos")


@pytest.fixture
def root(tmp_path) -> Path:
    """The first release."""
    root = tmp_path / "ssv2"
    put(root)
    videos(root / "20bn-something-something-v2")
    return root


@pytest.fixture
def later(tmp_path) -> Path:
    root = tmp_path / "ssv2"
    put(root / "labels", prefix="")
    lines = [f"{clip};{label}" for clip, label in TEST.items()]
    (root / "labels" / "test-answers.csv").write_text("\n".join(lines))
    videos(root / "20bn-something-something-v2")
    return root


def expected(folder: Path, *, test: bool = False) -> pd.DataFrame:
    rows = [(c, "test", label) for c, label in TEST.items()] if test else []
    for split, listed in (("train", TRAIN), ("val", VAL)):
        rows += [(c, split, t.replace("[", "").replace("]", "")) for c, t in listed.items()]
    full = [(clip, str(folder / f"{clip}.webm"), label, split) for clip, split, label in rows]
    table = pd.DataFrame(full, columns=["clip_id", "path", "label", "split"], dtype="str")
    return table.sort_values(["split", "label", "clip_id"], ignore_index=True)


def fails(root: Path, *parts: str, **options: object) -> None:
    with pytest.raises(InputError) as caught:
        read_clips("something-something-v2", root, **options)
    for part in ("remedy: ", "expected: ", *parts):
        assert part in str(caught.value)


def test_first_release(root):
    table = read_clips("something-something-v2", root)
    pd.testing.assert_frame_equal(table, expected(root / "20bn-something-something-v2"))
    assert class_names(table) == sorted(LABELS)
    assert "007" in set(table["clip_id"])


def test_later_release(later):
    table = read_clips("something-something-v2", later)
    want = expected(later / "20bn-something-something-v2", test=True)
    pd.testing.assert_frame_equal(table, want)
    (later / "labels" / "test-answers.csv").unlink()
    assert set(read_clips("something-something-v2", later)["split"]) == {"train", "val"}


def test_a_test_list_without_labels_is_not_read(root):
    name = "something-something-v2-test.json"
    for text in ("[]", "no JSON", '[{"id": "1"}, {"id": 2, "template": "x"}]'):
        (root / name).write_text(text)
        assert len(read_clips("something-something-v2", root)) == 5


@pytest.mark.parametrize("place", ["videos", "."])
def test_places_of_the_videos(root, place):
    (root / place).mkdir(exist_ok=True)
    for file in (root / "20bn-something-something-v2").iterdir():
        file.rename(root / place / file.name)
    (root / "20bn-something-something-v2").rmdir()
    pd.testing.assert_frame_equal(
        read_clips("something-something-v2", root), expected(root / place)
    )


def test_numbers_as_ids_and_windows_text(root):
    name = root / "something-something-v2-train.json"
    entries = items({c: t for c, t in TRAIN.items() if c != "007"})
    for entry in entries:
        entry["id"] = int(str(entry["id"]))
    name.write_bytes(("\ufeff" + json.dumps(entries, indent=1).replace("\n", "\r\n")).encode())
    assert len(read_clips("something-something-v2", root)) == 4


def test_labels_with_brackets(root):
    text = json.dumps({HOLD: "0", PRETEND: "1"})
    (root / "something-something-v2-labels.json").write_text(text)
    assert class_names(read_clips("something-something-v2", root)) == sorted(LABELS)


def test_transcoded(root, caplog):
    for file in (root / "20bn-something-something-v2").iterdir():
        file.rename(file.with_suffix(".mp4"))
    with caplog.at_level(logging.WARNING):
        table = read_clips("something-something-v2", root)
    assert all(Path(path).is_file() for path in table["path"])
    assert "5 listed names are on disk with another video suffix" in caplog.text


def test_subset_of_classes(root):
    (root / "20bn-something-something-v2" / "42326.webm").unlink()
    table = read_clips("something-something-v2", root, classes=[LABELS[0]])
    assert set(table["label"]) == {LABELS[0]}
    fails(root, "did you mean 'Holding", classes=["Holding something next to"])


def test_missing(root, tmp_path):
    (root / "20bn-something-something-v2" / "42326.webm").unlink()
    fails(
        root, "1 of 3 clips listed in split train are missing", "/42326.webm'", "all parts of the"
    )
    fails(tmp_path / "nowhere", "nothing at this path", "Something-Something")
    fails(tmp_path, "labels.json", "no such file", "something-something-v2-train.json")


@pytest.mark.parametrize("name", ["train", "validation", "labels"])
def test_missing_list(root, name):
    path = root / f"something-something-v2-{name}.json"
    path.unlink()
    fails(root, str(path), "no such file", "download")


@pytest.mark.parametrize("name", ["train", "validation", "labels"])
@pytest.mark.parametrize("text", ["{", "[]", "{}", "3", '"x"'])
def test_malformed_list(root, name, text):
    path = root / f"something-something-v2-{name}.json"
    path.write_text(text)
    fails(root, str(path))


@pytest.mark.parametrize(
    "entry",
    [
        "7",
        {"id": "7"},
        {"template": HOLD},
        {"id": "", "template": HOLD},
        {"id": True, "template": HOLD},
    ],
)
def test_malformed_entry(root, entry):
    path = root / "something-something-v2-train.json"
    path.write_text(json.dumps([*items(TRAIN), entry]))
    fails(root, "train.json, entry 4", repr(entry))


def test_template_that_labels_lack(root):
    path = root / "something-something-v2-train.json"
    path.write_text(json.dumps(items(TRAIN | {"007": "Holding [something] near [something]"})))
    fails(
        root, str(path), "labels that are not in labels.json", "did you mean 'Holding something n"
    )


def test_wrong_answers(later):
    path = later / "labels" / "test-answers.csv"
    path.write_text("1420;Holding\n")
    fails(later, str(path), "'Holding'")
    path.write_text(f"1420;{LABELS[0]}\n4\n")
    fails(later, "test-answers.csv, line 2", "'4'")


def test_label_without_clips_and_clip_twice(root):
    path = root / "something-something-v2-labels.json"
    path.write_text(json.dumps({**dict.fromkeys(LABELS, "0"), "Throwing something": "2"}))
    fails(root, "1 classes without a training clip: 'Throwing something'")
    path.write_text(json.dumps(dict.fromkeys(LABELS, "0")))
    path = root / "something-something-v2-validation.json"
    path.write_text(json.dumps(items(VAL | {"007": HOLD})))
    fails(root, "1 clips listed more than once: '007'")
