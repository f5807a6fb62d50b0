"""Networks on single frames: exactly the mean of what the 2D network gives, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threetconv import lift, verify_lift
from threetconv.errors import InputError


class Around(nn.Module):
    """A convolution, then something, then the mean over the frame unless it is left out."""

    def __init__(self, then: Callable[[Tensor], Any], pool: bool = True) -> None:
        super().__init__()
        self.conv, self.then, self.pool = nn.Conv2d(3, 8, 3, padding=1), then, pool

    def forward(self, x: Tensor) -> Any:
        x = self.then(self.conv(x))
        return x.abs().mean((2, 3)) if self.pool else x


def clip_of_changing_contrast() -> Tensor:
    clip = torch.randn(2, 3, 6, 9, 10, generator=torch.Generator().manual_seed(0))
    return clip * torch.linspace(0.2, 3, 6).view(1, 1, 6, 1, 1)


NORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "group norm": nn.GroupNorm(2, 8),
    "instance norm": nn.InstanceNorm2d(8),
    "F.group_norm": lambda x: F.group_norm(x, 4),
    "F.instance_norm": F.instance_norm,
}


@pytest.mark.parametrize("norm", NORMS)
def test_norms_take_each_frame_by_itself(norm: str) -> None:
    """Their statistics would otherwise be over time too, which equal frames do not show."""
    image = Around(NORMS[norm])
    video = lift(image, "2d", check=(6, 9, 10)).eval()
    clip = clip_of_changing_contrast()
    with torch.no_grad():
        expected = torch.stack([image.eval()(frame) for frame in clip.unbind(2)]).mean(0)
        torch.testing.assert_close(video(clip), expected)


def test_layer_norm_over_the_frame_is_refused() -> None:
    video = lift(Around(lambda x: F.layer_norm(x, x.shape[1:])), "2d")
    with pytest.raises(
        ValueError, match=r"test_lift_frames.py:\d+: the call of 'layer_norm' cannot"
    ):
        video(clip_of_changing_contrast())


def test_frames_that_are_mixed_are_refused() -> None:
    video = lift(Around(lambda x: torch.cat((x, x), 0)), "2d")
    with pytest.raises(ValueError, match="gives 24 rows for 2 clips of 6 frames"):
        video(clip_of_changing_contrast())


def both(x: Tensor) -> tuple[Tensor, Tensor]:
    """A sum over the frame, and three times what it should be; in a video the sum is T times it."""
    pixels = x.flatten(2).abs()
    return pixels.sum((1, 2)), 3 * pixels.mean((1, 2)) * 8 * 9 * 10


OUTPUTS: dict[str, Callable[[Tensor], Any]] = {
    "class": lambda x: torch.stack(both(x), 1).argmax(1),
    "flag": lambda x: both(x)[0] > both(x)[1],
    "complex": lambda x: torch.fft.fft(both(x)[0]),
    "list": lambda x: both(x)[0].tolist(),
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_outputs_that_are_no_numbers_are_compared_too(output: str) -> None:
    """`sum` over what was flattened is as many times too large as there are frames."""
    image = Around(OUTPUTS[output], pool=False)
    with pytest.raises(InputError):
        verify_lift(lift(image, "3d"), image, (6, 9, 10))
