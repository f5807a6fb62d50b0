"""Every block of code in README and docs, as a user types it, in a fresh process.

- Python: statement by statement, as at the prompt, in a folder with the results of a study. A
  comment after an expression that is a shape is held to be its shape.
- SQL: by DuckDB, in the same folder.
- YAML: its keys take the place of the same keys of a study that ships; the outcome must be valid.
- Shell: each line in a clone of the repository, after the lines of its block that only set up the
  shell (`source`, `export`). `LINES` says of every line how. pip is kept from the network, except
  in an environment of its own.

- text: a picture, nothing to execute.

A block in another language, a line without an entry and an entry without a line fail.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from threetconv.records.plan import plan_runs
from threetconv.study.validate import validate_study

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
SMOKE = ROOT / "workflow/studies/smoke.yaml"
pytestmark = pytest.mark.timeout(1800)  # the smoke study may have to run first


@dataclass(frozen=True)
class Line:
    """How a line of shell is executed.

    Attributes:
        how: "runs" as it stands, "plans" (a dry run, `-n` appended), "refused" (it runs, and stops
            with `words`) or "not here".
        why: why not as it stands.
        where: "clone" of the repository; "finished": one whose config.yaml is a finished study;
            "environment": a clone, with an environment of its own that sees this one's packages.
        words: what is printed.
        slow: left to `make test-all`.
    """

    how: str
    why: str = ""
    where: str = "clone"
    words: str = ""
    slow: bool = False


REPORT = "snakemake --report reports/workflow.html"
POWER = "threetconv power --networks resnet18 googlenet --seeds 3 5 8 --effect 1.25"
CHECK = "threetconv data check workflow/studies/paper.yaml"
SLURM = (
    "snakemake --workflow-profile workflow/profiles/slurm --configfile workflow/studies/paper.yaml"
)
PODS = SLURM.replace("slurm", "kubernetes")
SEARCH = (
    "python benchmarks/recipe_search.py config.yaml --out search.csv --option symmetric_time=true "
    "--rate-factor 10 10/10/30 --spread 0/0/0.3 --seeds 1 2 3"
)
LINES = {
    "make report": Line("plans", "more than half an hour"),
    "make test": Line("plans", "it would run these tests"),
    "source .venv/bin/activate": Line("runs"),
    "snakemake --cores 8": Line("plans", "more than half an hour"),
    "snakemake --cores 8 --configfile workflow/studies/smoke.yaml": Line(
        "plans", "test_smoke.py runs it and looks at what comes out", words="study_report"
    ),
    "snakemake -n --configfile workflow/studies/paper.yaml": Line("runs", words="clip_table"),
    "snakemake --cores 8 --configfile workflow/studies/planted.yaml": Line(
        "plans", "half an hour; test_planted.py runs a toy of it", words="planted"
    ),
    POWER: Line("runs", words="Detectable"),
    CHECK: Line("refused", "Jester and UCF101 are not here", words="nothing at this path"),
    "threetconv estimate workflow/studies/paper.yaml --jobs 8": Line(
        "not here", "trains full-size networks for minutes; test_estimate.py runs it on small ones"
    ),
    "snakemake --cores 8 --use-conda": Line(
        "not here", "even its plan asks conda, which installs from the network"
    ),
    REPORT: Line("runs", where="finished"),
    "pip install .": Line(
        "runs", "no network to fetch the build backend from", where="environment", slow=True
    ),
    "pip install snakemake-executor-plugin-slurm": Line("runs", words="already satisfied"),
    "export THREETCONV_PARTITION=batch THREETCONV_GPU_PARTITION=gpu THREETCONV_ACCOUNT=mygroup "
    "THREETCONV_GPUS=1": Line("runs"),
    f"{SLURM} --dry-run": Line("runs", words="slurm_partition=gpu"),
    SLURM: Line("not here", "no Slurm; its plan is the line before, test_slurm.py submits jobs"),
    "pip install snakemake-executor-plugin-kubernetes snakemake-storage-plugin-s3": Line(
        "not here", "the S3 plugin would come from the network; requirements.lock lacks it"
    ),
    "export THREETCONV_BUCKET=s3://my-bucket/my-study "
    "THREETCONV_IMAGE=registry.example/threetconv@sha256:...": Line("runs"),
    "export SNAKEMAKE_STORAGE_S3_ACCESS_KEY=... SNAKEMAKE_STORAGE_S3_SECRET_KEY=...": Line("runs"),
    SEARCH: Line("refused", "the clone's study has not run", words="run the study first"),
    PODS: Line("not here", "no bucket, no pods; test_profiles.py plans it with a folder as store"),
}
BASES = {"variants:": "workflow/studies/paper.yaml"}  # first line of a fragment: the study, or
EMBEDDED = "config.yaml"

PROMPT = r"""
import ast, re, sys
source = open(sys.argv[1], encoding="utf-8").read()
lines, scope = source.splitlines(), {"__name__": "__main__"}
for node in ast.parse(source).body:
    if not isinstance(node, ast.Expr):
        exec(compile(ast.Module([node], []), sys.argv[1], "exec"), scope)
        continue
    value = eval(compile(ast.Expression(node.value), sys.argv[1], "eval"), scope)
    print(repr(value))
    told = re.search(r"  # (\(\d+, [\d, ]+\))", lines[node.end_lineno - 1])
    if told and tuple(value.shape) != ast.literal_eval(told[1]):
        sys.exit(f"{lines[node.end_lineno - 1]}\n  found: {tuple(value.shape)}")
"""
QUERY = "import duckdb, sys; print(duckdb.sql(open(sys.argv[1]).read()))"
RUNNERS = {"python": PROMPT, "sql": QUERY}


@dataclass(frozen=True)
class Block:
    """A block of code: where it stands, its language, its text."""

    file: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """Lines of shell, without comments."""
        lines = (re.sub(r"(^|\s+)#.*", "", line) for line in self.text.splitlines())
        return [line for line in lines if line]


def blocks_of(file: Path) -> list[Block]:
    text = file.read_text(encoding="utf-8")
    fences = re.finditer(r"(?ms)^ *```([^\n`]*)\n(.*?)^ *```$", text)
    name = file.relative_to(ROOT).as_posix()
    return [Block(name, text.count("\n", 0, m.start()) + 1, m[1], m[2]) for m in fences]


BLOCKS = [block for file in TEXTS for block in blocks_of(file)]
PROGRAMS = [block for block in BLOCKS if block.language in RUNNERS]
FRAGMENTS = [block for block in BLOCKS if block.language == "yaml"]
SHELL = [block for block in BLOCKS if block.language == "bash"]


def execute(*command: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("THREETCONV_")}
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{kept['PATH']}"
    return subprocess.run(
        command,
        cwd=folder,
        env=kept | {"PATH": path} | variables,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def program(block: Block, folder: Path, tmp_path: Path) -> None:
    """Run a block of Python or SQL in a folder."""
    file = tmp_path / "block"
    file.write_text(block.text, encoding="utf-8")
    done = execute(sys.executable, "-c", RUNNERS[block.language], str(file), folder=folder)
    assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"


def clone_of(folder: Path) -> Path:
    """What a clone of the repository holds that is needed to run it, and the environment."""
    bytecode = shutil.ignore_patterns("__pycache__")
    for name in ("src", "workflow", "docs", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=bytecode)
    for name in ("Snakefile", "Makefile", "config.yaml", "pyproject.toml", "requirements.lock"):
        shutil.copy2(ROOT / name, folder)
    for name in ("README.md", "LICENSE"):
        shutil.copy2(ROOT / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def environment_of(folder: Path) -> Path:
    """The programs of a new environment, in which this one's packages need not be fetched."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "these.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    return clone_of(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="module")
def finished_clone(finished, tmp_path_factory) -> Path:
    """A clone whose config.yaml is the smoke study, with its results."""
    folder = clone_of(tmp_path_factory.mktemp("finished_clone"))
    shutil.copy2(SMOKE, folder / "config.yaml")
    return shutil.copytree(finished, folder, symlinks=True, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def study(finished, tmp_path_factory) -> Path:
    """The smoke study with its results in `results/`, where README has those of config.yaml."""
    folder = tmp_path_factory.mktemp("study")
    for name in ("results", "reports"):
        shutil.copytree(finished / name / "smoke", folder / name)
    config = folder / "results/run_config.yaml"
    config.write_text(re.sub(r"\b(results|reports)/smoke\b", r"\1", config.read_text()))
    shutil.copy2(config, folder / "config.yaml")
    return folder


def test_the_list_is_whole():
    """Prints it: `pytest -rP` or `-s` shows every block and how it is executed."""
    assert {block.language for block in BLOCKS} <= {*RUNNERS, "yaml", "bash", "text"}
    written = {command for block in SHELL for command in block.commands}
    assert written == set(LINES)
    assert set(BASES) <= {block.text.splitlines()[0] for block in FRAGMENTS}
    for block in BLOCKS:
        print(block, block.language)
        for command in block.commands if block in SHELL else ():
            line = LINES[command]
            print(f"  {line.how:8}  {command}" + (f"  ({line.why})" if line.why else ""))
    assert {line.how for line in LINES.values()} == {"runs", "plans", "refused", "not here"}
    assert all(line.why for line in LINES.values() if line.how != "runs")


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
def test_programs(block, study, tmp_path):
    program(block, study, tmp_path)


@pytest.mark.parametrize("block", FRAGMENTS, ids=str)
def test_fragments_make_a_study(block):
    base = BASES.get(block.text.splitlines()[0], EMBEDDED)
    whole = yaml.safe_load((ROOT / base).read_text()) | yaml.safe_load(block.text)
    assert plan_runs(validate_study(whole))


def commands() -> list:
    """Every line of shell with the lines before it that set up the shell."""
    found = []
    for block in SHELL:
        before: list[str] = []
        for command in block.commands:
            line = LINES.get(command, Line("unknown"))
            marks = [pytest.mark.slow] if line.slow else []
            ids = f"{block.file}-{line.how}-{command}"
            found.append(pytest.param(line, command, tuple(before), id=ids, marks=marks))
            if command.startswith(("source ", "export ")):
                before.append(command)
    return found


@pytest.mark.parametrize(("line", "command", "before"), commands())
def test_shell(line, command, before, request, tmp_path):
    assert line.how != "unknown", "say in LINES how this line is executed"
    if line.how == "not here":
        pytest.skip(f"`{command}`: {line.why}")
    folder = request.getfixturevalue("finished_clone" if line.where == "finished" else "clone")
    variables = {"PIP_NO_INDEX": "1"} if line.where == "clone" else {}
    if line.where == "environment":
        variables["PATH"] = f"{environment_of(tmp_path)}{os.pathsep}{os.environ['PATH']}"
    typed = command + " -n" * (line.how == "plans")
    done = execute("bash", "-c", "\n".join(["set -e", *before, typed]), folder=folder, **variables)
    printed = done.stdout + done.stderr
    if "No matching distribution found for hatchling" in printed:
        pytest.skip(f"`{command}`: {line.why}")
    assert done.returncode == (line.how == "refused"), printed[-3000:]
    assert line.words in printed
    assert "Traceback" not in printed
    if line.where == "finished":
        assert (folder / command.split()[-1]).stat().st_size > 0
    if line.where == "environment":
        assert list(tmp_path.glob("lib/python*/site-packages/threetconv/study/config.py"))


def test_code_in_the_report(finished, tmp_path):
    """The report prints Python to type in the folder in which the study has run."""
    page = (finished / "reports/smoke/report.html").read_text(encoding="utf-8")
    found = re.findall(r'(?s)<code class="language-(\w*)">(.*?)</code></pre>', page)
    printed = [
        Block("report.html", number, language, html.unescape(text))
        for number, (language, text) in enumerate(found)
        if language != "yaml"  # the study itself, with every default
    ]
    assert [block.language for block in printed] == ["python", "python"]
    for block in printed:
        program(block, finished, tmp_path)


@pytest.mark.parametrize("file", TEXTS, ids=lambda f: f.name)
def test_links_lead_somewhere(file):
    prose = re.sub(r"(?ms)^ *```.*?^ *```$", "", file.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#\s]+)", prose):
        if not re.match(r"https?:", target):
            assert (file.parent / target).exists(), target


def test_readme_is_read_in_one_go():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
