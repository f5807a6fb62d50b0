"""Read state dicts from files without running code, and load them strictly.

torch is imported only where tensors are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threetconv.errors import InputError, look_up, missing_file

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["FORMATS", "load_into", "load_weights", "read_state"]

WRAPPERS = ("state_dict", "model_state_dict", "model")
STATE = "a state dict: tensors by name, as safetensors or from torch.save"
REMEDY = "fetch the file again, or have its maker save model.state_dict()"
SHOWN = 3  # names listed in a message


def read_state(path: str | Path, *, remedy: str = REMEDY) -> dict[str, Tensor]:
    """The tensors of a safetensors or torch file, by name; code in the file cannot run.

    The format is recognised by the first bytes. A state dict nested as ``state_dict``,
    ``model_state_dict`` or ``model`` is unwrapped, and a prefix ``module.`` (DataParallel) is
    removed if every name has it.

    Args:
        path: the file.
        remedy: advice in the message about a file that is damaged or not a state dict.

    Raises:
        InputError: the file is missing, damaged or of neither format, or holds anything but tensors
            by name (other objects are not constructed).
    """
    path = Path(path)
    if not path.is_file():
        raise missing_file(path, expected=STATE)
    try:
        with path.open("rb") as file:
            head = file.read(9)
        # safetensors: 8 bytes, little-endian, with the header's length, then JSON; the upper three
        # bytes are zero for every header of a possible size
        safe = head[8:] == b"{" and head[5:8] == bytes(3)
        content: Any = (_read_safetensors if safe else _read_torch)(path, remedy)
    except OSError as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}", remedy) from error
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        empty = isinstance(content, Mapping)
        raise _unreadable(path, "no tensors" if empty else f"a {type(content).__name__}", remedy)
    import torch  # torch only where tensors are read

    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise _unreadable(path, f"{name!r}: a {type(value).__name__}", remedy)
    prefix = "module." if all(name.startswith("module.") for name in content) else ""
    return {name.removeprefix(prefix): value for name, value in content.items()}


def _read_safetensors(path: Path, remedy: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file  # torch only where tensors are read

    try:
        return load_file(path)
    except SafetensorError as error:
        raise _unreadable(path, f"a damaged safetensors file ({error})", remedy) from error


def _read_torch(path: Path, remedy: str) -> Any:
    import torch  # torch only where tensors are read

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises many types for bad files
        # torch's message names the refused class as "GLOBAL module.name", after the pickle opcode
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named:
            raise InputError(
                path,
                found=f"a pickle that asks for {named[1]}, which could run code",
                expected="tensors by name and nothing else; the file was not unpickled",
                remedy="ask for the state dict alone (model.state_dict()), best as safetensors",
            ) from error
        first = str(error).partition("\n")[0]
        raise _unreadable(path, f"{type(error).__name__}: {first}", remedy) from error


def _unreadable(path: Path, found: str, remedy: str) -> InputError:
    return InputError(path, found=found, expected=STATE, remedy=remedy)


def load_into(network: nn.Module, state: Mapping[str, Tensor], where: str | Path) -> None:
    """Load a state dict strictly: exactly the network's tensors, same shapes, finite values.

    Args:
        network: takes the tensors, in place.
        state: name -> tensor.
        where: the file, for messages.

    Raises:
        InputError: the tensors are those of another network, or not finite. The network is then
            unchanged.
    """
    own = network.state_dict()
    missing = [name for name in own if name not in state]
    strange = [name for name in state if name not in own]
    shaped = [name for name in own if name in state and state[name].shape != own[name].shape]
    problems = {"missing": missing, "unexpected": strange}
    listed = [f"{len(names)} {kind} ({_some(names)})" for kind, names in problems.items() if names]
    if shaped:
        shapes = [f"{n} {tuple(state[n].shape)} for {tuple(own[n].shape)}" for n in shaped]
        listed.append(f"{len(shaped)} of another shape ({_some(shapes)})")
    if listed:
        classes, wanted = _classes(network, state), _classes(network, own)
        told = f"; {classes} classes" if classes is not None else ""
        raise InputError(
            where,
            found=f"weights of another network: {', '.join(listed)}{told}",
            expected=f"the {len(own)} tensors of this {type(network).__name__}; {wanted} classes",
            remedy="load it into a network of its own kind, convolution, width, clip shape and "
            "number of classes; in a study, list it for a run that has them",
        )
    # integers, such as batch norm's counters, are always finite
    bad = [n for n, value in state.items() if value.is_floating_point() and not _finite(value)]
    if bad:
        raise InputError(
            where,
            found=f"numbers that are not finite in {len(bad)} tensors ({_some(bad)})",
            expected="finite weights",
            remedy="the weights are of a run that diverged; use others",
        )
    network.load_state_dict(dict(state))


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _finite(value: Tensor) -> bool:
    return bool(value.isfinite().all())


def _classes(network: nn.Module, state: Mapping[str, Tensor]) -> int | None:
    """Rows of the last linear layer's weights, as `state` has them."""
    from torch import nn as layers  # torch only where tensors are read

    names = [name for name, part in network.named_modules() if isinstance(part, layers.Linear)]
    weight = state.get(f"{names[-1]}.weight") if names else None
    return None if weight is None or weight.ndim != 2 else int(weight.shape[0])


def _load_ours(path: str | Path, network: nn.Module) -> None:
    load_into(network, read_state(path), path)


def _load_authors(path: str | Path, network: nn.Module) -> None:
    from threetconv.networks.authors import load_authors_checkpoint  # torch when needed

    load_authors_checkpoint(path, network)


FORMATS: dict[str, Callable[[str | Path, nn.Module], None]] = {
    "threetconv": _load_ours,
    "authors": _load_authors,
}
"""Naming schemes of weight files: this package's, or that of the paper's authors' code."""


def load_weights(path: str | Path, network: nn.Module, *, format: str) -> None:
    """Load a weight file into a network, in place; `format` is a name in `FORMATS`.

    Raises:
        InputError: an unknown format, or as `read_state` and `load_into` or
            `threetconv.networks.authors.load_authors_checkpoint`.
    """
    look_up(FORMATS, format, what="format of weights")(path, network)
