"""Guided backpropagation through every rectifier of a network, however the network calls it.

captum overrides gradients at the `nn.ReLU` modules of a network. torchvision's networks also call
`F.relu` themselves (GoogLeNet, Inception, DenseNet's end) and use `nn.ReLU6` (MobileNet), which
captum does not see. Here all these calls, those of modules included, are redirected to two
`nn.ReLU` modules outside the network, and captum hooks these. Modules that are used in several
places or work in place therefore need no special care. The network is neither copied nor hooked.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["guided_gradient"]

RELU: dict[Callable[..., Any], bool] = {
    F.relu: False,
    torch.relu: False,
    Tensor.relu: False,
    F.relu_: True,
    torch.relu_: True,
    Tensor.relu_: True,
}
"""Rectifiers, and whether the call is in place by its name."""
OTHERS: dict[Callable[..., Any], str] = {
    F.hardswish: "Hardswish",
    F.hardsigmoid: "Hardsigmoid",
    F.silu: "SiLU",
    F.gelu: "GELU",
    F.mish: "Mish",
    F.elu: "ELU",
    F.selu: "SELU",
    F.celu: "CELU",
    F.leaky_relu: "LeakyReLU",
    F.prelu: "PReLU",
    F.softplus: "Softplus",
    F.sigmoid: "Sigmoid",
    torch.sigmoid: "Sigmoid",
    Tensor.sigmoid: "Sigmoid",
    F.tanh: "Tanh",
    torch.tanh: "Tanh",
    Tensor.tanh: "Tanh",
}
"""Other non-linearities, for the note; they keep their own gradient."""


class _CappedReLU(nn.ReLU):
    """min(max(x, 0), cap), of a class that captum overrides."""

    cap = 6.0

    def forward(self, input: Tensor) -> Tensor:
        # Where the input is outside (0, cap) its gradient is 0, as guided backpropagation asks
        # for.
        return F.hardtanh(input, 0.0, self.cap)


class _Guided(nn.Module):
    """A target whose rectifiers are this module's own children, and its only ones."""

    def __init__(self, target: nn.Module) -> None:
        super().__init__()
        self._target = (target,)  # in a tuple: no child, so that captum hooks nothing in it
        self.relu, self.capped = nn.ReLU(), _CappedReLU()
        self.calls: Counter[str] = Counter()

    def forward(self, clips: Tensor) -> Tensor:
        self.calls.clear()
        with _Rectifiers(self):
            found: Tensor = self._target[0](clips)
        return found


class _Rectifiers(TorchFunctionMode):
    """While active, every call of a rectifier goes through the modules of a `_Guided`."""

    def __init__(self, guided: _Guided) -> None:
        super().__init__()
        self.guided = guided

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in RELU:
            return self._relu(RELU[func], *args, **kwargs)
        if func is F.relu6:
            return self._hardtanh(args[0], 0.0, 6.0, *args[1:], **kwargs)
        if func is F.hardtanh:
            return self._hardtanh(*args, **kwargs)
        if func in OTHERS:
            self.guided.calls[OTHERS[func]] += 1
        return func(*args, **kwargs)

    def _relu(self, in_place: bool, input: Tensor, inplace: bool = False) -> Tensor:
        self.guided.calls["ReLU"] += 1
        return _through(self.guided.relu, input, in_place or inplace)

    def _hardtanh(
        self, input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
    ) -> Tensor:
        """`nn.ReLU6` calls this too."""
        # Only a lower bound of 0 makes it a rectifier; others pass negative values.
        if min_val != 0:
            self.guided.calls["Hardtanh"] += 1
            return F.hardtanh(input, min_val, max_val, inplace)
        self.guided.calls[f"ReLU{max_val:g}"] += 1
        # One module serves caps of any size: autograd keeps the cap that each call used.
        self.guided.capped.cap = max_val
        return _through(self.guided.capped, input, inplace)


def _through(module: nn.Module, input: Tensor, in_place: bool) -> Tensor:
    own = input.clone()  # captum hooks it: what else reads `input` keeps its gradient
    # captum hooks the tensor, too, which fails for one without gradient: forward skips the hooks.
    rectified: Tensor = module(own) if own.requires_grad else module.forward(own)
    return input.copy_(rectified) if in_place else rectified


def guided_gradient(target: nn.Module, clip: Tensor) -> tuple[Tensor, str]:
    """The gradient of a target by the clip, with only positive gradients let through rectifiers.

    At a ReLU, capped (ReLU6) or not, the gradient that comes from above is set to zero where it is
    negative, and where the rectifier does not pass its input (Springenberg et al. 2015, arXiv
    1412.6806).
    Non-linearities of other kinds, which need not be monotone, keep their own gradient.

    Args:
        target: takes (B, 3, T, H, W) to (B,); see `threetconv.explain.saliency.targets`.
        clip: (1, 3, T, H, W).

    Returns:
        Gradient (1, 3, T, H, W), and what was done, in words: how many rectifiers were run and
        guided, and which other non-linearities were run. Without rectifiers it is the plain
        gradient.
    """
    from captum.attr import GuidedBackprop  # a second to import

    guided = _Guided(target)
    with warnings.catch_warnings():
        # captum tells every user that it sets hooks; they sit on our own modules and are removed
        # again.
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU")
        gradient: Tensor = GuidedBackprop(guided).attribute(clip.clone().requires_grad_())
    return gradient.detach(), _note(guided.calls)


def _note(calls: Counter[str]) -> str:
    # ReLU and ReLUn (capped) were guided; everything else counted kept its own gradient.
    names = sorted(calls)
    guided = [f"{calls[name]} {name}" for name in names if name.startswith("ReLU")]
    plain = [f"{calls[name]} {name}" for name in names if not name.startswith("ReLU")]
    text = f"guided at {' and '.join(guided)}" if guided else "no rectifier to guide at"
    return text + (f"; {', '.join(plain)} with their own gradient" if plain else "")
