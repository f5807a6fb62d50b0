"""The runs that follow from a study: their names, their seeds, controls among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from threetconv.records.plan import Run, derive_seed, plan_runs
from threetconv.study.validate import validate_study

from ..builders.small_study import PRETRAINED, SCRATCH, study


def plan(**changes: Any) -> list[Run]:
    return plan_runs(study(seed=1, replicates=3) | changes)


def test_the_plan_has_a_run_per_cell_and_replicate() -> None:
    runs = plan(
        networks=["resnet18", "googlenet"],
        variants=[
            {"init": i, "convolution": c}
            for i, c in (("pretrained", "3t"), ("scratch", "3t"), ("pretrained", "3d"))
        ],
    )
    assert len(runs) == 2 * 2 * 3 * 3
    assert len({run.run_id for run in runs}) == len(runs)
    assert len({run.seed for run in runs}) == len(runs)
    for run in runs:
        cell = (run.network, run.dataset, run.init, run.convolution)
        assert run.run_id == "-".join(cell) + f"-r{run.replicate}"
        assert run.control == "none"
        assert 0 <= run.seed < 2**31
    assert Run(**runs[0].to_dict()) == runs[0]


def test_another_cell_or_replicate_changes_no_other_runs_seed() -> None:
    small = {run.run_id: run.seed for run in plan()}
    larger: list[Callable[[], list[Run]]] = [
        lambda: plan(networks=["googlenet", "resnet18"]),
        lambda: plan(replicates=5),
        lambda: plan(variants=[{"init": "scratch", "convolution": "3t"}, *study()["variants"]]),
        lambda: plan(datasets={"new": {}, **study()["datasets"]}),
    ]
    for make in larger:
        seeds = {run.run_id: run.seed for run in make()}
        assert len(seeds) > len(small)
        assert small.items() <= seeds.items()


def test_the_studys_seed_decides_all_seeds() -> None:
    first, second = plan(seed=1), plan(seed=2)
    assert all(a.seed != b.seed for a, b in zip(first, second, strict=True))


def test_seeds_do_not_depend_on_the_machine() -> None:
    """By hand: `printf 1/a | sha256sum` begins with bf1d9877; half of that."""
    assert derive_seed(1, "a") == 0xBF1D9877 // 2
    assert derive_seed(2006, "resnet18-gestures-pretrained-3t-r1") == 0xF5937307 // 2


def test_controls_are_runs_of_their_own() -> None:
    """A control changes no other run's seed, and its run says what it is."""
    static = PRETRAINED | {"control": "static"}
    without = plan(replicates=2)
    runs = plan(replicates=2, variants=[PRETRAINED, static])
    assert [run for run in runs if run.control == "none"] == without
    controls = [run for run in runs if run.control != "none"]
    assert [run.run_id for run in controls] == [
        f"resnet18-{name}-pretrained-3t-static-r{k}" for name in ("mine", "made") for k in (1, 2)
    ]
    assert {run.control for run in controls} == {"static"}
    validate_study(study(variants=[PRETRAINED, static]))


def test_a_variant_can_be_for_some_networks_only() -> None:
    variants = [PRETRAINED, SCRATCH | {"networks": ["googlenet"]}]
    config = validate_study(study(networks=["resnet18", "googlenet"], variants=variants))
    cells = {(run.network, run.init) for run in plan_runs(config)}
    assert cells == {
        ("resnet18", "pretrained"),
        ("googlenet", "pretrained"),
        ("googlenet", "scratch"),
    }
