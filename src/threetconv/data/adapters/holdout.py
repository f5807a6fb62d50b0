"""Model selection without the test list: whole groups of training clips held out.

Clips of one group (UCF101: cut from one recording; HMDB51: from one film) look alike. With a group
in both training and validation, a network can recognise the recording instead of the action. This
module serves data sets with a published train/test split but no validation part.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from threetconv.data.table import few
from threetconv.errors import InputError, nearest

__all__ = ["SELECTIONS", "check_options", "hold_out", "split_clips"]

log = logging.getLogger(__name__)

SELECTIONS = ("holdout", "test")

Clip = tuple[str, str, str]  # clip_id, path, label
Row = tuple[str, str, str, str]  # clip_id, path, label, split


def check_options(
    adapter: str, split: int, selection: str, holdout: float, holdout_seed: int
) -> None:
    """Refuse options of an adapter with three published splits, and what `split_clips` cannot do.

    Raises:
        InputError: naming the option.
    """

    def refuse(name: str, value: object, expected: str, remedy: str) -> None:
        raise InputError(
            f"option {name!r} of adapter {adapter!r}",
            found=repr(value),
            expected=expected,
            remedy=remedy,
        )

    if isinstance(split, bool) or split not in (1, 2, 3):
        refuse(
            "split",
            split,
            "1, 2 or 3, the number of a published split",
            "leave the option out for split 1, the paper's",
        )
    if selection not in SELECTIONS:
        refuse(
            "selection",
            selection,
            "holdout (validation clips from the training list) or test (the published test list)",
            nearest(str(selection), list(SELECTIONS)) or "leave it out for holdout",
        )
    # bool is a subclass of int in Python, but true is no share
    number = isinstance(holdout, (int, float)) and not isinstance(holdout, bool)
    if not number or not 0 < holdout <= 0.5:
        refuse(
            "holdout",
            holdout,
            "a share of the training clips, above 0 and at most 0.5",
            "use 0.1, or leave the option out",
        )
    if not isinstance(holdout_seed, int) or isinstance(holdout_seed, bool):
        refuse("holdout_seed", holdout_seed, "a whole number", "leave the option out for 0")


def hold_out(
    labels: Sequence[str], groups: Sequence[str], *, share: float, seed: int
) -> list[bool]:
    """Which training clips are held out: whole groups, about `share` of every class.

    Groups are visited in the order of sha256(seed, name). One is held out when that brings the
    classes it has clips of nearer to their share, in sum. A class that got none then gives its
    smallest group. No class loses its last training group, so a class of one group has none held
    out. The result depends on names, sizes and seed, not on the order of the clips.

    Args:
        labels: class of each clip, (n,).
        groups: group of each clip, (n,); a name stands for one group across all classes.
        share: of the clips of each class, above 0 and at most 0.5. With groups that lie within one
            class, the number held out differs from this share by at most half of the class's
            largest group, unless only its smallest group is held out.
        seed: another one holds out other groups.

    Returns:
        True for the clips that are held out, (n,).
    """
    # group -> class -> clips; an HMDB51 film may have clips of several classes
    sizes: dict[str, Counter[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        sizes.setdefault(group, Counter())[label] += 1
    total = Counter(labels)
    kept = Counter(label for size in sizes.values() for label in size)  # groups left in training
    held: Counter[str] = Counter()
    out: set[str] = set()

    def rank(group: str) -> str:
        # a hash instead of a shuffle: adding a group leaves the order of the others as it was
        return hashlib.sha256(f"{seed}\n{group}".encode()).hexdigest()

    def spare(group: str) -> bool:
        # training must keep a group of every class, or the class could not be learned
        return group not in out and all(kept[label] > 1 for label in sizes[group])

    def nearer(group: str) -> bool:
        gain = 0.0
        for label, count in sorted(sizes[group].items()):  # sorted: floats add up in one order
            # clips that the class still lacks; below 0 when it has too many
            short = share * total[label] - held[label]
            gain += abs(short) - abs(short - count)
        return gain > 0

    def take(group: str) -> None:
        out.add(group)
        held.update(sizes[group])
        kept.subtract(dict.fromkeys(sizes[group], 1))

    for group in sorted(sizes, key=rank):
        if spare(group) and nearer(group):
            take(group)
    # a class whose groups are all large may have none so far, and would not be validated
    for label in sorted(total):
        choice = [group for group, size in sizes.items() if label in size and spare(group)]
        if not held[label] and choice:
            take(min(choice, key=lambda group: (sizes[group].total(), rank(group))))
    return [group in out for group in groups]


def split_clips(
    train: Sequence[Clip],
    test: Sequence[Clip],
    group_of: Callable[[str, str], str],
    *,
    selection: str,
    holdout: float,
    holdout_seed: int,
    where: Path,
) -> list[Row]:
    """The clips of a published training and test list with their splits.

    Args:
        train: clips (clip_id, path, label) of the training list.
        test: those of the test list.
        group_of: (clip_id, label) -> group of a training clip, as `Groups.of`.
        selection: "holdout": "val" is held out of `train`, `test` becomes "test"; "test": `test`
            becomes "val", and there is no "test".
        holdout: share of the training clips that "holdout" takes.
        holdout_seed: which groups it takes.
        where: the dataset's folder, for messages.

    Raises:
        InputError: no class has a second group to hold out.
    """
    if selection == "test":
        log.info(
            "%s: the epoch is selected on the published test list (%d clips), as in the paper, so "
            "the accuracy reported for it is not that of unseen clips",
            where,
            len(test),
        )
        # the paper's way: the best epoch is chosen on the clips that are reported
        return [(*clip, "train") for clip in train] + [(*clip, "val") for clip in test]
    labels = [clip[2] for clip in train]
    groups = [group_of(name, label) for name, _, label in train]
    out = hold_out(labels, groups, share=holdout, seed=holdout_seed)
    if not any(out):
        raise InputError(
            where,
            found=f"{len(set(groups))} groups in the training list, none of which can be held out",
            expected="a class with two groups or more, so that one can be kept from training",
            remedy="add groups to the training list, or use selection: test",
        )
    of_class: dict[str, set[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        of_class.setdefault(label, set()).add(group)
    single = sorted(label for label, names in of_class.items() if len(names) == 1)
    if single:
        log.warning(
            "%s: %d classes have one group in the training list; it stays in train: %s",
            where,
            len(single),
            few(single),
        )
    log.info(
        "%s: held out for selection (val): %d of %d training clips, %d of %d groups; the published "
        "test list (%d clips) is reported only (test)",
        where,
        sum(out),
        len(train),
        len({group for group, gone in zip(groups, out, strict=True) if gone}),
        len(set(groups)),
        len(test),
    )
    rows = [(*clip, "val" if gone else "train") for clip, gone in zip(train, out, strict=True)]
    return rows + [(*clip, "test") for clip in test]
