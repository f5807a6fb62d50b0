from __future__ import annotations

from threetconv.data.adapters.registry import ADAPTERS, find_adapter
from threetconv.records.paper_numbers import load_reference

PUBLISHED = {name: find_adapter(name).published for name in ADAPTERS}


def test_sums():
    """The totals that the publishers state."""
    total = {
        (name, split): sum(n for part, n in counts.items() if part != "classes")
        for name, splits in PUBLISHED.items()
        for split, counts in splits.items()
    }
    assert total.pop(("jester", 1)) == 148_092
    assert total.pop(("something-something-v2", 1)) == 220_847
    assert {total.pop(("ucf101", k)) for k in (1, 2, 3)} == {13_320}
    assert {total.pop(("hmdb51", k)) for k in (1, 2, 3)} == {51 * (70 + 30)}
    assert not total


def test_the_papers_figures_agree_with_the_reference():
    """The paper validated on 7,393 clips of Jester, half of the published validation list."""
    split, published = load_reference()["training"]["jester_split"], PUBLISHED["jester"][1]
    assert (split["train"], split["validation"]) == (published["train"], 7_393)
    assert split["validation"] == published["val"] // 2
    split = load_reference()["training"]["ucf101_split"]
    assert PUBLISHED["ucf101"][1] == {
        "train": split["train"],
        "test": split["test"],
        "classes": 101,
    }
