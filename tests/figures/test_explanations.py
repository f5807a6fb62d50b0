"""Channels in pictures: which are shown, what is read from disk, what the figure says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from threetconv.errors import InputError
from threetconv.figures import explained
from threetconv.figures.explanations import ChannelRow, channel_rows_figure, class_drops
from threetconv.figures.theme import save

SIDE = 16
RUNS = pd.DataFrame(
    [
        ("b", "resnet18", "gestures", "scratch", "3t", 1),
        ("a", "resnet18", "gestures", "pretrained", "3d", 1),
        ("c", "resnet18", "gestures", "pretrained", "3t", 2),
    ],
    columns=["run_id", "network", "dataset", "init", "convolution", "replicate"],
)
CHOSEN = pd.DataFrame(
    [
        (run, 0, "conv1", channel, rule, rank)
        for run in ("a", "b", "c")
        for rule, first in (("random", 4), ("faithfulness", 0), ("displacement", 2))
        for rank, channel in ((1, first), (2, first + 1))
    ],
    columns=["run_id", "layer_index", "layer", "channel", "rule", "rank"],
)


def picture(path: Path, frames: int, *, shade: int = 0) -> None:
    """A strip whose frame t has the red value `shade` + 20 t."""
    strip = np.zeros((SIDE, SIDE * frames, 3), dtype=np.uint8)
    for t in range(frames):
        strip[:, t * SIDE : (t + 1) * SIDE, 0] = shade + 20 * t
    Image.fromarray(strip).save(path, lossless=True)


@pytest.fixture
def images(tmp_path: Path) -> pd.DataFrame:
    """Pictures of channel 0 of runs a (3D) and b (3T), two clips each."""
    lines: list[dict[str, Any]] = []

    def add(run: str, method: str, clip: str, *place: int) -> None:
        frame, frames, shade = place
        file = f"{run}-{method}-{clip}-{frame}.webp"
        picture(tmp_path / file, frames, shade=shade)
        lines.append(
            {"run_id": run, "layer": "conv1", "channel": 0, "method": method, "clip_id": clip,
             "label": "Swiping Left", "frame": frame, "n_frames": frames, "file": file}
        )  # fmt: skip

    for clip, shade in (("first", 10), ("second", 110)):
        for run in ("a", "b"):
            add(run, "frame", clip, 3, 1, shade)
            add(run, "grad-cam", clip, 3, 1, shade + 2)
            add(run, "gradient", clip, -1, 6, shade)
        add("b", "gradient", clip, 3, 1, shade + 1)
    add("a", "maximised", "", -1, 5, 50)
    add("b", "maximised", "", -1, 1, 50)
    add("b", "motion-film", "", -1, 12, 5)
    add("b", "filters", "", -1, 7, 60)
    return pd.DataFrame(lines)


def make_rows(images: pd.DataFrame, folder: Path, **changes: Any) -> list[ChannelRow]:
    path = pd.DataFrame(
        {"run_id": "b", "layer": "conv1", "channel": 0, "step": [2, 0, 1], "zoom": [0.5, 1, 0.8],
         "turn_deg": [9.0, 0.0, 4.0], "right_px": [1.0, 0.0, 0.4], "up_px": [0.2, 0.0, 0.1]}
    )  # fmt: skip
    drops = pd.DataFrame(
        [
            ("b", "conv1", 0, "identity", "", 0.5, 8),
            ("b", "conv1", 0, "identity", "Swiping Left", 7.0, 8),
            ("a", "conv1", 0, "mean", "", -0.25, 8),
        ],
        columns=["run_id", "layer", "channel", "ablation", "label", "drop", "n_clips"],
    )
    words = pd.DataFrame(
        {"run_id": ["b"], "layer": "conv1", "channel": 0, "sentence": "zooms out 2x"}
    )
    arguments = {"runs": RUNS, "chosen": CHOSEN, "channels": words, "faithfulness": drops,
                 "images": images, "folder": folder, "trajectories": path, "most": 6}  # fmt: skip
    return explained.explained_rows(**(arguments | changes))


def red(frames: np.ndarray) -> list[int]:
    return [int(frame[..., 0].mean()) for frame in frames.reshape(-1, *frames.shape[-3:])]


def test_every_run_gets_its_turn_and_rules_come_by_rank() -> None:
    picked = explained.pick_channels(CHOSEN, RUNS, most=7)
    assert picked["run_id"].tolist() == ["c", "c", "c", "b", "b", "a", "a"]
    assert picked["rule"].tolist()[:3] == ["faithfulness", "displacement", "random"]
    assert set(picked["rank"]) == {1}
    assert picked["run"].iloc[0] == "3T, pretrained, replicate 2"


def test_the_order_of_lines_does_not_matter() -> None:
    shuffled = CHOSEN.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(
        explained.pick_channels(shuffled, RUNS.iloc[::-1], most=5),
        explained.pick_channels(CHOSEN, RUNS, most=5),
    )


def test_a_3t_row_holds_one_clip_its_film_and_its_path(
    images: pd.DataFrame, tmp_path: Path
) -> None:
    row = next(r for r in make_rows(images, tmp_path) if r.sentence)
    assert row.heading == "conv1, channel 0   (3T, scratch; chosen by faithfulness)"
    assert row.aside == "log p falls by 0.5 nats without its motion"
    found = {name: red(p)[0] for name, p in row.pictures.items()}
    assert found == {"frame 4": 10, "gradient": 11, "grad-cam": 12, "optimised input": 50}
    assert {name: len(film) for name, film in row.strips.items()} == {
        "motion film": 12,
        "filter": 7,
    }
    assert red(row.strips["filter"]) == [60 + 20 * t for t in range(7)]
    assert row.path is not None
    assert row.path["step"].tolist() == [0, 1, 2]


def test_hardly_any_fall_is_no_number() -> None:
    lines = pd.DataFrame({"label": [""], "ablation": ["identity"], "drop": [-6.5e-6]})
    assert explained._drop(lines) == "log p changes by less than 0.0001 nats without its motion"


def test_a_3d_row_shows_its_whole_sequences(images: pd.DataFrame, tmp_path: Path) -> None:
    rows = make_rows(images, tmp_path)
    row = next(r for r in rows if "3D" in r.heading and r.pictures)
    assert row.path is None
    assert row.aside == "log p rises by 0.25 nats without the channel"
    assert red(row.pictures["gradient"])[0] == 10 + 20 * 3  # the frame beside it
    assert list(row.strips) == ["optimised video", "gradient"]
    assert red(row.strips["optimised video"]) == [50, 70, 90, 110, 130]


def test_animations_are_read_frame_by_frame(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), 40 * t, dtype=np.uint8)) for t in range(4)]
    file = tmp_path / "film.webp"
    frames[0].save(file, save_all=True, append_images=frames[1:], lossless=True, duration=80)
    assert red(explained.read_film(file, 4)) == [0, 40, 80, 120]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("gap", [0, 2, 4])
def test_strips_are_cut_with_and_without_gaps(tmp_path: Path, count: int, gap: int) -> None:
    rng = np.random.default_rng(count)
    frames = rng.integers(0, 256, (count, 5, 7, 3), dtype=np.uint8)
    strip = np.full((5, count * 7 + (count - 1) * gap, 3), 255, dtype=np.uint8)
    for t, frame in enumerate(frames):
        strip[:, t * (7 + gap) : t * (7 + gap) + 7] = frame
    Image.fromarray(strip).save(tmp_path / "strip.png")
    np.testing.assert_array_equal(explained.read_film(tmp_path / "strip.png", count), frames)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"x\.png"):
        explained.read_film(tmp_path / "x.png", 1)
    picture(tmp_path / "strip.png", 5)
    with pytest.raises(InputError, match="80 pixels wide"):
        explained.read_film(tmp_path / "strip.png", 3)


def written(figure: Figure) -> str:
    texts = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        texts += [axes.get_title(loc="left"), *(t.get_text() for t in axes.get_xticklabels())]
        texts += [t.get_text() for t in axes.get_yticklabels()]
    return "\n".join(texts)


def test_the_figure_carries_all_that_a_row_says(images: pd.DataFrame, tmp_path: Path) -> None:
    rows = make_rows(images, tmp_path)
    figure = channel_rows_figure(rows)
    text = written(figure)
    for row in rows:
        assert row.heading in text
    assert "zooms out 2x" in text
    assert "motion film, 12 frames" in text
    assert "filter, 7 slices" in text
    assert "no transforms" in text
    shown = [axes for axes in figure.axes if axes.get_images()]
    assert len(shown) == 4 + 8 + 7 + 4 + 5 + 6
    for name in ("one.svg", "two.svg"):
        save(channel_rows_figure(rows), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_blocks_do_not_overlap_whatever_a_sentence_says(
    images: pd.DataFrame, tmp_path: Path
) -> None:
    wide = {name: np.zeros((12, 30, 50, 3), dtype=np.uint8) for name in ("a", "b")}
    long = ChannelRow(
        "conv1",
        sentence="drifts to the left " * 20,
        pictures={str(i): np.zeros((30, 50, 3), dtype=np.uint8) for i in range(6)},
        strips=wide,
    )
    rows = [long, *make_rows(images, tmp_path), long]
    figure = channel_rows_figure(rows)
    boxes = [axes.get_position() for axes in figure.axes if axes.get_images()]
    inside = all(box.x0 >= 0 and box.x1 <= 1.001 and box.y0 >= 0 and box.y1 <= 1 for box in boxes)
    assert inside
    for i, first in enumerate(boxes):
        assert not any(
            first.x0 < other.x1 - 1e-6 and other.x0 < first.x1 - 1e-6
            and first.y0 < other.y1 - 1e-6 and other.y0 < first.y1 - 1e-6
            for other in boxes[i + 1 :]
        )  # fmt: skip


def test_start_and_end_are_marked(images: pd.DataFrame, tmp_path: Path) -> None:
    row = next(r for r in make_rows(images, tmp_path) if r.path is not None)
    axes = [a for a in channel_rows_figure([row]).axes if len(a.get_lines()) == 3]
    assert len(axes) == 3
    _, start, end = axes[2].get_lines()
    assert (start.get_xdata()[0], end.get_xdata()[0]) == (0.0, 1.0)
    assert start.get_marker() != end.get_marker()


def test_nothing_to_show_is_said() -> None:
    assert "No channel was explained" in written(channel_rows_figure([]))
    assert "not measured" in written(class_drops(pd.DataFrame()))


def faithfulness() -> pd.DataFrame:
    rows = [
        (run, i, f"layer{i}", channel, ablation, label, value + 10 * (channel >= 0), 8)
        for run in ("b", "c", "a")
        for i in (0, 1)
        for channel in (-1, 0)
        for ablation in ("identity", "mean")
        for label, value in (("", 9.0), ("left", 0.5 + i), ("right", -0.5))
    ]
    names = ["run_id", "layer_index", "layer", "channel", "ablation", "label", "drop", "n_clips"]
    return pd.DataFrame(rows, columns=names)


def test_class_drops_are_of_whole_layers() -> None:
    table = explained.class_drop_table(faithfulness(), RUNS[RUNS["convolution"] == "3t"])
    assert len(table) == 2 * 2 * 2
    assert set(table["drop"]) == {0.5, 1.5, -0.5}
    assert set(table["panel"]) == {"scratch", "pretrained"}


def test_many_classes_are_counted_instead_of_named() -> None:
    table = pd.DataFrame(
        {"panel": "scratch", "layer_index": 0, "layer": "conv1", "drop": 0.1,
         "label": [f"class {i:03d}" for i in range(101)]}
    )  # fmt: skip
    figure = class_drops(table)
    assert figure.axes[0].get_xlabel() == "101 classes, by alphabet"
    assert "class 000" not in written(figure)


def test_the_heat_map_is_white_at_zero_and_has_one_scale() -> None:
    table = explained.class_drop_table(faithfulness(), RUNS[RUNS["convolution"] == "3t"])
    figure = class_drops(table)
    meshes = [axes.collections[0] for axes in figure.axes[:2]]
    assert [mesh.get_clim() for mesh in meshes] == [(-1.5, 1.5)] * 2
    assert meshes[0].get_array().shape == (2, 2)
    assert "layer1" in written(figure)
    assert "left" in written(figure)
