"""What a trained network's accuracy needs: the order of frames, motion, its transforms.

A network is shown validation clips forwards, backwards, frozen (the middle frame repeated) and
shuffled (frames in a random order, drawn once for each clip). **Direction use** is its accuracy
forwards minus backwards: 0 for one that cannot tell a clip from its reverse or does not need to.

The same with transforms of 3T layers at the identity: of all layers all, only translations, only
scales or only rotations; or all of one layer. What comes behind a layer has adapted to what it gave
in training, so an ablation costs more than the motion that it takes away. It is therefore measured
twice: with the batch norms as trained, and with their statistics computed anew, on training clips
shown to the changed network. The means over batches are those of torch's `update_bn`: the average
of the batches' statistics, each layer's with those before it normalised by the same batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from threetconv.clips.bad_clips import clips_of_run
from threetconv.clips.dataset import ClipDataset
from threetconv.clips.loader import batches
from threetconv.errors import InputError
from threetconv.layer.conv3t import Conv3T
from threetconv.layer.identity import at_identity
from threetconv.layer.units import IDENTITY
from threetconv.records.load_model import load_model
from threetconv.records.run_folder import read_run
from threetconv.schemas.need import NEED

__all__ = ["ABLATIONS", "CLIPS", "measure_need", "need_of_run", "norm_statistics"]

log = logging.getLogger(__name__)

CLIPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "forwards": lambda clips, _orders: clips,
    "backwards": lambda clips, _orders: clips.flip(2),
    "frozen": lambda clips, _: clips[:, :, [clips.shape[2] // 2]].expand_as(clips),
    "shuffled": lambda clips, orders: clips.gather(2, orders.expand_as(clips)),
}
"""Kind -> (clips (B, 3, T, H, W), orders of their frames (B, 1, T, 1, 1)) -> what is shown."""
ABLATIONS = {
    "all": tuple(IDENTITY),
    "translation": ("translate_x", "translate_y"),
    "scale": ("scale",),
    "rotation": ("rotate",),
}
"""What is at the identity -> temporal parameters."""
INTACT = "intact"
BOTH = ("forwards", "backwards")
Statistics = dict[str, tuple[Tensor, Tensor]]  # name of a batch norm -> running mean, variance


class _State(NamedTuple):
    """A network with some transforms at the identity, and the kinds of clips that it is shown."""

    transforms: str
    recomputed: bool
    kinds: tuple[str, ...]
    layer_index: int = -1
    layer: str = ""


def need_of_run(
    folder: str | Path,
    table: pd.DataFrame,
    packed: str | Path | None = None,
    *,
    opposites: Iterable[tuple[str, str]] = (),
    layers: bool = False,
    split: str = "val",
    most: int | None = None,
    seed: int = 0,
    batch_size: int = 32,
    norm_clips: int = 64,
) -> pd.DataFrame:
    """`measure_need` of a finished run, at its best checkpoint, on its validation clips.

    Clips are those of the data set, of a negative control as well: what the network was kept from
    learning is asked of all runs alike. Batch norms are computed anew on training clips that are
    drawn by `seed`.

    Args:
        folder: the run's folder.
        table: clip table of the run's data set, with its true labels.
        packed: its clips as one array; None decodes them.
        opposites: pairs of opposite classes; pairs that the run lacks are logged and left out.
        layers: whether 3T layers are set to the identity one by one as well.
        split: the clips to show.
        most: so many of them at most, drawn by `seed`; all without it.
        seed: of the clips that are drawn, and of the order of shuffled frames.
        batch_size: clips at a time.
        norm_clips: training clips for the batch norms, rounded down to whole batches.

    Returns:
        Columns of `NEED`.

    Raises:
        InputError: a file is missing or damaged, or there are no clips of the split.
    """
    document = read_run(folder)
    run, classes = document["run"], list(document["classes"])

    def shown(part: str, order: Callable[[int], NDArray[Any]]) -> Iterator[tuple[Tensor, Tensor]]:
        data = ClipDataset(
            clips_of_run(table, document, split=part),
            packed=packed,
            frames=run["frames"],
            size=(run["height"], run["width"]),
            classes=classes,
        )
        some = order(len(data))
        return batches(data, [some[i : i + batch_size] for i in range(0, len(some), batch_size)])

    def drawn(total: int, count: int | None) -> NDArray[Any]:
        return np.random.default_rng([seed]).permutation(total)[:count]

    def chosen(total: int) -> NDArray[Any]:
        return np.sort(drawn(total, most))

    def mixed(total: int) -> NDArray[Any]:
        some = drawn(total, norm_clips)
        # a smaller last batch would weigh as much as the others
        return some[: len(some) // batch_size * batch_size or len(some)]

    names = [layer["name"] for layer in document["layers"]]
    needed = measure_need(
        load_model(folder),
        shown(split, chosen),
        classes,
        opposites=opposites,
        norm_clips=[clips for clips, _ in shown("train", mixed)] if names else [],
        layers=names if layers else (),
        seed=seed,
    )
    return needed.assign(run_id=run["run_id"])[NEED.names]


def measure_need(
    network: nn.Module,
    clips: Iterable[tuple[Tensor, Tensor]],
    classes: Sequence[str],
    *,
    opposites: Iterable[tuple[str, str]] = (),
    norm_clips: Sequence[Tensor] = (),
    layers: Sequence[str] = (),
    seed: int = 0,
) -> pd.DataFrame:
    """How many clips of each class are recognised, under the conditions of the module's text.

    Intact networks are shown every kind of clip; networks with transforms at the identity those
    forwards and backwards; networks with one layer at the identity those forwards.

    Args:
        network: gives logits (N, classes) in evaluation; put into evaluation mode, else left as it
            was. Without 3T layers it is measured intact only.
        clips: batches of normalised clips (N, 3, T, H, W) and labels (N,); gone through once.
        classes: class names by index.
        opposites: pairs of classes that are each other played backwards.
        norm_clips: batches of training clips; without them no batch norm is computed anew.
        layers: names of 3T layers in forward order that are set to the identity one by one.
        seed: of the order of shuffled frames.

    Returns:
        Columns of `NEED` but run_id: a row per condition and class that has clips.

    Raises:
        InputError: no clips.
    """
    network.eval()
    three_t = {name: m for name, m in network.named_modules() if isinstance(m, Conv3T)}
    norms = {name: m for name, m in network.named_modules() if _keeps_statistics(m)}
    states = _states(bool(three_t), bool(norms) and bool(norm_clips), layers)

    def ablated(state: _State) -> AbstractContextManager[None]:
        changed = [three_t[state.layer]] if state.layer else three_t.values()
        return at_identity(changed, ABLATIONS.get(state.transforms, ()))

    anew: dict[_State, Statistics] = {}
    for state in states:
        if state.recomputed:
            with ablated(state):
                anew[state] = norm_statistics(network, norm_clips)
    # state and kind -> clips by their class (rows) and by the class that they are taken for
    counts: dict[tuple[_State, str], NDArray[np.int64]] = {
        (state, kind): np.zeros((len(classes), len(classes)), np.int64)
        for state in states
        for kind in state.kinds
    }
    seen = 0
    # batch by batch, so that clips are decoded once and few are in memory
    for batch, labels in clips:
        orders = _orders(seed, seen, len(batch), batch.shape[2]).to(batch.device)
        seen += len(batch)
        for state in states:
            with ablated(state), _using(norms, anew.get(state, {})), torch.inference_mode():
                for kind in state.kinds:
                    # a clone: a network may overwrite what it is given
                    logits = network(CLIPS[kind](batch, orders).clone())
                    found = logits.argmax(1).cpu().numpy()
                    np.add.at(counts[state, kind], (labels.numpy(), found), 1)
    if not seen:
        raise InputError(
            "clips",
            found="no clip that can be read",
            expected="clips to show to the network",
            remedy="name a split that has clips",
        )
    mirror = _mirror(opposites, classes)
    rows = [
        row
        for (state, kind), count in counts.items()
        for row in _rows(state, kind, count, classes, mirror)
    ]
    return pd.DataFrame(rows, columns=NEED.names[1:]).astype({"layer_index": np.int32})


def norm_statistics(network: nn.Module, clips: Sequence[Tensor]) -> Statistics:
    """What a network's batch norms would hold had they seen these clips in one cumulative average.

    Args:
        network: in evaluation mode, and left as it was: only batch norms normalise by the batch.
        clips: batches (N, 3, T, H, W), which all weigh the same.

    Returns:
        Name of every batch norm that keeps statistics -> (mean, unbiased variance).
    """
    norms = {name: m for name, m in network.named_modules() if _keeps_statistics(m)}
    before = {name: (m.momentum, m.num_batches_tracked.clone()) for name, m in norms.items()}
    with _using(norms, {}):
        try:
            for norm in norms.values():
                norm.reset_running_stats()
                norm.momentum = None
                norm.train()
            with torch.inference_mode():
                for batch in clips:
                    network(batch.clone())
            # an auxiliary head's, which does not run in evaluation, has met no batch
            return {
                name: (norm.running_mean.clone(), norm.running_var.clone())
                for name, norm in norms.items()
                if norm.num_batches_tracked
            }
        finally:
            for name, norm in norms.items():
                momentum, tracked = before[name]
                norm.momentum = momentum
                norm.num_batches_tracked.copy_(tracked)
                norm.eval()


@contextmanager
def _using(norms: Mapping[str, Any], statistics: Statistics) -> Iterator[None]:
    """Give batch norms these statistics; afterwards they have their own, to the bit."""
    own = {name: (m.running_mean.clone(), m.running_var.clone()) for name, m in norms.items()}
    try:
        for name, values in statistics.items():
            _set(norms[name], values)
        yield
    finally:
        for name, values in own.items():
            _set(norms[name], values)


def _set(norm: Any, values: tuple[Tensor, Tensor]) -> None:
    with torch.inference_mode(False), torch.no_grad():
        norm.running_mean.copy_(values[0])
        norm.running_var.copy_(values[1])


def _keeps_statistics(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.running_mean is not None


def _states(three_t: bool, recompute: bool, layers: Sequence[str]) -> list[_State]:
    states = [_State(INTACT, recomputed=False, kinds=tuple(CLIPS))]
    if not three_t:
        return states
    again = (False, True) if recompute else (False,)
    # intact networks with new statistics too: what the ablated ones are to be compared with
    states += [
        _State(name, recomputed, BOTH)
        for name in (INTACT, *ABLATIONS)
        for recomputed in again
        if recomputed or name != INTACT
    ]
    for index, layer in enumerate(layers):
        states.append(_State("all", recompute, BOTH[:1], index, layer))
    return states


def _orders(seed: int, first: int, count: int, frames: int) -> Tensor:
    """(count, 1, T, 1, 1) orders of the frames of clips; each depends on its number alone."""
    drawn = [np.random.default_rng([seed, first + i]).permutation(frames) for i in range(count)]
    return torch.from_numpy(np.array(drawn, np.int64).reshape(count, 1, frames, 1, 1))


def _mirror(opposites: Iterable[tuple[str, str]], classes: Sequence[str]) -> dict[str, str]:
    """Class -> the class that it is played backwards."""
    mirror: dict[str, str] = {}
    for one, other in opposites:
        if one in classes and other in classes:
            mirror |= {one: other, other: one}
        else:
            log.info("no opposites here: %s and %s are not both among the classes", one, other)
    return mirror


def _rows(
    state: _State,
    kind: str,
    counts: NDArray[np.int64],
    classes: Sequence[str],
    mirror: Mapping[str, str],
) -> Iterator[tuple[object, ...]]:
    for i, label in enumerate(classes):
        n = int(counts[i].sum())
        if not n:
            continue
        opposite = mirror.get(label, "")
        taken = int(counts[i, list(classes).index(opposite)]) if opposite else 0
        norm = "recomputed" if state.recomputed else "trained"
        place = (kind, state.transforms, norm, state.layer_index, state.layer)
        yield (*place, label, opposite, n, int(counts[i, i]), taken)
