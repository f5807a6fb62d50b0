"""Runs any network repeatedly from one layer on, without knowing how it is built.

One run records the outputs of all module calls that ended before the layer was called: they cannot
depend on it. In later runs those modules return the recorded outputs, and only what follows is
computed. Several changed outputs of the layer go through the network as one batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["Replay", "patched"]

Patch = Callable[..., Any]  # (name, forward, *arguments of the call) -> result
Change = Callable[[Tensor, Tensor], Tensor]
TOLERANCE = 1e-3  # of the logits' range; a network that mixes the clips of a batch is far beyond


@contextmanager
def patched(network: nn.Module, patch: Patch) -> Iterator[None]:
    """Every call of a module of the network goes through `patch`; afterwards none does."""
    # Instances may already have a `forward` of their own, e.g. from an outer `patched`.
    before = {module: module.__dict__.get("forward") for module in network.modules()}
    try:
        for name, module in network.named_modules():
            module.forward = functools.partial(patch, name, module.forward)
        yield
    finally:
        for module, forward in before.items():
            del module.forward
            if forward is not None:
                module.forward = forward


class Replay:
    """A network's run on some clips, to be run again from one layer on.

    A module's result is recorded when its call has ended; a block's result replaces those of its
    parts. What a block that contains the layer computes by plain functions is computed again.
    In-place operations work on copies. A result that no later operation reads is not copied and
    has only the right shape.

    Args:
        network: in evaluation mode, without gradients.
        layer: the name of a convolution in it.
        clips: (N, 3, T, H, W).

    Attributes:
        logits: what the network gave.
        input, output: the layer's in its first call; None if it is not called.
        calls: how often it is called.
        repeats: whether changed outputs may stand side by side in a batch. Not so where the network
            turns out to mix the clips of a batch; then they are run one by one.
    """

    def __init__(self, network: nn.Module, layer: str, clips: Tensor) -> None:
        self.network, self.layer, self.clips = network, layer, clips
        self.input: Any = None
        self.output: Any = None
        self.calls = 0
        self.repeats = True
        self._kept: list[tuple[str, Any]] = []  # what modules put out, in order of their calls
        self._live = set[int]()  # which of these later operations read; -1 for the clips
        with patched(network, self._record):
            self.logits: Tensor = network(clips.clone())  # it may overwrite them
        if self.calls:
            self._look()

    def run(self, channels: Sequence[int], change: Change, changed: Tensor) -> Tensor:
        """The logits with a channel of the layer's output replaced, another in each batch part.

        Args:
            channels: one for each part; -1 replaces all at once.
            change: (input, output) of the layer -> the output to take channels from; asked from the
                layer's second call on.
            changed: its answer to the first call, (N, C, ...).

        Returns:
            (len(channels) * N, classes), part by part.
        """
        n = len(self.clips)

        def of_layer(forward: Any, first: bool, clip: Tensor) -> Tensor:
            mixed = _beside(self.output, len(channels), n) if first else forward(clip).clone()
            other = changed if first else change(clip, mixed)
            for i, channel in enumerate(channels):
                part, which = slice(i * n, (i + 1) * n), slice(None) if channel < 0 else channel
                mixed[part, which] = (other if first else other[part])[:, which]
            return mixed

        return self._again(len(channels), of_layer)

    def _record(self, name: str, forward: Any, *arguments: Any, **options: Any) -> Any:
        before = len(self._kept)
        if name == self.layer:
            self.calls += 1
            if self.calls == 1:
                self.input = arguments[0].clone()
                self.output = forward(*arguments, **options).clone()
                return self.output.clone()
        result = forward(*arguments, **options)
        # Drop the results of the parts that ran inside this call. A block that contains the layer
        # never gets here, because the layer has been called by then.
        if not self.calls:
            self._kept[before:] = [(name, tree_map(lambda leaf: _beside(leaf, 1, -1), result))]
        return result

    def _again(self, parts: int, of_layer: Any, look: _Look | None = None) -> Tensor:
        """Run the network from the layer on; earlier calls return what was recorded, in order."""
        calls, at, n = 0, 0, len(self.clips)

        def hand_out(i: int, value: Any) -> Any:
            # During the look everything is a real copy, since what will be read is not known yet.
            live = look is not None or i in self._live
            result = tree_map(lambda leaf: _beside(leaf, parts, n, live), value)
            if look is not None:
                look.give(i, result)
            return result

        def patch(name: str, forward: Any, *arguments: Any, **options: Any) -> Any:
            nonlocal calls, at
            if name == self.layer:
                calls += 1
                return of_layer(forward, calls == 1, *arguments, **options)
            # Recorded outputs are handed out in order of their calls; parts of a recorded block
            # are not called again, so the names stay in step.
            if not calls and at < len(self._kept) and self._kept[at][0] == name:
                at += 1
                return hand_out(at - 1, self._kept[at - 1][1])
            return forward(*arguments, **options)

        with patched(self.network, patch):
            return self.network(hand_out(-1, self.clips))

    def _look(self) -> None:
        """Run two unchanged copies as one batch: record what is read, check that logits agree."""

        def of_layer(forward: Any, first: bool, clip: Tensor) -> Tensor:
            return _beside(self.output, 2, len(self.clips)) if first else forward(clip)

        look = _Look()
        try:
            with look:
                logits = self._again(2, of_layer, look)
            # Unchanged inputs side by side must give the logits of the single run; a network that
            # mixes the clips of a batch (batch statistics, say) does not.
            limit = TOLERANCE * float(self.logits.abs().max())
            off = (logits.unflatten(0, (2, -1)) - self.logits).abs().max()
            self.repeats = bool(off <= limit)
        except RuntimeError:  # shapes that do not take a longer batch
            self.repeats = False
        self._live = look.read if self.repeats else {*range(-1, len(self._kept))}


class _Look(TorchDispatchMode):
    """Records which of the given tensors operations read or write; by storage, to include views."""

    def __init__(self) -> None:
        super().__init__()
        self.read = set[int]()
        self._owners: dict[int, int] = {}
        self._held: list[Any] = []  # so that no storage is given out again

    def give(self, i: int, value: Any) -> None:
        self._held.append(value)
        for leaf in tree_leaves(value):
            if isinstance(leaf, Tensor):
                self._owners[leaf.untyped_storage()._cdata] = i

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        for leaf in tree_leaves((args, kwargs)):
            if isinstance(leaf, Tensor) and self._owners:
                owner = self._owners.get(leaf.untyped_storage()._cdata)
                if owner is not None:
                    self.read.add(owner)
        return func(*args, **(kwargs or {}))


def _beside(leaf: Any, parts: int, n: int, live: bool = True) -> Any:
    """A copy of a tensor, `parts` times along the batch where it has one; other things as they are.

    Of a tensor that is not live only the shape counts.
    """
    if not isinstance(leaf, Tensor):
        return leaf
    # Tensors without a batch axis (buffers, sizes) serve all parts as they are.
    if leaf.ndim == 0 or len(leaf) != n:
        return leaf.clone()
    if live:
        return leaf.repeat(parts, *[1] * (leaf.ndim - 1))
    # A view: no memory for values that nobody reads.
    return leaf[:1].expand(parts * n, *leaf.shape[1:])
