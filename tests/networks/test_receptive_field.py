"""Receptive fields against brute force: the pixels that move a unit of an all-positive network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threetconv.layer.conv3t import Conv3T
from threetconv.networks.receptive_field import FieldTracker, ReceptiveField

SHAPE = (13, 27, 25)


class Branches(nn.Module):
    """A residual block with a pool of another shape beside it, and uneven padding."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv3d(2, 2, (3, 5, 3), stride=(1, 2, 2), padding=(1, 2, 1))
        self.narrow = nn.Conv3d(2, 2, 1, stride=(1, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (1, 0, 0, 2, 2, 1))
        return torch.cat([self.wide(x) + self.narrow(x), self.wide(x)], dim=1)[:, :2, 1:, :, 2:]


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(3, 2, (3, 7, 5), stride=(1, 2, 1), padding=(1, 3, 0)),
        nn.AvgPool3d((1, 3, 3), stride=(1, 1, 2), padding=(0, 1, 1), count_include_pad=False),
        Conv3T(2, 2, 3, padding=(1, 0, 1), dilation=(1, 2, 1)),
        Branches(),
        nn.AvgPool3d(2),
    )


def field_of(model: nn.Module) -> tuple[ReceptiveField, Tensor]:
    tracker = FieldTracker()
    with torch.no_grad(), tracker:
        output = model.to("meta")(torch.zeros(1, 3, *SHAPE, device="meta"))
    return tracker.of(output), output


def seen(model: nn.Module, unit: tuple[int, ...]) -> list[tuple[int, int]]:
    """The first and last frame, row and column that move a unit."""
    clip = torch.ones(1, 3, *SHAPE, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(clip)[0, :, *unit].sum(), clip)
    places = gradient[0].abs().sum(0).nonzero()
    return [(int(p.min()), int(p.max())) for p in places.T]


def test_fields_are_those_of_brute_force() -> None:
    for depth in range(1, 6):
        field, output = field_of(network()[:depth])
        model = network()[:depth].double()
        for name, parameter in model.named_parameters():
            if not name.endswith(("scale", "rotate", "translate_x", "translate_y")):
                nn.init.constant_(parameter, 1.0)
        sizes = output.shape[2:]
        for unit in ((0, 0, 0), tuple(n - 1 for n in sizes)):
            expected = [
                (max(0, a + i * jump), min(length - 1, b + i * jump))
                for i, a, b, jump, length in zip(
                    unit, field.first, field.last, field.jump, SHAPE, strict=True
                )
            ]
            assert seen(model, unit) == expected, (depth, unit)


def test_a_resnet_stem_is_as_counted_by_hand() -> None:
    stem = nn.Sequential(
        nn.Conv3d(3, 4, 7, stride=2, padding=3),
        nn.ReLU(inplace=True),
        nn.MaxPool3d(3, stride=2, padding=1),
    )
    field, _ = field_of(stem)
    assert field == ReceptiveField((4, 4, 4), (-5, -5, -5), (5, 5, 5))
    assert field.size == (11, 11, 11)
    assert field.centre((1, 2, 0)) == (4, 8, 0)
    # of the centres 0, 4, ... 12 of four units, 8 is nearest to 7.5
    assert field.middle_unit((4, 4, 4), (16, 16, 16)) == (2, 2, 2)


def test_frames_by_themselves_have_no_extent_in_time() -> None:
    class Frames(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3, stride=2)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x.transpose(1, 2).flatten(0, 1))

    field, _ = field_of(Frames())
    assert (field.jump, field.size) == ((1, 2, 2), (1, 3, 3))
