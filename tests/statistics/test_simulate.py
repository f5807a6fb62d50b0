"""Simulated studies: the layout of real networks, the noise asked for, the effect put in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from threetconv.errors import InputError
from threetconv.statistics.calibration.network_layout import layout
from threetconv.statistics.calibration.simulate import (
    LayerLayout,
    NetworkLayout,
    draw_study,
)

SMALL = NetworkLayout(
    "small",
    (
        LayerLayout("stem", 8, (True,) * 6),
        LayerLayout("dead", 5, (False, False)),
        LayerLayout("half", 12, (True, False)),
        LayerLayout("whole", 20, (True, True)),
    ),
)


def simulate_study(shape, *, seed, tau=0.1, ratio=1.0, **design):
    """One draw with its seed effects and its effect."""
    return draw_study(shape, np.random.default_rng(seed), **design).study(tau=tau, ratio=ratio)


@pytest.mark.parametrize(
    ("network", "rows", "reachable", "layers"),
    [("resnet18", 8064, 6528, 17), ("googlenet", 6912, 6912, 20)],
)
def test_layouts_are_the_papers(network, rows, reachable, layers):
    shape = layout(network)
    assert (shape.rows, shape.reachable_rows, len(shape.layers)) == (rows, reachable, layers)


def test_layout_of_a_thin_network_on_short_clips():
    assert layout("resnet18", (16, 32, 32), 0.25).rows == 8064 // 4


def test_layout_from_a_parameter_table(study):
    table = study.parameters[study.parameters["network"] == "resnet18"]
    shape = NetworkLayout.from_table(table.sample(frac=1, random_state=0), "resnet18")
    assert [(x.name, x.channels, len(x.reachable)) for x in shape.layers] == [
        ("layer0", 8, 6), ("layer1", 12, 2), ("layer2", 20, 2),
    ]  # fmt: skip
    assert shape.layers[2].reachable == (True, False)
    assert shape.rows == len(table.drop_duplicates(["layer", "channel", "transition"]))


def test_ragged_parameter_table_is_refused(study):
    with pytest.raises(InputError, match="one row per channel and transition"):
        NetworkLayout.from_table(
            study.parameters.drop(index=study.parameters.index[0]).head(80), "x"
        )


@pytest.mark.parametrize("layers", [(), (LayerLayout("dead", 5, (False,)),)])
def test_layout_without_anything_to_learn_is_refused(layers):
    with pytest.raises(InputError, match="no temporal parameter that can learn"):
        NetworkLayout("still", layers)


def test_shapes_and_means():
    study = simulate_study(SMALL, runs_per_arm=3, blocks=2, seed=0)
    assert study.rows.shape == (4, 2, 2, 3, 48 + 12 + 40)
    assert study.layer_log_means.shape == (4, 2, 2, 3, 3)
    assert study.log_means == pytest.approx(np.log(np.abs(study.rows).mean(axis=-1)), abs=1e-5)
    parts = np.split(np.abs(study.rows), [48, 60], axis=-1)
    by_layer = np.log(np.stack([part.mean(axis=-1) for part in parts], axis=-1))
    assert study.layer_log_means == pytest.approx(by_layer, abs=1e-5)


def test_a_seed_gives_the_same_bytes_and_another_does_not():
    first, again, other = (simulate_study(SMALL, runs_per_arm=2, seed=s) for s in (7, 7, 8))
    assert first.rows.tobytes() == again.rows.tobytes()
    assert first.log_means.tobytes() == again.log_means.tobytes()
    assert first.rows.tobytes() != other.rows.tobytes()


def test_ratio_moves_arm_a_alone():
    null, moved = (simulate_study(SMALL, runs_per_arm=4, ratio=r, seed=1) for r in (1.0, 1.5))
    shift = moved.log_means - null.log_means
    assert shift[:, :, 0] == pytest.approx(np.full_like(shift[:, :, 0], np.log(1.5)))
    assert np.array_equal(moved.rows[:, :, 1], null.rows[:, :, 1])


def test_noise_is_students_t():
    draw = draw_study(
        SMALL, np.random.default_rng(0), runs_per_arm=20, tau_layer=0, tau_channel=0, df=4
    )
    assert stats.kstest(draw.rows.ravel(), stats.t(4).cdf).pvalue > 0.01


def test_log_scales_have_the_spreads_asked_for():
    wide = NetworkLayout(
        "wide", (LayerLayout("a", 50, (True,) * 400), LayerLayout("b", 50, (True,) * 400))
    )
    study = simulate_study(
        wide, runs_per_arm=100, parameters=1, tau=0.5, tau_layer=0.3, tau_channel=0.2, seed=3
    )
    rows = np.log(np.abs(study.rows).reshape(200, 2, 400, 50)).mean(
        axis=2
    )  # runs, layers, channels
    noise = np.log(np.abs(stats.t(4).rvs(200_000, random_state=0))).var() / 400
    assert rows.var(axis=2, ddof=1).mean() == pytest.approx(0.2**2 + noise, rel=0.1)
    layers = rows.mean(axis=2)
    assert layers.var(axis=1, ddof=1).mean() == pytest.approx(0.3**2, rel=0.35)
    assert layers.mean(axis=1).std(ddof=1) == pytest.approx(np.sqrt(0.5**2 + 0.3**2 / 2), rel=0.2)


def test_transitions_of_a_channel_share_its_scale():
    study = simulate_study(SMALL, runs_per_arm=60, parameters=1, tau=0, tau_channel=2.0, seed=0)
    stem = np.log(np.abs(study.rows[..., :48])).reshape(-1, 6, 8)  # runs, transitions, channels
    same = np.mean([np.corrcoef(stem[:, 0, c], stem[:, 1, c])[0, 1] for c in range(8)])
    other = np.mean([np.corrcoef(stem[:, 0, c], stem[:, 1, c - 1])[0, 1] for c in range(8)])
    assert same > 0.6
    assert abs(other) < 0.2


def test_pairs_share_their_seed_effect():
    paired = simulate_study(SMALL, runs_per_arm=200, tau=1.0, seed=5, paired=True).log_means[0, 0]
    apart = simulate_study(SMALL, runs_per_arm=200, tau=1.0, seed=5).log_means[0, 0]
    assert np.corrcoef(*paired)[0, 1] > 0.9
    assert abs(np.corrcoef(*apart)[0, 1]) < 0.25


def test_snapshots_and_runs_count_once():
    table = pd.DataFrame(
        {"layer_index": 0, "layer": "a", "channel": [0, 1], "transition": 0, "reachable": True}
    )
    doubled = pd.concat([table, table], ignore_index=True)
    assert NetworkLayout.from_table(doubled, "x") == NetworkLayout(
        "x", (LayerLayout("a", 2, (True,)),)
    )
