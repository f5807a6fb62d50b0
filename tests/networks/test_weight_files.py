"""State dicts in files: what is read, what is refused, and that no code in them runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.networks.build import build_network
from threetconv.networks.weight_files import (
    FORMATS,
    load_into,
    load_weights,
    read_state,
)
from threetconv.records.load_model import network_of

State = dict[str, Tensor]
RECORD = {
    "network": "resnet18", "convolution": "3t", "init": "scratch", "num_classes": 3, "frames": 8,
    "height": 16, "width": 16, "width_factor": 0.125,
}  # fmt: skip


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))


def same(a: State, b: State) -> bool:
    return set(a) == set(b) and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files(wrapper: str | None, prefix: str, zipped: bool, tmp_path: Path) -> None:
    state = model().state_dict()
    named = {prefix + name: value for name, value in state.items()}
    content = named if wrapper is None else {wrapper: named, "epoch": 3}
    torch.save(content, tmp_path / "run", _use_new_zipfile_serialization=zipped)
    assert same(read_state(tmp_path / "run"), state)


def test_safetensors_whatever_the_file_is_called(tmp_path: Path) -> None:
    state = model().state_dict()
    save_file(state, tmp_path / "run.pt")
    assert same(read_state(tmp_path / "run.pt"), state)


def test_a_name_that_begins_with_module_by_itself_is_kept(tmp_path: Path) -> None:
    save_file({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "x.safetensors")
    assert set(read_state(tmp_path / "x.safetensors")) == {"module.a", "b"}


@pytest.mark.parametrize("way", ["torch", "torch-old", "pickle", "beside"])
def test_a_pickle_with_code_is_refused_and_does_not_run(way: str, tmp_path: Path) -> None:
    path, marker = tmp_path / "run.pt", tmp_path / "marker"
    trap = Trap(marker)
    if way == "pickle":
        path.write_bytes(pickle.dumps(trap, protocol=2))
    else:
        content: Any = {"state_dict": model().state_dict(), "args": trap}
        torch.save(
            content if way == "beside" else trap,
            path,
            _use_new_zipfile_serialization=way != "torch-old",
        )
    with pytest.raises(InputError, match="could run code") as caught:
        read_state(path)
    assert "mkdir" in caught.value.found
    assert not marker.exists()
    with pytest.raises(InputError):
        load_weights(path, network_of(RECORD), format="authors")
    assert not marker.exists()
    if way == "pickle":  # the trap is a real one
        pickle.loads(path.read_bytes())
        assert marker.exists()


@pytest.mark.parametrize("size", [0, 5, 60, -10])
@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_damaged_files_are_refused(kind: str, size: int, tmp_path: Path) -> None:
    path = tmp_path / "run"
    if kind == "torch":
        torch.save(model().state_dict(), path)
    else:
        save_file(model().state_dict(), path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match="fetch the file again"):
        read_state(path)


@pytest.mark.parametrize("content", [{}, [1, 2], {"state_dict": {}}, {"a": 1}, torch.ones(2)])
def test_what_is_no_state_dict_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "run.pt")
    with pytest.raises(InputError, match="tensors by name"):
        read_state(tmp_path / "run.pt")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing at this path"):
        read_state(tmp_path / "none")


def test_every_tensor_is_loaded() -> None:
    state, network = model(1).state_dict(), model(2)
    load_into(network, state, "x")
    assert same(network.state_dict(), state)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("0.bias"), "1 missing (0.bias)"),
        (lambda s: s.update(extra=torch.ones(1)), "1 unexpected (extra)"),
        (
            lambda s: s.update({"2.weight": torch.ones(7, 5), "2.bias": torch.ones(7)}),
            "2 of another shape (2.weight (7, 5) for (3, 5), 2.bias (7,) for (3,)); 7 classes",
        ),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(change: Any, words: str) -> None:
    state, network = model(1).state_dict(), model(2)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    change(state)
    with pytest.raises(InputError, match="weights of another network") as caught:
        load_into(network, state, "run.pt")
    assert caught.value.where == "run.pt"
    assert words in caught.value.found
    assert "3 classes" in caught.value.expected
    assert same(network.state_dict(), before)


def test_of_many_names_the_first_are_told() -> None:
    network = network_of(RECORD)
    with pytest.raises(InputError, match=r"\d\d+ missing \(conv1.weight, .*, \.\.\.\), 1 unexp"):
        load_into(network, {"weight": torch.ones(1)}, "run.pt")


def test_weights_that_are_not_finite_are_refused() -> None:
    state = model(1).state_dict()
    state["0.bias"][2] = torch.inf
    with pytest.raises(InputError, match=r"not finite in 1 tensors \(0.bias\)"):
        load_into(model(2), state, "run.pt")


def test_formats_are_looked_up(tmp_path: Path) -> None:
    assert list(FORMATS) == ["threetconv", "authors"]
    with pytest.raises(InputError, match="did you mean 'authors'"):
        load_weights(tmp_path, model(), format="author")


@pytest.mark.parametrize(
    ("carry", "init", "eps"),
    [("all", "pretrained", 1e-3), ("all", "scratch", 1e-5), ("convolutions", "pretrained", 1e-5)],
)
def test_batch_norm_is_that_of_training(carry: str, init: str, eps: float) -> None:
    record = RECORD | {"network": "googlenet", "carry": carry, "init": init}
    network = network_of(record)
    norms = {m.eps for m in network.modules() if isinstance(m, nn.BatchNorm3d)}
    assert norms == {eps}
    twin = build_network("googlenet", num_classes=3, clip_shape=(8, 16, 16), width=0.125)
    assert set(network.state_dict()) == set(twin.state_dict())
