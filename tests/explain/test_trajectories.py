"""Trajectories against known answers, and the channel table against walks of pure noise."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from threetconv.errors import InputError
from threetconv.explain.channel import Channel
from threetconv.explain.motion.trajectories import channel_table, steps, trajectory
from threetconv.figures.trajectories import trajectories
from threetconv.layer import motion
from threetconv.layer.conv3t import Conv3T
from threetconv.networks.layer_info import LayerInfo
from threetconv.records.noise_floor import channel_floor
from threetconv.records.parameters import RAW, tabulate
from threetconv.schemas.channels import CHANNELS

LAYER = LayerInfo(0, "conv", (7, 7, 7), 40, 1, 16, (True,) * 6)


def net(layer: nn.Module) -> nn.Module:
    network = nn.Sequential()
    network.add_module("conv", layer)
    return network.eval()


def moved(layer: Conv3T, channel: int, **steps_: list[float]) -> Conv3T:
    with torch.no_grad():
        for name, values in steps_.items():
            getattr(layer, name)[:, channel] = torch.tensor(values)
    return layer


def walk(layer: LayerInfo, variance: float, *, seed: int = 0, **fixed: float) -> pd.DataFrame:
    """A table whose raw parameters are normal about the identity (or fixed)."""
    rng = np.random.default_rng(seed)
    shape = (layer.kernel[0] - 1, layer.channels)
    reached = np.array(layer.reachable)[:, None]
    values = {}
    for name in RAW.values():
        start = float(name == "scale")
        noise = rng.normal(0, math.sqrt(variance), shape) * reached
        values[f"{layer.name}.{name}"] = (
            np.full(shape, fixed[name]) if name in fixed else start + noise
        )
    return tabulate(values, [layer], run_id="run")


# --- one channel ---------------------------------------------------------------------


def test_known_motion_of_one_channel() -> None:
    layer = Conv3T(3, 4, 3)
    moved(layer, 2, scale=[1.0, 0.5], translate_x=[-0.5, 0.0], rotate=[0.0, 0.1])
    table = trajectory(net(layer), Channel("conv", 2), jump=4)
    assert list(table.columns) == [
        "step", "zoom", "turn_deg", "right_px", "up_px", "right_input_px", "up_input_px",
    ]  # fmt: skip
    np.testing.assert_allclose(table["zoom"], [1, 1, 2], rtol=1e-6)
    np.testing.assert_allclose(table["turn_deg"], [0, 0, -math.degrees(0.1)], rtol=1e-6)
    # a quarter of two pixels to the right, then twice as far, turned counter-clockwise: up
    expected = [0, 0.5, math.cos(0.1)]
    np.testing.assert_allclose(table["right_px"], expected, rtol=1e-6)
    np.testing.assert_allclose(table["up_px"], [0, 0, math.sin(0.1)], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(table["right_input_px"], 4 * table["right_px"])
    still = trajectory(net(layer), Channel("conv", 1))
    assert "right_input_px" not in still
    assert (still[["turn_deg", "right_px", "up_px"]] == 0).all(axis=None)
    assert layer._cache is None


def test_kernel_shape_dilation_and_corners() -> None:
    layer = Conv3T(1, 1, (2, 3, 5), dilation=(1, 2, 3))
    moved(layer, 0, translate_x=[-1.0], translate_y=[1.0])
    last = trajectory(net(layer), Channel("conv", 0), jump=2).iloc[-1]
    assert (last["right_px"], last["up_px"]) == (2.0, 1.0)
    assert (last["right_input_px"], last["up_input_px"]) == (12.0, 4.0)
    edges = Conv3T(1, 1, 4, align_corners=False)
    moved(edges, 0, translate_x=[-0.5, 0.0, 0.0])
    path = trajectory(net(edges), Channel("conv", 0))
    filters = edges.filters()[0, 0].detach()
    assert path["right_px"].iloc[1] == 1.0
    torch.testing.assert_close(filters[1][:, 1:], filters[0][:, :-1])


def test_paper_units_have_their_own_names() -> None:
    layer = moved(Conv3T(1, 1, 3), 0, translate_x=[-0.1, 0.2], rotate=[0.1, 0.2], scale=[0.5, 2.0])
    table = trajectory(net(layer), Channel("conv", 0), paper=True)
    assert list(table.columns) == [
        "step", "paper_zoom", "paper_rotation", "paper_right", "paper_up",
    ]  # fmt: skip
    np.testing.assert_allclose(table["paper_right"], [0, 11.2, -11.2], rtol=1e-6)
    np.testing.assert_allclose(table["paper_rotation"], [0, -0.1, -0.3], rtol=1e-6)
    np.testing.assert_allclose(table["paper_zoom"], [1, 2, 1], rtol=1e-6)
    wide = trajectory(net(layer), Channel("conv", 0), paper=True, clip_size=(10, 20))
    np.testing.assert_allclose(wide["paper_right"], [0, 1, -1], rtol=1e-6)


def test_a_3d_channel_has_no_trajectory() -> None:
    with pytest.raises(InputError, match="a Conv3d, whose slices are free"):
        trajectory(net(nn.Conv3d(3, 2, 3)), Channel("conv", 0))
    with pytest.raises(InputError, match="no convolution named"):
        trajectory(net(Conv3T(3, 2, 3)), Channel("con", 0))


# --- the table -----------------------------------------------------------------------


def test_columns_order_and_agreement_with_one_channel() -> None:
    parameters = walk(LAYER, 0.01, seed=4)
    table = channel_table(parameters, [LAYER.to_dict()], 1e-4)
    assert list(table.columns) == CHANNELS.names
    assert table["channel"].tolist() == list(range(40))
    for channel in (0, 17, 39):
        rows = parameters[parameters["channel"] == channel].sort_values("transition")
        raw = [rows[name].to_numpy(np.float64) for name in RAW.values()]
        last = steps(*raw, kernel=7).iloc[-1]
        got = table.iloc[channel]
        for name in ("zoom", "turn_deg", "right_px", "up_px"):
            assert got[name] == pytest.approx(last[name], rel=1e-12), name
        s, r, x, y = raw
        size = np.sqrt(np.log(s) ** 2 + r**2 + x**2 / 4 + y**2 / 4)
        assert got["displacement"] == pytest.approx(size.mean(), rel=1e-12)
    shuffled = channel_table(parameters.sample(frac=1, random_state=1), [LAYER], 1e-4)
    pd.testing.assert_frame_equal(shuffled, table)
    assert table["moves"].mean() > 0.9
    assert set(table.loc[~table["moves"], "sentence"]) <= {"no motion beyond noise"}


def test_floors_of_the_table() -> None:
    parameters = walk(LAYER, 1e-4)
    table = channel_table(parameters, [LAYER], 1e-4)
    floor = channel_floor(1e-4, 6)
    assert (table["floor_zoom"] == floor.zoom).all()
    assert (table["floor_turn_deg"] == floor.turn_deg).all()
    np.testing.assert_allclose(table["floor_px"], 6 * floor.fraction)
    oblong = replace(LAYER, kernel=(7, 3, 9))
    wide = channel_table(walk(oblong, 1e-4, translate_y=0.0, scale=1.0, rotate=0.0), [oblong], 1e-4)
    np.testing.assert_allclose(wide["floor_px"], 8 * floor.fraction)
    high = channel_table(walk(oblong, 1e-4, translate_x=0.0, scale=1.0, rotate=0.0), [oblong], 1e-4)
    np.testing.assert_allclose(high["floor_px"], 2 * floor.fraction)


@pytest.mark.parametrize("transitions", [1, 2, 6])
@pytest.mark.parametrize("kernel", [(3, 3), (3, 9)])
def test_of_noise_five_percent_move(transitions: int, kernel: tuple[int, int]) -> None:
    layer = LayerInfo(0, "conv", (transitions + 1, *kernel), 6000, 1, 16, (True,) * transitions)
    table = channel_table(walk(layer, 1e-4, seed=transitions), [layer], 1e-4)
    assert 0.041 < table["moves"].mean() < 0.059  # three SDs of 6,000 draws
    assert (table["moves"] == (table["sentence"] != "no motion beyond noise")).all()
    looser = channel_table(walk(layer, 1e-4, seed=transitions), [layer], 1e-4, level=0.8)
    assert 0.18 < looser["moves"].mean() < 0.22


def test_what_is_not_reachable_does_not_widen_the_floor() -> None:
    layer = LayerInfo(0, "conv", (4, 3, 3), 6000, 1, 16, (False, True, True))
    table = channel_table(walk(layer, 1e-4), [layer], 1e-4)
    assert 0.041 < table["moves"].mean() < 0.059
    assert table["floor_turn_deg"].iloc[0] == channel_floor(1e-4, 2).turn_deg


def test_adam_on_noise_moves_five_percent() -> None:
    """The floor holds for the optimiser itself: 2,000 channels, gradients N(0, 1), one cycle."""
    generator = torch.Generator().manual_seed(0)
    names, updates, total = list(RAW.values()), 240, 0.0
    start = torch.tensor([1.0, 0, 0, 0])[:, None, None].expand(4, 2, 2000)
    raw = nn.Parameter(start.clone())
    optimiser = torch.optim.Adam([raw], lr=1.0)
    for step in range(updates):
        lr = 1e-3 * math.sin(math.pi * (step + 0.5) / updates) ** 2
        optimiser.param_groups[0]["lr"] = lr
        total += lr**2
        raw.grad = torch.randn(raw.shape, generator=generator)
        optimiser.step()
    values = {f"conv.{name}": raw[i].detach().numpy() for i, name in enumerate(names)}
    layer = LayerInfo(0, "conv", (3, 3, 3), 2000, 1, 16, (True, True))
    table = channel_table(tabulate(values, [layer], run_id="run"), [layer], total)
    assert 0.03 < table["moves"].mean() < 0.07


def test_unreachable_layer_and_steady_and_restless_channels() -> None:
    dead = LayerInfo(1, "dead", (3, 3, 3), 2, 8, 1, (False, False))
    live = LayerInfo(0, "live", (3, 3, 3), 3, 1, 8, (True, True))
    values: dict[str, Any] = {}
    for layer in (live, dead):
        for name in RAW.values():
            values[f"{layer.name}.{name}"] = np.full((2, layer.channels), float(name == "scale"))
    values["live.translate_x"][:, 1] = [-0.2, -0.2]
    values["live.translate_x"][:, 2] = [-0.2, 0.2]
    table = channel_table(tabulate(values, [live, dead], run_id="run"), [live, dead], 1e-4)
    assert table["sentence"].tolist() == [
        "no motion beyond noise",
        "drifts right 0.4 kernel px",
        "moves to and fro, and ends within noise of where it began",
        *["motion cannot be learned here: no transition is reachable"] * 2,
    ]
    assert table["moves"].tolist() == [False, True, True, False, False]
    assert table["reachable"].tolist() == [True] * 3 + [False] * 2
    np.testing.assert_allclose(table["displacement"], [0, 0.1, 0.1, 0, 0], rtol=1e-6)
    assert table["layer_index"].tolist() == [0, 0, 0, 1, 1]


def test_unknown_noise_and_no_noise() -> None:
    parameters = walk(LAYER, 0.01)
    for unknown in (None, math.nan):
        table = channel_table(parameters, [LAYER], unknown)
        assert table[["floor_zoom", "floor_turn_deg", "floor_px"]].isna().all(axis=None)
        assert not table["moves"].any()
        assert table["sentence"].str.endswith("(noise floor unknown)").all()
    start = channel_table(walk(LAYER, 0.0), [LAYER], 0.0)
    assert set(start["sentence"]) == {"no motion beyond noise"}
    assert channel_table(parameters, [LAYER], 0.0)["moves"].all()


def test_a_half_turn_is_a_turn() -> None:
    layer = replace(LAYER, channels=1)
    parameters = walk(layer, 0.0, scale=1.0)
    parameters.loc[0, "scale"] = -1.0
    row = channel_table(parameters, [layer], 1e-4).iloc[0]
    assert abs(row["turn_deg"]) == pytest.approx(180)
    assert row["zoom"] == 1


def test_no_3t_layers() -> None:
    table = channel_table(walk(LAYER, 0.0).iloc[:0], [], None)
    assert table.empty
    assert list(table.columns) == CHANNELS.names


def test_tables_that_do_not_fit() -> None:
    parameters = walk(LAYER, 0.0)
    with pytest.raises(InputError, match="several runs or snapshots"):
        channel_table(pd.concat([parameters, parameters.assign(step=7)]), [LAYER], 1e-4)
    with pytest.raises(InputError, match="expected: one for each of 6 transitions and 40 channels"):
        channel_table(parameters.iloc[1:], [LAYER], 1e-4)
    with pytest.raises(InputError, match="layer 'other'"):
        channel_table(parameters, [replace(LAYER, name="other")], 1e-4)


# --- the figure ----------------------------------------------------------------------


def test_figure_marks_start_and_end() -> None:
    raw = ([1.0, 0.5], [0.0, 0.1], [-0.5, 0.0], [0.0, 0.0])
    table, still = (
        steps(*raw, kernel=3),
        steps([1.0] * 6, [0.0] * 6, [0.0] * 6, [0.0] * 6, kernel=7),
    )
    figure = trajectories({"a": table, "b": still}, notes={"a": "zooms in 2x"})
    assert len(figure.axes) == 8
    path = figure.axes[3]
    marks = {
        line.get_marker(): line.get_xydata()[0] for line in path.lines if len(line.get_xdata()) == 1
    }
    np.testing.assert_allclose(marks["o"], [0, 0])
    np.testing.assert_allclose(marks["s"], table[["right_px", "up_px"]].iloc[-1])
    assert path.get_xlim() == figure.axes[7].get_xlim()
    own = trajectories({"a": table, "b": still}, shared=False)
    assert own.axes[3].get_xlim() != own.axes[7].get_xlim()
    assert "zooms in 2x" in [text.get_text() for text in figure.axes[0].texts]


def test_figure_of_paper_units_is_marked() -> None:
    raw = ([1.0, 0.5], [0.0, 0.1], [-0.5, 0.0], [0.0, 0.0])
    paper, exact = steps(*raw, kernel=3, paper=True), steps(*raw, kernel=3)
    titles = [axes.get_title() for axes in trajectories({"a": paper}).axes[1:]]
    assert all("paper units" in title for title in titles)
    assert not any("paper" in axes.get_title() for axes in trajectories({"a": exact}).axes)
    with pytest.raises(ValueError, match="all exact or all in paper units"):
        trajectories({"a": paper, "b": exact})
    assert trajectories({}).axes == []


def test_exact_path_is_not_the_papers_sum() -> None:
    raw = ([0.5, 0.5], [0.4, 0.4], [-0.5, -0.5], [0.2, 0.2])
    exact = steps(*raw, kernel=2)["right_px"].iloc[-1]
    summed = steps(*raw, kernel=2, paper=True, clip_size=(1, 1))["paper_right"].iloc[-1]
    assert exact == pytest.approx(motion.trajectory(*raw).x[-1])
    assert abs(exact - summed) > 0.1
