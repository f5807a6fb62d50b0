from __future__ import annotations

from threetconv.data.adapters.published import PUBLISHED
from threetconv.data.adapters.read import ADAPTERS
from threetconv.records.paper_numbers import load_reference


def test_sums():
    """The totals that the publishers state."""
    total = {
        name: sum(n for part, n in counts.items() if part != "classes")
        for name, counts in PUBLISHED.items()
    }
    assert total["jester"] == 148_092
    assert total["something-something-v2"] == 220_847
    assert {total[f"ucf101/{k}"] for k in (1, 2, 3)} == {13_320}
    assert {total[f"hmdb51/{k}"] for k in (1, 2, 3)} == {51 * (70 + 30)}
    assert {name.split("/")[0] for name in PUBLISHED} <= set(ADAPTERS)


def test_the_papers_figures_agree_with_the_reference():
    split = load_reference()["training"]["jester_split"]
    paper = PUBLISHED["jester/paper"]
    assert (paper["train"], paper["val"]) == (split["train"], split["validation"])
    assert paper["val"] == PUBLISHED["jester"]["val"] // 2
    split = load_reference()["training"]["ucf101_split"]
    assert PUBLISHED["ucf101/1"] == {"train": split["train"], "test": split["test"], "classes": 101}
