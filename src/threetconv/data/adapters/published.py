"""What the datasets hold by their publishers' own count: clips per list, and classes."""

from __future__ import annotations

__all__ = ["PUBLISHED"]

PUBLISHED: dict[str, dict[str, int]] = {
    # Materzynska et al., "The Jester Dataset", ICCV Workshops 2019: 148,092 clips in all.
    "jester": {"train": 118_562, "val": 14_787, "test": 14_743, "classes": 27},
    # The 3TConv paper validated on 7,393 clips, half of the published validation list.
    "jester/paper": {"train": 118_562, "val": 7_393, "classes": 27},
    # Soomro, Zamir and Shah, "UCF101", CRCV-TR-12-01, 2012: 13,320 clips in all.
    "ucf101/1": {"train": 9_537, "test": 3_783, "classes": 101},
    "ucf101/2": {"train": 9_586, "test": 3_734, "classes": 101},
    "ucf101/3": {"train": 9_624, "test": 3_696, "classes": 101},
    # Goyal et al., "The 'something something' video database", ICCV 2017, second release:
    # 220,847 clips in all.
    "something-something-v2": {"train": 168_913, "val": 24_777, "test": 27_157, "classes": 174},
    # Kuehne et al., "HMDB: a large video database for human motion recognition", ICCV 2011:
    # 70 training and 30 test clips of each class in every split.
    "hmdb51/1": {"train": 3_570, "test": 1_530, "classes": 51},
    "hmdb51/2": {"train": 3_570, "test": 1_530, "classes": 51},
    "hmdb51/3": {"train": 3_570, "test": 1_530, "classes": 51},
}
"""Adapter, or adapter/variant -> list -> clips in it; "classes" -> number of classes.

The numbers are of the published lists: where an adapter holds validation clips out of the training
list (ucf101, hmdb51), its "train" and "val" add up to "train" here; with ``selection="test"`` its
"val" is "test" here. Kinetics is left out: sources disagree and clips vanish from YouTube.
"""
