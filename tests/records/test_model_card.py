"""The model card of a run: what it says is what the record says, and its code runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from threetconv.errors import InputError
from threetconv.networks.build import build_network
from threetconv.networks.trace import temporal_state
from threetconv.records.load_model import load_model
from threetconv.records.model_card import model_card
from threetconv.records.result import Result, Snapshot
from threetconv.records.run_folder import write_run
from threetconv.records.run_record import RunRecord

CLASSES = ["swiping left", "swiping | right"]
RECORD: dict[str, Any] = {
    "run_id": "resnet18-toy-pretrained-3t-r1", "network": "resnet18", "dataset": "toy",
    "init": "pretrained", "convolution": "3t", "control": "none", "replicate": 1, "seed": 7,
    "source": "trained", "optimiser": "adam", "lr": 0.003, "schedule": "one-cycle", "epochs": 4,
    "early_stopping": None, "batch_size": 16, "frames": 8, "height": 16, "width": 16,
    "width_factor": 0.125, "num_classes": 2, "n_train": 1200, "n_val": 300, "n_test": 0,
    "n_parameters": 123456, "n_temporal": 4032, "a_new_setting": 0.25,
}  # fmt: skip
FETCHED = {
    "source": "fetched", "fetched_from": "https://example.org/x.pt", "fetched_sha256": "ab" * 32,
    "fetched_format": "authors", "licence": "CC-BY-4.0", "lr": None, "schedule": None,
    "optimiser": None, "epochs": None, "batch_size": None, "n_train": None,
}  # fmt: skip


def write(folder: Path, *, test: bool = False, fetched: bool = False, **changes: Any) -> Path:
    """A run folder with a network that was not trained."""
    record = RECORD | (FETCHED if fetched else {}) | changes
    carry = record.get("carry", "convolutions")
    network = build_network(
        record["network"], num_classes=2, clip_shape=(8, 16, 16), width=0.125, carry=carry, seed=5
    )
    epoch, unknown = (0 if fetched else 3), None
    rows = [
        (75 * e, e, split, metric, value + (e != epoch) / 10, n)
        for e in ([0] if fetched else [1, 2, 3, 4])
        for split, accuracy, n in [("train", 0.99, 1200), ("val", 0.8125, 300), ("test", 0.75, 40)]
        for metric, value in (("accuracy", accuracy), ("loss", 0.5))
        if (split != "test" or (test and e == epoch)) and not (fetched and split == "train")
    ]
    any_unknown: Any = unknown
    result = Result(
        best_state=network.state_dict(),
        best_epoch=epoch,
        best_step=any_unknown if fetched else 225,
        metrics=pd.DataFrame(rows, columns=["step", "epoch", "split", "metric", "value", "n"]),
        snapshots=[Snapshot(225, epoch, "best", 1e-3, temporal_state(network))],
        n_updates=any_unknown if fetched else 300,
        sum_lr2=any_unknown if fetched else 0.0012,
        seconds=0.0 if fetched else 61.2,
    )
    known = {k: v for k, v in record.items() if k in RunRecord.__dataclass_fields__}
    its_record = RunRecord(**({"carry": carry} | known))
    write_run(folder, its_record, result, network, [], classes=CLASSES, bad_clips={})
    document = json.loads((folder / "run.json").read_text())
    document["run"] |= record  # some of which this version does not know, or counts itself
    (folder / "run.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("runs") / "run", test=True)


def header(card: str) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return parsed


def row(card: str, name: str) -> list[str]:
    (line,) = [line for line in card.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")][1:]


def test_the_header_is_what_the_hub_reads(folder: Path) -> None:
    head = header(model_card(folder, licence="Apache-2.0"))
    assert head["license"] == "apache-2.0"
    assert head["pipeline_tag"] == "video-classification"
    assert head["tags"] == ["video-classification", "3tconv", "resnet18"]
    assert head["datasets"] == ["toy"]
    assert head["metrics"] == ["accuracy"]
    (entry,) = head["model-index"]
    assert entry["name"] == RECORD["run_id"]
    found = {r["dataset"]["split"]: r["metrics"][0]["value"] for r in entry["results"]}
    assert found == {"val": 0.8125, "test": 0.75}


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("", {"license": "unknown"}),
        ("MIT", {"license": "mit"}),
        ("for research only: ask", {"license": "other", "license_name": "for research only: ask"}),
    ],
)
def test_licences(licence: str, expected: dict[str, str], folder: Path) -> None:
    head = header(model_card(folder, licence=licence))
    assert {k: v for k, v in head.items() if k.startswith("license")} == expected


def test_results_are_those_of_the_best_epoch(folder: Path) -> None:
    card = model_card(folder)
    assert row(card, "val") == ["0.8125", "0.5000", "300"]
    assert row(card, "test") == ["0.7500", "0.5000", "40"]
    assert "Chance is 0.5000 (1 of 2 classes)." in card
    assert "The epoch of these weights was chosen on it" not in card.partition("## Results")[0]
    assert "the epoch of these weights was chosen on it" in card
    assert "nothing was chosen on it" in card
    assert "published test list" in model_card(folder, selection="test")


def test_a_card_claims_nothing_of_what_was_not_measured(folder: Path, tmp_path: Path) -> None:
    card = model_card(folder)
    assert "so its accuracy tends to be too high" in card
    for careless in ("optimistic", "nothing else. No other data", "another accuracy"):
        assert careless not in card
    assert "0 of them temporal" not in model_card(write(tmp_path / "run", n_temporal=0))


def test_settings_and_files(folder: Path) -> None:
    card, record = model_card(folder), json.loads((folder / "run.json").read_text())["run"]
    assert row(card, "learning rate") == ["0.003"]
    assert row(card, "schedule") == ["one-cycle"]
    assert row(card, "updates") == ["300"]
    assert row(card, "epoch of these weights") == ["3"]
    assert row(card, "epochs without gain before it ends") == ["none"]
    assert row(card, "a new setting") == ["0.25"]  # settings that come later are shown as well
    assert "123,456 parameters, 4,032 of them temporal" in card
    assert row(card, "SHA-256 of best.safetensors") == [f"`{record['weights_sha256']}`"]
    assert row(card, "torch") == [json.loads(record["versions"])["torch"]]
    assert "1,200 training clips, 300 validation clips, 2 classes" in card
    assert "`swiping left`, `swiping / right`." in card


@pytest.mark.parametrize(
    ("synthetic", "kind"), [(True, "rendered, synthetic"), (False, "recorded video"), (None, "vid")]
)
def test_the_kind_of_data(synthetic: bool | None, kind: str, folder: Path) -> None:
    card = model_card(folder, synthetic=synthetic)
    assert f"`toy`: {kind}" in card
    assert ("drawn by a program" in card) == bool(synthetic)


def test_a_fetched_run_says_so(tmp_path: Path) -> None:
    card = model_card(write(tmp_path / "run", fetched=True), licence="MIT")
    assert header(card)["license"] == "cc-by-4.0"  # the checkpoint's own
    assert "**Not trained in this study:** fetched from `https://example.org/x.pt`" in card
    assert "ab" * 32 in card
    assert "Measured here" in card
    assert "the epoch of these weights was chosen" not in card
    for name in ("learning rate", "updates", "epoch of these weights", "seed", "schedule"):
        assert row(card, name) == ["not known"], name
    assert "no noise floor" in card
    assert not re.search(r"\bnan\b|`None`|\| None|None (train|val)", card)


def test_a_control_says_so(tmp_path: Path) -> None:
    card = model_card(write(tmp_path / "run", control="static"))
    assert "**A negative control:** one frame of the clip is repeated" in card
    assert "not to classify clips as they are" in card


def test_its_code_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", model_card(folder), flags=re.DOTALL)
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for i in range(12):
            picture = np.full((32, 32, 3), 20 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    monkeypatch.chdir(folder)
    found: dict[str, Any] = {}
    exec(block, found)
    assert found["clip"].shape == (8, 16, 16, 3)
    assert found["logits"].shape == (1, 2)
    assert found["logits"].isfinite().all()
    assert not found["network"].training


@pytest.mark.parametrize("name", ["resnet18", "googlenet"])
def test_the_model_computes_what_the_network_did(name: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "run", network=name)
    network = build_network(name, num_classes=2, clip_shape=(8, 16, 16), width=0.125, seed=5).eval()
    clip = torch.randn(2, 3, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(load_model(folder)(clip), network(clip))


def test_bad_input(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run\.json"):
        model_card(tmp_path)
    with pytest.raises(InputError, match="one of val, test"):
        model_card(folder, selection="train")
    other = write(tmp_path / "other")
    (other / "metrics.parquet").unlink()
    with pytest.raises(InputError, match=r"metrics\.parquet"):
        model_card(other)
    columns = ["run_id", "step", "epoch", "split", "metric", "value", "n"]
    rows = pd.DataFrame([("r", 1, 1, "val", "accuracy", 0.5, 3)], columns=columns)
    rows.to_parquet(other / "metrics.parquet", index=False)
    with pytest.raises(InputError, match="epoch 3 on val"):
        model_card(other)
