"""A stand-in for the program `conda`: those commands of it that Snakemake calls.

Run by a Python that has py-rattler, whose solver and installer do the work. The folder that this
is called from (`bin/conda`) is the prefix; the only channel is the one that `channel.py` has made.
See README.md for what this does not show.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import rattler
import yaml

PREFIX = Path(os.environ["CONDA_STAND_IN"])
INDEX = ("--extra-index-url", "--index-url", "-i ", "--find-links")  # elsewhere than PyPI


async def link(specs: list[str], prefix: Path) -> None:
    """Solve and install conda packages."""
    channel = rattler.Channel((PREFIX / "channel").as_uri())
    platforms = [rattler.Platform.current(), rattler.Platform("noarch")]
    records = await rattler.solve([channel], specs, platforms=platforms)
    await rattler.install(records, prefix, cache_dir=PREFIX / "pkgs", show_progress=False)


def create(file: Path, prefix: Path) -> None:
    """`conda env create`: conda packages first, then the `pip:` list by the new pip."""
    wanted: list[Any] = yaml.safe_load(file.read_text())["dependencies"]
    asyncio.run(link([spec for spec in wanted if isinstance(spec, str)], prefix))
    lines = [line for part in wanted if isinstance(part, dict) for line in part["pip"]]
    pins = [line for line in lines if not line.startswith(INDEX)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write("\n".join(pins) + "\n")
        requirements.flush()
        pip = [str(prefix / "bin/python"), "-m", "pip", "install", "--quiet"]
        pip += ["--disable-pip-version-check", "--requirement", requirements.name]
        subprocess.run(pip, check=True)


def main(arguments: list[str]) -> None:
    """Answer one command."""
    match arguments:
        case ["info", "--json"]:
            platform = str(rattler.Platform.current())
            print(json.dumps({"conda_prefix": str(PREFIX), "platform": platform}))
        case ["--version"]:
            print("conda 24.7.1")  # the oldest that Snakemake takes
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", *options]:
            value = dict(pairwise(options))
            create(Path(value["--file"]), Path(value["--prefix"]))
        case ["clean", *_]:
            pass
        case _:
            sys.exit(f"the stand-in for conda does not know: conda {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])
    # py-rattler's threads may abort the process while the interpreter shuts down (0.28)
    sys.stdout.flush()
    os._exit(0)
