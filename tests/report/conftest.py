"""A finished study, made up: tables as the statistics stage writes them, and small figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from threetconv.figures.theme import save
from threetconv.report.content import build_document
from threetconv.report.document import Document

from ..builders.study_tables import (
    make_accuracy,
    make_config,
    make_displacement,
    make_extra,
    make_metrics,
    make_runs,
    make_tests,
)


def make_figures(folder: Path, names: list[str]) -> dict[str, Path]:
    paths = {}
    for i, name in enumerate(names):
        figure = Figure(figsize=(3, 1))
        axes = figure.subplots()
        axes.plot([0, 1], [i, 1], color="#1f2a37")
        axes.set_title(f"number {i}")
        suffix = "png" if i == 0 else "svg"
        paths[name] = folder / f"figure_{i}.{suffix}"
        save(figure, paths[name], dpi=50)
    return paths


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str]], dict[str, Path]]:
    """Figures by name; those of one list of names are drawn once."""
    made: dict[tuple[str, ...], dict[str, Path]] = {}

    def draw(names: list[str]) -> dict[str, Path]:
        key = tuple(names)
        if key not in made:
            made[key] = make_figures(tmp_path_factory.mktemp("figures"), names)
        return dict(made[key])

    return draw


@pytest.fixture(scope="session")
def make_study(drawn: Callable[[list[str]], dict[str, Path]]) -> Callable[..., dict[str, Any]]:
    """Arguments of `build_document` for a study of any networks and datasets."""

    def make(
        networks: tuple[str, ...] = ("googlenet", "resnet18"),
        datasets: tuple[str, ...] = ("gestures", "scenes"),
        replicates: int = 3,
        synthetic: bool = True,
    ) -> dict[str, Any]:
        nets, sets = list(networks), list(datasets)
        runs = make_runs(nets, sets, replicates)
        names = [
            *(f"clips_{name}" for name in sets),
            "accuracy",
            "distributions_pretrained",
            "distributions_scratch",
            "histograms_pretrained",
            "effects",
        ]
        return {
            "runs": runs,
            "metrics": make_metrics(runs),
            "accuracy_table": make_accuracy(runs),
            "displacement_table": make_displacement(runs),
            "tests_table": make_tests(nets, sets),
            "figures": drawn(names),
            "config": make_config(sets, synthetic=synthetic),
            "provenance_facts": {"Git commit": "0123abcd", "Machine": "2 cores"},
        }

    return make


@pytest.fixture
def study(make_study: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """The embedded study: two networks, two synthetic datasets, three replicates."""
    return make_study()


@pytest.fixture(scope="session")
def document(make_study: Callable[..., dict[str, Any]]) -> Document:
    """The document of the embedded study, for tests that only read it."""
    return build_document(**make_study())


@pytest.fixture(scope="session")
def full(make_study: Callable[..., dict[str, Any]]) -> Document:
    """The same with every optional table."""
    return build_document(**make_study(), **make_extra())


@pytest.fixture
def extra() -> dict[str, Any]:
    """The optional tables of the embedded study and of one with planted motion."""
    return make_extra()
