"""Augmentation: the same change on every frame, drawn from the seed alone; off by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from threetconv.clips.augment import Augmentation, augmentation, refuse_flip
from threetconv.clips.augment_options import OPTIONS
from threetconv.errors import InputError

JESTER = (
    "Doing other things",
    "Drumming Fingers",
    "Rolling Hand Backward",
    "Rolling Hand Forward",
    "Shaking Hand",
    "Sliding Two Fingers Down",
    "Sliding Two Fingers Left",
    "Sliding Two Fingers Right",
    "Swiping Left",
    "Swiping Right",
    "Swiping Up",
    "Turning Hand Clockwise",
    "Turning Hand Counterclockwise",
    "Zooming In With Full Hand",
)

ONE_OF_EACH = [
    {"horizontal_flip": 0.5},
    {"crop": 0.3},
    {"crop": 0.3, "crop_ratio": 1},
    {"rotation": 40},
    {"brightness": 0.6},
    {"contrast": 0.6},
    {"saturation": 0.6},
    {
        "horizontal_flip": 0.5,
        "crop": 0.5,
        "rotation": 15,
        "brightness": 0.3,
        "contrast": 0.3,
        "saturation": 0.3,
    },
]
CHANGES = pytest.mark.parametrize("options", ONE_OF_EACH, ids="-".join)
seeds = st.integers(0, 2**64 - 1)


def clip(seed: int, shape: tuple[int, int, int] = (4, 15, 22)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


class TestIdentity:
    @given(seeds)
    def test_no_option_changes_no_byte(self, seed: int) -> None:
        frames = clip(0)
        assert augmentation({})(frames, seed) is frames

    def test_defaults_named_are_no_change_either(self) -> None:
        change = augmentation({name: option.default for name, option in OPTIONS.items()})
        assert change == Augmentation()
        assert not change.acts
        assert not augmentation({"crop_ratio": 2}).acts
        frames = clip(0)
        assert np.array_equal(change(frames, 3), clip(0))

    @settings(deadline=None)
    @given(st.integers(0, 1000), seeds)
    def test_a_flip_that_hardly_ever_comes(self, content: int, seed: int) -> None:
        """The whole path, arrays to tensors and back, without an effect."""
        frames = clip(content)
        assert np.array_equal(augmentation({"horizontal_flip": 1e-12})(frames, seed), frames)


class TestFlip:
    @settings(deadline=None)
    @given(st.integers(0, 1000), seeds)
    def test_certain_flip_is_the_mirror_image(self, content: int, seed: int) -> None:
        frames = clip(content)
        assert np.array_equal(
            augmentation({"horizontal_flip": 1})(frames, seed), frames[:, :, ::-1]
        )

    def test_probability(self) -> None:
        frames = clip(0, (1, 2, 2))
        change = augmentation({"horizontal_flip": 0.25})
        flipped = [not np.array_equal(change(frames, seed), frames) for seed in range(2000)]
        assert 0.22 < np.mean(flipped) < 0.28  # 3 standard errors


class TestAnyChange:
    @CHANGES
    @settings(max_examples=15, deadline=None)
    @given(seed=seeds, content=st.integers(0, 1000))
    def test_frames_are_changed_alike(
        self, options: Mapping[str, float], seed: int, content: int
    ) -> None:
        still = np.repeat(clip(content)[:1], 5, axis=0)
        changed = augmentation(options)(still, seed)
        assert (changed == changed[0]).all()

    @CHANGES
    @settings(max_examples=15, deadline=None)
    @given(seed=seeds)
    def test_a_frame_does_not_depend_on_the_others(
        self, options: Mapping[str, float], seed: int
    ) -> None:
        change = augmentation(options)
        frames = clip(1)
        whole = change(frames, seed)
        for t in range(len(frames)):
            assert np.array_equal(whole[t : t + 1], change(frames[t : t + 1], seed))

    @CHANGES
    @settings(max_examples=15, deadline=None)
    @given(seed=seeds)
    def test_the_seed_alone_decides(self, options: Mapping[str, float], seed: int) -> None:
        change, frames = augmentation(options), clip(2)
        torch.manual_seed(seed % 1000)
        first = change(frames, seed)
        torch.rand(7)
        np.random.default_rng(0).random(3)
        assert np.array_equal(augmentation(dict(options))(frames, seed), first)

    @CHANGES
    def test_seeds_differ_and_the_clip_is_left_alone(self, options: Mapping[str, float]) -> None:
        change, frames = augmentation(options), clip(3)
        assert change.acts
        results = [change(frames, seed) for seed in range(12)]
        assert len({result.tobytes() for result in results}) > 1
        assert np.array_equal(frames, clip(3))
        for result in results:
            assert result.shape == frames.shape
            assert result.dtype == np.uint8
            assert result.flags.c_contiguous
            assert result.flags.writeable

    @CHANGES
    def test_torchs_generator_is_left_alone(self, options: Mapping[str, float]) -> None:
        torch.manual_seed(5)
        want = torch.rand(3)
        torch.manual_seed(5)
        augmentation(options)(clip(4), 99)
        assert torch.equal(torch.rand(3), want)

    def test_torch_has_one_thread_meanwhile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Workers are side by side; numbers cannot depend on threads. Afterwards it has its own."""
        seen = []

        def look(*_: object) -> Callable[[torch.Tensor], torch.Tensor]:
            return lambda pictures: (seen.append(torch.get_num_threads()), pictures)[1]

        monkeypatch.setattr("threetconv.clips.augment._transform", look)
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(3)
            augmentation({"brightness": 1})(clip(0), 0)
            assert (seen, torch.get_num_threads()) == ([1], 3)
        finally:
            torch.set_num_threads(before)

    def test_greatest_seed(self) -> None:
        change, frames = augmentation({"brightness": 1}), clip(0)
        assert not np.array_equal(change(frames, 2**64 - 1), change(frames, 0))

    def test_read_only_clips(self) -> None:
        frames = clip(5, (1, 1, 1))
        frames.flags.writeable = False
        assert augmentation({"brightness": 0.5})(frames, 1).shape == (1, 1, 1, 3)

    @pytest.mark.parametrize(
        "frames", [np.zeros((2, 4, 4, 3), np.float32), np.zeros((4, 4, 3), np.uint8)]
    )
    def test_other_arrays(self, frames: NDArray[np.uint8]) -> None:
        with pytest.raises(ValueError, match=r"uint8 \(T, H, W, 3\)"):
            augmentation({})(frames, 0)


class TestKnownAnswers:
    def test_brightness(self) -> None:
        """A grey clip times a factor from [0.5, 1.5], spread over the whole range."""
        grey = np.full((2, 3, 3, 3), 100, np.uint8)
        change = augmentation({"brightness": 0.5})
        factors = np.array([change(grey, seed)[0, 0, 0, 0] / 100 for seed in range(300)])
        assert 0.49 <= factors.min() < 0.55
        assert 1.45 < factors.max() <= 1.5
        assert abs(factors.mean() - 1) < 0.06

    def test_saturation_leaves_grey_and_contrast_leaves_one_colour(self) -> None:
        grey = np.repeat(clip(0)[..., :1], 3, axis=3)
        assert np.abs(augmentation({"saturation": 1})(grey, 3).astype(int) - grey).max() <= 1
        plain = np.full((2, 4, 4, 3), 77, np.uint8)
        assert np.abs(augmentation({"contrast": 1})(plain, 3).astype(int) - 77).max() <= 1

    def test_rotation_keeps_the_middle_and_brings_black(self) -> None:
        white = np.full((2, 31, 31, 3), 255, np.uint8)
        change = augmentation({"rotation": 45})
        turned = [change(white, seed) for seed in range(20)]
        assert all((frames[:, 15, 15] == 255).all() for frames in turned)
        assert any((frames[:, 0, 0] == 0).all() for frames in turned)
        one = augmentation({"rotation": 45, "brightness": 1, "contrast": 1})
        black = [one(white, seed)[:, 0, 0] for seed in range(20)]
        assert (np.array(black) == 0).all(axis=(1, 2)).any()

    def test_crop_enlarges_by_the_share_kept(self) -> None:
        """On a ramp of x, the slope of what comes out is the width of the crop over the clip's."""
        ramp = np.broadcast_to(
            np.arange(200, dtype=np.uint8)[None, None, :, None], (1, 100, 200, 3)
        )
        change = augmentation({"crop": 0.25, "crop_ratio": 1})
        slopes = np.array(
            [np.polyfit(np.arange(200), change(ramp, s)[0, 50, :, 0], 1)[0] for s in range(200)]
        )
        assert 0.48 < slopes.min() < 0.56  # a quarter of the area is half of the width
        assert 0.95 < slopes.max() < 1.02
        areas = slopes**2  # uniform on [1/4, 1]
        assert abs(areas.mean() - 0.625) < 0.05

    def test_crop_ratio_stretches(self) -> None:
        y, x = np.mgrid[:100, :200]
        ramps = np.stack([x, y, x], axis=-1).astype(np.uint8)[None]

        def stretch(ratio: float) -> NDArray[np.float64]:
            change = augmentation({"crop": 0.2, "crop_ratio": ratio})
            out = [change(ramps, seed)[0].astype(float) for seed in range(100)]
            return np.array(
                [
                    np.polyfit(np.arange(200), o[50, :, 0], 1)[0]
                    / np.polyfit(np.arange(100), o[:, 100, 1], 1)[0]
                    for o in out
                ]
            )

        assert np.abs(stretch(1) - 1).max() < 0.03
        wide = stretch(1.5)
        assert 0.63 < wide.min() < 0.75
        assert 1.33 < wide.max() < 1.55


class TestOptions:
    @pytest.mark.parametrize("name", list(OPTIONS))
    def test_ranges(self, name: str) -> None:
        option = OPTIONS[name]
        assert option.least <= option.default <= option.greatest
        augmentation({name: option.least})
        augmentation({name: option.greatest})
        for bad in (option.least - 0.01, option.greatest + 0.01, float("nan"), "0.5", True, None):
            with pytest.raises(InputError, match=name) as caught:
                augmentation({name: bad})
            assert f"{option.least:g} to {option.greatest:g}" in str(caught.value)

    @pytest.mark.parametrize("name", ["time_reverse", "flip", "hue"])
    def test_unknown_names_the_known(self, name: str) -> None:
        with pytest.raises(InputError, match="horizontal_flip, rotation, saturation"):
            augmentation({name: 1})


class TestRefuseFlip:
    def test_jester(self) -> None:
        with pytest.raises(InputError) as caught:
            refuse_flip(JESTER, "augmentation of jester")
        text = str(caught.value)
        assert "augmentation of jester" in text
        assert "6 classes" in text
        assert "Swiping Left" in text
        assert "Turning Hand Counterclockwise" in text
        assert "Drumming Fingers" not in text
        assert "horizontal_flip to 0" in text

    @pytest.mark.parametrize(
        "name",
        ["RIGHT", "turn_left", "SwipingLeft", "counter-clockwise", "Pulling from left to right"],
    )
    def test_words(self, name: str) -> None:
        with pytest.raises(InputError, match=name):
            refuse_flip(["walk", name], "here")

    def test_parts_of_words_do_not_count(self) -> None:
        refuse_flip(["brightening", "Cleft", "copyright", "UPRIGHT", "v_Clockwork", "jump"], "here")
        refuse_flip([], "here")
