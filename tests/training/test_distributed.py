"""One run on two processes: the numbers of one process with the whole batch; failures are told.

The processes run this file: ``python -m test_distributed CASE FOLDER``, under torchrun.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.networks.build import build_network
from threetconv.records.result import Result
from threetconv.training.distributed import ALONE, World, join, prepare, scale
from threetconv.training.loop import fit
from threetconv.training.settings import Settings
from threetconv.training.synced_norm import synchronise
from threetconv.training.torchrun import launch

SHAPE = (8, 16, 16)
CPU = torch.device("cpu")
CASES = {"equal": 6, "unequal": 5, "one empty": 5}  # clips; shares of 3 + 3, 3 + 2 and 0 + 5
SETTINGS = Settings(epochs=2, batch_size=7, learning_rate=1e-3, snapshot_every=3)
WAYS = {
    "plain": SETTINGS,
    "weighted, in parts": replace(SETTINGS, class_weights="balanced", micro_batch=4),
    "float32": replace(SETTINGS, batch_size=24, learning_rate=1e-4),
}
N_CLIPS = {"float32": 96}  # 27 otherwise; 8 updates each


def network(name: str = "resnet18") -> nn.Module:
    """Dropout is off: two processes draw other masks than one."""
    made = build_network(name, num_classes=3, clip_shape=SHAPE, width=1 / 8, seed=0)
    for module in made.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return made


def clips(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise about 1, so that means are not 0; class c has a bright channel c."""
    labels = torch.arange(n) % 3
    inputs = 1 + 0.5 * torch.randn(n, 3, *SHAPE, generator=torch.Generator().manual_seed(seed))
    inputs[torch.arange(n), labels] += 0.5
    return inputs, labels


class Memory:
    """A labelled set in memory, the first class twice as frequent as the others."""

    def __init__(self, n: int, seed: int, dtype: torch.dtype) -> None:
        self._inputs, targets = clips(n, seed)
        self._inputs = self._inputs.to(dtype)
        self.labels = np.where(np.arange(n) % 4 == 1, 0, targets.numpy())

    def __len__(self) -> int:
        return len(self.labels)

    def __call__(
        self, groups: Sequence[np.ndarray], *, epoch: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for group in groups:
            yield self._inputs[group], torch.from_numpy(self.labels[group])


def steps(
    name: str,
    n: int,
    world: World,
    *,
    parts: int = 1,
    all_to_last: bool = False,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """Gradients after each of two passes over a batch of n clips, and the state after both.

    In float64 rounding cannot hide a wrong gradient.
    """

    def share(piece: np.ndarray) -> np.ndarray:
        if all_to_last:
            return piece if world.rank == world.size - 1 else piece[:0]
        return world.share(piece)

    made = network(name).to(dtype)
    model = prepare(made, world)
    inputs, labels = clips(n)
    inputs = inputs.to(dtype)
    found = {}
    for step in range(2):  # the second meets the buckets of the first
        made.zero_grad()
        pieces = [share(piece) for piece in np.array_split(np.arange(n), parts)]
        for number, own in enumerate(pieces):
            quiet = world.size > 1 and number < parts - 1
            with model.no_sync() if quiet else nullcontext():
                outputs = model(inputs[own])
                outputs = outputs if isinstance(outputs, tuple) else (outputs,)
                losses = [F.cross_entropy(o, labels[own], reduction="sum") for o in outputs]
                scale(sum(losses, torch.zeros(())), n, world).backward()
        for key, parameter in made.named_parameters():
            assert parameter.grad is not None, key
            found[f"gradient {step} {key}"] = parameter.grad.clone()
    state = {f"state {key}": value for key, value in made.state_dict().items()}
    with torch.no_grad():
        return found | state | {"evaluated": made.eval()(inputs)}


def trained(way: str, world: World) -> Result:
    dtype = torch.float32 if way == "float32" else torch.float64
    train, validation = Memory(N_CLIPS.get(way, 27), 0, dtype), Memory(9, 1, dtype)
    return fit(network().to(dtype), train, validation, WAYS[way], seed=3, world=world)


def program(case: str, folder: str) -> None:
    """What the processes do."""
    torch.set_num_threads(1)
    with join("cpu", timeout=60) as world:
        found: Any
        if case == "basics":
            exchanged = world.total(0.1, world.rank), world.each(world)
            found = {
                name: steps("resnet18", n, world, all_to_last=name == "one empty")
                for name, n in CASES.items()
            }
            found |= {"exchanged": exchanged, "threads": os.environ["OMP_NUM_THREADS"]}
        elif case == "more":
            found = {"googlenet 5": steps("googlenet", 5, world)}
            found |= {f"parts {n}": steps("resnet18", 7, world, parts=n) for n in (1, 3)}
            found |= {"float32": steps("resnet18", 24, world, dtype=torch.float32)}
        elif case == "fit":
            found = {way: trained(way, world) for way in WAYS}
            found["again"] = trained("plain", world)
        else:
            found = misbehave(case, folder, world)
        torch.save(found, f"{folder}/{world.rank}.pt")


def misbehave(case: str, folder: str, world: World) -> None:
    if world.rank == 1 and case == "error":
        raise InputError("a file", found="nothing", expected="something", remedy="look")
    if world.rank == 1 and case == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    Path(folder, f"{world.rank}.pid").write_text(str(os.getpid()))
    if case == "asleep":
        time.sleep(900)
    world.total(0.0)  # waits for the others


PLACES = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
ENVIRONMENT = {"PYTHONPATH": os.pathsep.join(PLACES)}


def run(case: str, folder: Path) -> list[Any]:
    """What each of two processes has found."""
    launch(2, "test_distributed", [case, str(folder)], environment=ENVIRONMENT)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


@pytest.fixture(scope="module")
def basics(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "3")
        return run("basics", tmp_path_factory.mktemp("basics"))


def compare(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        size = max(1e-3, float(value.abs().max()))
        error = float((found[key].double() - value.double()).abs().max())
        assert error <= tolerance * size, (key, error, size)


@pytest.mark.parametrize("case", CASES)
def test_gradients_and_statistics_are_those_of_the_whole_batch(
    basics: list[Any], case: str
) -> None:
    expected = steps("resnet18", CASES[case], ALONE)
    assert any("running_var" in key for key in expected)
    assert any(key.startswith("gradient 1") and key.endswith("scale") for key in expected)
    for found in basics:
        compare(found[case], expected, 1e-9)


@pytest.mark.parametrize("case", CASES)
def test_processes_agree_to_the_bit(basics: list[Any], case: str) -> None:
    first, second = (found[case] for found in basics)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_values_that_processes_exchange(basics: list[Any]) -> None:
    for found in basics:
        total, each = found["exchanged"]
        assert total == (0.2, 1.0)
        assert each == [World(0, 2), World(1, 2)]
        assert found["threads"] == "1"  # 3 for two


@pytest.mark.slow
def test_other_networks_and_gradients_added_up(tmp_path: Path) -> None:
    for found in run("more", tmp_path):
        compare(found["googlenet 5"], steps("googlenet", 5, ALONE), 1e-9)
        for parts in (1, 3):
            compare(found[f"parts {parts}"], steps("resnet18", 7, ALONE, parts=parts), 1e-9)
        compare(found["float32"], steps("resnet18", 24, ALONE, dtype=torch.float32), 1e-4)


@pytest.mark.slow
def test_training_ends_with_the_same_metrics(tmp_path: Path) -> None:
    found = run("fit", tmp_path)
    # Batch norm over three or four values, as in the parts, and Adam make rounding grow fast: in
    # float32 the first way ends 1e-3 apart, the third, with batch norm over 24 clips, 1e-6.
    for way, tolerance in {"plain": 1e-6, "weighted, in parts": 1e-3, "float32": 1e-5}.items():
        expected = trained(way, ALONE)
        assert expected.n_updates == 8
        for result in (found[0][way], found[1][way]):
            columns = [column for column in expected.metrics if column != "value"]
            assert result.metrics[columns].equals(expected.metrics[columns])
            np.testing.assert_allclose(
                result.metrics["value"], expected.metrics["value"], rtol=tolerance
            )
    plain, again = found[0]["plain"], found[0]["again"]
    assert plain.metrics.equals(again.metrics)
    assert all(torch.equal(plain.best_state[k], again.best_state[k]) for k in plain.best_state)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("error", "^process 1 of 2 failed: InputError: a file\n  found:    nothing"),
        ("killed", "^process 1 of 2 failed: ended by SIGKILL"),
    ],
)
def test_the_process_that_failed_is_named(tmp_path: Path, case: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        run(case, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_one_that_launched_them(tmp_path: Path, number: int) -> None:
    if number == signal.SIGKILL and sys.platform != "linux":
        number = signal.SIGTERM  # elsewhere nobody can be told
    code = "import sys; from test_distributed import launch; "
    code += "launch(2, 'test_distributed', ['asleep', sys.argv[1]])"
    environment = {**os.environ, **ENVIRONMENT}
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], env=environment) as parent:
        started = wait_for(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        parent.send_signal(number)
        assert started
        assert parent.wait(120) == -number
    numbers = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
    assert wait_for(lambda: not any(alive(process) for process in numbers))


def wait_for(condition: Any, seconds: float = 240.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return bool(condition())


def alive(process: int) -> bool:
    """Whether it runs; one that has ended is listed until somebody asks for its status."""
    try:
        os.kill(process, 0)
        stat = Path(f"/proc/{process}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize(("n", "sizes"), [(7, [3, 2, 2]), (2, [1, 1, 0]), (0, [0, 0, 0])])
def test_shares_are_a_batch_in_order(n: int, sizes: list[int]) -> None:
    group = np.random.default_rng(0).permutation(n)
    shares = [World(rank, 3).share(group) for rank in range(3)]
    assert [len(share) for share in shares] == sizes
    assert np.concatenate(shares).tolist() == group.tolist()


def test_alone_nothing_is_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with join("cpu") as world:
        assert world == ALONE
        assert world.is_first
        assert not World(rank=1, size=2).is_first
        assert world.total(1, 0.5) == (1.0, 0.5)
        assert world.each("x") == ["x"]
        layer = nn.Linear(2, 2)
        assert prepare(layer, world) is layer
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("MASTER_PORT", "1")
    with join("cpu") as world:
        assert world == ALONE
    with pytest.raises(InputError, match="GPUs on this machine"), join(a_gpu_that_is_not_there()):
        pass


def a_gpu_that_is_not_there() -> str:
    os.environ["LOCAL_RANK"] = str(torch.cuda.device_count())
    return "cuda"


def test_an_environment_in_part_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(InputError, match="WORLD_SIZE\n  found:    two"), join("cpu"):
        pass
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(InputError, match="LOCAL_RANK\n  found:    nothing"), join("cpu"):
        pass


def test_a_synchronised_network_alone_is_what_it_was() -> None:
    """After the run: in training, evaluation and its state dict."""
    before, after = network(), network()
    synchronise(after, CPU)
    inputs, _ = clips(2)
    assert isinstance(after.bn1, nn.BatchNorm3d)
    assert torch.equal(before(inputs), after(inputs))
    assert torch.equal(before.eval()(inputs), after.eval()(inputs))
    state = after.state_dict()
    assert list(state) == list(before.state_dict())
    assert all(torch.equal(value, state[key]) for key, value in before.state_dict().items())


def test_on_gpus_batch_norm_is_synchronised_by_torch() -> None:
    """The network as it would be sent there: its parameters, and its state dict's keys."""
    before, after = network(), network()
    parameters = dict(after.named_parameters())
    synchronise(after, torch.device("cuda:0"))
    norms = [type(m) for m in before.modules() if isinstance(m, nn.BatchNorm3d)]
    assert [type(m) for m in after.modules()].count(nn.SyncBatchNorm) == len(norms) > 0
    assert not any(isinstance(m, nn.BatchNorm3d) for m in after.modules())
    assert all(parameters[name] is p for name, p in after.named_parameters())
    assert list(after.state_dict()) == list(before.state_dict())
    inputs, _ = clips(2)
    assert torch.equal(before.eval()(inputs), after.eval()(inputs))


def test_running_statistics_that_cannot_be_shared_are_refused() -> None:
    synchronise(nn.Sequential(nn.InstanceNorm3d(2), nn.GroupNorm(1, 2)), CPU)  # keep none
    with pytest.raises(TypeError, match=r"^1: InstanceNorm3d keeps running statistics"):
        synchronise(nn.Sequential(nn.ReLU(), nn.InstanceNorm3d(2, track_running_stats=True)), CPU)


def test_no_process_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        launch(0, "test_distributed", [])


if __name__ == "__main__":
    program(*sys.argv[1:])
