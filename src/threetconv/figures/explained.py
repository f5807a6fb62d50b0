"""From the tables and picture files of an explained study to what its figures draw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from threetconv.errors import InputError
from threetconv.figures.explanations import ChannelRow, Frames, channel_rows_figure, class_drops
from threetconv.figures.theme import ordered, present
from threetconv.schemas.runs import CONVOLUTIONS

__all__ = [
    "class_drop_table",
    "explained_figures",
    "explained_rows",
    "pick_channels",
    "read_film",
    "run_name",
]

KEY = ["run_id", "layer", "channel"]
SALIENCY = ("gradient", "integrated-gradients", "grad-cam", "guided-backprop")
"""Methods in the order they are asked for; the first two that were drawn are shown."""
GAPS = (4, 2, 0)
"""Pixels that may be between the frames of a strip: those that `threetconv.explain` leaves."""
SMALL = 0.0001  # nats; less is not worth a number
RULES = {
    "faithfulness": "chosen by faithfulness",
    "displacement": "chosen by displacement",
    "random": "drawn at random",
}


def explained_figures(
    *,
    runs: pd.DataFrame,
    faithfulness: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
    explained: Sequence[str],
    **of_channels: Any,
) -> dict[str, Figure]:
    """For each (network, dataset): its chosen channels, and the drop of each class without motion.

    Args:
        runs: the runs table.
        faithfulness: as `explained_rows` takes it.
        pairs: (network, dataset).
        explained: run_id of the runs whose channels were explained.
        of_channels: the other arguments of `explained_rows`.
    """
    figures = {}
    runs = runs[runs["run_id"].isin(explained)]
    for network, dataset in pairs:
        mine = runs[(runs["network"] == network) & (runs["dataset"] == dataset)]
        rows = explained_rows(runs=mine, faithfulness=faithfulness, **of_channels)
        # other networks have no transforms to set to the identity
        drops = class_drop_table(faithfulness, mine[mine["convolution"] == "3t"])
        figures[f"explained_{network}_{dataset}"] = channel_rows_figure(rows)
        figures[f"class_drops_{network}_{dataset}"] = class_drops(drops)
    return figures


def explained_rows(
    *,
    runs: pd.DataFrame,
    chosen: pd.DataFrame,
    channels: pd.DataFrame,
    faithfulness: pd.DataFrame,
    images: pd.DataFrame,
    folder: str | Path,
    trajectories: pd.DataFrame,
    most: int = 5,
) -> list[ChannelRow]:
    """The channels of a figure with all that is drawn of them.

    Args:
        runs: the runs table; lines of the runs that belong into the figure.
        chosen: run_id, layer, channel, rule, rank.
        channels: run_id, layer, channel, sentence; 3T runs only.
        faithfulness: run_id, layer, channel, ablation, label, drop, n_clips.
        images: run_id, layer, channel, method, clip_id, label, frame, n_frames, file.
        folder: what `file` is relative to.
        trajectories: run_id, layer, channel, step, zoom, turn_deg, right_px, up_px.
        most: channels at most.

    Raises:
        InputError: a picture that is missing or damaged.
    """
    rows = []
    for line in pick_channels(chosen, runs, most=most).to_dict("records"):
        key = tuple(line[name] for name in KEY)
        path = _of(trajectories, key)
        sentences = [str(text) for text in _of(channels, key).get("sentence", [])]
        pictures, strips = _pictures(_of(images, key), Path(folder))
        rows.append(
            ChannelRow(
                heading=f"{line['layer']}, channel {line['channel']}   ({line['run']}; "
                f"{RULES.get(str(line['rule']), line['rule'])})",
                sentence=sentences[0] if sentences else "",
                aside=_drop(_of(faithfulness, key)),
                pictures=pictures,
                strips=strips,
                path=path.sort_values("step") if len(path) else None,
            )
        )
    return rows


def run_name(run: Mapping[Any, Any]) -> str:
    """A run in a few words: "3T, scratch"; its replicate where that is not the first."""
    name = f"{CONVOLUTIONS[str(run['convolution'])].label}, {run['init']}"
    return name if run.get("replicate", 1) == 1 else f"{name}, replicate {run['replicate']}"


def pick_channels(chosen: pd.DataFrame, runs: pd.DataFrame, *, most: int) -> pd.DataFrame:
    """At most `most` of the chosen channels: every run in turn, its rules in turn, by rank.

    Returns:
        Lines of `chosen` and a column `run`; 3T before 3D, a run's channels together.
    """
    known = {str(run["run_id"]): run for run in runs.to_dict("records")}
    mine = chosen[chosen["run_id"].isin(list(known))]
    places = {rule: i for i, rule in enumerate(RULES)}
    turns = (
        mine.assign(place=[places.get(str(rule), len(places)) for rule in mine["rule"]])
        .sort_values(["rank", "place", "layer_index", "channel"], kind="stable")
        .drop(columns="place")
    )
    kinds = ordered(run["convolution"] for run in known.values())
    starts = ordered(run["init"] for run in known.values())
    in_turn = sorted(
        set(turns["run_id"]),
        key=lambda name: (
            kinds.index(str(known[name]["convolution"])),
            starts.index(str(known[name]["init"])),
            name,
        ),
    )
    # Deal like cards, one channel per run in turn, so that every run is represented before any run
    # has a second channel; then bring each run's channels together again.
    queues = [list(turns.index[turns["run_id"] == name]) for name in in_turn]
    dealt = [i for deal in zip_longest(*queues) for i in deal if i is not None][:most]
    kept = [i for queue in queues for i in queue if i in set(dealt)]
    picked = turns.loc[kept].reset_index(drop=True)
    return picked.assign(run=[run_name(known[str(name)]) for name in picked["run_id"]])


def class_drop_table(faithfulness: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Lines of `figures.explanations.class_drops`: whole layers set to the identity, by class.

    A panel for each start; where several of its runs were measured, their mean.
    """
    known = runs.set_index("run_id")
    table = faithfulness[
        faithfulness["run_id"].isin(known.index)
        # Channel -1 stands for all channels of the layer at once.
        & (faithfulness["channel"] == -1)
        & (faithfulness["ablation"] == "identity")
        & (faithfulness["label"] != "")
    ]
    columns = ["panel", "layer_index", "layer", "label"]
    if table.empty:
        return pd.DataFrame(columns=[*columns, "drop"])
    table = table.assign(panel=table["run_id"].map(known["init"].astype(str)))
    return table.groupby(columns, sort=True, observed=True)[["drop"]].mean().reset_index()


def read_film(path: Path, frames: int) -> Frames:
    """The frames of a picture file, (n, H, W, 3): an animation, a strip, or one picture.

    Raises:
        InputError: the file is missing, damaged, or does not hold `frames` frames.
    """
    try:
        with Image.open(path) as image:
            count = getattr(image, "n_frames", 1)
            if count > 1:
                film = []
                for i in range(count):
                    image.seek(i)
                    film.append(np.asarray(image.convert("RGB")))
                return np.stack(film)
            picture = np.asarray(image.convert("RGB"))
    except (OSError, ValueError) as error:
        raise InputError(
            path,
            found=f"a picture that cannot be read ({error})",
            expected="the file that the table of explanations names",
            remedy="explain the run again",
        ) from error
    # The gap is not recorded; the largest that fits is tried first, since a gap of 0 fits most
    # strips.
    for gap in GAPS:
        cut = _cut(picture, frames, gap)
        if cut is not None:
            return cut
    raise InputError(
        path,
        found=f"a strip {picture.shape[1]} pixels wide",
        expected=f"{frames} frames beside each other, all of one width",
        remedy="explain the run again",
    )


def _cut(strip: Frames, count: int, gap: int) -> Frames | None:
    """The frames of a strip with gaps of one grey between them; None if it is no such strip."""
    # count frames have count - 1 gaps; with one gap more all parts are equally wide.
    side, rest = divmod(strip.shape[1] + gap, count)
    if rest or side <= gap or (gap and count == 1):
        return None
    padded = np.pad(strip, ((0, 0), (0, gap), (0, 0)), mode="edge")
    tiles = np.stack(np.split(padded, count, axis=1))
    # Where the gaps are must be one colour, else the pixels belong to a frame.
    between = tiles[:-1, :, side - gap :]
    return None if gap and np.ptp(between) else tiles[:, :, : side - gap]


def _pictures(lines: pd.DataFrame, folder: Path) -> tuple[dict[str, Frames], dict[str, Frames]]:
    """(pictures, strips) of one channel, all saliency from the first clip that has any."""
    pictures: dict[str, Frames] = {}
    strips: dict[str, Frames] = {}

    def film(line: pd.Series) -> Frames:
        return read_film(folder / str(line["file"]), int(line["n_frames"]))

    seen = lines[lines["method"].isin(["frame", *SALIENCY])]
    # Methods may have used different clips; maps beside each other must show the same one.
    if len(seen):
        seen = seen[seen["clip_id"].astype(str) == str(seen["clip_id"].iloc[0])]
    shown = present(SALIENCY, seen["method"])
    still, whole = seen[seen["frame"] >= 0], seen[seen["frame"] < 0]
    at = int(still["frame"].iloc[0]) if len(still) else -1
    for name in ("frame", *shown[:2]):
        title = f"frame {at + 1}" if name == "frame" and at >= 0 else name
        one, all_ = still[still["method"] == name], whole[whole["method"] == name]
        if len(one):
            pictures[title] = film(one.iloc[0])[0]
        elif len(all_):
            frames = film(all_.iloc[0])
            pictures[title] = frames[min(at, len(frames) - 1) if at >= 0 else len(frames) // 2]
    maximised = lines[lines["method"] == "maximised"]
    if len(maximised):
        frames = film(maximised.iloc[0])
        pictures["optimised input"] = frames[len(frames) // 2]
        if len(frames) > 1:
            strips["optimised video"] = frames
    # Of saliency over time one strip is enough, and only where time matters: for free videos.
    whole = whole[whole["method"].isin(shown[:1])]
    for name, found in (
        (shown[0] if shown else "", whole if "optimised video" in strips else whole[:0]),
        ("motion film", lines[lines["method"] == "motion-film"]),
        ("filter", lines[lines["method"] == "filters"]),
        ("transforms", lines[lines["method"] == "pictogram"]),
    ):
        if len(found):
            strips[name] = film(found.iloc[0])
    return pictures, strips


def _drop(lines: pd.DataFrame) -> str:
    """The drop of log p without the channel's transforms or without the channel, in words."""
    overall = lines[lines["label"] == ""]
    # 3T runs have "identity", others "mean"; the first that is there is the run's.
    for ablation, words in (("identity", "without its motion"), ("mean", "without the channel")):
        found = overall[overall["ablation"] == ablation]
        if len(found):
            drop = float(found["drop"].iloc[0])
            if abs(drop) < SMALL:
                return f"log p changes by less than {SMALL} nats {words}"
            way = "falls" if drop >= 0 else "rises"
            return f"log p {way} by {abs(drop):.2g} nats {words}"
    return ""


def _of(table: pd.DataFrame, key: tuple[object, ...]) -> pd.DataFrame:
    """Lines of one channel of one run."""
    if table.empty:
        return pd.DataFrame(columns=[*KEY, *table.columns.difference(KEY)])
    keep = np.ones(len(table), dtype=bool)
    for name, value in zip(KEY, key, strict=True):
        keep &= (table[name] == value).to_numpy()
    return table[keep]
