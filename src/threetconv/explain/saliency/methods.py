"""The saliency methods by name, for any lifted network: which pixels make a channel respond.

All explain the same target for one clip: by default the strongest unit of a channel, which has the
largest raw output of its convolution over time and space; on request another unit or the logit of
a class. The paper shows a 3D network's saliency over the whole sequence (`Saliency.map`) and a 3T
network's, whose transforms describe the motion, on one frame (`Saliency.frame`). Both are
available for both. To add a method, add one file beside this one and one line in `METHODS`.
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
