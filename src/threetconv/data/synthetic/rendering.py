"""What all renderers share: jobs and workers, a folder that appears when complete, checks."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from threetconv.errors import InputError
from threetconv.support.processes import pool

__all__ = [
    "ClipJob",
    "Progress",
    "check_lengths",
    "check_size",
    "class_seeds",
    "new_folder",
    "run_jobs",
    "shares",
    "write_frames",
    "write_lines",
]

Progress = Callable[[int, int], None]
Job = TypeVar("Job")
Film = NDArray[np.uint8]  # (T, H, W, 3), RGB


@dataclass(frozen=True)
class ClipJob:
    """One clip to render.

    Attributes:
        path: its file or folder.
        label: its class.
        frames: least and greatest length, drawn evenly.
        size: height and width, px.
        seed: of its own generator.
    """

    path: Path
    label: str
    frames: tuple[int, int]
    size: tuple[int, int]
    seed: tuple[int, ...]

    def film(self, render: Callable[..., Film], **options: Any) -> Film:
        """The clip, by ``render(label, frames=, size=, rng=, **options)``."""
        rng = np.random.default_rng(self.seed)
        frames = int(rng.integers(*self.frames, endpoint=True))
        return render(self.label, frames=frames, size=self.size, rng=rng, **options)


def write_frames(folder: Path, film: Film, suffix: str, **options: Any) -> None:
    """Write ``<folder>/00001<suffix>`` and so on; `options` are those of Pillow's writer."""
    folder.mkdir(parents=True)
    for number, picture in enumerate(film, start=1):
        Image.fromarray(picture).save(folder / f"{number:05d}{suffix}", **options)


@contextmanager
def new_folder(root: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `root`; rename it to `root` when the block succeeds.

    Raises:
        InputError: `root` exists and holds something; a renderer never overwrites data.
    """
    root = Path(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InputError(
            root,
            found="something is there already",
            expected="a path that does not exist yet, or an empty folder",
            remedy="choose another folder, or remove this one first",
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    # beside `root`, since a rename works within one file system only
    temporary = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        yield temporary
        # mkdtemp makes a folder for its owner alone; the umask can only be read by setting it
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        if root.exists():
            # it is empty, see above
            root.rmdir()
        temporary.rename(root)
    finally:
        # after a rename there is nothing left under this name
        shutil.rmtree(temporary, ignore_errors=True)


def run_jobs(
    render: Callable[[Job], None],
    jobs: Sequence[Job],
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> None:
    """Call `render` on every job, in this process or in `workers` spawned ones.

    A job carries its own seed, so the number of workers cannot change what is rendered.

    Args:
        render: a module-level function; picklable, as the jobs are.
        progress: called with (jobs done, jobs in all) as results arrive.
    """
    total = len(jobs)
    if workers <= 1 or total < 2:
        for done, job in enumerate(jobs, start=1):
            render(job)
            if progress is not None:
                progress(done, total)
        return
    # at least four tasks for each worker, so that none idles at the end; 32 items keep progress
    # alive
    chunk = max(1, min(32, total // (4 * workers)))
    with pool(min(workers, total)) as processes:
        parts = [jobs[k : k + chunk] for k in range(0, total, chunk)]
        futures = [processes.submit(_render_all, render, part) for part in parts]
        done = 0
        # in order, so that an error is always that of the first job that failed
        for future, part in zip(futures, parts, strict=True):
            future.result()
            done += len(part)
            if progress is not None:
                progress(done, total)


def _render_all(render: Callable[[Job], None], jobs: Sequence[Job]) -> None:
    for job in jobs:
        render(job)


def shares(totals: Mapping[str, int], names: Sequence[str], *, what: str) -> dict[str, list[int]]:
    """Split each split's total over the classes as evenly as whole numbers allow.

    Args:
        totals: split ("train", "val") -> number of items in all.
        names: the classes.
        what: "clips" or "images", for messages.

    Returns:
        split -> items per class, in the order of `names`; they differ by one at most.

    Raises:
        InputError: an unknown split, or fewer items than classes.
    """
    counts: dict[str, list[int]] = {}
    for split, total in totals.items():
        if split not in ("train", "val"):
            raise InputError(
                f"{what} of a synthetic data set",
                found=f"split {split!r}",
                expected="train and val only",
                remedy="name the splits train and val",
            )
        if total < len(names):
            raise InputError(
                f"{what} of a synthetic data set, split {split!r}",
                found=f"{total} {what} for {len(names)} classes",
                expected=f"at least one per class, so {len(names)} or more",
                remedy=f"ask for more {what} or for fewer classes",
            )
        base, extra = divmod(total, len(names))
        # the first `extra` classes get one more
        counts[split] = [base + (k < extra) for k in range(len(names))]
    return counts


def class_seeds(
    counts: Mapping[str, Sequence[int]], seed: int
) -> Iterator[tuple[str, int, list[tuple[int, ...]]]]:
    """(split, class, a seed for each of its items) of what `shares` gives.

    A seed is made of the set's own, split, class and number in its class, so that an item depends
    on nothing else.
    """
    for split, of_class in counts.items():
        code = {"train": 0, "val": 1}[split]
        for index, count in enumerate(of_class):
            yield split, index, [(seed, code, index, number) for number in range(count)]


def write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def check_lengths(frames: tuple[int, int], *, least: int) -> None:
    """Refuse bounds of a clip's length that are none, or below `least`."""
    if not least <= frames[0] <= frames[1]:
        raise InputError(
            "frames of a synthetic data set",
            found=str(tuple(frames)),
            expected=f"(least, greatest) with {least} <= least <= greatest",
            remedy="for instance (16, 24)",
        )


def check_size(size: tuple[int, int], *, smallest: int = 16, even: bool = False) -> None:
    """Refuse a picture size (height, width) that cannot be rendered.

    Raises:
        InputError: a side below `smallest`, or an odd one where `even` is asked for.
    """
    # `even` is for video codecs with one chroma sample for 2 x 2 pixels
    if min(size) < smallest or (even and any(side % 2 for side in size)):
        raise InputError(
            "size of a synthetic data set",
            found=f"{size[0]}x{size[1]} pixels (height x width)",
            expected=f"{'even ' if even else ''}sides of at least {smallest} pixels",
            remedy="change the size, for instance to 64x64",
        )
