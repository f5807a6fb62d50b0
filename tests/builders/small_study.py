"""A small study's configuration, and copies of it with one thing changed."""

from __future__ import annotations

import copy
from typing import Any

Config = dict[str, Any]
PRETRAINED = {"init": "pretrained", "convolution": "3t"}
SCRATCH = {"init": "scratch", "convolution": "3t"}


def study(**changes: Any) -> Config:
    """A study with two data sets, one of the user's and one rendered."""
    return {
        "study": "s",
        "networks": ["resnet18"],
        "variants": [{"init": "pretrained", "convolution": "3t"}],
        "datasets": {
            "mine": {
                "adapter": "folder",
                "root": "videos",
                "clip": {"frames": 16, "height": 32, "width": 32},
            },
            "made": {
                "adapter": "jester",
                "clip": {"frames": 8, "height": 32, "width": 32},
                "render": {"set": "gestures", "clips": {"train": 4, "val": 2}},
            },
        },
        "training": {"epochs": 1, "batch_size": 4, "learning_rate": {"3t": 0.001, "3d": 0.001}},
    } | changes


def put(config: Config, path: str, value: Any) -> Config:
    """A copy with one value changed; the path is dotted."""
    changed = copy.deepcopy(config)
    *parents, last = path.split(".")
    place: Any = changed
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
    place[last] = value
    return changed


def drop(config: Config, path: str) -> Config:
    """A copy without one key; the path is dotted."""
    changed = copy.deepcopy(config)
    *parents, last = path.split(".")
    place: Any = changed
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place[key]
    del place[last]
    return changed
