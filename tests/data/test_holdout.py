"""Whole groups held out of a training list, as properties over random lists."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threetconv.data.adapters.holdout import hold_out, split_clips
from threetconv.errors import InputError

SHARES = st.floats(0.02, 0.5)
SEEDS = st.integers(0, 3)
# class -> sizes of its groups; a group lies within one class, as in UCF101
SEPARATE = st.dictionaries(
    st.sampled_from("abcdef"), st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1
)
# films whose clips are of any class, as in HMDB51
MIXED = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("pqrstuv")), min_size=1)


def clips(sizes: dict[str, list[int]]) -> tuple[list[str], list[str]]:
    pairs = [
        (label, f"{label}/g{k}")
        for label, counts in sizes.items()
        for k, count in enumerate(counts)
        for _ in range(count)
    ]
    return [label for label, _ in pairs], [group for _, group in pairs]


@given(MIXED, SHARES, SEEDS)
def test_no_group_in_both_and_every_class_keeps_one(pairs, share, seed):
    labels, groups = [label for label, _ in pairs], [group for _, group in pairs]
    out = hold_out(labels, groups, share=share, seed=seed)
    held = {group for group, gone in zip(groups, out, strict=True) if gone}
    left = {group for group, gone in zip(groups, out, strict=True) if not gone}
    assert not held & left
    assert {label for label, gone in zip(labels, out, strict=True) if not gone} == set(labels)


@given(SEPARATE, SHARES, SEEDS)
def test_share(sizes, share, seed):
    labels, groups = clips(sizes)
    out = hold_out(labels, groups, share=share, seed=seed)
    held = Counter(label for label, gone in zip(labels, out, strict=True) if gone)
    for label, counts in sizes.items():
        if len(counts) == 1:
            assert held[label] == 0
        elif held[label] != min(counts):
            assert abs(held[label] - share * sum(counts)) <= max(counts) / 2 + 1e-9
        if len(counts) > 1:
            assert held[label] > 0


@given(MIXED, SHARES, SEEDS, st.randoms(use_true_random=False))
def test_order_does_not_matter(pairs, share, seed, dice: random.Random):
    def held(listed: list[tuple[str, str]]) -> set[str]:
        labels, groups = [label for label, _ in listed], [group for _, group in listed]
        out = hold_out(labels, groups, share=share, seed=seed)
        return {group for group, gone in zip(groups, out, strict=True) if gone}

    mixed = list(pairs)
    dice.shuffle(mixed)
    assert held(mixed) == held(pairs)


@given(SEPARATE, SHARES, SEEDS)
def test_separate_classes_do_not_influence_each_other(sizes, share, seed):
    labels, groups = clips(sizes)
    out = hold_out(labels, groups, share=share, seed=seed)
    for label in sizes:
        alone = hold_out(*clips({label: sizes[label]}), share=share, seed=seed)
        assert alone == [gone for name, gone in zip(labels, out, strict=True) if name == label]


def test_the_choice_is_the_same_everywhere():
    """Fixed by hash: another machine, another Python, another day hold out the same groups."""
    labels, groups = clips({"a": [5] * 18})
    for seed, want in enumerate([{"a/g16", "a/g12"}, {"a/g3", "a/g6"}]):
        out = hold_out(labels, groups, share=0.1, seed=seed)
        assert {group for group, gone in zip(groups, out, strict=True) if gone} == want


def test_at_the_size_of_ucf101():
    dice = random.Random(7)
    sizes = {f"Class{k}": [dice.randint(4, 7) for _ in range(18)] for k in range(101)}
    labels, groups = clips(sizes)
    out = hold_out(labels, groups, share=0.1, seed=0)
    assert 0.09 < sum(out) / len(out) < 0.11
    held = Counter(label for label, gone in zip(labels, out, strict=True) if gone)
    assert min(held.values()) >= 4
    assert len(held) == 101


def test_film_of_several_classes_leaves_all_of_them():
    labels = ["eat", "walk", "eat", "walk", "eat", "walk"]
    groups = ["shared", "shared", "e1", "w1", "e2", "w2"]
    for seed in range(20):
        out = hold_out(labels, groups, share=1 / 3, seed=seed)
        assert out[0] == out[1]
        assert sum(out) == 2
    # eat has no other film, so the shared one cannot go
    assert hold_out(labels[:4:3], groups[:4:3], share=0.5, seed=0) == [False, False]


def test_a_train_clip_is_not_lost_and_splits_are_named():
    train = [("a1", "p", "a"), ("a2", "q", "a"), ("a3", "r", "a")]
    test = [("t", "s", "a")]
    options = {"holdout": 0.34, "holdout_seed": 0, "where": Path("here")}
    rows = split_clips(train, test, lambda name, label: name, selection="holdout", **options)
    assert sorted(row[:3] for row in rows) == sorted(train + test)
    assert Counter(row[3] for row in rows) == {"train": 2, "val": 1, "test": 1}
    rows = split_clips(train, test, lambda name, label: "", selection="test", **options)
    assert [row[3] for row in rows] == ["train"] * 3 + ["val"]
    with pytest.raises(InputError, match="1 groups in the training list, none of which"):
        split_clips(train, test, lambda name, label: "one", selection="holdout", **options)
