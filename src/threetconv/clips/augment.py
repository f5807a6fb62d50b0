"""Random changes to training clips that leave their class as it is; none by default.

The paper trains without augmentation. Each option is off until a study sets it:

horizontal_flip  probability of a mirror image. It swaps left and right, so `refuse_flip` refuses
                 it where class names distinguish them. Elsewhere it makes motion to the left as
                 frequent as to the right, and thereby the temporal parameters tx symmetric.
crop             least share of the area that a random crop keeps; the crop is resized to the
                 clip's size, which speeds motion up by the same factor.
crop_ratio       how far the crop's aspect ratio may be from the clip's, as a factor.
rotation         greatest angle, in degrees, either way; what comes into view is black.
brightness, contrast, saturation
                 each a factor drawn from [1 - x, 1 + x].

All frames of a clip are changed in the same way, so that no motion is added. Playing a clip
backwards is not offered: it reverses the direction of every motion, which is what the classes
(swiping up or down, opening or closing) and the temporal parameters are about.

Source: torchvision.transforms.v2, whose transforms draw once for a stack of frames. torch is
imported when the first clip is changed. That takes time (some 70 ms for 30 frames of 150 x 224 with
every option set), so worker processes do it where there are any: `ClipChange` can be sent to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from threetconv.clips.augment_options import OPTIONS
from threetconv.errors import InputError, look_up

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Augment",
    "Augmentation",
    "ClipChange",
    "augmentation",
    "draw",
    "refuse_flip",
]

Augment = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]
"""(uint8 (T, H, W, 3), seed) -> the same shape."""


MIRRORED = frozenset(
    {"left", "leftward", "leftwards", "right", "rightward", "rightwards"}
    | {"clockwise", "counterclockwise", "anticlockwise"}
)
"""Words for what a mirror image swaps or reverses."""


@dataclass(frozen=True)
class Augmentation:
    """A random change of clips; see the module for what each option does.

    Made by `augmentation`, which checks the options.
    """

    horizontal_flip: float = OPTIONS["horizontal_flip"].default
    crop: float = OPTIONS["crop"].default
    crop_ratio: float = OPTIONS["crop_ratio"].default
    rotation: float = OPTIONS["rotation"].default
    brightness: float = OPTIONS["brightness"].default
    contrast: float = OPTIONS["contrast"].default
    saturation: float = OPTIONS["saturation"].default

    @property
    def acts(self) -> bool:
        """Whether any clip can be changed."""
        idle = ("crop_ratio",)  # says how to crop, not whether
        return any(
            value != OPTIONS[name].default
            for name, value in asdict(self).items()
            if name not in idle
        )

    def __call__(self, frames: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        """The clip changed as `seed` draws it.

        Args:
            frames: uint8 (T, H, W, 3), left as it is.
            seed: in [0, 2^64). Equal seeds draw equal changes, whatever was drawn before; torch's
                own generator is left as it was.

        Returns:
            uint8 (T, H, W, 3); `frames` itself when nothing is set.
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise ValueError(f"a clip is uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}")
        if not self.acts:
            return frames
        import torch  # slow to import

        change = _transform(self, *frames.shape[1:3])
        # (T, 3, H, W), which torchvision takes for a stack of images and changes alike
        pictures = torch.from_numpy(frames.transpose(0, 3, 1, 2).copy())
        # torchvision's transforms draw from torch's global generator and take no other
        with torch.random.fork_rng(devices=[]), _one_thread():
            torch.default_generator.manual_seed(seed)  # that of the CPU alone
            changed = change(pictures)
        return np.ascontiguousarray(changed.numpy().transpose(0, 2, 3, 1))


@dataclass(frozen=True)
class ClipChange:
    """What is done to the clips of a split in one epoch: a control's change, then augmentation.

    It depends on the attributes and the clip alone, not on the process that does it nor on what was
    done before; it can be pickled when `control` and `augment` can.

    Attributes:
        seed: of the run.
        epoch: which one; 0 in evaluation.
        control: (i, frames) -> frames, see `threetconv.clips.controls`; None: nothing.
        augment: (frames, seed) -> frames; None: nothing.
    """

    seed: int
    epoch: int
    control: Callable[[int, NDArray[np.uint8]], NDArray[np.uint8]] | None = None
    augment: Augment | None = None

    def __call__(self, i: int, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Clip i, uint8 (T, H, W, 3), changed."""
        if self.control is not None:
            # the control first: it stands for a data set, which is then augmented like any other
            frames = self.control(i, frames)
        if self.augment is not None:
            frames = self.augment(frames, int(draw(self.seed, self.epoch, i, 1).integers(2**31)))
        return frames


def draw(seed: int, epoch: int, i: int, what: int) -> np.random.Generator:
    """The random generator of clip i in an epoch, one for each purpose (`what`).

    0: the offset of its frames; 1: its augmentation.
    """
    return np.random.default_rng([seed, epoch, i, what])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread: clips are changed side by side, in processes, instead."""
    import torch  # slow to import

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def augmentation(options: Mapping[str, Any]) -> Augmentation:
    """The change that a study's options describe.

    Args:
        options: name in `OPTIONS` -> number; what is not named keeps its default.

    Returns:
        A function of (uint8 (T, H, W, 3), seed) -> uint8 (T, H, W, 3).

    Raises:
        InputError: an unknown option, no number, or one out of range.
    """
    for name, value in options.items():
        option = look_up(OPTIONS, name, what="augmentation option")
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and option.least <= value <= option.greatest):
            raise InputError(
                f"augmentation option {name!r}",
                found=repr(value),
                expected=f"a number from {option.least:g} to {option.greatest:g}: {option.meaning}",
                remedy=f"correct it, or leave it out for the default {option.default:.4g}",
            )
    return Augmentation(**{name: float(value) for name, value in options.items()})


@lru_cache(maxsize=8)
def _transform(options: Augmentation, height: int, width: int) -> Callable[[Tensor], Tensor]:
    """(T, 3, H, W) -> the same shape; colours first, so that black borders stay black."""
    from torchvision.transforms import v2  # slow to import

    bilinear = v2.InterpolationMode.BILINEAR
    steps: list[Callable[[Tensor], Tensor]] = []
    colour = {name: getattr(options, name) for name in ("brightness", "contrast", "saturation")}
    if any(colour.values()):
        steps.append(v2.ColorJitter(**{name: x or None for name, x in colour.items()}))
    if options.horizontal_flip:
        steps.append(v2.RandomHorizontalFlip(options.horizontal_flip))
    if options.rotation:
        steps.append(v2.RandomRotation(options.rotation, interpolation=bilinear))
    if options.crop < 1:
        # torchvision draws the ratio evenly in its logarithm, so bounds of / by and * by are
        # symmetric
        own, by = width / height, options.crop_ratio
        steps.append(
            v2.RandomResizedCrop(
                (height, width), (options.crop, 1.0), (own / by, own * by), bilinear, antialias=True
            )
        )
    compose: Callable[[Tensor], Tensor] = v2.Compose(steps)
    return compose


def refuse_flip(classes: Sequence[str], where: str) -> None:
    """Refuse mirror images of clips whose classes tell left from right, as Jester's do.

    Args:
        classes: class names. Words are told apart by anything but letters, and by capitals
            ("SwipingLeft"); their own case does not count.
        where: the setting or data set to name in the message.

    Raises:
        InputError: names the classes that hold a word of `MIRRORED`.
    """
    swapped = [name for name in classes if MIRRORED & _words(name)]
    if swapped:
        raise InputError(
            where,
            found=f"mirror images of clips of {len(swapped)} classes that a mirror swaps or "
            f"reverses: {', '.join(swapped)}",
            expected="horizontal_flip only where no class tells left from right",
            remedy="set horizontal_flip to 0, or leave it out",
        )


def _words(name: str) -> set[str]:
    # runs of capitals ("LEFT"), else a word with or without a capital: "SwipingLeft" gives two
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
