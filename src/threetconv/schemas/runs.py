"""Tables of training runs: what was run, how it went, the temporal parameters that it learned."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from threetconv.schemas.columns import FLAG, INDEX, NUMBER, SHORT, SINGLE, TEXT, WHOLE, column

__all__ = [
    "CONTROL", "CONTROLS", "CONVOLUTION", "CONVOLUTIONS", "DATASET", "INIT", "LAYER",
    "LAYER_INDEX", "METRICS", "NETWORK", "ORDER_LEAK", "PARAMETER", "PARAMETERS", "RECIPE",
    "REPLICATE", "RUNS", "RUN_ID", "SNAPSHOTS", "STEP", "TAG", "Named",
]  # fmt: skip


class Named(NamedTuple):
    """What figures, tables and sentences call it, and what it is or does."""

    label: str
    about: str


CONVOLUTIONS = {
    "3t": Named(
        "3T",
        "a 2D filter and an affine transformation from each of its slices to the next, "
        "arXiv 2006.15983",
    ),
    "3d": Named("3D", "the regular convolution"),
    "2d": Named(
        "2D (single frames)",
        "single frames, whose logits are averaged, which shows what needs no motion",
    ),
    "r2plus1d": Named(
        "R(2+1)D",
        "a filter in space and, after norm and ReLU, one in time, with the weights of 3D, "
        "Tran et al. 2018",
    ),
}
"""Kinds of convolution, in the order of reports."""
CONTROLS = {
    "static": Named("static clips", "one frame of the clip is repeated: there is no motion to see"),
    "frame-shuffled": Named(
        "shuffled frames", "the frames of a clip come in random order: motion has no course"
    ),
    "label-shuffled": Named(
        "shuffled labels",
        "the clips keep their motion, and their labels are dealt out anew: there is nothing to "
        "learn that holds for other clips",
    ),
}
"""Negative controls, in the order of reports; `threetconv.clips.controls` makes their clips."""

RUN_ID = column("run_id", TEXT, "the run")
NETWORK = column("network", TEXT, "resnet18 or googlenet")
DATASET = column("dataset", TEXT, "the study's name of the data set")
INIT = column("init", TEXT, "pretrained or scratch")
RECIPE = column("recipe", TEXT, "how temporal parameters were trained; paper: as the paper did")
CONVOLUTION = column("convolution", TEXT, ", ".join(CONVOLUTIONS))
CONTROL = column("control", TEXT, "none of a real run, else the kind of negative control")
REPLICATE = column("replicate", WHOLE, "number of the run in its cell, from 1")
STEP = column("step", WHOLE, "updates made so far", "updates")
EPOCH = column("epoch", WHOLE, "passes over the training clips so far", "epochs")
TAG = column("tag", TEXT, "init, snapshot, best or last")
SUM_LR2 = column(
    "sum_lr2", NUMBER, "sum of the squared learning rates of temporal parameters so far"
)
LAYER_INDEX = column("layer_index", INDEX, "place of the layer in its network, from 0")
LAYER = column("layer", TEXT, "name of the layer in its network")
CHANNEL = column("channel", INDEX, "output channel, from 0")
PARAMETER = column("parameter", TEXT, "temporal parameter: s, r, px or py")

_TEMPORAL = ("scale", "rotate", "translate_x", "translate_y")
RUNS = pa.schema(
    [
        RUN_ID,
        NETWORK,
        DATASET,
        INIT,
        CONVOLUTION,
        RECIPE,
        CONTROL,
        REPLICATE,
        column("seed", WHOLE, "of weights, order of clips and augmentation"),
        column("source", TEXT, "trained or fetched"),
        column("optimiser", TEXT, "null where not known, as in the following columns"),
        column("lr", NUMBER, "learning rate, the largest of its schedule"),
        column("recipe_details", TEXT, "rate factors, spread of the start, decay, schedule; JSON"),
        column("settings", TEXT, "all settings of training, sampling and augmentation; JSON"),
        column("schedule", TEXT, "of the learning rate"),
        column("class_weights", TEXT, "of the loss"),
        column("early_stopping", WHOLE, "epochs without a better one that end training", "epochs"),
        column("precision", TEXT, "of the arithmetic of training"),
        column("epochs", WHOLE, "at most", "epochs"),
        column("batch_size", WHOLE, "of an update", "clips"),
        column("micro_batch", WHOLE, "of the parts of a batch, null where it is whole", "clips"),
        column("processes", WHOLE, "that shared each batch"),
        column("frames", WHOLE, "of a clip", "frames"),
        column("height", WHOLE, "of a clip", "pixels"),
        column("width", WHOLE, "of a clip", "pixels"),
        column("width_factor", NUMBER, "factor on every channel count of the network"),
        column("symmetric_time", FLAG, "whether windows in time are placed from both ends"),
        column("carry", TEXT, "what of the 2D weights is carried over"),
        column("num_classes", WHOLE, "classes"),
        column("n_train", WHOLE, "training clips", "clips"),
        column("n_val", WHOLE, "validation clips", "clips"),
        column("n_test", WHOLE, "test clips", "clips"),
        column("data_digest", TEXT, "of the clips: their frames where packed, else size and time"),
        column("n_bad_clips", WHOLE, "clips left out since they cannot be read", "clips"),
        column("n_parameters", WHOLE, "numbers that the network learns"),
        column("n_temporal", WHOLE, "temporal parameters among them"),
        column("sum_lr2", NUMBER, "sum of the squared learning rates of temporal parameters"),
        column("n_updates", WHOLE, "updates made", "updates"),
        column("best_epoch", WHOLE, "epoch of the highest validation accuracy, from 1", "epochs"),
        column("best_step", WHOLE, "updates made by then", "updates"),
        column("weights_sha256", TEXT, "of best.safetensors"),
        column("git_sha", TEXT, "commit of the code"),
        column("versions", TEXT, "of the libraries, as JSON"),
        column("seconds", NUMBER, "that training took", "s"),
        column("status", TEXT, "ok"),
        column("fetched_from", TEXT, "address of fetched weights, null where trained"),
        column("fetched_sha256", TEXT, "of the fetched file"),
        column("fetched_format", TEXT, "of the fetched file"),
        column("licence", TEXT, "of the fetched weights"),
    ]
)
METRICS = pa.schema(
    [
        RUN_ID,
        STEP,
        EPOCH,
        column("split", TEXT, "train, val or test"),
        column("metric", TEXT, "loss or accuracy"),
        column("value", NUMBER, "mean over clips; accuracy as a share of 1"),
        column("n", WHOLE, "clips measured", "clips"),
    ]
)
SNAPSHOTS = pa.schema([RUN_ID, STEP, EPOCH, TAG, SUM_LR2])
PARAMETERS = pa.schema(
    [
        RUN_ID,
        STEP,
        column("epoch", INDEX, "passes over the training clips so far", "epochs"),
        TAG,
        LAYER_INDEX,
        LAYER,
        column("kernel_t", SHORT, "depth of the kernel", "slices"),
        column("kernel_hw", SHORT, "side of the kernel, null where it is not square", "taps"),
        column("jump", INDEX, "input pixels from one feature pixel to the next", "pixels"),
        CHANNEL,
        column("transition", SHORT, "from this slice to the next, from 0"),
        column("reachable", FLAG, "whether a gradient can ever arrive"),
        column("order_leak", FLAG, "whether the layer's windows alone tell clips from reverses"),
        column("scale", SINGLE, "s as the layer holds it; the zoom is 1 / s"),
        column("rotate", SINGLE, "r as the layer holds it, counter-clockwise", "rad"),
        column("translate_x", SINGLE, "tx as the layer holds it", "half-extents of the kernel"),
        column("translate_y", SINGLE, "ty as the layer holds it", "half-extents of the kernel"),
        *(column(f"{name}_start", SINGLE, f"{name} before training") for name in _TEMPORAL),
        *(
            column(f"{name}_walk", SINGLE, f"variance of {name} if its gradients were noise alone")
            for name in _TEMPORAL
        ),
    ]
)
ORDER_LEAK = pa.schema(
    [
        NETWORK,
        DATASET,
        CONVOLUTION,
        column("stage", INDEX, "place in forward order, from 0; the whole network last"),
        column("layer", TEXT, "name of the layer in its network, empty for the whole network"),
        column("kind", TEXT, "convolution, max pooling, average pooling, padding or network"),
        column("frames", INDEX, "that come in", "frames"),
        column("kernel", INDEX, "extent of a window in time", "frames"),
        column("stride", INDEX, "in time", "frames"),
        column("padding_before", INDEX, "in time", "frames"),
        column("padding_after", INDEX, "in time", "frames"),
        column("remainder", INDEX, "by which windows miss their mirror image in time", "frames"),
        column("symmetric", FLAG, "whether symmetric_time corrects that"),
        column("leaks", FLAG, "whether it tells clips from reverses, filters constant in time"),
        column("difference", NUMBER, "of the outputs for clips and reverses, relative"),
    ]
)
