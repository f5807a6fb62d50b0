"""Stimuli: matched, opposite motions reversed bit by bit, sizes that follow the layer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from threetconv.clips.dataset import IMAGENET_MEAN, IMAGENET_SD
from threetconv.tuning.stimuli import CONTRAST, Scale, Stimulus, clips, gratings, textures

SHAPE = (9, 24, 20)
SCALE = Scale.of_layer((7, 7, 7), (1, 1, 1), SHAPE, centre=(12.0, 10.0))


def shown(**fields) -> torch.Tensor:
    """(T, H, W), luminance."""
    return clips([Stimulus(**fields)], SHAPE, SCALE)[0, 0].double() * IMAGENET_SD[0]


def every() -> list[Stimulus]:
    return [*gratings(SCALE), *textures(SCALE)]


def test_mean_and_contrast_are_matched_within_the_range_of_pixels():
    found = clips(every(), SHAPE, SCALE)
    assert found.dtype == torch.float32
    assert found.shape == (len(every()), 3, *SHAPE)
    sd = torch.tensor(IMAGENET_SD).view(3, 1, 1, 1)
    mean = torch.tensor(IMAGENET_MEAN).view(3, 1, 1, 1)
    assert (found * sd + mean).min() >= -1e-6
    assert (found * sd + mean).max() <= 1 + 1e-6
    grey = found * sd
    assert grey.mean((1, 2, 3, 4)).abs().max() < 0.01 * CONTRAST
    # a texture's rare peaks are cut to what pixels hold
    torch.testing.assert_close(
        grey.square().mean((1, 2, 3, 4)).sqrt(), torch.full((len(found),), CONTRAST),
        rtol=0.03, atol=0,
    )  # fmt: skip
    torch.testing.assert_close(grey[:, 0], grey[:, 1])


def test_the_battery_holds_every_condition_once():
    assert len(set(every())) == len(every())
    count = {kind: sum(s.kind == kind for s in every()) for kind in {s.kind for s in every()}}
    assert count == {
        "grating": 8 * 2 * 3 * 4, "still": 4 * 2 * 4, "flicker": 4 * 2 * 4,
        "turn": 4 * 32, "zoom": 4 * 32, "still_texture": 32,
    }  # fmt: skip


def test_opposite_motions_are_the_same_frames_backwards():
    movies = dict(zip(every(), clips(every(), SHAPE, SCALE), strict=True))
    for stimulus, movie in movies.items():
        if stimulus.kind in {"turn", "zoom"}:
            opposite = replace(stimulus, speed=-stimulus.speed)
        elif stimulus.kind == "grating":
            opposite = replace(stimulus, direction=(stimulus.direction + 180) % 360)
        else:
            continue
        assert torch.equal(movie.flip(1), movies[opposite]), stimulus


@pytest.mark.parametrize(
    ("direction", "shift"), [(0.0, (0, 1)), (90.0, (-1, 0)), (180.0, (0, -1)), (270.0, (1, 0))]
)
def test_gratings_move_the_way_they_say(direction, shift):
    """Directions turn counter-clockwise from the right, and rows run down."""
    frames = shown(kind="grating", direction=direction, wavelength=8.0, speed=1.0)
    moved = frames[:-1].roll(shift, (1, 2))[:, 1:-1, 1:-1]
    torch.testing.assert_close(moved, frames[1:, 1:-1, 1:-1], atol=1e-6, rtol=0)


def test_a_clockwise_quarter_turn():
    centre = (10.0, 10.0)
    scale = replace(SCALE, centre=centre)
    quarter = torch.pi / 2
    movie = clips([Stimulus("turn", speed=quarter)], (9, 21, 21), scale)[0, 0]
    # torch.rot90 turns counter-clockwise as seen for axes (rows, columns)
    torch.testing.assert_close(movie[1], torch.rot90(movie[0], -1), atol=1e-5, rtol=0)


def test_growing_moves_waves_outwards():
    """After a frame, what stood at a place stands g times as far from the centre."""
    scale = Scale(extent=20, shortest=10, step=1, centre=(16.0, 16.0))
    movie = clips([Stimulus("zoom", speed=0.1)], (3, 33, 33), scale)[0, :1]
    # sampled at c / g, the later frame is the earlier one, but for waves that fade in and out
    g = torch.exp(torch.tensor(0.1)).item()
    theta = torch.tensor([[[1 / g, 0, 0], [0, 1 / g, 0]]])
    for grown, expected in ((theta, True), (theta * g * g, False)):
        grid = torch.nn.functional.affine_grid(grown, [1, 1, 33, 33], align_corners=True)
        moved = torch.nn.functional.grid_sample(
            movie[:, 1][None], grid, align_corners=True, padding_mode="border"
        )[0, 0]
        pair = torch.stack([moved[6:-6, 6:-6].ravel(), movie[0, 2, 6:-6, 6:-6].ravel()])
        assert (torch.corrcoef(pair)[0, 1] > 0.97) == expected


def test_textures_of_a_group_are_turned_and_mirrored():
    scale = replace(SCALE, centre=(10.0, 10.0))
    first, quarter, *_ = clips(
        [Stimulus("still_texture", variant=n) for n in range(8)], (3, 21, 21), scale
    )
    torch.testing.assert_close(quarter, torch.rot90(first, -1, (-2, -1)), atol=1e-5, rtol=0)
    other = clips([Stimulus("still_texture", variant=8)], (3, 21, 21), scale)
    assert not torch.allclose(other[0], first, atol=0.1)
    again = clips([Stimulus("still_texture", variant=8)], (3, 21, 21), scale, seed=1)
    assert not torch.allclose(other, again, atol=0.1)


def test_sizes_follow_the_layer():
    clip = (16, 32, 32)
    assert Scale.of_layer((7, 7, 7), (1, 1, 1), clip) == Scale(7, 2, 1)
    assert Scale.of_layer((3, 3, 3), (2, 4, 4), clip) == Scale(12, 8, 2)
    # a kernel of one tap is taken for one of three; nothing is larger than half of the clip
    assert Scale.of_layer((3, 1, 1), (1, 2, 2), clip) == Scale(6, 4, 1)
    assert Scale.of_layer((3, 3, 3), (16, 16, 16), clip) == Scale(16, 32 / 3, 4)
    for stimulus in gratings(Scale.of_layer((3, 3, 3), (2, 4, 4), clip)):
        # per step of two frames, never beyond what tells a direction from its opposite
        assert 2 * stimulus.speed / stimulus.wavelength < 0.4
