"""Transforms at the identity, for good and for a while."""

from __future__ import annotations

import pytest
import torch

from threetconv.layer.conv3t import TEMPORAL_PARAMETERS
from threetconv.layer.identity import at_identity, set_identity
from threetconv.layer.units import IDENTITY

from ..builders.conv_layers import make


def test_an_identity_repeats_the_first_slice() -> None:
    layer = make(spread=0.3, in_channels=2, out_channels=3, kernel_size=3)
    set_identity(layer)
    filters = layer.filters()
    assert tuple(IDENTITY) == TEMPORAL_PARAMETERS
    assert torch.equal(filters, layer.weight[:, :, None].expand_as(filters))


@pytest.mark.parametrize("inference", [False, True])
def test_for_a_while_some_parameters_are_at_the_identity(inference: bool) -> None:
    layer = make(spread=0.3, in_channels=2, out_channels=3, kernel_size=3).eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    clip = torch.randn(1, 2, 4, 6, 6)
    with torch.inference_mode(inference), torch.no_grad():
        moving = layer(clip)
        with at_identity([layer], ["translate_x", "translate_y"]):
            changed = layer(clip)
            assert layer.translate_x.eq(0).all()
            assert torch.equal(layer.scale, before["scale"])
        assert not torch.equal(changed, moving)
        assert torch.equal(layer(clip), moving)
    for name, value in layer.state_dict().items():
        assert torch.equal(value, before[name])


def test_an_error_inside_leaves_the_layer_as_it_was() -> None:
    layer = make(spread=0.3, in_channels=2, out_channels=3, kernel_size=3)
    before = layer.scale.detach().clone()
    with pytest.raises(ZeroDivisionError), at_identity([layer]):
        raise ZeroDivisionError
    assert torch.equal(layer.scale, before)
