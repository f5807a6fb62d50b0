"""Whatever a study holds, its report says nothing that its tables contradict."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from threetconv.report.content import build_document
from threetconv.report.document import (
    Callout,
    Document,
    Figure,
    ListBlock,
    Paragraph,
    Table,
    parse_inline,
)
from threetconv.schemas.endpoints import ENDPOINTS
from threetconv.statistics.tests.sentences import sentences
from threetconv.statistics.truth.agreement import agreement_by_run, agreement_table
from threetconv.statistics.truth.endpoints import endpoints_table
from threetconv.statistics.truth.prediction import prediction_by_run, prediction_table
from threetconv.statistics.truth.reproducibility import reproducibility_table

from ..builders.need_tables import need_arguments
from ..builders.ruler_tables import ruler_study
from ..builders.study_tables import (
    make_accuracy,
    make_alignment,
    make_calibration,
    make_config,
    make_displacement,
    make_metrics,
    make_planted,
    make_planted_tuning,
    make_planted_where,
    make_profile,
    make_runs,
    make_sensitivity,
    make_tests,
    with_controls,
)
from ..builders.truth_tables import PAIRS, agreeing, grid, moving, preferring
from .test_explanations import make_tables

ALPHA = 0.05
MAIN = ("dataset", "init", "dataset x init")
STATUSES = ("mixed", "untestable", "all", "none", "at alpha", "best only", "degenerate")


@dataclass(frozen=True)
class Study:
    """One study: what it was made with, and the arguments of `build_document`."""

    name: str
    each: int
    sets: list[str]
    arguments: dict[str, Any]

    @property
    def runs(self) -> pd.DataFrame:
        return self.arguments["runs"]

    @property
    def real(self) -> pd.DataFrame:
        return self.runs[self.runs["control"] == "none"]

    @property
    def tests(self) -> pd.DataFrame:
        return self.arguments["tests_table"]

    @property
    def planned(self) -> pd.DataFrame:
        return self.tests[self.tests["family"].isin(MAIN) & (self.tests["scope"] == "model")]

    @property
    def floors(self) -> pd.Series:
        return self.arguments["displacement_table"]["floor_ratio_reachable"].dropna()

    @property
    def faithful(self) -> set[str]:
        """3T runs whose channels were switched off one by one."""
        table = self.arguments.get("faithfulness")
        measured = set(self.real.loc[self.real["convolution"] == "3t", "run_id"])
        return measured & set(table["run_id"]) if table is not None else set()


def with_status(tests: pd.DataFrame, status: str) -> pd.DataFrame:
    """The same tests with another outcome."""
    tests = tests.copy()
    if status in ("untestable", "degenerate"):
        tests["status"], tests["p_adjusted"] = status, np.nan
        tests["reason"] = {"untestable": "the smallest attainable p is 0.1"}.get(
            status, "6 of 6 + 6 runs never left the start"
        )
    if status == "degenerate":
        tests[["estimate", "ci_low", "ci_high", "p_raw", "p_floor"]] = np.nan
    if status in ("all", "none", "at alpha", "best only"):
        p = {"all": 0.001, "at alpha": 3 * (ALPHA / 3) * (1 + 1e-15)}.get(status, 0.4)
        tests["status"], tests["reason"], tests["p_adjusted"] = "ok", "", p
    if status == "best only":
        tests.loc[tests["checkpoint"] == "best", "p_adjusted"] = 0.01
    return tests


def truth_tables(turn: int) -> dict[str, pd.DataFrame]:
    """Agreement, reproducibility and prediction of one to four runs a cell, there or not."""
    controls = ["none", "label-shuffled"][: 1 + turn // 5 % 2]
    runs = grid(datasets=["moving", "still"], controls=controls, each=1 + turn // 5)

    share = 0.8 * (turn // 5 % 2)
    by_run = agreement_by_run(*agreeing(runs, share), runs, seed=1, draws=9)
    moved = moving(runs, by_dataset=share / 2, layers=((3, 12), (2, 9)))
    likes = preferring(moved, share)
    agreement, again = agreement_table(by_run, seed=1), reproducibility_table(moved, runs, seed=1)
    predicted = prediction_by_run(moved, likes, runs, PAIRS, seed=1, draws=3)
    return {
        "agreement": agreement,
        "reproducibility": again,
        "endpoints": endpoints_table(agreement, again, seed=1),
        "prediction": prediction_table(predicted, seed=1),
    }


def planted_tables(turn: int) -> dict[str, pd.DataFrame]:
    """Of what was planted some was recovered, or all of it, or nothing; by turns of seven."""
    table = make_planted()
    verdict = ("", "yes", "no")[turn // 7 % 3]
    planted = table["expected"] if verdict else table["expected"] & False
    columns = ["beyond_controls", "in_direction", "recovered"]
    table.loc[planted, columns] = verdict
    tables = {"planted_table": table, "alignment": make_alignment()}
    more = {"planted_tuning": make_planted_tuning(), "planted_where": make_planted_where()}
    return tables if verdict else tables | more


def studies() -> Iterator[Study]:
    """Each number of runs with each status; networks, datasets, controls and the rest in turn."""
    for turn in range(len(STATUSES) * 3):
        each, status, controls = 1 + turn % 3, STATUSES[turn % len(STATUSES)], turn // 2 % 2 == 0
        n, d = 1 + turn % 2, 1 + turn // 4 % 2
        nets, sets = ["resnet18", "googlenet"][:n], ["gestures", "scenes"][:d]
        if turn // 5 % 2:
            sets = ["clips_a", "clips_b"][:d]  # beside none of the paper's
        runs = make_runs(nets, sets, each)
        if turn % 5 == 1:
            runs = runs[runs["convolution"] == "3t"].reset_index(drop=True)
        if turn % 5 == 2:
            runs = runs[runs["init"] == "scratch"].reset_index(drop=True)
        if turn % 4 == 3:
            runs.loc[:: 1 + turn % 2, "source"] = "fetched"
        runs["best_step"] = 200 + 100 * (runs["dataset"] == sets[-1]) * (turn % 2)
        real = runs
        if controls:
            runs = with_controls(runs)
        displacement = make_displacement(real)
        displacement["floor_ratio_reachable"] *= (0.1, 1, 10)[turn % 3]
        tests = with_status(make_tests(nets, sets), status)
        if not controls:
            tests = tests[tests["family"] != "controls"].reset_index(drop=True)
        arguments: dict[str, Any] = {
            "runs": runs, "metrics": make_metrics(runs), "accuracy_table": make_accuracy(real),
            "displacement_table": displacement,
            "config": make_config(sets, synthetic=turn % 2 == 0),
        }  # fmt: skip
        if turn % 2:
            arguments["sensitivity"] = make_sensitivity(nets, sets)
            arguments["layer_profile"] = make_profile(nets, sets)
        tests["sentence"] = sentences(tests, equivalence=arguments.get("sensitivity"))
        arguments["tests_table"] = tests
        if turn % 3 == 0:
            arguments |= make_tables()
            arguments["chosen_channels"] = arguments.pop("chosen")
        if turn % 7 == 3:
            arguments |= planted_tables(turn) | {"calibration": make_calibration(nets)}
        if turn % 5 == 2:
            arguments |= truth_tables(turn)
        if turn % 4 == 1:
            arguments |= need_arguments()
            likes = {"beyond": 0.3 * (turn % 3 - 1), "turned": turn % 3 * np.pi / 2}
            arguments["ruler_cells"] = ruler_study(n, each, **likes)[1]
        names = ["accuracy", "effects", "need", "controls", "planted", "alignment", "calibration"]
        names += [f"{kind}_{i}" for kind in ("distributions", "histograms")
                  for i in ("pretrained", "scratch")]  # fmt: skip
        names += ["agreement", "reproducibility", "prediction", "ruler"]
        names += [f"clips_{s}" for s in sets] + [f"profile_{net}" for net in nets]
        names += [f"explained_{a}_{b}" for a in nets for b in sets] + ["explained_gallery"]
        arguments["figures"] = {} if turn % 4 == 0 else {name: Path("x.svg") for name in names}
        what = f"{each} runs, {n} networks, {d} datasets, controls {controls}, {status}"
        yield Study(f"{turn}: {what}", each, sets, arguments)


def prose(document: Document, *, spoken: bool = False) -> Iterator[str]:
    """All running text, captions and notes; sentences of tests only if `spoken`."""
    for block in document.blocks():
        texts: list[str] = []
        if isinstance(block, Paragraph | Callout):
            texts = [block.text]
        elif isinstance(block, ListBlock):
            texts = list(block.items)
            if not spoken and any("smallest attainable" in t or ": no ratio" in t for t in texts):
                continue
        elif isinstance(block, Table):
            texts = [block.caption, block.note]
        elif isinstance(block, Figure):
            texts = [block.caption, block.alt]
        for text in texts:
            yield "".join(span.text for span in parse_inline(text))


@pytest.fixture(scope="module")
def built() -> list[tuple[Study, Document]]:
    """Every study with its document."""
    return [(study, build_document(**study.arguments)) for study in studies()]


@pytest.fixture(scope="module")
def swept(built: list[tuple[Study, Document]]) -> list[tuple[Study, str]]:
    """Every study with its running text."""
    return [(study, "\n".join(prose(document))) for study, document in built]


OF = r"(none of the [\d,]+|all [\d,]+|[\d,]+ of [\d,]+|the one|no)"
"""A count out of a total, as `threetconv.report.wording.of_all` says it."""


def counted(said: str) -> tuple[int, int]:
    """The count and the total."""
    if said in ("the one", "no"):
        return int(said == "the one"), 1
    numbers = [int(n) for n in re.findall(r"\d+", said)]
    return (0, numbers[0]) if said[0] == "n" else (numbers[0], numbers[-1])


def share(mask: pd.Series) -> tuple[int, int]:
    return int(mask.sum()), len(mask)


def shown(tests: pd.DataFrame) -> pd.Series:
    return (tests["status"] == "ok") & (tests["p_adjusted"] <= ALPHA + 1e-12)


def cells_without_controls(study: Study) -> tuple[int, int]:
    keys = ["network", "dataset", "init"]
    cells = study.real[study.real["convolution"] == "3t"][keys].drop_duplicates()
    having = set(map(tuple, study.runs.loc[study.runs["control"] != "none", keys].to_numpy()))
    return sum(tuple(cell) not in having for cell in cells.to_numpy()), len(cells)


def equivalent(study: Study) -> tuple[int, int]:
    table = study.arguments["sensitivity"]
    table = table[table["method"].str.startswith("TOST") & (table["stratum"] == "all")]
    return share(shown(table))


def planted_verdicts(study: Study, *, expected: bool) -> tuple[int, int]:
    table = study.arguments["planted_table"].query("layer_index < 0")
    lines = table[table["expected"] == expected].drop_duplicates(["dataset", "parameter"])
    return share(lines["recovered"] == "yes")


COUNTS: list[tuple[str, Callable[[Study], tuple[int, int]]]] = [
    (rf"{OF} planned tests? could not be made", lambda s: share(s.planned["status"] != "ok")),
    (rf"would leave in {OF} combinations? of network", lambda s: share(s.floors <= 1)),
    (rf"{OF} means? lies? at or below it", lambda s: share(s.floors <= 1)),
    (rf"No negative controls were run for {OF} combination", cells_without_controls),
    (rf"equivalence is shown in {OF} test", equivalent),
    (
        rf"Of what was planted, {OF} combinations? of motion and parameter",
        lambda s: planted_verdicts(s, expected=True),
    ),
    (
        rf"of what was not, {OF} combinations? moved",
        lambda s: planted_verdicts(s, expected=False),
    ),
    (
        rf"was measured on {OF} 3T runs?",
        lambda s: (len(s.faithful), int((s.real["convolution"] == "3t").sum())),
    ),
]
"""A sentence with a count, and the same count from the tables."""


@pytest.mark.parametrize(("pattern", "count"), COUNTS, ids=[p for p, _ in COUNTS])
def test_counts_are_those_of_the_tables(
    swept: list[tuple[Study, str]], pattern: str, count: Callable[[Study], tuple[int, int]]
) -> None:
    met = set()
    for study, text in swept:
        for found in re.finditer(pattern, text, flags=re.IGNORECASE):
            said = counted(found[1].lower())
            assert said == count(study), (study.name, found[0])
            met.add("none" if not said[0] else "all" if said[0] == said[1] else "some")
    assert len(met) > 1 or "none" not in met, met  # the sweep really varies it


def numbers(study: Study, column: str) -> set[int]:
    return {int(n) for n in study.real.groupby(column)["run_id"].nunique()}


def endpoint(study: Study, comparison: str) -> pd.DataFrame:
    """Lines of primary endpoints in one comparison."""
    table = study.arguments.get("endpoints", pd.DataFrame(columns=ENDPOINTS.names))
    return table[table["comparison"] == comparison]


Claim = tuple[str, Callable[[re.Match[str], Study], bool]]
CLAIMS: list[Claim] = [
    (r"\b(one|two|three|four|five|\d+) runs? per cell", lambda m, s: m[1] == str(s.each)),
    (r"; (\d+) per variant", lambda m, s: m[1] == str(s.each)),
    (r"no parameter was switched off|not significant|\bnan\b|\bNone\b", lambda m, s: False),
    (r"without them was not measured here", lambda m, s: not s.faithful),
    (r"pure noise would have moved", lambda m, s: bool((s.floors <= 1).any())),
    (r"stands? in for real recordings|not a replication", lambda m, s: s.sets[0] == "gestures"),
    (r"paper's figures (are|come)", lambda m, s: s.sets[0] == "gestures"),
    (r"[Gg]rey lines?", lambda m, s: len(s.sets) > 1),
    (r"Replicates", lambda m, s: s.each > 1),
    (r"were trained on (?!permuted)|was trained on (?!permuted)",
     lambda m, s: bool((s.real["source"] == "trained").any())),
    (r"3T and 3D networks: acc", lambda m, s: bool((s.real["convolution"] == "3d").any())),
    (r"from 2D weights and from scratch", lambda m, s: s.real["init"].nunique() == 2),
    (r"with (\d+) negative controls?", lambda m, s: int(m[1]) == len(s.runs) - len(s.real)),
    (r"(?i)no negative controls (?!were run)", lambda m, s: len(s.runs) == len(s.real)),
    (r"best checkpoints come at different times",
     lambda m, s: s.real.groupby("dataset")["best_step"].mean().std() > 0),
    (r"Pretraining in general", lambda m, s: bool((s.real["init"] == "pretrained").any())),
    (r"so its p is approximate",
     lambda m, s: bool(
         (s.planned.loc[s.planned["family"] == "dataset x init", "status"] == "ok").any())),
    (r"Fetched weights\. (\d+) run",
     lambda m, s: int(m[1]) == int((s.runs["source"] == "fetched").sum())),
    (r"on a test split not at all|chose nothing", lambda m, s: False),  # no study has one
    (r"more runs do not mend", lambda m, s: "calibration" in s.arguments),
    (r"\b1 (runs|networks|tests|layers|combinations|parameters|controls|datasets)\b",
     lambda m, s: False),
    (r"\b(0|[2-9]|\d\d+) (run|network|test|mean|combination|parameter|control run)\b(?! label)",
     lambda m, s: False),
    (r"\b(\d+) of (?:the )?(\d+) [a-z]", lambda m, s: 0 < int(m[1]) < int(m[2])),
    (r"exceeds (label-shuffled|static) controls",
     lambda m, s: bool((shown(of := endpoint(s, m[1])) & (of["estimate"] > 0)).any())),
    (r"channels learn what is of",
     lambda m, s: bool(
         (shown(of := s.arguments["reproducibility"]) & (of["against"] != "zero")).any())),
    (r"it exceeds 0 \(", lambda m, s: bool(shown(endpoint(s, "zero")).any())),
    (r"(label-shuffled|static) controls are missing",
     lambda m, s: bool((endpoint(s, m[1])["status"] == "missing").any())),
    (r"cannot be tested against (label-shuffled|static)",
     lambda m, s: bool((endpoint(s, m[1])["status"] == "untestable").any())),
    (r"\b[Tt]here (is|are) (\d+)", lambda m, s: (m[1] == "is") == (m[2] == "1")),
]  # fmt: skip
"""What a text may say, and when: (pattern, whether the study bears it out)."""


@pytest.mark.parametrize(("pattern", "holds"), CLAIMS, ids=[p for p, _ in CLAIMS])
def test_what_is_claimed_holds(
    swept: list[tuple[Study, str]], pattern: str, holds: Callable[[re.Match[str], Study], bool]
) -> None:
    for study, text in swept:
        for found in re.finditer(pattern, text):
            near = text[max(0, found.start() - 60) : found.end() + 60]
            assert holds(found, study), (study.name, near)


def test_text_and_table_agree_on_every_test(built: list[tuple[Study, Document]]) -> None:
    for study, document in built:
        table = next(b for b in document.blocks() if isinstance(b, Table) and b.label == "Table C")
        differ = sum(row[-1].text == "differs" for row in table.rows)
        blocked = study.planned[study.planned["stratum"] == "all"]
        assert differ == int(shown(blocked).sum()), study.name
        said = blocked["sentence"].str.contains("seldom differ")
        assert said.tolist() == shown(blocked).tolist(), study.name


def test_real_differences_are_those_at_matched_updates(
    built: list[tuple[Study, Document]],
) -> None:
    keys = ["family", "contrast", "stratum", "parameter"]
    for study, _ in built:
        tests = study.tests[study.tests["scope"] == "model"]
        differ = shown(tests)
        matched = tests.loc[differ & (tests["checkpoint"] == "matched"), keys]
        confirmed = set(map(tuple, matched.to_numpy()))
        real = differ & np.array([tuple(key) in confirmed for key in tests[keys].to_numpy()])
        assert tests["sentence"].str.contains("taken as real").tolist() == real.tolist()


UNIVERSAL = re.compile(r"\b(always|never|all|none|every|everywhere)\b", re.IGNORECASE)
DEFINITIONS = (
    # what a word or a method means, whatever the study
    "Every variant is a network", "Every training run.", "with every run, the mean of each",
    "for every transition from one", "over all rows of a network", "All entries are multiplied",
    "All counts them", "never get a gradient", "can never move with", "over all blocks",
    "run on Jester or UCF101 and all rows", "0.1 to 99.9 % of all values", "over all rows towards",
    "bins shared by all panels", "all runs after the same number", "every run at its best",
    "all rows as in the paper, every layer with equal weight", "where even all layers at",
    "with every update", "displacement of every layer for each dataset", "all layers",
    "of each run's best", "For every run the preference", "rows of all runs of a cell",
    "Every test was then applied", "coverage and power of every test", "and power for every test",
    "Every comparison of a planted", "keep their level in every study", "none of whose rows",
    "it is small all the same", "moved the parameters everywhere", "and all rows",
     "transforms of all channels of a layer",
    "the studies that have none", "can move at all", "motion of every channel can be read",
    "a small p at all", "runs never left the start",
    # said only where it was counted
    "so none of its figures is printed", "and there are none here",
    "not at all", "correlations over all layers",
)  # fmt: skip


def test_sweeping_words_are_definitions_or_counts(swept: list[tuple[Study, str]]) -> None:
    allowed = [re.compile(re.escape(text), re.IGNORECASE) for text in DEFINITIONS]
    allowed.append(re.compile(r"\b(none of the|all) [\d,]+ [a-z3]|, all for want of runs", re.I))
    met: set[str] = set()
    for _, text in swept:
        for line in re.split(r"(?<=[.:;]) |\n", text):
            rest = line
            for pattern in allowed:
                rest = pattern.sub("", rest)
            if UNIVERSAL.search(rest):
                met.add(line)
    assert not met, "\n".join(sorted(met))


def test_captions_of_the_workflow_speak_of_no_study_in_particular() -> None:
    folder = Path(__file__).parents[2] / "workflow" / "report"
    texts = {file.stem: file.read_text(encoding="utf-8") for file in folder.glob("*.rst")}
    assert len(texts) > 10
    # a wildcard that the rule does not have is printed as nothing
    filled = {name for name, text in texts.items() if "wildcards." in text}
    assert filled <= {"clips", "distributions", "histograms"}
    for name, text in texts.items():
        assert not re.search(r"\b(in every test|one frame repeated|this number of)\b", text), name
