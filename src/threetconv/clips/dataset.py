"""Clips for a network: read them packed or from their files, in batches, normalised.

`threetconv.data.decoding.decode` reads single clips, `threetconv.clips.reading` many,
`threetconv.clips.packed` a whole table into one array; the first and the last are named here too.
torch is imported only where a tensor is returned.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.clips.bad_clips import BadClips
from threetconv.clips.packed import open_packed, pack_clips
from threetconv.clips.reading import Change, ClipReader, Offset, Packed
from threetconv.data.decoding.decode import frame_indices, read_frames
from threetconv.data.table import class_names
from threetconv.errors import InputError

if TYPE_CHECKING:
    import torch

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_SD",
    "ClipDataset",
    "batches",
    "frame_indices",
    "normalise",
    "pack_clips",
    "read_frames",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's pixels, RGB in [0, 1] (torchvision's documentation)."""
IMAGENET_SD = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's pixels, RGB in [0, 1] (torchvision's documentation)."""


def normalise(clips: NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
    """Pixels to what an ImageNet network expects: ``(pixel / 255 - mean) / sd`` per channel.

    Args:
        clips: uint8 (B, T, H, W, 3), array or tensor, RGB.

    Returns:
        float32 (B, 3, T, H, W), contiguous, on the device of `clips`.

    Raises:
        ValueError: another type or shape.
    """
    import torch  # only where tensors are made

    if isinstance(clips, np.ndarray):
        clips = torch.from_numpy(clips if clips.flags.writeable else clips.copy())
    if clips.dtype != torch.uint8 or clips.ndim != 5 or clips.shape[-1] != 3:
        raise ValueError(
            f"clips must be uint8 (B, T, H, W, 3), not {clips.dtype} {tuple(clips.shape)}"
        )
    shape = (1, 3, 1, 1, 1)
    mean = torch.tensor(IMAGENET_MEAN, device=clips.device).view(shape)
    sd = torch.tensor(IMAGENET_SD, device=clips.device).view(shape)
    moved = clips.permute(0, 4, 1, 2, 3)
    pixels = moved.to(torch.float32, memory_format=torch.contiguous_format)
    return pixels.div_(255).sub_(mean).div_(sd)


class ClipDataset:
    """The clips of a table, from a packed array or decoded when asked for.

    Usable as a map-style dataset of torch, whose classes it does not need. It owns the processes
    that `batches` decodes with: they start with the first batch that wants them and live until
    `close`, the end of a ``with`` block, or of the dataset.

    Args:
        table: clip table. With `packed`, its column ``row`` says where each clip is in the
            array; without that column the table must have one row per entry, in order.
        frames: T. Not needed with `packed`, checked against it when given.
        size: (H, W), likewise.
        packed: array written by `pack_clips`; None decodes each clip on the fly.
        classes: class names by index; the table's own, sorted, by default. Give it when the
            table is a part of the dataset, so that the same class has the same index.
        sampling: which frames are taken, name in `threetconv.data.decoding.decode.SAMPLING`. Packed
            clips hold evenly spaced frames and can be given no others.
        bad: what `batches` does about clips that cannot be read; by default the first one stops.

    Attributes:
        labels: int64 (N,), class indices.
        shape: (T, H, W, 3) of every clip.
        bad: the clips found unreadable, and what is done about them.

    Raises:
        InputError: the array is missing or does not fit the table, frames, size or sampling, or a
            label is not among `classes`.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        frames: int | None = None,
        size: tuple[int, int] | None = None,
        packed: str | Path | None = None,
        classes: Sequence[str] | None = None,
        sampling: str = "even",
        bad: BadClips | None = None,
    ) -> None:
        self.classes = list(class_names(table) if classes is None else classes)
        self.paths = [str(path) for path in table["path"]]
        self.labels = _label_indices(table, self.classes)
        self.bad = BadClips(total=len(self.paths)) if bad is None else bad
        self._packed: Packed | None = None
        if packed is not None:
            if sampling != "even":
                raise InputError(
                    packed,
                    found=f"sampling {sampling!r} of packed clips",
                    expected="even: their frames were chosen when they were packed",
                    remedy="decode the clips on the fly, or sample evenly",
                )
            array, rows = open_packed(packed, table, frames=frames, size=size)
            self._packed = Packed(packed, array, rows)
            frames, size = array.shape[1], array.shape[2:4]
        if frames is None or size is None:
            raise ValueError("frames and size are needed to decode clips on the fly")
        self.shape = (frames, *size, 3)
        self._reader = ClipReader(
            self.paths,
            frames=frames,
            size=size,
            sampling=sampling,
            bad=self.bad,
            packed=self._packed,
        )

    @property
    def is_packed(self) -> bool:
        """Whether clips come from a packed array."""
        return self._packed is not None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[NDArray[np.uint8], int]:
        """Clip i, uint8 (T, H, W, 3), and its class index."""
        return self._reader.read(i), int(self.labels[i])

    def stream(
        self,
        order: Sequence[int],
        *,
        workers: int,
        ahead: int,
        offset: Offset | None = None,
        change: Change | None = None,
    ) -> Generator[NDArray[np.uint8] | None]:
        """The clips in the order given, None for a skipped one; see `ClipReader.stream`."""
        return self._reader.stream(
            order, workers=workers, ahead=ahead, offset=offset, change=change
        )

    def close(self) -> None:
        """End the worker processes. The dataset stays usable, and starts new ones when asked to."""
        self._reader.close()

    def __enter__(self) -> ClipDataset:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def _label_indices(table: pd.DataFrame, classes: list[str]) -> NDArray[np.int64]:
    index = {name: i for i, name in enumerate(classes)}
    strange = sorted(set(table["label"]) - set(index))
    if strange:
        raise InputError(
            "clip table",
            found=f"label {strange[0]!r}, which is not among the classes",
            expected=f"one of {len(classes)} classes: {', '.join(classes)}",
            remedy="make the table and the list of classes from the same dataset",
        )
    return np.array([index[name] for name in table["label"]], dtype=np.int64)


def batches(
    dataset: ClipDataset,
    groups: Sequence[Sequence[int] | NDArray[Any]],
    *,
    workers: int = 0,
    change: Change | None = None,
    offset: Offset | None = None,
    device: str | torch.device = "cpu",
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """A batch for each group of clips, in order; what they hold does not depend on `workers`.

    Where `dataset.bad` skips unreadable clips, a batch lacks those of its group, all of them at
    worst. Its list grows in the order of the clips and does not depend on `workers` either.

    Args:
        dataset: the clips.
        groups: indices into `dataset`, one sequence for each batch.
        workers: processes that decode and change clips ahead, about one group and two clips for
            each of them; 0 does it in this one. They live on in `dataset`. A packed dataset without
            a `change` is read here in any case, since reading it costs next to nothing.
        change: what is done to clip i, (i, frames) -> frames of the same shape (see
            `threetconv.clips.controls` and `threetconv.clips.augment`). Workers get it pickled, so
            with them it cannot be a lambda or an inner function.
        offset: where in their stretches the frames of clip i are taken, in [0, 1), for the
            sampling "random-offset"; the middle by default.
        device: where clips are normalised and handed out; bytes travel there, a quarter of the
            floats that they become.

    Yields:
        Normalised clips, float32 (B, 3, T, H, W) on the device, and class indices, int64 (B,).

    Raises:
        InputError: a clip cannot be read, or too many cannot.
        RuntimeError: a worker process died; names the clips that were being read.
    """
    import torch  # only where tensors are made

    if workers < 0:
        raise ValueError(f"workers must be at least 0, not {workers}")
    chosen = [[int(i) for i in group] for group in groups]
    clips = dataset.stream(
        [i for group in chosen for i in group],
        workers=workers,
        ahead=max(map(len, chosen), default=0) + 2 * workers,
        offset=offset,
        change=change,
    )
    with closing(clips):
        for group in chosen:
            read = [(i, clip) for i, clip in zip(group, clips, strict=False) if clip is not None]
            frames = [clip for _, clip in read]
            stacked = np.stack(frames) if frames else np.empty((0, *dataset.shape), np.uint8)
            labels = dataset.labels[np.array([i for i, _ in read], dtype=np.int64)]
            yield normalise(torch.from_numpy(stacked).to(device)), torch.from_numpy(labels)
