"""Bad calls of the library: the message says what is wrong and what to do, to whoever calls.

A caller need not know of a workflow: no remedy sends them to one without naming what else to do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torchvision
import yaml
from torch import nn

from threetconv.data.adapters.registry import read_clips
from threetconv.data.decoding.decode import read_frames
from threetconv.errors import InputError
from threetconv.explain.channel import Channel
from threetconv.explain.motion.trajectories import trajectory
from threetconv.networks.authors import load_authors_checkpoint
from threetconv.networks.build import build_network
from threetconv.networks.freeze import freeze_filters
from threetconv.networks.lift import lift
from threetconv.networks.registry import lift_remedy
from threetconv.networks.trace import reachable
from threetconv.networks.weight_files import load_weights, read_state
from threetconv.records.extract import extract_parameters
from threetconv.records.load_model import load_model
from threetconv.records.model_card import model_card
from threetconv.records.parameters import read_columns, read_parameters
from threetconv.records.run_folder import parameter_table, read_run
from threetconv.study.validate import validate_study
from threetconv.support.download import check_source, fetch
from threetconv.training.pretrain_2d import read_stills

ROOT = Path(__file__).resolve().parents[1]
LIFT_IT = 'lift(torchvision.models.resnet50(), "3t")'
RUN = ["the folder of a finished run, with run.json in it", "give the path of such a folder"]
DAMAGED = ["a finished run of this version of threetconv", "copy the run's folder again"]
SHAPE = ["clip_shape", "(frames, height, width)", "clip_shape=(16, 112, 112)"]
MODULE = ["a str", "a torch.nn.Module", "build it first"]


def small(convolution: str = "3t", name: str = "resnet18", **changes: Any) -> Any:
    settings = {"num_classes": 3, "clip_shape": (8, 32, 32), "width": 0.125} | changes
    return build_network(name, convolution=convolution, **settings)


def lost(folder: Path) -> nn.Module:
    network = small()
    nn.init.zeros_(network.conv1.scale)
    return network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders and files that are not what one would like to read."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "junk").write_bytes(b"junk")
    (folder / "empty").mkdir()
    records = {"broken": "{", "old": json.dumps({"run": {"run_id": "x"}, "snapshots": [{}]})}
    shape = {"frames": 8, "height": 32, "width": 32, "width_factor": 0.125}
    record = {"run_id": "x", "network": "resnet18", "init": "scratch", "num_classes": 3}
    records["unweighted"] = json.dumps({"run": record | shape | {"convolution": "3t"}})
    for name, text in records.items():
        (folder / name).mkdir()
        (folder / name / "run.json").write_text(text)
    return folder


CALLS: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "run: no folder": (lambda d: load_model("/nope"), ["/nope", "no folder at this path", *RUN]),
    "run: a file": (lambda d: load_model(d / "junk"), ["no folder", *RUN]),
    "run: empty": (lambda d: read_run(d / "empty"), ["no run.json in this folder", *RUN]),
    "run: broken": (lambda d: load_model(d / "broken"), ["JSONDecodeError", *DAMAGED]),
    "run: old": (lambda d: load_model(d / "old"), ["without 'network'", *DAMAGED]),
    "run: no weights": (lambda d: load_model(d / "unweighted"), ["best.safetensors", *DAMAGED]),
    "run: no snapshots": (lambda d: parameter_table(d / "old"), ["snapshots.safe", *DAMAGED]),
    "card": (lambda d: model_card("/nope"), RUN),
    "network: torchvision's": (lambda d: small(name="resnet50"), ["resnet18", LIFT_IT]),
    "network: misspelt": (lambda d: small(name="resnet81"), ["did you mean 'resnet18'?"]),
    "network: frames": (lambda d: small(clip_shape=(5, 32, 32)), ["at least 7 frames"]),
    "network: two sizes": (lambda d: small(clip_shape=(16, 32)), SHAPE),
    "network: size 0": (lambda d: small(clip_shape=(16, 0, 32)), SHAPE),
    "network: one number": (lambda d: small(clip_shape=16), SHAPE),
    "network: classes": (lambda d: small(num_classes=0), ["num_classes", "at least 1"]),
    "network: 2D weights": (lambda d: small(weights="/nope.pt"), ["nothing at this path"]),
    "network: junk": (lambda d: small(weights=d / "junk"), ["save model.state_dict()"]),
    "lift: a name": (lambda d: lift("resnet18"), MODULE),
    "lift: convolution": (
        lambda d: lift(nn.Conv2d(1, 1, 3), "4d"),
        ["one of 2d, 3d, 3t, r2"],
    ),
    "freeze": (lambda d: freeze_filters("resnet18"), MODULE),
    "parameters: 3D": (lambda d: extract_parameters(small("3d"), (8, 32, 32)), ["lift it with"]),
    "parameters: shape": (lambda d: extract_parameters(small(), (8, 32)), SHAPE),
    "parameters: lost": (
        lambda d: extract_parameters(lost(d), (8, 32, 32)),
        ["'network', step 0, layer 'conv1'", "take weights from before"],
    ),
    "parameters: no file": (lambda d: read_parameters([d / "no"]), ["correct the path"]),
    "parameters: junk": (lambda d: read_parameters([d / "junk"]), ["that extract_parameters made"]),
    "columns: junk": (lambda d: read_columns(d / "junk", ["scale"]), ["extract_parameters made"]),
    "reachable": (lambda d: reachable(small(), (8, 32)), SHAPE),
    "authors: no file": (
        lambda d: load_authors_checkpoint(d / "no", small()),
        ["nothing at this path", "correct the path"],
    ),
    "authors: junk": (
        lambda d: load_authors_checkpoint(d / "junk", small()),
        ["save model.state_dict(), not the model"],
    ),
    "state: a folder": (read_state, ["a folder", "correct the path"]),
    "state: junk": (lambda d: read_state(d / "junk"), ["have its maker save model.state_dict()"]),
    "state: format": (
        lambda d: load_weights(d / "junk", small(), format="keras"),
        ["one of authors, threetconv"],
    ),
    "source: scheme": (lambda d: check_source("ftp://x/y", None), ["write file:PATH"]),
    "source: no hash": (lambda d: check_source("https://x/y", None), ["add sha256"]),
    "source: no file": (
        lambda d: fetch(f"file:{d}/no", cache=d),
        ["the file that the source file:", "correct the source"],
    ),
    "clips: adapter": (lambda d: read_clips("kinetic", d), ["did you mean 'kinetics'?"]),
    "clips: nowhere": (lambda d: read_clips("folder", "/nope"), ["put the videos there"]),
    "frames": (lambda d: read_frames("/nope", frames=8, size=(8, 8)), ["correct the path"]),
    "stills": (lambda d: read_stills(d, "train", (8, 8)), ["<class>/*.jpg", "lay the images out"]),
    "channel": (lambda d: trajectory(small(), Channel("conv2", 0)), ["did you mean"]),
}


@pytest.mark.parametrize(("call", "words"), CALLS.values(), ids=list(CALLS))
def test_a_bad_call_is_told_what_to_do(
    call: Callable[[Path], Any], words: list[str], folder: Path
) -> None:
    with pytest.raises(InputError) as caught:
        call(folder)
    for word in words:
        assert word in str(caught.value)
    remedy = caught.value.remedy
    assert not remedy.startswith("delete")
    assert "workflow" not in remedy or "give " in remedy or ";" in remedy


@pytest.mark.parametrize(
    "change",
    [{"networks": ["resnet50"]}, {"variants": [{"init": "scratch", "convolution": "3t"}]}],
    ids=["study", "variant"],
)
def test_a_study_with_a_network_of_torchvision_is_told_to_lift(change: dict[str, Any]) -> None:
    for variant in change.get("variants", []):
        variant["networks"] = ["resnet50"]
    study = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")) | change
    with pytest.raises(InputError) as caught:
        validate_study(study)
    assert LIFT_IT in caught.value.remedy


def test_the_networks_that_can_be_lifted_are_those_of_torchvision() -> None:
    """Attention over a fixed grid cannot; all others can (test_lift_torchvision.py lifts them)."""
    names = torchvision.models.list_models(module=torchvision.models)
    assert len(names) > 60
    for name in names:
        attends = name.startswith(("vit_", "swin_", "maxvit_"))
        assert bool(lift_remedy(name)) is not attends, name
    assert lift_remedy("resnet81") == ""
