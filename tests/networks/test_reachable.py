"""The table of transitions that can learn; test_trace checks its logic against autograd."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from torch import nn

from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3T
from threetconv.networks.build import NETWORKS, build_network
from threetconv.networks.trace import reachable
from threetconv.records.extract import extract_parameters


@pytest.mark.parametrize(
    ("name", "cannot", "rows"), [("resnet18", 1536, 8064), ("googlenet", 0, 6912)]
)
def test_the_papers_networks_at_the_papers_size(name: str, cannot: int, rows: int) -> None:
    clip_shape = (30, 150, 224)
    with torch.device("meta"):
        network = build_network(name, num_classes=27, clip_shape=clip_shape)
    table = reachable(network, clip_shape)
    assert table["n_channels"].sum() == rows
    assert table.loc[~table["reachable"], "n_channels"].sum() == cannot
    if cannot:  # the transition after the middle slice, in three convolutions of the last stage
        lost = table[~table["reachable"]]
        assert lost["layer"].tolist() == ["layer4.0.conv2", "layer4.1.conv1", "layer4.1.conv2"]
        assert lost["transition"].tolist() == [1, 1, 1]
        assert lost["n_channels"].tolist() == [512, 512, 512]


def test_columns_and_order() -> None:
    network = nn.Sequential(
        Conv3T(3, 4, 3, padding=1), Conv3T(4, 2, 1), Conv3T(4, 5, (5, 3, 3), padding=(2, 1, 1))
    )
    network[1] = Conv3T(4, 4, (1, 3, 3), padding=(0, 1, 1))
    table = reachable(network, (1, 8, 8))
    assert pd.api.types.is_string_dtype(table["layer"])
    assert {name: str(kind) for name, kind in table.dtypes.items() if name != "layer"} == {
        "layer_index": "int32",
        "transition": "int16",
        "reachable": "bool",
        "n_channels": "int32",
    }
    assert table["layer_index"].tolist() == [0, 0, 1, 1, 1, 1]
    assert table["layer"].tolist() == ["0", "0", "2", "2", "2", "2"]
    assert table["transition"].tolist() == [0, 1, 0, 1, 2, 3]
    assert table["reachable"].tolist() == [True, False, True, True, False, False]
    assert table["n_channels"].tolist() == [4, 4, 5, 5, 5, 5]


def test_it_says_what_the_parameter_table_says() -> None:
    clip_shape = (16, 32, 32)
    network = build_network("resnet18", num_classes=3, clip_shape=clip_shape, width=0.125, seed=0)
    rows = extract_parameters(network, clip_shape)
    keys = ["layer_index", "layer", "transition", "reachable"]
    counted = rows.groupby(keys, sort=True).size().rename("n_channels").reset_index()
    expected = reachable(network, clip_shape)
    assert counted.to_dict("records") == expected.to_dict("records")
    assert 0 < (~expected["reachable"]).sum() < len(expected)


def test_a_network_without_temporal_parameters_has_no_rows() -> None:
    table = reachable(nn.Sequential(nn.Conv3d(3, 4, 3), Conv3T(4, 4, 1)), (8, 16, 16))
    assert len(table) == 0
    assert list(table.columns) == ["layer_index", "layer", "transition", "reachable", "n_channels"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_row_by_row_against_autograd_at_full_width(name: str) -> None:
    """30 small frames: every row of the parameter table has a gradient exactly if it says so."""
    clip_shape = (30, 32, 32)
    network = build_network(name, num_classes=27, clip_shape=clip_shape, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Conv3T):
                for parameter in TEMPORAL_PARAMETERS:
                    value = getattr(module, parameter)
                    value += 0.1 * torch.randn(value.shape, generator=generator)
    table = reachable(network, clip_shape)
    moved = [torch.zeros(n, dtype=torch.bool) for n in table["n_channels"]]
    for seed in range(4):  # a unit may be silent for one batch, or dropped out; not for four
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network.zero_grad()
            output = network(torch.randn(4, 3, *clip_shape))
            heads = [output] if isinstance(output, torch.Tensor) else list(output)
            sum((h * torch.randn(h.shape)).sum() for h in heads).backward()
        for row in table.itertuples():
            module = network.get_submodule(row.layer)
            for parameter in TEMPORAL_PARAMETERS:
                moved[row.Index] |= getattr(module, parameter).grad[row.transition] != 0
    for row in table.itertuples():
        assert set(moved[row.Index].tolist()) == {row.reachable}, row
    without = sum(int((~rows).sum()) for rows in moved)
    assert (without, table["n_channels"].sum()) == {
        "resnet18": (1536, 8064),
        "googlenet": (0, 6912),
    }[name]
