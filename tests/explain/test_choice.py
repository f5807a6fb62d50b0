"""Channels by rule: the right ones, none twice, whatever the order of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from threetconv.errors import InputError
from threetconv.explain.choice import COLUMNS, choose


def channels_table():
    """Two layers of five channels; displacement falls with the number, layer b moves more."""
    rows = [
        ("r", layer_index, layer, channel, (5 - channel) * (1 + layer_index) / 10, True)
        for layer_index, layer in enumerate("ab")
        for channel in range(5)
    ]
    names = ["run_id", "layer_index", "layer", "channel", "displacement", "reachable"]
    return pd.DataFrame(rows, columns=names)


def faithfulness_table(drops_a, drops_b, ablation="identity"):
    """With the lines that are not to be chosen: whole layers, single classes."""
    rows = []
    for layer_index, (layer, drops) in enumerate(zip("ab", (drops_a, drops_b), strict=True)):
        rows.append(("r", layer_index, layer, -1, ablation, "", 99.0, 8))
        for channel, drop in enumerate(drops):
            rows.append(("r", layer_index, layer, channel, ablation, "", drop, 8))
            rows.append(("r", layer_index, layer, channel, ablation, "wave", 50.0 - drop, 4))
    names = ["run_id", "layer_index", "layer", "channel", "ablation", "label", "drop", "n_clips"]
    return pd.DataFrame(rows, columns=names)


DROPS = ([0.1, 0.0, 0.3, -0.2, 0.0], [0.9, 0.0, 0.0, 0.8, 0.2])
NONE = {"faithful": 0, "displaced": 0, "random": 0, "seed": 0}


def picked(table, rule=None):
    lines = table if rule is None else table[table.rule == rule]
    return [f"{layer}{channel}" for layer, channel in zip(lines.layer, lines.channel, strict=True)]


def test_the_top_of_each_rule_and_the_next_best_instead_of_a_second_time():
    table = choose(
        channels_table(),
        faithfulness_table(*DROPS),
        faithful=3,
        displaced=3,
        random=2,
        seed=0,
    )
    assert list(table) == COLUMNS
    assert picked(table, "faithfulness") == ["b0", "b3", "a2"]
    assert picked(table, "displacement") == ["b1", "b2", "a0"]  # b0, b3 are taken
    assert len(picked(table, "random")) == 2
    assert table["rank"].tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert len(set(picked(table))) == 8
    assert set(table.run_id) == {"r"}
    assert dict(zip(table.layer, table.layer_index, strict=True)) == {"a": 0, "b": 1}


def test_the_order_of_rows_does_not_matter():
    arguments = {"faithful": 2, "displaced": 2, "random": 4, "seed": 7}
    channels, drops = channels_table(), faithfulness_table(*DROPS)
    expected = choose(channels, drops, **arguments)
    for state in range(5):
        shuffled = (table.sample(frac=1, random_state=state) for table in (channels, drops))
        pd.testing.assert_frame_equal(choose(*shuffled, **arguments), expected)
        alone = drops.sample(frac=1, random_state=state)
        pd.testing.assert_frame_equal(
            choose(None, alone, **arguments), choose(None, drops, **arguments)
        )


def test_the_seed_decides_the_random_ones_and_only_them():
    channels, drops = channels_table(), faithfulness_table(*DROPS)
    found = [
        choose(channels, drops, faithful=2, displaced=2, random=3, seed=seed) for seed in range(20)
    ]
    assert len({tuple(picked(table, "random")) for table in found}) > 10
    assert len({tuple(picked(table, "faithfulness")) for table in found}) == 1
    more = choose(channels, drops, faithful=2, displaced=2, random=5, seed=3)
    assert picked(more, "random")[:3] == picked(found[3], "random")


def test_random_channels_come_from_all_layers_alike():
    channels, drops = channels_table(), faithfulness_table(*DROPS)
    counts = pd.Series(
        [
            name
            for seed in range(100)
            for name in picked(
                choose(channels, drops, **(NONE | {"random": 1, "seed": seed}), first_layer=False)
            )
        ]
    ).value_counts()
    assert len(counts) == 10
    assert counts.max() < 4 * counts.min()


def test_nothing_is_chosen_for_a_merit_that_it_has_not():
    """No drop above 0 and no displacement: not by these rules, however many are asked for."""
    channels = channels_table()
    channels["reachable"] = channels.layer == "a"  # displacement of b is noise nobody can see
    table = choose(
        channels, faithfulness_table(*DROPS), faithful=10, displaced=10, random=10, seed=0
    )
    assert picked(table, "faithfulness") == ["b0", "b3", "a2", "b4", "a0"]
    assert picked(table, "displacement") == ["a1", "a3", "a4"]
    assert sorted(picked(table, "random")) == ["b1", "b2"]


def test_a_first_layer_channel_takes_the_last_place():
    channels, drops = channels_table(), faithfulness_table(*DROPS)
    without = choose(channels, drops, **(NONE | {"faithful": 2}), first_layer=False)
    assert picked(without) == ["b0", "b3"]
    assert picked(choose(channels, drops, **(NONE | {"faithful": 2}))) == ["b0", "a2"]
    assert picked(choose(channels, drops, **(NONE | {"displaced": 2}))) == ["b0", "a2"]
    both = choose(channels, drops, **(NONE | {"faithful": 1, "displaced": 1}))
    assert picked(both) == ["a2", "b1"]
    assert both["rank"].tolist() == [1, 1]
    enough = choose(channels, drops, **(NONE | {"faithful": 3}))
    assert picked(enough) == ["b0", "b3", "a2"]
    assert picked(choose(channels, drops, **NONE)) == []


def test_a_network_without_transforms():
    drops = faithfulness_table(*DROPS, ablation="mean")
    for channels in (None, channels_table().drop(columns="displacement")):
        table = choose(channels, drops, faithful=2, displaced=2, random=2, seed=0)
        assert set(table.rule) == {"faithfulness", "random"}
        assert len(table) == 4


def test_equals_go_by_layer_and_number():
    table = choose(None, faithfulness_table([1.0] * 5, [1.0] * 5), **(NONE | {"faithful": 7}))
    assert picked(table) == ["a0", "a1", "a2", "a3", "a4", "b0", "b1"]


def test_channels_that_were_not_run_can_still_be_chosen():
    """A limit leaves channels out of the faithfulness table; they still move."""
    drops = faithfulness_table(*DROPS)
    drops = drops[~((drops.layer == "b") & (drops.channel == 0))]
    table = choose(channels_table(), drops, faithful=1, displaced=1, random=8, seed=0)
    assert picked(table)[:2] == ["b3", "b0"]
    assert len(table) == 10


def test_which_ablation_counts():
    identity = faithfulness_table(*DROPS)
    mean = faithfulness_table(*(np.array(d)[::-1] for d in DROPS), ablation="mean")
    both = pd.concat([mean, identity])
    ask = NONE | {"faithful": 1, "first_layer": False}
    assert picked(choose(None, both, **ask)) == ["b0"]
    assert picked(choose(None, both, **ask, ablation="mean")) == ["b4"]
    assert picked(choose(None, mean, **ask)) == ["b4"]


def test_bad_input():
    channels, drops = channels_table(), faithfulness_table(*DROPS)
    with pytest.raises(InputError, match="chosen by random"):
        choose(channels, drops, **(NONE | {"random": -1}))
    with pytest.raises(InputError, match="one run"):
        choose(channels.assign(run_id="other"), drops, **NONE)
    with pytest.raises(InputError, match="drops by 'mean'"):
        choose(channels, drops, **NONE, ablation="mean")
