"""Options of training: each one acts, and does what it says."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import threetconv.training.loop as module
from threetconv.errors import InputError
from threetconv.layer.conv3t import Conv3T
from threetconv.records.result import Result
from threetconv.training.checkpoints import Checkpoints
from threetconv.training.distributed import ALONE
from threetconv.training.loop import fit
from threetconv.training.settings import Settings
from threetconv.training.step import Steps


class Points:
    """A labelled set of vectors in memory; some may be unreadable."""

    def __init__(self, n: int, seed: int, unreadable: Sequence[int] = ()) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = np.arange(n) % 3
        self.inputs = torch.randn(n, 5, generator=generator)
        self.inputs[torch.arange(n), self.labels] += 1
        self.unreadable = set(unreadable)
        self.sizes: list[int] = []

    def __len__(self) -> int:
        return len(self.labels)

    def __call__(
        self, groups: Sequence[np.ndarray], *, epoch: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for group in groups:
            self.sizes.append(len(group))
            kept = [i for i in group if int(i) not in self.unreadable]
            yield self.inputs[kept], torch.from_numpy(self.labels[kept])


def linear() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def go(settings: Settings, network: nn.Module | None = None, **sets: Any) -> Result:
    training, validation = sets.pop("training", Points(24, 0)), sets.pop("val", Points(9, 1))
    return fit(network or linear(), training, validation, settings, seed=3, **sets)


def scripted(monkeypatch: pytest.MonkeyPatch, accuracies: Sequence[float]) -> None:
    """Validation accuracies as given, epoch by epoch."""
    script = iter(accuracies)
    monkeypatch.setattr(module, "evaluate", lambda *_a, **_o: (1.0, next(script), 9))


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rates that Adam had."""
    seen: list[float] = []

    class Spy(torch.optim.Adam):
        def step(self, closure: Any = None) -> Any:
            seen.append(self.param_groups[0]["lr"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Spy)
    return seen


def test_plateau_halving_reaches_the_optimiser(
    spied: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the authors' code it did not."""
    scripted(monkeypatch, [0.5, 0.4, 0.4, 0.6, 0.1, 0.1, 0.1])
    result = go(Settings(7, 24, 0.1, schedule="plateau", patience=2))
    assert spied == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025])
    assert result.sum_lr2 == pytest.approx(sum(rate**2 for rate in spied))


def test_other_schedules_do_not_heed_the_plateau(
    spied: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [0.1] * 4)
    go(Settings(4, 24, 0.1, schedule="cosine", patience=1))
    assert spied == pytest.approx([0.1 * 0.5 * (1 + math.cos(math.pi * i / 4)) for i in range(4)])


def test_early_stopping_ends_training(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [0.5, 0.4, 0.6, 0.6, 0.1, 0.2, 0.9])
    result = go(Settings(7, 24, 0.1, early_stopping=3))
    assert result.metrics["epoch"].max() == 6
    assert (result.best_epoch, result.n_updates) == (3, 6)


def test_rates_rise_over_the_warm_up(spied: list[float]) -> None:
    result = go(Settings(6, 24, 0.1, warm_up=3))
    assert spied == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])
    assert result.sum_lr2 == pytest.approx(sum(rate**2 for rate in spied))


def test_weight_decay_leaves_transforms_biases_and_norms() -> None:
    """Without gradients: only weights shrink, by rate times decay at each of two updates."""
    network = nn.Sequential(
        nn.Flatten(2), nn.Unflatten(2, (1, 1, 5)), Conv3T(1, 2, (2, 1, 3)), nn.BatchNorm3d(2)
    )
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    settings = Settings(1, 2, 0.1, weight_decay=0.5)
    steps = Steps(
        network, settings, labels=np.zeros(4, int), device=torch.device("cpu"), world=ALONE
    )
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for _ in range(2):
        steps._optimiser.step()
    for name, value in network.named_parameters():
        factor = 0.95**2 if value.ndim > 1 and name.endswith("weight") else 1
        torch.testing.assert_close(value.detach(), factor * before[name])


def test_label_smoothing_changes_the_training_loss_only() -> None:
    """The first training loss is that of smoothed labels; validation stays as it was."""
    found = {}
    for smoothing in (0.0, 0.3):
        # a rate of nearly nothing: both measure the network that they start from
        metrics = go(Settings(1, 24, 1e-12, label_smoothing=smoothing)).metrics
        loss = metrics[metrics["metric"] == "loss"].set_index("split")["value"]
        found[smoothing] = loss
    points, network = Points(24, 0), linear()
    with torch.no_grad():
        logs = network(points.inputs).log_softmax(1)
    plain = -logs[torch.arange(24), torch.from_numpy(points.labels)].mean()
    smoothed = 0.7 * plain - 0.3 * logs.mean()
    assert found[0.0]["train"] == pytest.approx(float(plain), rel=1e-5)
    assert found[0.3]["train"] == pytest.approx(float(smoothed), rel=1e-5)
    assert found[0.3]["val"] == pytest.approx(found[0.0]["val"], rel=1e-6)


def test_large_gradients_are_scaled_down(monkeypatch: pytest.MonkeyPatch) -> None:
    norms: list[float] = []

    class Spy(torch.optim.Adam):
        def step(self, closure: Any = None) -> Any:
            gradients = [p.grad.flatten() for g in self.param_groups for p in g["params"]]
            norms.append(float(torch.cat(gradients).norm()))
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Spy)
    go(Settings(2, 12, 0.01))
    free = norms.copy()
    norms.clear()
    limit = sorted(free)[1]
    go(Settings(2, 12, 0.01, clip_gradient=limit * 0.5))
    assert norms == pytest.approx([limit * 0.5] * 4, rel=1e-4)
    norms.clear()
    go(Settings(2, 12, 0.01, clip_gradient=10 * max(free)))
    assert norms == pytest.approx(free)


def test_class_weights_change_what_is_learnt() -> None:
    """A class of 2 in 42: with weights it is found, without it drowns."""
    training = Points(42, 0)
    training.labels = np.array([0] * 20 + [1] * 20 + [2] * 2)
    training.inputs = 1.2 * torch.randn(42, 5, generator=torch.Generator().manual_seed(0))
    training.inputs[torch.arange(42), training.labels] += 1
    found = {}
    for weights in ("none", "balanced"):
        network = linear()
        settings = Settings(30, 42, 0.02, class_weights=weights)
        go(settings, network, training=training)
        with torch.no_grad():
            found[weights] = float(network(training.inputs[40:]).softmax(1)[:, 2].mean())
    assert found["balanced"] > 3 * found["none"]


@pytest.mark.parametrize("weights", ["none", "balanced"])
@pytest.mark.parametrize("micro", [2, 3, 5, 7, 23])
def test_a_batch_in_parts_is_the_batch(micro: int, weights: str) -> None:
    """No batch norm here, so the gradients are the same to rounding."""
    whole, training = linear(), Points(23, 0)
    first = go(Settings(2, 10, 0.01, class_weights=weights), whole, training=Points(23, 0))
    parted = linear()
    settings = Settings(2, 10, 0.01, class_weights=weights, micro_batch=micro)
    second = go(settings, parted, training=training)
    assert max(training.sizes) <= max(micro, 3)
    assert 1 not in training.sizes
    for a, b in zip(whole.parameters(), parted.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(first.metrics["value"], second.metrics["value"], rtol=1e-5)
    assert first.n_updates == second.n_updates == 6


@pytest.mark.parametrize("micro", [None, 4])
def test_items_left_out_leave_the_mean_of_the_others(
    micro: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradients themselves: Adam's first step would be the same for any multiple of them."""
    seen: list[list[Tensor]] = []

    class Spy(torch.optim.Adam):
        def step(self, closure: Any = None) -> Any:
            seen.append([p.grad.clone() for p in self.param_groups[0]["params"]])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Spy)
    training = Points(12, 0, unreadable=[1, 5, 6])
    go(Settings(1, 12, 0.01, micro_batch=micro), training=training)
    kept = [i for i in range(12) if i not in {1, 5, 6}]
    network = linear()
    labels = torch.from_numpy(training.labels[kept])
    nn.functional.cross_entropy(network(training.inputs[kept]), labels).backward()
    for found, parameter in zip(seen[0], network.parameters(), strict=True):
        torch.testing.assert_close(found, parameter.grad, rtol=1e-4, atol=1e-6)


def test_batches_without_a_readable_item_are_no_updates() -> None:
    order = np.random.default_rng([3, 1]).permutation(12)
    result = go(Settings(1, 4, 0.01), training=Points(12, 0, unreadable=order[4:8].tolist()))
    assert result.n_updates == 2
    assert result.metrics.query("split == 'train'")["n"].tolist() == [8, 8]
    with pytest.raises(InputError, match="no batch that could be used"):
        go(Settings(1, 4, 0.01), training=Points(12, 0, unreadable=range(12)))


def test_unreadable_validation_items_do_not_count() -> None:
    result = go(Settings(1, 12, 0.01), val=Points(9, 1, unreadable=[0, 8]))
    assert result.metrics.query("split == 'val'")["n"].tolist() == [7, 7]


def test_the_test_split_is_measured_once_on_the_best_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Never looked at before: the best epoch is chosen on the validation split."""
    training, held_out, network = Points(60, 0), Points(30, 5), linear()
    seen: list[int] = []
    real = held_out.__class__.__call__

    def spy(self: Points, groups: Sequence[np.ndarray], *, epoch: int) -> Any:
        if self is held_out:
            seen.append(epoch)
        return real(self, groups, epoch=epoch)

    monkeypatch.setattr(Points, "__call__", spy)
    result = go(Settings(4, 10, 0.05), network, training=training, test=held_out)
    rows = result.metrics.query("split == 'test'")
    assert rows["metric"].tolist() == ["loss", "accuracy"]
    assert set(rows["epoch"]) == {result.best_epoch}
    assert len(seen) == 1
    last = [p.detach().clone() for p in network.parameters()]
    best = linear()
    best.load_state_dict(result.best_state)
    accuracy = (best(held_out.inputs).argmax(1).numpy() == held_out.labels).mean()
    assert rows["value"].iloc[1] == pytest.approx(accuracy)
    again = linear()
    go(Settings(4, 10, 0.05), again, training=Points(60, 0))
    for a, b in zip(last, again.parameters(), strict=True):
        assert torch.equal(a, b)  # neither the test nor its network leaves a trace


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_learns_about_the_same(precision: str) -> None:
    settings = {"epochs": 12, "batch_size": 12, "learning_rate": 0.05}
    full = go(Settings(**settings), training=Points(60, 0))
    low = go(Settings(**settings, precision=precision), training=Points(60, 0))
    a, b = (r.metrics.query("split == 'train' and metric == 'loss'")["value"] for r in (full, low))
    assert not np.array_equal(a, b)
    np.testing.assert_allclose(a, b, rtol=0.05)


class Broken(nn.Module):
    """Gives what is no number from a given forward pass on, or a gradient that is none."""

    def __init__(self, when: int, where: str) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 8), nn.Linear(8, 3)
        self.middle = Middle(when, where)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.second(self.middle(self.first(x)))
        return logits


class Middle(nn.Module):
    def __init__(self, when: int, where: str) -> None:
        super().__init__()
        self.when, self.where, self.calls = when, where, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += self.training
        if self.calls < self.when:
            return x
        if self.where == "loss":
            return x * math.inf
        return x + (x.abs().sum() * 0).sqrt()  # 0 forward, infinite times 0 backward


@pytest.mark.parametrize(
    ("where", "layer"), [("loss", "at middle"), ("gradient", "at first.weight|at first.bias")]
)
def test_numbers_that_are_none_stop_the_run_and_name_the_layer(
    where: str, layer: str, tmp_path: Path
) -> None:
    network = Broken(3, where)
    saved = Checkpoints(tmp_path, belongs_to={}, every=1e9)
    with pytest.raises(InputError, match=layer) as error:
        go(Settings(2, 6, 0.01), network, checkpoints=saved)
    assert "epoch 1, update 3" in str(error.value)
    (file,) = tmp_path.glob("not-finite-*.pt")
    assert str(file) in error.value.remedy
    state = torch.load(file, weights_only=True)["state"]
    assert all(bool(torch.isfinite(v).all()) for v in state["steps"]["network"].values())
    assert state["result"]["n_updates"] == 2
    assert saved.load() is None  # nobody goes on from there


def test_an_unknown_option_is_refused_with_the_names() -> None:
    for changes in ({"precision": "float8"}, {"class_weights": "balance"}, {"schedule": "cosines"}):
        with pytest.raises(InputError, match="expected: one of"):
            go(Settings(1, 6, 0.01, **changes))  # type: ignore[arg-type]


def test_every_update_sees_its_own_items_once() -> None:
    training = Points(24, 0)
    go(Settings(3, 7, 0.01, micro_batch=4), training=training)
    per_epoch = [24 - 0] * 3  # 24 = 7 + 7 + 7 + 3
    assert sum(training.sizes) == sum(per_epoch)
    assert list(itertools.islice(training.sizes, 7)) == [4, 3, 4, 3, 4, 3, 3]
