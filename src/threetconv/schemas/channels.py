"""Tables of single channels: what they prefer, how they move, what explains them."""

from __future__ import annotations

import pyarrow as pa

from threetconv.schemas.columns import FLAG, INDEX, NUMBER, SINGLE, TEXT, WHOLE, column
from threetconv.schemas.runs import CHANNEL, LAYER, LAYER_INDEX, RUN_ID

__all__ = [
    "CHANNELS", "CHOSEN", "FAITHFULNESS", "IMAGES", "PREFERENCES", "SANITY", "TRAJECTORIES",
]  # fmt: skip

CLASS = column("label", TEXT, "class")
N_CLIPS = column("n_clips", INDEX, "clips that the value is a mean of", "clips")
PATH = [
    column("zoom", NUMBER, "from the first slice to this one; above 1 the content grows"),
    column("turn_deg", NUMBER, "from the first slice to this one, clockwise", "degrees"),
    column("right_px", NUMBER, "from the first slice to this one", "taps of the kernel"),
    column("up_px", NUMBER, "from the first slice to this one", "taps of the kernel"),
]

PREFERENCES = pa.schema(
    [
        RUN_ID,
        LAYER_INDEX,
        LAYER,
        CHANNEL,
        CLASS,
        column("preference", SINGLE, "mean response to the class's clips", "SDs over all clips"),
        N_CLIPS,
    ]
)
CHANNELS = pa.schema(
    [
        RUN_ID,
        LAYER_INDEX,
        LAYER,
        CHANNEL,
        column("reachable", FLAG, "whether a gradient can arrive at any of its transitions"),
        column("displacement", NUMBER, "mean length of (s, r, px, py) over its transitions"),
        *PATH,
        column("floor_zoom", NUMBER, "zoom that Adam's steps alone would make"),
        column("floor_turn_deg", NUMBER, "turn that Adam's steps alone would make", "degrees"),
        column("floor_px", NUMBER, "shift that Adam's steps alone would make", "taps"),
        column("moves", FLAG, "whether anything lies beyond what Adam's steps alone would do"),
        column("sentence", TEXT, "the motion in words"),
    ]
)
FAITHFULNESS = pa.schema(
    [
        RUN_ID,
        LAYER_INDEX,
        LAYER,
        column("channel", INDEX, "output channel, -1 of the whole layer"),
        column("ablation", TEXT, "identity: without its motion; mean: without what it tells"),
        column("label", TEXT, "class, empty for all clips"),
        column("drop", NUMBER, "of the log-probability of the true class", "nats"),
        N_CLIPS,
    ]
)
CHOSEN = pa.schema(
    [
        RUN_ID,
        LAYER_INDEX,
        LAYER,
        CHANNEL,
        column("rule", TEXT, "that chose the channel: faithfulness, displacement or random"),
        column("rank", INDEX, "by that rule, from 1"),
    ]
)
IMAGES = pa.schema(
    [
        RUN_ID,
        LAYER_INDEX,
        LAYER,
        CHANNEL,
        column("method", TEXT, "what the picture shows"),
        column("clip_id", TEXT, "clip that is shown, null without one"),
        column("label", TEXT, "class of the clip"),
        column("frame", INDEX, "that is shown, from 0"),
        column("n_frames", INDEX, "in the picture", "frames"),
        column("file", TEXT, "the picture, relative to the table"),
        column("height", INDEX, "of the picture", "pixels"),
        column("width", INDEX, "of the picture", "pixels"),
        column("seed", WHOLE, "of an optimised input"),
        column("note", TEXT, "what is to be said of it"),
    ]
)
SANITY = pa.schema(
    [
        RUN_ID,
        LAYER_INDEX,
        LAYER,
        CHANNEL,
        column("method", TEXT, "of explanation"),
        column("randomised", TEXT, "what was made random"),
        column("similarity", TEXT, "spearman or ssim"),
        column("value", NUMBER, "mean similarity before and after, null where nothing is shown"),
        column("n", INDEX, "clips that the mean is over", "clips"),
        column("flagged", FLAG, "whether the explanation did not change"),
    ]
)
TRAJECTORIES = pa.schema(
    [RUN_ID, LAYER, CHANNEL, column("step", INDEX, "slice of the filter, from 0"), *PATH]
)
