"""What `torch.fx` sees of a layer: one node, as of torch's own layers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.fx import Proxy

__all__ = ["fx_leaf"]


def fx_leaf(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Make a layer's `forward` one node of a graph that `torch.fx` traces.

    Tracers follow the code of all layers but torch's own, and code that depends on the size of a
    clip cannot be followed. `torch.fx.symbolic_trace`, torchvision's `create_feature_extractor` and
    quantisation by FX all go through here.
    """

    @functools.wraps(forward)
    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        first = next(iter((*args, *kwargs.values())), None)
        if isinstance(first, Proxy):
            tracer: Any = first.tracer
            if self._forward_hooks or self._forward_pre_hooks:
                raise TypeError(
                    f"torch.fx cannot trace {type(self).__name__} with hooks: they would run while "
                    "it is traced, and again in the graph. Remove them, and register them on it"
                )
            if tracer.root is self:
                raise TypeError(
                    f"torch.fx cannot trace {type(self).__name__} by itself, only a network that "
                    "holds it: the layer is one node of its graph"
                )
            return tracer.create_proxy("call_module", tracer.path_of_module(self), args, kwargs)
        return forward(self, *args, **kwargs)

    return call
