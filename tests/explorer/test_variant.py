"""Tables are checked before they reach the page."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from threetconv.errors import InputError
from threetconv.explorer.variant import Variant, best_snapshot, shown_layers

Make = Callable[..., Variant]


def test_layers_as_listed(make: Make) -> None:
    first, second = shown_layers(make())
    assert (first.name, first.channels, first.kernel, first.jump) == ("conv1", 4, (5, 7, 7), 1)
    assert (second.index, second.reachable) == (1, (True, True))


def test_a_3d_run_has_the_layers_of_its_tables(make: Make) -> None:
    empty = pd.DataFrame()
    variant = make(convolution="3d", layers=[], parameters=empty, channels=empty)
    first, second = shown_layers(variant)
    assert (first.name, first.channels, first.kernel) == ("conv1", 4, (5, 7, 7))  # of the filters
    assert (second.name, second.channels, second.kernel) == ("layer1.conv", 4, None)


def test_filters_alone_make_a_layer() -> None:
    common = {"key": "a", "network": "n", "dataset": "d", "init": "i", "convolution": "3d"}
    variant = Variant(**common, first_layer_filters=np.zeros((2, 3, 5, 5, 3), np.uint8))
    assert [(p.name, p.channels, p.kernel) for p in shown_layers(variant)] == [
        ("first layer", 2, (3, 5, 5))
    ]


def test_the_best_snapshot_is_taken() -> None:
    table = pd.DataFrame({"tag": ["init", "best"], "scale": [1.0, 2.0]})
    assert best_snapshot(table)["scale"].tolist() == [2.0]
    assert len(best_snapshot(table[:1])) == 1


def test_a_table_without_a_column(make: Make) -> None:
    with pytest.raises(InputError, match=r"channels table of run 'run-1'\n.*no column sentence"):
        make(channels=make().channels.drop(columns="sentence"))


def test_two_rows_for_a_channel(make: Make) -> None:
    table = make().channels
    with pytest.raises(InputError, match="two rows for layer conv1, channel 0"):
        make(channels=pd.concat([table, table[:1]])).table("channels")


@pytest.mark.parametrize("channel", [4, -1])
def test_a_channel_that_the_layer_lacks(make: Make, channel: int) -> None:
    table = make().channels[:1].assign(channel=channel)
    with pytest.raises(InputError, match=f"channel {channel} of layer conv1"):
        make(channels=table).table("channels")


@pytest.mark.parametrize(
    "filters",
    [
        np.zeros((2, 3, 5, 5), np.uint8),
        np.zeros((2, 3, 5, 5, 3), np.int64),
        np.full((2, 3, 5, 5, 3), 1.5),
        np.full((2, 3, 5, 5, 3), np.nan),
    ],
)
def test_filters_that_are_no_pictures(make: Make, filters: np.ndarray) -> None:
    with pytest.raises(InputError, match="first-layer filters of run 'run-1'"):
        make(first_layer_filters=filters)
