"""All explanations of one run: the tables and pictures that the workflow expects in a folder.

channels.parquet      what every channel does, in numbers and in words (3T)
faithfulness.parquet  loss of the true class without a channel's motion (3T) or the channel (others)
chosen.parquet        the channels that have pictures, and by which rule
images.parquet        a line per picture below pictures/
sanity.parquet        whether explanations change when weights or labels are random
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor, nn

from threetconv.clips.bad_clips import clips_of_run
from threetconv.clips.dataset import ClipDataset, normalise
from threetconv.explain.channel import Channel
from threetconv.explain.choice import choose
from threetconv.explain.motion.trajectories import channel_table
from threetconv.explain.pictures import Pictures
from threetconv.explain.saliency.methods import METHODS
from threetconv.explain.trust.faithfulness import deep_convolutions, faithfulness
from threetconv.explain.trust.sanity import sanity
from threetconv.layer.conv3t import Conv3T
from threetconv.records.load_model import load_model
from threetconv.records.noise_floor import step_variance
from threetconv.records.run_folder import read_run
from threetconv.schemas.channels import CHANNELS, CHOSEN, FAITHFULNESS, IMAGES, SANITY
from threetconv.support.files import write_parquet

__all__ = ["Options", "explain_run", "show_clips"]

log = logging.getLogger(__name__)

# Every method runs again for each clip, target and randomisation; two clips keep this affordable.
SANITY_CLIPS = 2


@dataclass(frozen=True)
class Options:
    """How much is explained.

    Attributes:
        clips: validation clips on which faithfulness is measured.
        channels: rule ("faithfulness", "displacement", "random") -> how many channels.
        methods: names in `threetconv.explain.saliency.methods.METHODS`.
        steps: of activation maximisation.
        learning_rate: of activation maximisation.
        candidates: only so many channels, of the largest displacement, are tried; None: all.
    """

    clips: int
    channels: Mapping[str, int]
    methods: tuple[str, ...]
    steps: int
    learning_rate: float
    candidates: int | None = None


def explain_run(
    folder: str | Path,
    *,
    table: pd.DataFrame,
    packed: str | Path | None,
    parameters: pd.DataFrame | None,
    options: Options,
    seed: int,
    out: str | Path,
    shuffled: str | Path | None = None,
    device: str = "cpu",
) -> None:
    """Explain channels of a finished run, and write tables and pictures.

    Args:
        folder: of the run.
        table: clip table of its data set.
        packed: the clips as one array, or None to decode them.
        parameters: the run's parameter table; None for a run without 3T layers.
        options: how much is explained.
        seed: of all that is drawn.
        out: the folder to write.
        shuffled: folder of a run of the same build on permuted labels, for a sanity check.
        device: "cpu" or "cuda".
    """
    document, out = read_run(folder), Path(out)
    run_id = document["run"]["run_id"]
    network = load_model(folder).to(device)
    frames, labels, ids = show_clips(document, table, packed, count=options.clips, seed=seed)
    clips = normalise(frames).to(device)
    if parameters is None:
        channels = CHANNELS.empty_table().to_pandas()
    else:
        # `load_model` loads the best checkpoint, so the parameters must be of that one, too.
        best = parameters[parameters["tag"] == "best"]
        channels = channel_table(best, document["layers"], step_variance(document, best))
    losses = _losses(
        network, document, clips, labels, channels=channels, candidates=options.candidates
    )
    # The faithfulness table holds whole layers even when channels are limited: it names every layer
    # that can be chosen from.
    layers = {
        str(name): int(i) for name, i in zip(losses["layer"], losses["layer_index"], strict=True)
    }
    chosen = choose(
        channels,
        losses,
        faithful=options.channels["faithfulness"],
        displaced=options.channels["displacement"] if parameters is not None else 0,
        random=options.channels["random"],
        seed=seed,
    )
    # Pictures and saliency cost far more than tables, so only chosen channels get them.
    log.info("%s: %d channels chosen", run_id, len(chosen))
    pictures = Pictures(
        network,
        run_id=run_id,
        frames=frames,
        clips=clips,
        ids=ids,
        labels=[document["classes"][label] for label in labels],
        seed=seed,
        folder=out / "pictures",
    )
    targets = [
        Channel(str(layer), int(index))
        for layer, index in chosen[["layer", "channel"]].itertuples(index=False)
    ]
    for number, channel in enumerate(targets, start=1):
        pictures.add(
            channel,
            layers[channel.layer],
            methods=options.methods,
            steps=options.steps,
            learning_rate=options.learning_rate,
        )
        log.info("%s: channel %d of %d, %s", run_id, number, len(targets), channel)
    checked = sanity(
        network,
        clips[:SANITY_CLIPS],
        first_and_deepest(targets, layers),
        {name: METHODS[name] for name in options.methods},
        seed=seed,
        relabelled=load_model(shuffled).to(device) if shuffled is not None else None,
        run_id=run_id,
        layer_index=layers,
    )
    write_parquet(channels, out / "channels.parquet", CHANNELS)
    write_parquet(losses, out / "faithfulness.parquet", FAITHFULNESS)
    write_parquet(chosen.assign(run_id=run_id), out / "chosen.parquet", CHOSEN)
    write_parquet(pictures.table(), out / "images.parquet", IMAGES)
    write_parquet(checked, out / "sanity.parquet", SANITY)


def first_and_deepest(targets: Sequence[Channel], layers: Mapping[str, int]) -> list[Channel]:
    """The first channel and, if it is another, the one in the deepest layer (the first on ties).

    The channels that matter most are often in the first layer, where methods are alike: there is no
    rectifier below it, and its weights are all that can be randomised.
    """
    if not targets:
        return []
    deepest = max(targets, key=lambda channel: layers[channel.layer])
    return list(dict.fromkeys([targets[0], deepest]))


def _losses(
    network: nn.Module,
    document: Mapping[str, Any],
    clips: Tensor,
    labels: NDArray[np.int64],
    *,
    channels: pd.DataFrame,
    candidates: int | None,
) -> pd.DataFrame:
    """Faithfulness of all channels: of their motion in 3T networks, of themselves in others."""
    names = deep_convolutions(network, clips)
    threet = any(isinstance(module, Conv3T) for module in network.modules())
    if threet:
        listed = [layer["name"] for layer in document["layers"]]
        names = [name for name in listed if name in names]  # auxiliary heads rest in evaluation
    found = faithfulness(
        network,
        names,
        clips,
        labels,
        document["classes"],
        # Other filters have no transforms to set to the identity.
        ablation="identity" if threet else "mean",
        run_id=document["run"]["run_id"],
        # candidates ranks by displacement, which other channels do not have.
        limit=candidates if threet else None,
        displacement=channels if threet else None,
        progress=lambda done, total: log.info("faithfulness: layer %d of %d", done, total),
    )
    if threet:  # the index that the layer has in the parameter table
        index = {layer["name"]: layer["index"] for layer in document["layers"]}
        found = found.assign(layer_index=found["layer"].map(index))
    return found.astype({"layer_index": "int32"})


def show_clips(
    document: Mapping[str, Any],
    table: pd.DataFrame,
    packed: str | Path | None,
    *,
    count: int,
    seed: int,
    split: str = "val",
) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """Clips that a run has seen, to show to its network: classes in turn, drawn by seed.

    Args:
        document: the run's record (`threetconv.records.run_folder.read_run`).
        table: clip table.
        packed: the clips as one array, or None to decode them.
        count: how many, at most.
        seed: which ones of a class.
        split: of which split.

    Returns:
        Frames uint8 (N, T, H, W, 3), class indices (N,), clip ids.

    Raises:
        InputError: a split without clips; a clip that cannot be read and that the run did read.
    """
    run, classes = document["run"], list(document["classes"])
    shown = clips_of_run(table, document, split=split).sort_values("clip_id")
    # A stream of its own: `seed` itself is used by `choose` and by activation maximisation.
    order = np.random.default_rng([seed, 1]).permutation(len(shown))
    drawn = shown.iloc[order]
    # Sort by (how often its class came before, class): every class appears once before any comes
    # twice, however few clips are asked for.
    turn = drawn.groupby("label").cumcount().to_numpy()
    drawn = drawn.iloc[np.lexsort((drawn["label"].to_numpy(), turn))].head(count)
    shape = (run["frames"], run["height"], run["width"])
    with ClipDataset(
        drawn, packed=packed, frames=shape[0], size=shape[1:], classes=classes
    ) as data:
        frames = np.stack([data[i][0] for i in range(len(data))])
        return frames, data.labels, drawn["clip_id"].tolist()
