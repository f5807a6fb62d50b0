"""Random transforms: ranges, directions by hand, one map for all frames."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from threetconv.explain.activation.robustness import PAPER, STILL, Robustness, resample


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moved(*, zoom: float = 1, turn: float = 0, right: float = 0, down: float = 0) -> Tensor:
    """The map that moves content so: clockwise turn in degrees, shifts in pixels."""
    c, s = zoom * math.cos(math.radians(turn)), zoom * math.sin(math.radians(turn))
    forward = torch.tensor([[c, -s, right], [s, c, down], [0, 0, 1]], dtype=torch.float64)
    return torch.linalg.inv(forward)


def test_paper_ranges() -> None:
    assert (PAPER.zoom, PAPER.degrees) == ((0.5, 1.5), 45.0)
    generator = seeded(0)
    forward = torch.stack([torch.linalg.inv(PAPER.draw(generator, 20, 64)) for _ in range(2000)])
    zoom = torch.linalg.det(forward[:, :2, :2]).sqrt()
    turn = torch.rad2deg(torch.atan2(forward[:, 1, 0], forward[:, 0, 0]))
    shift = forward[:, :2, 2]
    for values, low, high in ((zoom, 0.5, 1.5), (turn, -45, 45), (shift, -4, 4)):
        spread = high - low
        assert low - 1e-9 <= values.min() <= low + 0.02 * spread
        assert high - 0.02 * spread <= values.max() <= high + 1e-9
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.03 * spread)
    torch.testing.assert_close(shift, shift.round())


def test_draws_are_seeded_and_leave_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    first, again = (PAPER.draw(seeded(5), 32, 32) for _ in range(2))
    generator = seeded(5)
    PAPER.draw(generator, 32, 32)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, PAPER.draw(generator, 32, 32))


def test_no_robustness_changes_nothing() -> None:
    pictures = torch.randn(4, 3, 7, 10, generator=seeded(0))
    for periodic in (False, True):
        result = resample(pictures, STILL.draw(seeded(1), 7, 10), periodic=periodic)
        torch.testing.assert_close(result, pictures, atol=1e-5, rtol=0)


def test_content_moves_as_the_map_says() -> None:
    picture = torch.zeros(1, 1, 9, 9)
    picture[0, 0, 4, 6] = 1  # two to the right of the centre
    for move, row, column in (
        (moved(right=1), 4, 7),
        (moved(down=2), 6, 6),
        (moved(turn=90), 6, 4),  # clockwise as seen: from the right to below
        (moved(zoom=2), 4, 8),
        (moved(zoom=0.5), 4, 5),
    ):
        result = resample(picture, move)[0, 0]
        assert divmod(int(result.argmax()), 9) == (row, column)
        assert result[row, column].item() == pytest.approx(1, abs=1e-5)


def test_outside_is_zero_or_the_other_side() -> None:
    pictures = torch.rand(2, 3, 6, 8, generator=seeded(2)) + 1
    plain = resample(pictures, moved(right=3, down=-2))
    torch.testing.assert_close(plain[..., :4, 3:], pictures[..., 2:, :5], atol=1e-5, rtol=0)
    assert plain[..., :3].abs().max() < 1e-5
    assert plain[..., 4:, :].abs().max() < 1e-5
    around = resample(pictures, moved(right=3, down=-2), periodic=True)
    torch.testing.assert_close(around, pictures.roll((-2, 3), (-2, -1)), atol=1e-4, rtol=0)
    half = resample(pictures, moved(right=0.5), periodic=True)
    expected = (pictures + pictures.roll(1, -1)) / 2
    torch.testing.assert_close(half, expected, atol=1e-4, rtol=0)


def test_one_map_serves_all_frames_and_each_its_own() -> None:
    picture = torch.randn(1, 3, 8, 8, generator=seeded(3))
    move = PAPER.draw(seeded(4), 8, 8)
    frames = resample(picture.expand(5, -1, -1, -1), move)
    assert frames.shape == (5, 3, 8, 8)
    assert torch.equal(frames, frames[:1].expand_as(frames))
    other = PAPER.draw(seeded(6), 8, 8)
    both = resample(picture, torch.stack((move, other)))
    torch.testing.assert_close(both[:1], resample(picture, move))
    torch.testing.assert_close(both[1:], resample(picture, other))


@pytest.mark.parametrize("periodic", [False, True])
def test_differentiable(periodic: bool) -> None:
    pictures = torch.randn(2, 1, 5, 4, dtype=torch.float64, requires_grad=True)
    move = PAPER.draw(seeded(7), 5, 4)
    assert torch.autograd.gradcheck(lambda p: resample(p, move, periodic=periodic), (pictures,))


@pytest.mark.parametrize(
    "options",
    [{"zoom": (0, 1)}, {"zoom": (1.5, 0.5)}, {"jitter": -1}, {"degrees": -1}],
)
def test_ranges_are_checked(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Robustness(**options)  # type: ignore[arg-type]
