"""Checkpoints: whole or not there, and a run that goes on as if it had never stopped."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.layer.conv3t import Conv3T
from threetconv.records.result import Result
from threetconv.training.checkpoints import Checkpoints
from threetconv.training.loop import fit
from threetconv.training.settings import Settings

OWNER = {"seed": 1}


def checkpoints(folder: Path, owner: dict[str, Any] | None = None, **options: Any) -> Checkpoints:
    return Checkpoints(folder, belongs_to=owner or OWNER, every=0, **options)


def state(value: float) -> dict[str, Any]:
    return {"weights": torch.full((3,), value), "name": "x", "list": [1, 2.5, None]}


def test_the_newest_of_two_is_kept_and_read(tmp_path: Path) -> None:
    saved = checkpoints(tmp_path)
    for update in (1, 2, 10):
        saved.save(update, state(update))
    assert sorted(p.name[:9] for p in tmp_path.iterdir()) == ["000000002", "000000010"]
    found = checkpoints(tmp_path).load()
    assert found is not None
    assert torch.equal(found["weights"], torch.full((3,), 10.0))
    assert (found["name"], found["list"]) == ("x", [1, 2.5, None])


def test_an_empty_folder_or_none_holds_no_state(tmp_path: Path) -> None:
    assert checkpoints(tmp_path).load() is None
    assert checkpoints(tmp_path / "nowhere").load() is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "none of ours"])
def test_a_damaged_one_is_passed_over(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    saved = checkpoints(tmp_path)
    saved.save(1, state(1))
    newest = saved.save(2, state(2))
    data = bytearray(newest.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
    elif damage == "empty":
        data = bytearray()
    else:
        data = bytearray(b"not a checkpoint at all")
    newest.write_bytes(data)
    with caplog.at_level(logging.WARNING, logger="threetconv"):
        found = checkpoints(tmp_path).load()
    assert found is not None
    assert float(found["weights"][0]) == 1
    assert str(newest) in caplog.text


def test_another_runs_checkpoint_is_not_gone_on_with(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints(tmp_path).save(1, state(1))
    with caplog.at_level(logging.WARNING, logger="threetconv"):
        assert checkpoints(tmp_path, {"seed": 2}).load() is None
    assert "anew" in caplog.text
    assert checkpoints(tmp_path).load() is not None


HERE = {
    "settings": {"epochs": 3, "learning_rate": 0.01},
    "code": "0123456789abcdef",
    "table": "t" * 3,
    "clips": "0" * 64,
}
MARKS = {"a.mp4": "0", "b.mp4": "1", "c.mp4": "2"}


@pytest.mark.parametrize(
    ("owner", "marks", "said"),
    [
        (HERE | {"code": "f" * 16}, MARKS, "anew: code"),
        (
            HERE | {"settings": {"epochs": 5, "patience": 2}, "device": "cuda"},
            MARKS,
            "anew: device None -> cuda; settings.epochs 3 -> 5; settings.learning_rate 0.01 -> "
            "None; settings.patience None -> 2",
        ),
        (
            HERE | {"clips": "1" * 64},
            MARKS | {"b.mp4": "9", "c.mp4": "9"},
            "anew: the clips have changed: 2 of 3 differ, first b.mp4",
        ),
        (HERE | {"clips": "1" * 64, "table": "u"}, {"d.mp4": "9"}, "anew: clips; table ttt -> u"),
    ],
)
def test_what_another_run_differs_in_is_said(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    owner: dict[str, Any],
    marks: dict[str, str],
    said: str,
) -> None:
    checkpoints(tmp_path, HERE, marks=MARKS).save(1, state(1))
    assert checkpoints(tmp_path, HERE, marks=MARKS).load() is not None
    with caplog.at_level(logging.WARNING, logger="threetconv"):
        assert checkpoints(tmp_path, owner, marks=marks).load() is None
    assert caplog.messages[-1].endswith(said)


def test_notes_travel_with_the_state(tmp_path: Path) -> None:
    notes = {"a.avi": "cut"}
    checkpoints(tmp_path, notes=notes).save(1, state(1))
    later: dict[str, str] = {}
    checkpoints(tmp_path, notes=later).load()
    assert later == notes


def test_a_full_disk_is_named_and_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = checkpoints(tmp_path)
    saved.save(1, state(1))

    def full(path: Path, data: Any) -> int:
        with open(path, "wb") as file:
            file.write(bytes(data)[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="No space left on device") as error:
        saved.save(2, state(2))
    assert "MB of free space" in error.value.expected
    monkeypatch.undo()
    assert [p.name[:9] for p in tmp_path.iterdir()] == ["000000001"]
    assert checkpoints(tmp_path).load() is not None


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    path = checkpoints(tmp_path).save(1, {"evil": Evil()})
    assert path.exists()
    with pytest.raises(Exception, match="Weights only"):
        checkpoints(tmp_path).load()
    assert not (tmp_path / "ran").exists()


def test_writing_them_takes_a_small_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A save of 3 s: the next one is due after 150 s, not after the 60 that were asked for."""
    clock = iter([0.0, 100.0, 103.0, 103.0 + 149, 103.0 + 151])
    monkeypatch.setattr("threetconv.training.checkpoints.time.monotonic", lambda: next(clock))
    saved = Checkpoints(tmp_path, belongs_to=OWNER, every=60)
    saved.save(1, state(1))
    assert not saved.due()
    assert saved.due()


class InterruptedRunError(Exception):
    """What stops the data sets below."""


class Clips:
    """Noise with a bright channel; stops after so many batches."""

    def __init__(self, n: int, seed: int, stop_after: int | None = None) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.labels = np.arange(n) % 3
        self.inputs = 0.3 * torch.randn(n, 3, 4, 5, 5, generator=generator)
        self.inputs[torch.arange(n), self.labels] += 1
        self.stop_after = stop_after

    def __len__(self) -> int:
        return len(self.labels)

    def __call__(
        self, groups: Sequence[np.ndarray], *, epoch: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for group in groups:
            if self.stop_after == 0:
                raise InterruptedRunError
            if self.stop_after is not None:
                self.stop_after -= 1
            yield self.inputs[group], torch.from_numpy(self.labels[group])


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            Conv3T(3, 4, 3, padding=1),
            nn.BatchNorm3d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(4, 3),
        )


SETTINGS = Settings(
    epochs=4,
    batch_size=5,
    learning_rate=0.02,
    schedule="plateau",
    patience=1,
    early_stopping=3,
    class_weights="balanced",
    snapshot_every=3,
    warm_up=7,
    weight_decay=0.1,
    label_smoothing=0.1,
    clip_gradient=0.5,
)


def train(training: Clips, validation: Clips, saved: Checkpoints | None) -> Result:
    return fit(network(), training, validation, SETTINGS, seed=7, checkpoints=saved)


def same(a: Result, b: Result) -> bool:
    def snapshots(result: Result) -> list[Any]:
        return [
            (s.step, s.epoch, s.tag, s.sum_lr2, {k: v.tobytes() for k, v in s.values.items()})
            for s in result.snapshots
        ]

    totals = ("best_epoch", "best_step", "n_updates", "sum_lr2")
    return (
        all(torch.equal(a.best_state[k], b.best_state[k]) for k in a.best_state)
        and a.metrics.equals(b.metrics)
        and snapshots(a) == snapshots(b)
        and all(getattr(a, name) == getattr(b, name) for name in totals)
    )


@pytest.fixture(scope="module")
def uninterrupted() -> Result:
    return train(Clips(22, 0), Clips(9, 1), None)


@pytest.mark.parametrize("stop_after", range(20))
def test_a_run_stopped_anywhere_goes_on_to_the_bit(
    tmp_path: Path, uninterrupted: Result, stop_after: int
) -> None:
    """Dropout, batch norm, halved rates, early stopping, sums of the epoch: all go on."""
    assert uninterrupted.n_updates == 20
    with pytest.raises(InterruptedRunError):
        train(Clips(22, 0, stop_after=stop_after), Clips(9, 1), checkpoints(tmp_path))
    torch.rand(stop_after + 1)  # whatever came between must not matter
    assert same(train(Clips(22, 0), Clips(9, 1), checkpoints(tmp_path)), uninterrupted)


def test_a_run_stopped_in_validation_goes_on_to_the_bit(
    tmp_path: Path, uninterrupted: Result
) -> None:
    with pytest.raises(InterruptedRunError):
        train(Clips(22, 0), Clips(9, 1, stop_after=2), checkpoints(tmp_path))
    assert same(train(Clips(22, 0), Clips(9, 1), checkpoints(tmp_path)), uninterrupted)


def test_going_on_repeats_no_update(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InterruptedRunError):
        train(Clips(22, 0, stop_after=13), Clips(9, 1), checkpoints(tmp_path))
    rest = Clips(22, 0, stop_after=7)
    with caplog.at_level(logging.INFO, logger="threetconv"):
        train(rest, Clips(9, 1), checkpoints(tmp_path))
    assert rest.stop_after == 0
    assert "goes on at update 13 of 20, epoch 3" in caplog.text
