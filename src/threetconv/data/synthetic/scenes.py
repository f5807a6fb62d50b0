"""`scenes`: video clips whose classes differ in appearance only, in UCF101's layout.

A class is a place and an object ("MeadowTree"). Motion of camera and object, speed, light and noise
are drawn from the same distributions for every class (`draw_motion` does not know the class). So
are shifts of the hues from clip to clip, which are larger for the object than for the place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
from PIL import Image

from threetconv.data.synthetic import rendering
from threetconv.data.synthetic.camera import Motion, draw_motion, margin
from threetconv.data.synthetic.creatures import CREATURES
from threetconv.data.synthetic.drawing import Canvas, recolour
from threetconv.data.synthetic.scenery import SCENERY
from threetconv.data.synthetic.things import THINGS
from threetconv.errors import InputError, look_up

__all__ = ["OBJECTS", "SCENES", "render_scene_clip", "render_scenes", "write_avi"]

OBJECTS = {**CREATURES, **THINGS}
FRAME_RATE = 25  # frames per second, as UCF101's
GROUPS = {"train": range(8, 26), "val": range(1, 8)}  # UCF101, split 1
PLACE_HUE, OBJECT_HUE = 0.25, 1.1  # largest turn of the hues from clip to clip, radians
FINER = 1.15  # pixels of the still scene per pixel of the frame

_CAST: dict[str, str] = {  # place -> its objects
    "Meadow": "Tree Sheep Kite House Butterfly Tractor Balloon Windmill Flower",
    "Harbour": "Boat Lighthouse Whale Duck Plane Buoy House Umbrella Bird",
    "City": "Car Tower Bus Cat Plane Robot Balloon Bird Tree",
    "Reef": "Fish Jellyfish Turtle Starfish Whale Robot Buoy Penguin",
    "Desert": "Cactus Tent Pyramid Palm Rocket Car Balloon Ufo Castle",
    "Snowfield": "Penguin House Snowman Fir Flag Owl Tent Bus Castle",
    "Beach": "Umbrella Turtle Palm Ball Boat Starfish Castle Kite",
    "Night": "Owl Ufo Lighthouse House Cat Windmill Rocket Castle",
    "Mountain": "Balloon Castle Fir Kite Sheep Tent Plane Flag",
    "Forest": "Mushroom Owl Tent Cat Butterfly House Robot Flower",
    "Lavender": "Windmill Tractor Butterfly Tree House Balloon Cat Umbrella",
    "Moon": "Rocket Robot Flag Ufo Car Tower Tent Ball",
}


def _pairs() -> dict[str, tuple[str, str]]:
    """Class -> (place, object), eight classes of four places and two objects each at a time.

    So even a study of the first eight classes cannot be solved by the colours of the place alone.
    """
    cast = {place: names.split() for place, names in _CAST.items()}
    places = list(cast)
    order = [
        (place, k)
        for first in range(0, 10, 2)
        for block in range(0, len(places), 4)
        for k in (first, first + 1)
        for place in places[block : block + 4]
    ]
    return {p + cast[p][k]: (p, cast[p][k]) for p, k in order if k < len(cast[p])}


_PAIRS = _pairs()
SCENES: tuple[str, ...] = tuple(_PAIRS)


def _still(label: str, aspect: float, height: int, rng: np.random.Generator) -> Image.Image:
    """The scene of a class without its object, larger than the frame by `margin`; RGB."""
    # room for the camera to move without leaving the picture
    side, rise = margin(aspect)
    extent = (-0.5 * aspect - side, -rise, 0.5 * aspect + side, 1.0 + rise)
    canvas = Canvas(extent, density=FINER * height, oversample=3 if height < 96 else 2)
    SCENERY[_PAIRS[label][0]](canvas, rng)
    return recolour(canvas.finish(), float(rng.uniform(-PLACE_HUE, PLACE_HUE)))


def _sprite(label: str, pixels: float, rng: np.random.Generator) -> Image.Image:
    """The object of a class, facing left or right, `pixels` from side to side of it; RGBA."""
    extent = (-0.54, -0.54, 0.54, 0.54)
    canvas = Canvas(extent, density=pixels, oversample=3 if pixels < 96 else 2, transparent=True)
    OBJECTS[_PAIRS[label][1]](canvas, rng)
    # hues vary more than the place's, so that colour alone does not give the object away
    sprite = recolour(canvas.finish(), float(rng.uniform(-OBJECT_HUE, OBJECT_HUE)))
    return sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else sprite


def _film(
    still: Image.Image, sprite: Image.Image, motion: Motion, frames: int, size: tuple[int, int]
) -> np.ndarray:
    """Still and sprite seen through the moving camera; uint8 (frames, height, width, 3)."""
    height, width = size
    side, rise = margin(width / height)
    density = FINER * height
    film = np.empty((frames, height, width, 3), np.uint8)
    paths = zip(*motion.camera(frames), *motion.object(frames), strict=True)
    for k, (cx, cy, turn, zoom, ox, oy, tilt, extent) in enumerate(paths):
        cos, sin, step = math.cos(turn), math.sin(turn), 1.0 / (zoom * height)
        # frame pixel -> scene, from the scene's middle: one rotation, one scale, one shift
        m = np.array([[cos * step, -sin * step, cx], [sin * step, cos * step, cy], [0, 0, 1]])
        m = m @ np.array([[1, 0, -0.5 * width], [0, 1, -0.5 * height], [0, 0, 1]])
        # the scene's middle, seen from the top left corner of the still
        origin = np.array([0.5 * width / height + side, 0.5 + rise])
        view = m[:2] * density
        view[:, 2] += origin * density
        picture = still.transform(
            (width, height), Image.Transform.AFFINE, view.ravel().tolist(), Image.Resampling.BICUBIC
        )
        cos, sin = math.cos(tilt), math.sin(tilt)
        # the sprite reaches from -0.54 to 0.54, so 1.08 units are its whole width
        pixels = sprite.width / 1.08
        # frame pixel -> sprite pixel: the inverse of how the object is placed, turned and scaled
        n = np.array([[cos, sin], [-sin, cos]]) @ (m[:2] - [[0, 0, ox], [0, 0, oy]])
        n *= pixels / extent
        n[:, 2] += 0.5 * sprite.width
        thing = sprite.transform(
            (width, height), Image.Transform.AFFINE, n.ravel().tolist(), Image.Resampling.BILINEAR
        )
        picture.paste(thing, (0, 0), thing)
        film[k] = np.asarray(picture)
    return film


def render_scene_clip(
    label: str, *, frames: int, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Render one clip of a class.

    The motion is drawn from `rng` first: equal generators give equal motion in every class.

    Args:
        label: one of `SCENES`.
        frames: number of frames.
        size: (height, width) in pixels.

    Returns:
        uint8 (frames, height, width, 3), RGB.

    Raises:
        InputError: an unknown label.
    """
    look_up(_PAIRS, label, what="scene")
    aspect = size[1] / size[0]
    motion = draw_motion(rng, aspect=aspect)
    still = _still(label, aspect, size[0], rng)
    sprite = _sprite(label, FINER * size[0] * motion.object_size, rng)
    film = _film(still, sprite, motion, frames, size).astype(np.float32)
    film *= motion.gain(frames)[:, None, None, :].astype(np.float32)
    # + 0.5: the conversion to integers then rounds
    film += rng.standard_normal(film.shape, np.float32) * np.float32(motion.noise) + 0.5
    return np.clip(film, 0.0, 255.0, out=film).astype(np.uint8)


def write_avi(path: Path, clip: np.ndarray) -> None:
    """Write uint8 (frames, height, width, 3) as MPEG-4 in AVI; equal clips give equal bytes."""
    options = {"fflags": "+bitexact"}
    with av.open(str(path), "w", format="avi", options=options) as container:
        stream = container.add_stream("mpeg4", rate=FRAME_RATE)
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt = "yuv420p"
        # the bytes must not depend on the number of processors
        stream.codec_context.thread_count = 1
        # one quantiser throughout, the finest but one, instead of a bit rate
        stream.codec_context.options = {"flags": "+bitexact", "qmin": "2", "qmax": "2"}
        for picture in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        # flushes the encoder
        container.mux(stream.encode(None))


def _render(job: rendering.ClipJob) -> None:
    write_avi(job.path, job.film(render_scene_clip))


def _names(label: str, count: int, groups: range) -> list[str]:
    """ "v_<label>_gNN_cNN.avi" for `count` clips dealt over the groups, in sorted order."""
    dealt = [(groups[k % len(groups)], k // len(groups) + 1) for k in range(count)]
    return [f"v_{label}_g{group:02d}_c{clip:02d}.avi" for group, clip in sorted(dealt)]


def render_scenes(
    root: Path,
    *,
    clips: Mapping[str, int],
    classes: int,
    frames: tuple[int, int],
    size: tuple[int, int],
    seed: int,
    workers: int = 1,
    progress: rendering.Progress | None = None,
) -> None:
    """Render the data set: ``<root>/<Class>/v_<Class>_gNN_cNN.avi`` and UCF101's list files.

    ``classInd.txt``, ``trainlist01.txt`` and ``testlist01.txt`` lie in `root`. As in UCF101, groups
    1-7 are the test set and 8-25 the training set. (Unlike UCF101's, clips of a group are no more
    alike than others: each is a scene of its own.)

    Args:
        root: folder to make; it must not exist or be empty.
        clips: split ("train", "val") -> clips in all, dealt evenly over the classes.
        classes: how many of `SCENES` to use, the first ones, 2..101.
        frames: (fewest, most) frames of a clip.
        size: (height, width) of a frame in pixels, even.
        seed: every clip's generator is seeded by (seed, split, class, number in its class).
        workers: processes; their number does not change a single byte.
        progress: called with (clips done, clips in all).

    Raises:
        InputError: a setting out of range, or `root` holds something.
    """
    if not 2 <= classes <= len(SCENES):
        raise InputError(
            "classes of the synthetic scenes",
            found=f"{classes} classes",
            expected=f"2 to {len(SCENES)}",
            remedy="choose a number in that range",
        )
    rendering.check_lengths(frames, least=1)
    rendering.check_size(size, even=True)
    labels = SCENES[:classes]
    counts = rendering.shares(clips, labels, what="clips")
    with rendering.new_folder(root) as folder:
        for label in labels:
            (folder / label).mkdir()
        jobs = []
        lists: dict[str, list[str]] = {"train": [], "val": []}
        for split, k, seeds in rendering.class_seeds(counts, seed):
            names = _names(labels[k], len(seeds), GROUPS[split])
            for name, own in zip(names, seeds, strict=True):
                jobs.append(
                    rendering.ClipJob(folder / labels[k] / name, labels[k], frames, size, own)
                )
                # UCF101's training lists give the class number, its test lists do not
                number = f" {k + 1}" if split == "train" else ""
                lists[split].append(f"{labels[k]}/{name}{number}")
        rendering.run_jobs(_render, jobs, workers=workers, progress=progress)
        numbered = [f"{k} {label}" for k, label in enumerate(labels, start=1)]
        rendering.write_lines(folder / "classInd.txt", numbered)
        rendering.write_lines(folder / "trainlist01.txt", lists["train"])
        rendering.write_lines(folder / "testlist01.txt", lists["val"])
