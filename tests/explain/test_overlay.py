"""Overlays: what is grey, what is coloured, and on which scale."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import colormaps

from threetconv.errors import InputError
from threetconv.explain.saliency.overlay import COLOURS, DIMMED, LOWEST, overlay, strip

T, H, W = 4, 6, 8


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (T, H, W, 3), dtype=np.uint8)


def test_a_map_of_zeros_leaves_dimmed_grey_frames(frames):
    shown = overlay(frames, np.zeros((T, H, W)))
    grey = DIMMED * (0.299 * frames[..., 0] + 0.587 * frames[..., 1] + 0.114 * frames[..., 2])
    np.testing.assert_array_equal(shown, np.rint(grey)[..., None].repeat(3, -1))
    assert shown.dtype == np.uint8
    assert shown.shape == frames.shape


def test_one_place_by_hand(frames):
    strengths = np.zeros((T, H, W))
    strengths[1, 2, 3], strengths[3, 4, 5] = 8.0, 2.0
    shown = overlay(frames, strengths, opacity=0.8, quantile=1.0).astype(float)
    for (t, y, x), strength in (((1, 2, 3), 1.0), ((3, 4, 5), 0.25)):
        grey = DIMMED * (frames[t, y, x] @ [0.299, 0.587, 0.114])
        colour = np.array(colormaps["inferno"](LOWEST + (1 - LOWEST) * strength)[:3]) * 255
        mixed = (1 - 0.8 * strength) * grey + 0.8 * strength * colour
        np.testing.assert_allclose(shown[t, y, x], mixed, atol=0.51)
    coloured = np.ptp(shown, axis=-1) > 0
    assert coloured.sum() == 2
    assert coloured[1, 2, 3]
    assert coloured[3, 4, 5]


def test_one_scale_serves_all_frames(frames):
    strengths = np.zeros((T, H, W))
    strengths[0], strengths[2] = 1.0, 0.1
    shown = overlay(frames, strengths)
    spread = np.ptp(shown.astype(int), axis=-1).mean(axis=(1, 2))
    assert spread[0] > 3 * spread[2] > 0
    assert spread[1] == spread[3] == 0
    for t in range(T):  # a frame alone is on the scale of the whole
        np.testing.assert_array_equal(overlay(frames, strengths, frame=t), shown[t])
    np.testing.assert_array_equal(overlay(frames, 1e-9 * strengths), shown)
    np.testing.assert_array_equal(overlay(frames, strengths.astype(np.float32) * 64), shown)


def test_an_outlier_does_not_darken_the_rest_and_a_sparse_map_keeps_its_scale():
    black = np.zeros((10, 20, 20, 3), np.uint8)
    strengths = np.ones((10, 20, 20))
    strengths[3, 4, 5] = 1e6
    shown = overlay(black, strengths)
    np.testing.assert_array_equal(shown[0, 0, 0], shown[3, 4, 5])
    sparse = np.zeros((10, 20, 20))  # 2 of 4000 places: below the quantile of all values
    sparse[0, 0, 0], sparse[1, 1, 1] = 4.0, 1.0
    shown = overlay(black, sparse).astype(int)
    assert shown[0, 0, 0].sum() > 2 * shown[1, 1, 1].sum() > 0


@pytest.mark.parametrize("colours", COLOURS)
def test_stronger_is_lighter_on_a_dark_frame(colours):
    strengths = np.linspace(0, 1, 32).reshape(1, 4, 8)
    shown = overlay(np.zeros((1, 4, 8, 3), np.uint8), strengths, colours=colours, quantile=1.0)
    light = shown.reshape(-1, 3) @ [0.299, 0.587, 0.114]
    assert (np.diff(light) > 0).all()


def test_a_map_is_brought_to_the_size_of_the_frames():
    strengths = np.zeros((2, 2, 4))
    strengths[1, 0, 3] = 1.0  # top right
    shown = overlay(np.zeros((2, 20, 40, 3), np.uint8), strengths).astype(int).sum(axis=-1)
    assert shown.shape == (2, 20, 40)
    assert shown[0].max() == 0
    assert np.unravel_index(shown[1].argmax(), (20, 40)) >= (0, 30)
    assert shown[1, :10, 20:].sum() > 0.8 * shown[1].sum()
    assert overlay(np.zeros((2, 20, 40, 3), np.uint8), strengths, frame=1).shape == (20, 40, 3)


def test_input_is_left_alone(frames):
    strengths = np.random.default_rng(1).random((T, H, W))
    kept = frames.copy(), strengths.copy()
    overlay(frames, strengths)
    np.testing.assert_array_equal(frames, kept[0])
    np.testing.assert_array_equal(strengths, kept[1])


def test_bad_input_is_named(frames):
    strengths = np.ones((T, H, W))
    with pytest.raises(InputError, match="uint8"):
        overlay(frames.astype(float), strengths)
    with pytest.raises(InputError, match=r"\(4, h, w\)"):
        overlay(frames, strengths[:3])
    with pytest.raises(InputError, match="negative"):
        overlay(frames, -strengths)
    with pytest.raises(InputError, match="not finite"):
        overlay(frames, strengths * np.nan)
    with pytest.raises(InputError, match="0 to 3"):
        overlay(frames, strengths, frame=4)
    with pytest.raises(InputError, match="did you mean 'viridis'"):
        overlay(frames, strengths, colours="virids")
    with pytest.raises(InputError, match="opacity"):
        overlay(frames, strengths, opacity=1.5)
    with pytest.raises(InputError, match="at least 1"):
        strip(frames, count=0)


def test_strip(frames):
    row = strip(frames, gap=3, paper=200)
    assert row.shape == (H, 4 * W + 9, 3)
    for t in range(T):
        np.testing.assert_array_equal(row[:, t * (W + 3) : t * (W + 3) + W], frames[t])
    assert (row[:, W : W + 3] == 200).all()
    np.testing.assert_array_equal(strip(frames, count=2)[:, -W:], frames[-1])
    np.testing.assert_array_equal(strip(frames, count=2)[:, :W], frames[0])
    np.testing.assert_array_equal(strip(frames, count=1), frames[1])
    np.testing.assert_array_equal(strip(frames, count=9), strip(frames))
