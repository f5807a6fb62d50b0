"""Which pixels make a channel respond? The methods by name, for any lifted network.

All explain the same thing for one clip: the strongest unit of a channel, the largest raw output of
its convolution over time and space, or, on request, another unit or the logit of a class. A 3D
network is looked at over the whole sequence (`Saliency.map`); for a 3T network, whose transforms
say what moves, the paper shows one frame (`Saliency.frame`). Both are there for both.
Adding a method is one file beside this one and one line in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable

from threetconv.explain.saliency.grad_cam import grad_cam
from threetconv.explain.saliency.gradient import gradient
from threetconv.explain.saliency.guided_backprop import guided_backprop
from threetconv.explain.saliency.integrated_gradients import integrated_gradients
from threetconv.explain.saliency.result import Saliency

__all__ = ["METHODS"]

METHODS: dict[str, Callable[..., Saliency]] = {
    "gradient": gradient,
    "integrated-gradients": integrated_gradients,
    "guided-backprop": guided_backprop,
    "grad-cam": grad_cam,
}
"""Name -> f(network, clip (1, 3, T, H, W), channel, **options) -> Saliency."""
