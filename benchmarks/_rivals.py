"""Other decoders doing the job of `read_frames`: T frames, evenly chosen, resized, RGB.

Each takes (path, T, (H, W)) and returns uint8 frames in whatever layout it is fastest in; the
benchmark brings them to (T, H, W, 3) when they are compared. Each uses one thread, asks its
library for the frame numbers that `frame_indices` gives, and resizes with the antialiased filter of
its own world that is fastest.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms.v2 import functional as transforms

from threetconv.data.decoding.frame_sampling import frame_indices

Size = tuple[int, int]
Rival = Callable[[str, int, Size], Any]


def opencv(missing: dict[str, str]) -> tuple[dict[str, Rival], dict[str, Rival]]:
    """INTER_AREA averages when shrinking; for enlarging INTER_LINEAR is the same filter as ours."""
    try:
        import cv2  # may be missing
    except ImportError as error:
        missing["OpenCV"] = str(error)
        return {}, {}
    cv2.setNumThreads(1)

    def fit(picture: Any, size: Size) -> Any:
        shrinks = size[0] < picture.shape[0]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.cvtColor(cv2.resize(picture, size[::-1], interpolation=how), cv2.COLOR_BGR2RGB)

    def video(path: str, t: int, size: Size) -> Any:
        capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        n = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        wanted = set(frame_indices(n, t).tolist())
        chosen = []
        for i in range(n):
            capture.grab()
            if i in wanted:
                chosen.append(fit(capture.retrieve()[1], size))
        return np.stack(chosen)

    def images(path: str, t: int, size: Size) -> Any:
        files = sorted(os.listdir(path))
        return np.stack(
            [fit(cv2.imread(f"{path}/{files[i]}"), size) for i in frame_indices(len(files), t)]
        )

    return {"OpenCV": video}, {"OpenCV": images}


def decord(missing: dict[str, str]) -> dict[str, Rival]:
    """Resizes while decoding (bicubic); or afterwards, by torchvision."""
    try:
        import decord as library  # may be missing
    except (ImportError, OSError, RuntimeError) as error:
        missing["decord"] = str(error)
        return {}

    def own(path: str, t: int, size: Size) -> Any:
        reader = library.VideoReader(path, num_threads=1, height=size[0], width=size[1])
        return reader.get_batch(frame_indices(len(reader), t).tolist()).asnumpy()

    def torchvision(path: str, t: int, size: Size) -> Any:
        reader = library.VideoReader(path, num_threads=1)
        frames = reader.get_batch(frame_indices(len(reader), t).tolist()).asnumpy()
        return _resized(torch.from_numpy(frames).permute(0, 3, 1, 2), size)

    return {"decord": own, "decord + torchvision": torchvision}


def torchcodec(missing: dict[str, str]) -> dict[str, Rival]:
    """Resizes while decoding; or afterwards, by torchvision. Exact seeking, and approximate."""
    try:
        from torchcodec.decoders import VideoDecoder  # may be missing
        from torchcodec.transforms import Resize
    except (ImportError, OSError, RuntimeError) as error:
        missing["torchcodec"] = (
            f"{str(error).strip().splitlines()[0]} (it needs FFmpeg's libraries)"
        )
        return {}

    def own(path: str, t: int, size: Size) -> Any:
        decoder = VideoDecoder(path, num_ffmpeg_threads=1, transforms=[Resize(size)])
        return decoder.get_frames_at(frame_indices(len(decoder), t).tolist()).data

    def torchvision(mode: Any) -> Rival:
        def read(path: str, t: int, size: Size) -> Any:
            decoder = VideoDecoder(path, num_ffmpeg_threads=1, seek_mode=mode)
            return _resized(
                decoder.get_frames_at(frame_indices(len(decoder), t).tolist()).data, size
            )

        return read

    return {
        "torchcodec": own,
        "torchcodec + torchvision": torchvision("exact"),
        "torchcodec, approximate + torchvision": torchvision("approximate"),
    }


def pillow(path: str, t: int, size: Size) -> Any:
    """Images with Pillow alone."""
    from PIL import Image  # as the others

    files = sorted(os.listdir(path))
    chosen = (Image.open(f"{path}/{files[i]}") for i in frame_indices(len(files), t))
    return np.stack(
        [np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR)) for image in chosen]
    )


def torchvision_images(path: str, t: int, size: Size) -> Any:
    """Images with torchvision's decoder, resized together."""
    files = sorted(os.listdir(path))
    chosen = [read_file(f"{path}/{files[i]}") for i in frame_indices(len(files), t)]
    return _resized(
        torch.stack([decode_jpeg(data, mode=ImageReadMode.RGB) for data in chosen]), size
    )


def _resized(frames: torch.Tensor, size: Size) -> torch.Tensor:
    return transforms.resize(frames, list(size), antialias=True)


def videos(missing: dict[str, str]) -> dict[str, Rival]:
    """What reads videos; reasons why others do not are put into `missing`."""
    return {**opencv(missing)[0], **decord(missing), **torchcodec(missing)}


def images(missing: dict[str, str]) -> dict[str, Rival]:
    """What reads folders of JPEG files."""
    return {**opencv(missing)[1], "torchvision": torchvision_images, "Pillow": pillow}
