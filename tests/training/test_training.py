"""The training loop: it learns, repeats to the bit, and records what it says."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import threetconv.training.loop as module
from threetconv.errors import InputError
from threetconv.layer.conv3t import Conv3T
from threetconv.records.result import Result
from threetconv.training import loss
from threetconv.training.evaluate import evaluate
from threetconv.training.loop import fit
from threetconv.training.schedules import SCHEDULES
from threetconv.training.settings import Settings


class Memory:
    """A labelled set in memory that remembers the orders it was asked for."""

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self.inputs, self.targets = inputs, labels
        self.orders: list[list[int]] = []

    @property
    def labels(self) -> np.ndarray:
        return self.targets.numpy()

    def __len__(self) -> int:
        return len(self.targets)

    def __call__(
        self, groups: Sequence[np.ndarray], *, epoch: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        self.orders.append([int(i) for group in groups for i in group])
        for chosen in groups:
            yield self.inputs[chosen], self.targets[chosen]


def clips(n: int, seed: int, classes: int = 3) -> Memory:
    """Noise in which one of the colour channels is bright: the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % classes
    inputs = 0.3 * torch.randn(n, 3, 4, 6, 6, generator=generator)
    inputs[torch.arange(n), labels] += 1
    return Memory(inputs, labels)


def small(seed: int = 0, dropout: float = 0.0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            Conv3T(3, 6, 3, padding=1),
            nn.BatchNorm3d(6),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(6, 3),
        )


SETTINGS = Settings(epochs=3, batch_size=6, learning_rate=0.01, snapshot_every=4)


@pytest.fixture(scope="module")
def run() -> Result:
    return fit(small(), clips(30, 0), clips(12, 1), SETTINGS, seed=5)


def test_a_separable_set_is_learnt() -> None:
    settings = Settings(epochs=12, batch_size=6, learning_rate=0.02, schedule="one-cycle")
    network = small()
    result = fit(network, clips(60, 0), clips(30, 1), settings, seed=0)
    final = result.metrics[result.metrics["epoch"] == 12].set_index(["split", "metric"])["value"]
    assert final["train", "accuracy"] == 1
    assert final["val", "accuracy"] == 1
    assert final["val", "loss"] < 0.2
    assert evaluate(network, clips(30, 2), batch_size=7)[1] == 1
    moved = next(s for s in result.snapshots if s.tag == "last").values
    assert all(np.abs(moved[f"0.{name}"]).max() > 1e-3 for name in ("rotate", "translate_x"))


def same(a: Result, b: Result) -> bool:
    columns = ["step", "epoch", "split", "metric", "value", "n"]
    return (
        all(torch.equal(a.best_state[k], b.best_state[k]) for k in a.best_state)
        and a.metrics[columns].equals(b.metrics[columns])
        and all(
            (x.step, x.tag) == (y.step, y.tag)
            and all(np.array_equal(x.values[k], y.values[k]) for k in x.values)
            for x, y in zip(a.snapshots, b.snapshots, strict=True)
        )
    )


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    def go(seed: int) -> Result:
        torch.rand(seed + 1)  # whatever came before must not matter
        return fit(small(dropout=0.5), clips(30, 0), clips(12, 1), SETTINGS, seed=seed)

    first, again, other = go(5), go(5), go(6)
    assert same(first, again)
    assert not same(first, other)


def test_dropout_follows_the_seed_alone() -> None:
    """With a single batch in a fixed set, only dropout can tell two seeds apart."""
    settings = Settings(epochs=1, batch_size=30, learning_rate=0.01)
    results = [
        fit(small(dropout=0.5), clips(30, 0), clips(12, 1), settings, seed=s) for s in (1, 1, 2)
    ]
    assert same(results[0], results[1])
    loss = [r.metrics["value"].iloc[0] for r in results]
    assert abs(loss[0] - loss[2]) > 1e-4


def test_global_generators_are_left_alone() -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    fit(small(dropout=0.5), clips(12, 0), clips(6, 1), SETTINGS, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_every_epoch_has_an_order_of_its_own() -> None:
    data = clips(30, 0)
    fit(small(), data, clips(12, 1), SETTINGS, seed=5)
    assert all(sorted(order) == list(range(30)) for order in data.orders)
    assert all(a != b for a, b in itertools.combinations(data.orders, 2))


def test_a_last_batch_of_one_is_left_out() -> None:
    """Batch norm over a single value has no variance; torch would raise."""
    data = clips(13, 0)
    settings = Settings(epochs=3, batch_size=4, learning_rate=0.01, schedule="one-cycle")
    norm = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.BatchNorm1d(3), nn.Linear(3, 3))
    result = fit(norm, data, clips(12, 1), settings, seed=0)
    assert [len(order) for order in data.orders] == [12, 12, 12]
    assert len({frozenset(order) for order in data.orders}) > 1
    assert result.n_updates == 9
    assert set(result.metrics.query("split == 'train'")["n"]) == {12}


@pytest.mark.parametrize(("items", "used"), [(1, 1), (4, 4), (5, 4), (6, 6), (9, 8)])
def test_how_many_items_an_epoch_uses(items: int, used: int) -> None:
    data = clips(items, 0)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 36, 3))
    fit(flat, data, clips(3, 1), Settings(1, 4, 0.01), seed=0)
    assert len(data.orders[0]) == used


def test_the_metrics_table(run: Result) -> None:
    table = run.metrics
    assert list(table.columns) == ["step", "epoch", "split", "metric", "value", "n"]
    assert len(table) == 3 * 2 * 2
    assert table.groupby("epoch")["step"].first().tolist() == [5, 10, 15]
    assert set(table.query("split == 'train'")["n"]) == {30}
    assert set(table.query("split == 'val'")["n"]) == {12}
    assert not table.duplicated(["epoch", "split", "metric"]).any()


def test_snapshots_stand_on_the_grid(run: Result) -> None:
    steps = {
        tag: [s.step for s in run.snapshots if s.tag == tag]
        for tag in ("init", "snapshot", "last", "best")
    }
    assert steps["init"] == [0]
    assert steps["snapshot"] == [4, 8, 12]
    assert steps["last"] == [15]
    assert steps["best"] == [run.best_step]
    order = [s.step for s in run.snapshots]
    assert order == sorted(order)
    assert [s.epoch for s in run.snapshots if s.tag == "snapshot"] == [1, 2, 3]
    start = run.snapshots[0].values
    assert (start["0.scale"] == 1).all()
    assert (start["0.rotate"] == 0).all()


def test_sum_lr2_of_a_constant_rate(run: Result) -> None:
    for snapshot in run.snapshots:
        assert snapshot.sum_lr2 == pytest.approx(snapshot.step * 0.01**2, rel=1e-12)
    assert run.sum_lr2 == pytest.approx(15 * 0.01**2, rel=1e-12)
    assert run.n_updates == 15
    assert run.seconds > 0


def test_the_best_snapshot_holds_the_best_states_parameters(run: Result) -> None:
    best = next(s for s in run.snapshots if s.tag == "best")
    for name, value in best.values.items():
        if not name.endswith(".walk"):
            assert np.array_equal(value, run.best_state[name].numpy())


def test_the_schedule_reaches_the_optimiser(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's authors' did not. sum_lr2 counts the rates that Adam really had."""
    rates: list[float] = []

    class Spy(torch.optim.Adam):
        def step(self, closure: Any = None) -> Any:
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Spy)
    settings = Settings(epochs=2, batch_size=6, learning_rate=0.02, schedule="one-cycle")
    result = fit(small(), clips(24, 0), clips(6, 1), settings, seed=0)
    expected = [0.02 * SCHEDULES["one-cycle"](step, 8) for step in range(8)]
    assert rates == pytest.approx(expected)
    assert result.sum_lr2 == pytest.approx(sum(rate**2 for rate in rates))


def test_the_best_epoch_is_the_first_with_the_highest_validation_accuracy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = iter([0.2, 0.6, 0.6, 0.4])
    states: list[Tensor] = []

    def scripted(network: nn.Module, *_args: Any, **_options: Any) -> tuple[float, float, int]:
        states.append(network.state_dict()["6.weight"].clone())
        return 1.0, next(script), 10

    monkeypatch.setattr(module, "evaluate", scripted)
    settings = Settings(epochs=4, batch_size=6, learning_rate=0.01)
    result = fit(small(), clips(30, 0), clips(6, 1), settings, seed=0)
    assert (result.best_epoch, result.best_step) == (2, 10)
    assert torch.equal(result.best_state["6.weight"], states[1])
    assert [s.epoch for s in result.snapshots if s.tag == "best"] == [2]


class TwoHeads(nn.Module):
    """Logits and two auxiliary heads, each with a weight of its own, as GoogLeNet in training."""

    def __init__(self, evil: bool = False) -> None:
        super().__init__()
        self.heads = nn.ParameterList(nn.Parameter(torch.zeros(3, 3)) for _ in range(3))
        self.evil = evil

    def forward(self, x: Tensor) -> Any:
        features = x.mean((2, 3, 4))
        outputs = tuple(features @ head for head in self.heads)
        if self.evil:
            outputs = (outputs[0], outputs[1] * math.nan, outputs[2])
        return outputs if self.training else outputs[0]


def test_the_auxiliary_loss_is_weighted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients of auxiliary heads are 0.3 times what they would be as the main loss."""
    gradients: list[list[Tensor]] = []

    class Spy(torch.optim.Adam):
        def step(self, closure: Any = None) -> Any:
            gradients.append([p.grad.clone() for p in self.param_groups[0]["params"]])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Spy)
    data = clips(6, 0)
    for weight in (0.3, 0.0):
        settings = Settings(1, 6, 0.01, auxiliary_weight=weight)
        result = fit(TwoHeads(), data, clips(3, 1), settings, seed=0)
        main, first, second = gradients.pop()
        assert float(main.abs().max()) > 0.01
        torch.testing.assert_close(first, weight * main)
        torch.testing.assert_close(second, weight * main)
        # what is reported is the main head's loss alone
        assert result.metrics["value"].iloc[0] == pytest.approx(math.log(3), rel=1e-5)


@pytest.mark.parametrize("what", ["input", "auxiliary", "validation"])
def test_a_loss_that_is_not_finite_stops_the_run(what: str) -> None:
    training, validation = clips(12, 0), clips(6, 1)
    network: nn.Module = small()
    if what == "input":
        training.inputs[:] = math.nan
    elif what == "auxiliary":
        network = TwoHeads(evil=True)
    else:
        validation.inputs[0] = math.inf
    with pytest.raises(InputError, match=r"epoch 1, update [12]") as error:
        fit(network, training, validation, SETTINGS, seed=0)
    assert "learning_rate" in error.value.remedy


def test_an_unknown_schedule_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'one-cycle'"):
        fit(small(), clips(6, 0), clips(6, 1), Settings(1, 3, 0.1, schedule="onecycle"), seed=0)


def test_a_network_without_temporal_parameters_has_no_snapshots() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 36, 3))
    result = fit(flat, clips(12, 0), clips(6, 1), SETTINGS, seed=0)
    assert result.snapshots == []
    assert result.best_state


def test_evaluation_does_not_depend_on_the_batch_size() -> None:
    network, data = small(dropout=0.5).train(), clips(11, 0)
    one, all_at_once = (evaluate(network, data, batch_size=n) for n in (1, 11))
    assert one[0] == pytest.approx(all_at_once[0], rel=1e-5)
    assert one[1:] == all_at_once[1:]
    assert one[2] == 11
    logits = network.eval()(data.inputs)
    expected = float(nn.functional.cross_entropy(logits, data.targets).detach())
    assert one[0] == pytest.approx(expected, rel=1e-5)
    assert one[1] == int((logits.argmax(1) == data.targets).sum()) / 11


def test_a_line_per_epoch_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="threetconv"):
        fit(small(), clips(12, 0), clips(6, 1), SETTINGS, seed=0)
    lines = [r.getMessage() for r in caplog.records if r.name == "threetconv.training.loop"]
    assert len(lines) == 3
    assert lines[1].startswith("epoch 2/3  update 4/6")


@pytest.mark.parametrize("updates", [300, 1000])
def test_adam_walks_as_the_noise_floor_says(updates: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """N(0, 1) gradients: mean |theta| = lr sqrt(2 n / pi) within 5 %, with fit's optimiser."""
    generator = torch.Generator().manual_seed(0)

    class Noise(nn.Module):
        """Its loss has N(0, 1) gradients in 2,000 parameters, whatever they are."""

        def __init__(self) -> None:
            super().__init__()
            self.theta = nn.Parameter(torch.zeros(2000))

        def forward(self, x: Tensor) -> Tensor:
            push = (self.theta * torch.randn(2000, generator=generator)).sum()
            return torch.stack((push, torch.zeros(()))).expand(len(x), 2)

    def logit(logits: Tensor, _labels: Tensor, **_options: Any) -> Tensor:
        return logits[0, 0]

    monkeypatch.setattr(loss.F, "cross_entropy", logit)
    network, data = Noise(), Memory(torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64))
    result = fit(network, data, data, Settings(updates, 2, 1e-3), seed=0)
    walked = float(network.theta.detach().abs().mean())
    floor = math.sqrt(2 / math.pi * result.sum_lr2)
    assert floor == pytest.approx(1e-3 * math.sqrt(2 * updates / math.pi))
    assert walked == pytest.approx(floor, rel=0.05)
