"""Is a data set fit to train on? Lists everything that is wrong with it before training.

`check_clips` works on a clip table and the files it names; it knows nothing of studies. A finding
is an "error" (training would stop, or its numbers would be wrong), a "warning" (training works,
look at it first) or a "note".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations

import pandas as pd

from threetconv.data.adapters.adapter import Groups
from threetconv.data.checks.findings import Finding, findings_table
from threetconv.data.checks.inspection import Progress, inspect_clips
from threetconv.data.table import few
from threetconv.errors import InputError

__all__ = ["check_clips", "check_table"]

Found = Iterator[Finding]

IMBALANCE = 2.0  # largest class over smallest from which it is worth a note
SPLIT_ONCE = "keep each clip in one split only: take it out of the training list"


def check_clips(
    table: pd.DataFrame,
    *,
    frames: int,
    workers: int = 1,
    progress: Progress | None = None,
    published: Mapping[str, int] | None = None,
    groups: Groups | None = None,
    quick: bool = False,
    whole: bool = True,
) -> pd.DataFrame:
    """Findings about a clip table and the files it names.

    Args:
        table: columns clip_id, path, label, split, all strings; clips may be listed twice, and a
            split may be empty (unknown): such clips are only decoded and compared.
        frames: T, how many frames a network sees of each clip.
        workers: processes that decode side by side.
        progress: called with (clips done, clips in all).
        published: clips by split ("train", "val", "test") and "classes" of the published set.
        groups: which clips belong together (cut from one recording or film); None: nobody knows.
        quick: open the clips only, see `threetconv.data.checks.inspection.inspect_clip`.
        whole: whether the table is all of the data set. Of a part, nothing is said about what it
            lacks: numbers of clips and of classes.

    Returns:
        Columns of `Finding`, errors first; no rows when there is nothing to say.
    """
    # a clip that is listed twice is decoded once
    paths = list(dict.fromkeys(table["path"]))
    seen = inspect_clips(paths, workers=workers, quick=quick, progress=progress)
    looked = {clip.path: clip for clip in seen}
    merged = table.assign(
        **{
            name: [getattr(looked[path], name) for path in table["path"]]
            for name in ("problem", "remedy", "frames", "height", "width", "digest")
        }
    )
    found = [*_table(table, published, groups, whole), *_files(merged, frames, quick)]
    return findings_table(found)


def check_table(
    table: pd.DataFrame,
    *,
    published: Mapping[str, int] | None = None,
    groups: Groups | None = None,
) -> pd.DataFrame:
    """`check_clips` without opening a file."""
    return findings_table(_table(table, published, groups))


def _table(
    table: pd.DataFrame,
    published: Mapping[str, int] | None,
    groups: Groups | None,
    whole: bool = True,
) -> Found:
    table = table[table["split"] != ""]  # clips in no list have nothing to check against lists
    yield from _ids(table)
    if groups is not None:
        yield from _groups(table, groups)
    if not whole:
        return
    yield from _classes(table)
    if published is not None:
        yield from _published(table.drop_duplicates(["clip_id", "split"]), published)


def _ids(table: pd.DataFrame) -> Found:
    for split, part in table.groupby("split"):
        names = sorted(set(part.loc[part["clip_id"].duplicated(), "clip_id"]))
        if names:
            found = "clips listed more than once"
            fix = "remove the repeated lines from the list"
            yield Finding("error", "repeated id", str(split), len(names), found, few(names), fix)
    for pair, names in _shared(table, "clip_id"):
        found = "clips in both splits"
        yield Finding("error", "leak by id", pair, len(names), found, few(names), SPLIT_ONCE)
    labels = table.drop_duplicates(["clip_id", "label"])
    names = sorted(set(labels.loc[labels["clip_id"].duplicated(), "clip_id"]))
    if names:
        found = "clips listed with different labels"
        fix = "keep the right label"
        yield Finding("error", "labels", "", len(names), found, few(names), fix)


def _shared(table: pd.DataFrame, key: str) -> Iterator[tuple[str, list[str]]]:
    """("train + val", values of `key` in both splits) for every pair of splits that share some."""
    # an empty value stands for unknown, and two unknown groups are not one
    values = {str(split): set(part[key]) - {""} for split, part in table.groupby("split")}
    order: list[str] = [s for s in ("train", "val", "test") if s in values]
    order += [s for s in values if s not in order]
    for one, other in combinations(order, 2):
        both = sorted(values[one] & values[other])
        if both:
            yield f"{one} + {other}", both


def _groups(table: pd.DataFrame, groups: Groups) -> Found:
    keys = [
        _group(groups, clip, label)
        for clip, label in zip(table["clip_id"], table["label"], strict=True)
    ]
    # not an error: copies with other names can still be trained on
    none = sorted(table.loc[[not key for key in keys], "clip_id"])
    if none:
        found = "clips whose name tells no group: they cannot be checked for leaks by group"
        fix = "give them their published names"
        yield Finding("warning", "groups", "", len(none), found, few(none), fix)
    for pair, both in _shared(table.assign(group=keys), "group"):
        found, severity = f"{groups.what} in both splits", groups.severity
        yield Finding(severity, "leak by group", pair, len(both), found, few(both), groups.remedy)


def _group(groups: Groups, clip: str, label: str) -> str:
    """The clip's group; empty when its name tells none."""
    try:
        return groups.of(clip, label)
    except InputError:
        return ""


def _classes(table: pd.DataFrame) -> Found:
    by_split = {str(split): set(part["label"]) for split, part in table.groupby("split")}
    everything = set(table["label"])
    for split, severity, fix in (
        ("train", "error", "add training clips of these classes, or leave the classes out"),
        ("val", "warning", "their accuracy is not measured: add clips, or leave the classes out"),
        ("test", "warning", "their test accuracy is not measured"),
    ):
        if split == "val" and split not in by_split and "test" in by_split:
            continue  # lists of a set whose validation part is chosen later
        lacking = sorted(everything - by_split.get(split, set()))
        # a data set without any test clip is complete; one without training or validation is not
        if lacking and (split in by_split or split != "test"):
            found = f"classes of {len(everything)} without a clip in {split}"
            yield Finding(severity, "classes", split, len(lacking), found, few(lacking), fix)
    sizes = table.loc[table["split"] == "train", "label"].value_counts()
    if len(sizes) > 1 and sizes.iloc[0] >= IMBALANCE * sizes.iloc[-1]:
        found = (
            f"classes of {sizes.iloc[-1]:,} to {sizes.iloc[0]:,} clips (median {sizes.median():g})"
        )
        example = f"fewest: {sizes.index[-1]!r}; most: {sizes.index[0]!r}"
        fix = "read accuracy beside the share of the largest class; class weights may help"
        yield Finding("note", "class balance", "train", len(sizes), found, example, fix)


def _published(table: pd.DataFrame, published: Mapping[str, int]) -> Found:
    """Compare with the published counts.

    A "val" that the publishers do not have was held out of their training list, or is their test
    list where the table has no "test" (see `threetconv.data.adapters.holdout`).
    """
    have = {str(split): len(part) for split, part in table.groupby("split")}
    if "val" in have and "val" not in published:
        home = "train" if "test" in have else "test"
        have[home] = have.get(home, 0) + have.pop("val")
    for split in ("train", "val", "test"):
        # test lists without labels are not read, so their clips are not counted as missing
        if split in published and (split in have or split != "test"):
            n, wanted = have.get(split, 0), published[split]
            if n != wanted:
                found = f"{n:,} clips where {wanted:,} are published"
                fix = "complete the list and the files, or say in the report what is missing"
                yield Finding("error", "published count", split, abs(n - wanted), found, "", fix)
    classes = table["label"].nunique()
    if classes != published.get("classes", classes):
        found = f"{classes} classes where {published['classes']} are published"
        fix = "complete the lists, or name the classes to use with the option classes"
        yield Finding("error", "published count", "", classes, found, "", fix)


def _files(table: pd.DataFrame, frames: int, quick: bool) -> Found:
    # once for each split: a file in two splits is a finding in both
    once = table.drop_duplicates(["path", "split"])
    bad = once[once["problem"] != ""]
    for split, part in bad.groupby("split"):
        clips = [f"{path}: {why}" for path, why in zip(part["path"], part["problem"], strict=True)]
        found = "clips that cannot be read, are cut short or empty"
        fix = str(part["remedy"].iloc[0])
        yield Finding("error", "unreadable", str(split), len(part), found, "\n".join(clips), fix)
    good = once[once["problem"] == ""]
    for split, part in good.groupby("split"):
        yield from _lengths(str(split), part, frames, quick)
    yield from _contents(good[good["digest"] != ""])
    shapes = zip(good["height"], good["width"], strict=True)
    sizes = Counter(f"{height} x {width}" for height, width in sorted(shapes))
    if len(sizes) > 1:
        shown = ", ".join(f"{size} ({n:,})" for size, n in sizes.most_common(4))
        found = f"clips of {len(sizes)} frame sizes (height x width in px)"
        fix = "nothing: every clip is resized to the study's, whatever its aspect ratio"
        yield Finding("note", "frame sizes", "", len(good), found, shown, fix)


def _lengths(split: str, part: pd.DataFrame, frames: int, quick: bool) -> Found:
    known = part[part["frames"] > 0]
    if len(known) < len(part):
        found = "clips whose container states no number of frames"
        fix = "check without --quick to count them"
        unknown = part.loc[part["frames"] == 0, "clip_id"].tolist()
        yield Finding("note", "length", split, len(unknown), found, few(unknown), fix)
    short = known[known["frames"] < frames].sort_values("frames", kind="stable")
    if len(short):
        lengths = known["frames"]
        stated = ", as containers state" if quick else ""
        found = (
            f"clips of fewer than {frames} frames; all clips have {lengths.min()} to "
            f"{lengths.max()}, median {lengths.median():g}{stated}"
        )
        examples = ", ".join(
            f"{clip!r} ({n})"
            for clip, n in zip(short["clip_id"][:3], short["frames"], strict=False)
        )
        fix = "their last frame is repeated; choose fewer frames per clip if these are many"
        yield Finding("warning", "too short", split, len(short), found, examples, fix)


def _contents(table: pd.DataFrame) -> Found:
    """The same bytes under different names."""
    # paths first: a file that is listed twice is no copy of itself
    names = table.drop_duplicates("path")["digest"]
    repeated = table[table["digest"].isin(names[names.duplicated()])]
    parts = [part for _, part in repeated.groupby("digest")]
    # a group may be in both lists; `rest` is what is in neither
    across = [part for part in parts if len(_known(part["split"])) > 1]
    labels = [part for part in parts if len(_known(part["label"])) > 1]
    both = [*across, *labels]
    rest = [part for part in parts if not any(part is one for one in both)]
    for severity, check, alike, where, fix in (
        ("error", "leak by content", across, "in different splits", SPLIT_ONCE),
        ("error", "labels", labels, "with different labels", "keep the one with the right label"),
        ("warning", "repeated content", rest, "of one split and label", "keep one of each"),
    ):
        if alike:
            splits = _known(pd.concat(alike)["split"])
            examples = [
                " = ".join(map(repr, sorted(set(part["clip_id"]))[:3])) for part in alike[:3]
            ]
            yield Finding(
                severity, check, " + ".join(splits), len(alike),
                f"contents, each shared byte for byte by clips {where}", "; ".join(examples), fix,
            )  # fmt: skip


def _known(values: pd.Series) -> list[str]:
    return sorted(set(values) - {""})
