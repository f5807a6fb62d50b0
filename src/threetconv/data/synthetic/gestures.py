"""`gestures`: clips of a hand as JPEG frames, in the exact layout of the Jester data set.

The 27 classes are Jester's and each has its own motion. The class decides the motion only: the
hand's side, tone and size, sleeve, background, light, place, start, speed and camera noise do not
depend on it, and opposite gestures are each other played backwards (see `motions`). Hand shape
belongs to a class only where its name asks for it ("Two Fingers", "Thumb").

Layout (Materzynska et al., "The Jester Dataset", ICCV workshops 2019): ::

    <root>/20bn-jester-v1/<id>/00001.jpg ...
    <root>/jester-v1-labels.csv      one label a line
    <root>/jester-v1-train.csv       id;label
    <root>/jester-v1-validation.csv  id;label
    <root>/jester-v1-test.csv        id, when test clips are asked for
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from threetconv.data.synthetic import rendering
from threetconv.data.synthetic.gesture_names import GESTURES
from threetconv.data.synthetic.hand import draw_hand, draw_look
from threetconv.data.synthetic.motions import poses
from threetconv.errors import InputError, look_up

__all__ = ["render_gesture_clip", "render_gestures"]

_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_JESTER_CLIPS = 148_092  # ids of the real set run from 1 to this
_JPEG_QUALITY = 90


def render_gesture_clip(
    label: str,
    *,
    frames: int,
    size: tuple[int, int],
    rng: np.random.Generator,
    variety: float = 1.0,
) -> NDArray[np.uint8]:
    """Render one clip.

    Args:
        label: one of `GESTURES`.
        frames: number of frames T, at least 2.
        size: height H and width W, px.
        rng: the source of all that varies. Two labels with generators in the same state show the
            same hand in the same room.
        variety: how far the resting hand strays, in [0, 1] (see `motions.poses`).

    Returns:
        (T, H, W, 3) uint8 RGB.

    Raises:
        InputError: no gesture of that name, or fewer than 2 frames.
    """
    if frames < 2:
        raise InputError(
            "frames", found=str(frames), expected="at least 2", remedy="a motion needs two frames"
        )
    look = draw_look(size, rng)
    return draw_hand(poses(label, frames, rng, variety=variety), look, rng)


def render_gestures(
    root: str | Path,
    *,
    clips: Mapping[str, int],
    classes: Sequence[str] | None = None,
    frames: tuple[int, int] = (28, 36),
    size: tuple[int, int] = (64, 64),
    variety: float = 1.0,
    seed: int = 0,
    workers: int = 1,
    progress: rendering.Progress | None = None,
) -> None:
    """Render a whole set; `root` appears when it is complete. The bytes depend on `seed` only.

    Args:
        root: the folder to make; must not exist yet, or be empty.
        clips: clips in all of each split ("train", "val", "test"), shared evenly by the classes;
            what cannot be shared goes to classes drawn at random.
        classes: names out of `GESTURES`; None takes all 27.
        frames: least and greatest length of a clip, drawn evenly per clip.
        size: height and width, px.
        variety: how far a resting hand strays from the middle, in [0, 1]. At 1 one frame tells
            nothing of the class; at 0.4 a small network learns in half the time, and a frame may
            hint at what moves (place, size, angle, fingers), never at the direction.
        seed: a non-negative integer.
        workers: number of processes.
        progress: called with (clips done, clips in all).

    Raises:
        InputError: an unknown or repeated class, an unknown split, fewer clips than classes,
            impossible lengths, sizes or variety, or a `root` with something in it.
    """
    names = tuple(GESTURES if classes is None else classes)
    _check(names, clips, frames=frames, size=size, variety=variety)
    # for labels and ids only; each clip has a generator of its own
    rng = np.random.default_rng([seed])
    labels = {split: _share(names, n, rng) for split, n in clips.items()}
    total = sum(clips.values())
    # random ids, so that neither order nor size of an id tells split or class, as in Jester
    ids = 1 + rng.permutation(max(_JESTER_CLIPS, total))[:total]
    with rendering.new_folder(root) as stage:
        plan = [label for split in clips for label in labels[split]]
        jobs = [
            # seeded by position, so that the number of workers changes nothing
            rendering.ClipJob(stage / "20bn-jester-v1" / str(i), label, frames, size, (seed, index))
            for index, (i, label) in enumerate(zip(ids, plan, strict=True))
        ]
        rendering.run_jobs(
            partial(_render, variety=variety), jobs, workers=workers, progress=progress
        )
        start = 0
        for split, n in clips.items():
            rows = zip(ids[start : start + n], labels[split], strict=True)
            # Jester's test list has no labels
            lines = [str(i) if split == "test" else f"{i};{label}" for i, label in rows]
            start += n
            if n:
                rendering.write_lines(stage / f"jester-v1-{_SPLITS[split]}.csv", lines)
        rendering.write_lines(stage / "jester-v1-labels.csv", names)


def _render(job: rendering.ClipJob, *, variety: float) -> None:
    film = job.film(render_gesture_clip, variety=variety)
    rendering.write_frames(job.path, film, ".jpg", quality=_JPEG_QUALITY)


def _share(names: Sequence[str], n: int, rng: np.random.Generator) -> list[str]:
    """`n` labels, as even as can be, in random order."""
    order = rng.permutation(len(names))
    # in a random order of classes, so that the first ones are not always those with one more
    labels = [names[order[i % len(names)]] for i in range(n)]
    return [labels[i] for i in rng.permutation(n)]


def _check(
    names: tuple[str, ...],
    clips: Mapping[str, int],
    *,
    frames: tuple[int, int],
    size: tuple[int, int],
    variety: float,
) -> None:
    known = dict.fromkeys(GESTURES)
    for name in names:
        look_up(known, name, what="gesture")
    if not names or len(set(names)) < len(names):
        raise InputError(
            "classes",
            found=", ".join(names) or "no class",
            expected="one or more gestures, each once",
            remedy="name every class once",
        )
    for split, n in clips.items():
        look_up(_SPLITS, split, what="split")
        if n != 0 and n < len(names):
            raise InputError(
                f"clips of split {split!r}",
                found=str(n),
                expected=f"0, or at least {len(names)}: one for each class",
                remedy="ask for more clips or fewer classes",
            )
    rendering.check_lengths(frames, least=2)
    if not 0.0 <= variety <= 1.0:
        raise InputError(
            "variety", found=str(variety), expected="a number from 0 to 1", remedy="use 1"
        )
    rendering.check_size(size)
