"""Whose a results folder is, who writes there, and what is left of runs that a study had once."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from threetconv.errors import InputError
from threetconv.study import layout
from threetconv.study.folder import (
    FOLDERS,
    MARKER,
    changed_keys,
    check_owner,
    hold,
    in_words,
    move_aside,
    stale_files,
)

RULES = Path(__file__).parents[2] / "workflow/rules"


def output(folder: Path, results: str = "results", reports: str = "reports") -> dict[str, str]:
    return {"results": str(folder / results), "reports": str(folder / reports)}


def test_a_folder_keeps_the_study_that_ran_in_it(tmp_path):
    check_owner("a", output(tmp_path))
    assert not list(tmp_path.iterdir())
    hold("a", output(tmp_path)).close()
    check_owner("a", output(tmp_path))
    for changed in ({}, {"results": "other"}, {"reports": "other"}):
        with pytest.raises(InputError, match="holds the study 'a'; this is 'b'") as caught:
            check_owner("b", output(tmp_path, **changed))
        assert "leave output out" in caught.value.remedy
    check_owner("b", output(tmp_path, "results/b", "reports/b"))


def test_results_of_earlier_versions_have_an_owner_too(tmp_path):
    (tmp_path / "results").mkdir()
    file = tmp_path / "results/run_config.yaml"
    file.write_text("study: a\nseed: 1\n")
    with pytest.raises(InputError, match="holds the study 'a'; this is 'b'"):
        check_owner("b", output(tmp_path))
    file.write_text("study: [a\n")
    with pytest.raises(InputError, match=r"run_config\.yaml"):
        check_owner("a", output(tmp_path))


@pytest.mark.parametrize("content", ["", "[]", '{"name": "a"}', "{"])
def test_a_marker_that_says_nothing_is_named(tmp_path, content):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / MARKER).write_text(content)
    with pytest.raises(InputError, match="delete the file"):
        check_owner("a", output(tmp_path))


def test_studies_may_lie_inside_each_other_but_not_where_one_writes(tmp_path):
    hold("a", output(tmp_path)).close()
    check_owner("b", output(tmp_path, "results/b", "results/b/reports"))
    for inside in ({"results": "results/runs/b"}, {"reports": "results/figures/b"}):
        with pytest.raises(InputError, match="which a study writes itself"):
            check_owner("b", output(tmp_path, **({"reports": "x", "results": "y"} | inside)))
    with pytest.raises(InputError, match="which a study writes itself"):
        check_owner("c", output(tmp_path, "c", "c/pages"))
    hold("d", output(tmp_path, "e/runs", "d")).close()
    with pytest.raises(InputError, match="holds the study 'd'; this one would write there"):
        check_owner("e", output(tmp_path, "e", "f"))


def test_the_folders_are_those_of_the_rules():
    named = {
        name
        for file in [*RULES.glob("*.smk"), Path(layout.__file__)]
        for name in re.findall(r"\{(?:RESULTS|self\.results)\}/(\w+)[/\"]", file.read_text())
    }
    assert len(named) > 10
    assert named | {"aside", "parameters", "control_parameters"} == FOLDERS


def test_one_process_at_a_time_runs_a_study_and_the_other_is_told_who(tmp_path):
    code = (
        "import sys, threetconv.study.folder as f\n"
        "lock = f.hold('a', {'results': sys.argv[1], 'reports': sys.argv[2]})\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, *output(tmp_path).values()]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"'a' is being run by process {other.pid} on"):
            hold("a", output(tmp_path))
        hold("b", output(tmp_path, "results/b", "reports/b")).close()
        other.kill()  # the lock dies with its process
    hold("a", output(tmp_path)).close()
    assert json.loads((tmp_path / "results" / MARKER).read_text()) == {"study": "a"}


def test_what_changed_since_the_last_run(tmp_path):
    study = {"study": "a", "output": output(tmp_path), "seed": 1, "title": "old"}
    assert changed_keys(study) == []
    (tmp_path / "results").mkdir()
    (tmp_path / "results/run_config.yaml").write_text(yaml.safe_dump(study))
    assert changed_keys(study) == []
    assert changed_keys({**study, "title": "new", "width": 1}) == ["title", "width"]


def lay(results: Path, *names: str) -> None:
    for name in names:
        path = results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


KEPT = [
    "parameters/network=n/dataset=d/init=i/recipe=paper/n-d-r1.parquet",
    "explanations/n-d-r1/images.parquet",
    "explanations/n-d-r1/pictures/1.png",
    "explanations/images.parquet",
    "figures/clips_d.svg",
    # costly, and pooled by nobody
    "runs/n-d-r2/run.json",
    "clips/old.parquet",
    "packed/old.npy",
    "mine.parquet",  # of somebody who keeps notes here
    "figures/.clips_d.svg.abcdefgh",
]
STALE = [
    "parameters/network=n/dataset=d/init=i/recipe=paper/n-d-r2.parquet",
    "parameters/network=n/dataset=old/init=i/recipe=paper/n-old-r1.parquet",
    "control_parameters/network=n/dataset=d/init=i/recipe=paper/n-d-static-r1.parquet",
    "preferences/n-d-r1.parquet",
    "tuning/responses/n-old-r1.parquet",
    "explanations/n-old-r1/images.parquet",
    "explanations/n-old-r1/pictures/1.png",
    "figures/clips_old.svg",
    "pages/planted.html",
    "planted.parquet",
]


@pytest.fixture
def results(tmp_path) -> Path:
    lay(tmp_path / "results", *KEPT, *STALE)
    return tmp_path / "results"


@pytest.fixture
def made(results) -> list[re.Pattern[str]]:
    names = [*KEPT[:2], "explanations/n-d-r1/pictures", "explanations/images.parquet", KEPT[4]]
    return [re.compile(re.escape(f"{results}/{name}") + "$") for name in names]


def below(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_what_the_study_does_not_make_is_moved_aside_and_named(results, made):
    stale = stale_files(results, made)
    assert len(stale) == len(STALE) - 1  # the folder of an explained run is one
    move_aside(results, stale)
    assert below(results / "aside") == set(STALE)
    assert below(results) == {*KEPT, *(f"aside/{name}" for name in STALE)}
    assert not (results / "parameters/network=n/dataset=old").exists()
    assert stale_files(results, made) == []
    words = in_words(results, stale, moved=True)
    assert words.startswith("Moved to ")
    for path in stale:
        assert f"\n  {path}" in words
    assert in_words(results, [], moved=True) == ""
    assert "and 5 more" in in_words(results, 25 * stale[:1], moved=False)


def test_nothing_that_was_moved_before_is_overwritten(results, made):
    for turn in range(3):
        lay(results, *STALE)
        (results / STALE[0]).write_text(f"turn {turn}")
        move_aside(results, stale_files(results, made))
    folder = (results / "aside" / STALE[0]).parent
    found = {path.name: path.read_text() for path in folder.iterdir()}
    assert found == {
        "n-d-r2.parquet": "turn 0",
        "n-d-r2.2.parquet": "turn 1",
        "n-d-r2.3.parquet": "turn 2",
    }
    assert (results / "aside/explanations/n-old-r1.3/pictures/1.png").is_file()


def test_a_study_that_never_ran_has_nothing_to_move(tmp_path, made):
    assert stale_files(tmp_path / "nowhere", made) == []


def test_it_needs_no_library_but_yaml():
    code = (
        "import sys, threetconv.study.folder, threetconv.support.gpu, threetconv.study.messages;"
        "sys.exit(any(n in sys.modules for n in ('torch', 'pandas', 'numpy', 'pyarrow')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
