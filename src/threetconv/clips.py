"""Clips for a network: read them packed or from their files, in batches, normalised.

`threetconv.decode` reads single clips, `threetconv.packing` a whole table into one array; both are
named here too. torch is imported only where a tensor is returned.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.data.table import class_names
from threetconv.decode import decode_clip, frame_indices, read_frames, short_clip
from threetconv.errors import InputError
from threetconv.packing import pack_clips
from threetconv.workers import pool

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

log = logging.getLogger(__name__)

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
    import torch  # noqa: PLC0415 (only where tensors are made)

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

    Usable as a map-style dataset of torch, whose classes it does not need.

    Args:
        table: clip table. With `packed`, its column ``row`` says where each clip is in the
            array; without that column the table must have one row per entry, in order.
        frames: T. Not needed with `packed`, checked against it when given.
        size: (H, W), likewise.
        packed: array written by `pack_clips`; None decodes each clip on the fly.
        classes: class names by index; the table's own, sorted, by default. Give it when the
            table is a part of the dataset, so that the same class has the same index.

    Attributes:
        labels: int64 (N,), class indices.
        shape: (T, H, W, 3) of every clip.

    Raises:
        InputError: the array is missing or does not fit the table, frames or size, or a label
            is not among `classes`.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        frames: int | None = None,
        size: tuple[int, int] | None = None,
        packed: str | Path | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.classes = list(class_names(table) if classes is None else classes)
        self.paths = [str(path) for path in table["path"]]
        self.labels = _label_indices(table, self.classes)
        self._packed: NDArray[np.uint8] | None = None
        if packed is None:
            if frames is None or size is None:
                raise ValueError("frames and size are needed to decode clips on the fly")
            self.shape = (frames, *size, 3)
        else:
            self._packed, self._rows = _open_packed(Path(packed), table, frames, size)
            self.shape = self._packed.shape[1:]

    @property
    def is_packed(self) -> bool:
        """Whether clips come from a packed array."""
        return self._packed is not None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[NDArray[np.uint8], int]:
        """Clip i, uint8 (T, H, W, 3), and its class index."""
        if self._packed is not None:
            clip = np.array(self._packed[self._rows[i]])
        else:
            clip = read_frames(self.paths[i], frames=self.shape[0], size=self.shape[1:3])
        return clip, int(self.labels[i])


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


def _open_packed(
    path: Path, table: pd.DataFrame, frames: int | None, size: tuple[int, int] | None
) -> tuple[Any, NDArray[np.int64]]:
    """The memory-mapped array and each table row's entry in it."""
    remedy = "pack the clips again with pack_clips"
    try:
        packed = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            path,
            found=f"no readable array ({error})",
            expected="clips packed as uint8 (N, T, H, W, 3)",
            remedy=remedy,
        ) from error
    want = (frames or packed.shape[1], *(size or packed.shape[2:4]), 3) if packed.ndim == 5 else ()
    if packed.ndim != 5 or packed.dtype != np.uint8 or packed.shape[1:] != want:
        raise InputError(
            path,
            found=f"an array {packed.dtype} {packed.shape}",
            expected=f"clips packed as uint8 (N, {', '.join(map(str, want)) or 'T, H, W, 3'})",
            remedy=remedy,
        )
    if "row" in table.columns:
        rows = table["row"].to_numpy(dtype=np.int64)
        fits = not len(rows) or (rows.min() >= 0 and rows.max() < len(packed))
    else:
        rows = np.arange(len(table), dtype=np.int64)
        fits = len(table) == len(packed)
    if not fits:
        raise InputError(
            path,
            found=f"{len(packed)} packed clips for a table of {len(table)}",
            expected="the array that was packed from this table, and its column 'row'",
            remedy=remedy,
        )
    return packed, rows


def batches(
    dataset: ClipDataset,
    order: Sequence[int] | NDArray[Any],
    batch_size: int,
    *,
    workers: int = 0,
    change: Callable[[int, NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches in the given order; what they hold does not depend on `workers`.

    Args:
        dataset: the clips.
        order: indices into `dataset`, such as a permutation or one split's clips.
        batch_size: clips in a batch; the last may have fewer.
        workers: processes that decode ahead; 0 decodes in this one. A packed dataset is read
            here in any case, since reading it costs next to nothing.
        change: what is done to clip i, (i, frames) -> frames of the same shape (see
            `threetconv.controls`).

    Yields:
        Normalised clips, float32 (B, 3, T, H, W), and class indices, int64 (B,).
    """
    import torch  # noqa: PLC0415 (only where tensors are made)

    if batch_size < 1 or workers < 0:
        raise ValueError(f"bad batch_size {batch_size} or workers {workers}")
    indices = [int(i) for i in order]
    clips = _clips_in_order(dataset, indices, batch_size, workers)
    for start in range(0, len(indices), batch_size):
        chosen = indices[start : start + batch_size]
        read = [next(clips) for _ in chosen]
        if change is not None:
            read = [change(i, clip) for i, clip in zip(chosen, read, strict=True)]
        stacked = np.stack(read)
        yield normalise(stacked), torch.from_numpy(dataset.labels[chosen])


def _clips_in_order(
    dataset: ClipDataset, indices: list[int], batch_size: int, workers: int
) -> Iterator[NDArray[np.uint8]]:
    if dataset.is_packed or workers == 0:
        yield from (dataset[i][0] for i in indices)
        return
    frames, size = dataset.shape[0], dataset.shape[1:3]
    ahead = batch_size + 2 * workers
    waiting: deque[tuple[str, Future[Any]]] = deque()
    with pool(workers) as processes:
        for i in indices + [-1] * ahead:  # the tail only drains what is waiting
            if i >= 0:
                path = dataset.paths[i]
                task = processes.submit(decode_clip, path, frames=frames, size=size)
                waiting.append((path, task))
            if waiting and (i < 0 or len(waiting) > ahead):
                path, task = waiting.popleft()
                clip = task.result()
                if clip.source_frames < frames:
                    log.warning(short_clip(path, clip.source_frames, frames))
                yield clip.frames
