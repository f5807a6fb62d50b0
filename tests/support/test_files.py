"""Files appear whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from threetconv.support.files import (
    _TEMPORARY,
    atomic,
    read_parquet,
    remove_leftovers,
    typed,
    write_parquet,
    write_tensors,
    write_text,
)


def contents(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "out.txt"
    with atomic(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
    assert target.read_text() == "half"
    assert contents(target.parent) == ["out.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [None, "old"])
def test_a_failing_writer_leaves_what_was_there(
    tmp_path: Path, error: type[BaseException], old: str | None
) -> None:
    target = tmp_path / "out.txt"
    if old is not None:
        target.write_text(old)

    def write() -> None:
        with atomic(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert contents(tmp_path) == ([] if old is None else ["out.txt"])
    if old is not None:
        assert target.read_text() == old


def test_a_killed_writer_leaves_no_half_written_file(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    code = (
        "import os, signal, sys\nfrom threetconv.support.files import atomic\n"
        "with atomic(sys.argv[1]) as t:\n    t.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    """Not the 0600 of temporary files."""
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "out.txt", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "out.txt").stat().st_mode & 0o777 == 0o640


def test_text_is_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "out.txt", "Güçlü →\n")
    assert (tmp_path / "out.txt").read_bytes() == "Güçlü →\n".encode()


def test_tables_survive_and_their_bytes_repeat(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=[5, 7])
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    for name in ("one.parquet", "two.parquet"):
        write_parquet(frame, tmp_path / name, schema)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    pd.testing.assert_frame_equal(
        read_parquet(tmp_path / "one.parquet"), frame.reset_index(drop=True)
    )
    assert pq.read_schema(tmp_path / "one.parquet").metadata is None
    column = pq.ParquetFile(tmp_path / "one.parquet").metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"


def test_a_schema_is_held(tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.int16())])
    write_parquet(pd.DataFrame({"a": [1, 2]}), tmp_path / "a.parquet", schema)
    assert pq.read_schema(tmp_path / "a.parquet").equals(schema)
    for frame, message in (
        ({"a": [1, 99999]}, "99999"),
        ({"a": [1.5]}, "1.5"),
        ({"a": ["x"]}, "'x'"),
        ({"b": [1]}, r"columns missing: \['a'\], columns not in the schema: \['b'\]"),
        ({"a": [1], "b": [1]}, r"missing: \[\], columns not in the schema: \['b'\]"),
    ):
        with pytest.raises(ValueError, match=rf"b\.parquet: .*{message}"):
            write_parquet(pd.DataFrame(frame), tmp_path / "b.parquet", schema)
    assert contents(tmp_path) == ["a.parquet"]


def test_columns_keep_their_types_without_a_value(tmp_path: Path) -> None:
    """A column of nothing was written without a type, and whoever read it could not compute."""
    kinds = {"text": pa.string(), "share": pa.float64(), "count": pa.int64(), "flag": pa.bool_()}
    schema = pa.schema(list(kinds.items()))
    unknown = pd.DataFrame({name: [None, None] for name in kinds})
    for frame in (unknown, unknown.head(0), pd.DataFrame(columns=list(kinds))):
        write_parquet(frame, tmp_path / "a.parquet", schema)
        assert pq.read_schema(tmp_path / "a.parquet").equals(schema)
        back = read_parquet(tmp_path / "a.parquet")
        assert len(back) == len(frame)
        assert back["share"].dtype == np.float64
        pd.testing.assert_frame_equal(typed(frame, schema), back)
    assert np.log(typed(unknown, schema)["share"]).isna().all()


def test_folders_of_hive_partitions_add_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "network=resnet18" / "a.parquet"
    write_parquet(pd.DataFrame({"a": [1]}), path, pa.schema([("a", pa.int64())]))
    assert list(read_parquet(path).columns) == ["a"]
    assert list(read_parquet(path, columns=["a"]).columns) == ["a"]


def test_tensors_survive(tmp_path: Path) -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor(3)}
    write_tensors(tensors, tmp_path / "torch.safetensors")
    found = safetensors.torch.load_file(tmp_path / "torch.safetensors")
    assert {*found} == {"a", "b"}
    assert all(torch.equal(found[name], tensors[name]) for name in found)
    for arrays in ({"a": np.arange(3.0), "b": np.ones((0, 2), np.float32)}, {}):
        write_tensors(arrays, tmp_path / "numpy.safetensors")
        read = safetensors.numpy.load_file(tmp_path / "numpy.safetensors")
        assert {*read} == {*arrays}
        assert all(read[name].dtype == array.dtype for name, array in arrays.items())
        assert all(np.array_equal(read[name], array) for name, array in arrays.items())


def test_every_file_that_a_killed_writer_of_tensors_leaves_is_known(tmp_path: Path) -> None:
    """safetensors' own `save_file` has a temporary file of its own, which nobody would remove."""
    seen: set[str] = set()
    written = threading.Event()

    def watch() -> None:
        while not written.is_set():
            seen.update(path.name for path in tmp_path.iterdir())

    watcher = threading.Thread(target=watch)
    watcher.start()
    write_tensors({"a": torch.zeros(20_000_000)}, tmp_path / "a.safetensors")
    written.set()
    watcher.join()
    beside = seen - {"a.safetensors"}
    assert beside
    assert all(_TEMPORARY.fullmatch(name) for name in beside)


def test_leftovers_of_killed_writers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = [".gitkeep", ".hidden.txt", "a.txt", "best.safetensors"]
    for name in kept:
        (tmp_path / name).touch()
    with atomic(tmp_path / "best.safetensors") as left, atomic(tmp_path / "plain") as bare:
        (tmp_path / left.name.replace(left.name.split(".")[-2], "abcd_123")).touch()
        (tmp_path / bare.name).touch()
        remove_leftovers(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == kept
        left.touch()
        bare.touch()
    remove_leftovers(tmp_path / "nowhere")
