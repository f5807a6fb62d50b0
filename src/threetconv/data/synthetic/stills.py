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

from threetconv.data.synthetic.concepts import CONCEPTS
from threetconv.data.synthetic.drawing import Canvas
from threetconv.data.synthetic.rendering import Progress, check_size, new_folder, run_jobs, shares
from threetconv.errors import InputError

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
    if label not in CONCEPTS:
        raise InputError(
            f"still {label!r}",
            found="no class of that name",
            expected=f"one of {', '.join(STILLS)}",
            remedy="use one of these names",
        )
    height, width = size
    shorter = min(size)
    # the shorter side is one unit, as the painters expect
    x, y = 0.5 * width / shorter, 0.5 * height / shorter
    canvas = Canvas((-x, -y, x, y), density=shorter, oversample=4 if shorter < 48 else 3)
    CONCEPTS[label](canvas, rng)
    # the canvas rounds its size up
    picture = np.asarray(canvas.finish(), np.float32)[:height, :width]
    gain, noise = np.exp(rng.normal(0.0, 0.12)), rng.uniform(0.0, 8.0)
    picture = gain * picture + noise * rng.standard_normal(picture.shape, np.float32) + 0.5
    return np.clip(picture, 0.0, 255.0).astype(np.uint8)


@dataclass(frozen=True)
class _Job:
    path: str
    label: str
    size: tuple[int, int]
    seed: tuple[int, ...]


def _render(job: _Job) -> None:
    rng = np.random.default_rng(np.random.SeedSequence(job.seed))
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
    progress: Progress | None = None,
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
    check_size(size)
    counts = shares(images, STILLS, what="images")
    with new_folder(root) as folder:
        jobs: list[_Job] = []
        for code, split in enumerate(("train", "val")):
            for index, count in enumerate(counts.get(split, [])):
                place = folder / split / STILLS[index]
                place.mkdir(parents=True)
                for number in range(count):
                    path = str(place / f"{number + 1:05d}.jpg")
                    jobs.append(_Job(path, STILLS[index], size, (seed, code, index, number)))
        run_jobs(_render, jobs, workers=workers, progress=progress)
