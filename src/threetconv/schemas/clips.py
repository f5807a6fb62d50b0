"""Tables of clips."""

from __future__ import annotations

import pyarrow as pa

from threetconv.schemas.columns import TEXT, WHOLE, column

__all__ = ["CLIPS", "PACKED"]

CLIPS = pa.schema(
    [
        column("clip_id", TEXT, "name of the clip, unique in its data set"),
        column("path", TEXT, "video file, or folder of frames"),
        column("label", TEXT, "class"),
        column("split", TEXT, "train, val or test"),
    ]
)
PACKED = pa.schema(
    [
        *CLIPS,
        column("row", WHOLE, "the clip's entry in the packed array"),
        column("n_frames_read", WHOLE, "frames that its source has", "frames"),
        column("repeated_frames", WHOLE, "copies of the last frame that were added", "frames"),
        column("digest", TEXT, "blake2b of its frames as packed"),
    ]
)
