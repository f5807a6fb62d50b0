"""`stills`: pictures of generic visual concepts, on which a 2D network learns edges and shapes.

A replacement for ImageNet that needs no download: 2D weights for pretrained 3T networks are trained
on it. Its classes are gratings, textures, shapes and a few simple objects, in any colour, and not
those of `scenes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from threetconv.data.synthetic import rendering
from threetconv.data.synthetic.concepts import CONCEPTS
from threetconv.data.synthetic.drawing import Canvas
from threetconv.errors import look_up

__all__ = ["STILLS", "render_still", "render_stills"]

STILLS: tuple[str, ...] = tuple(CONCEPTS)


def render_still(label: str, *, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Render one picture of a concept.

    Args:
        label: one of `STILLS`.
        size: (height, width) in pixels.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        InputError: an unknown label.
    """
    paint = look_up(CONCEPTS, label, what="still")
    height, width = size
    shorter = min(size)
    # the shorter side is one unit, as the painters expect
    x, y = 0.5 * width / shorter, 0.5 * height / shorter
    canvas = Canvas((-x, -y, x, y), density=shorter, oversample=4 if shorter < 48 else 3)
    paint(canvas, rng)
    # the canvas rounds its size up
    picture = np.asarray(canvas.finish(), np.float32)[:height, :width]
    gain, noise = np.exp(rng.normal(0.0, 0.12)), rng.uniform(0.0, 8.0)
    picture = gain * picture + noise * rng.standard_normal(picture.shape, np.float32) + 0.5
    return np.clip(picture, 0.0, 255.0).astype(np.uint8)


@dataclass(frozen=True)
class _Job:
    path: Path
    label: str
    size: tuple[int, int]
    seed: tuple[int, ...]


def _render(job: _Job) -> None:
    rng = np.random.default_rng(job.seed)
    picture = Image.fromarray(render_still(job.label, size=job.size, rng=rng))
    # subsampling 0: full colour resolution, which fine gratings need
    picture.save(job.path, "JPEG", quality=95, subsampling=0)


def render_stills(
    root: Path,
    *,
    images: Mapping[str, int],
    size: tuple[int, int],
    seed: int,
    workers: int = 1,
    progress: rendering.Progress | None = None,
) -> None:
    """Render the data set: ``<root>/{train,val}/<class>/<nnnnn>.jpg``.

    Args:
        root: folder to make; it must not exist or be empty.
        images: split ("train", "val") -> pictures in all, dealt evenly over the classes.
        size: (height, width) in pixels.
        seed: every picture's generator is seeded by (seed, split, class, number in its class).
        workers: processes; their number does not change a single byte.
        progress: called with (pictures done, pictures in all).

    Raises:
        InputError: a setting out of range, or `root` holds something.
    """
    rendering.check_size(size)
    counts = rendering.shares(images, STILLS, what="images")
    with rendering.new_folder(root) as folder:
        jobs: list[_Job] = []
        for split, k, seeds in rendering.class_seeds(counts, seed):
            place = folder / split / STILLS[k]
            place.mkdir(parents=True)
            jobs += [
                _Job(place / f"{number:05d}.jpg", STILLS[k], size, own)
                for number, own in enumerate(seeds, start=1)
            ]
        rendering.run_jobs(_render, jobs, workers=workers, progress=progress)
