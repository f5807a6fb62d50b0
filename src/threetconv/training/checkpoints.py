"""Checkpoints: the state of a run that is under way, so that it goes on where it was stopped.

``<folder>/<update>-<digest>.pt``: everything that the next update depends on, written beside its
place and renamed, the last two kept. The name holds a digest of the file's bytes. Where the two do
not agree the checkpoint is damaged, and the one before it is used.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from threetconv.errors import InputError
from threetconv.records.result import Result, Snapshot
from threetconv.support.files import atomic, remove_leftovers
from threetconv.support.provenance import bytes_sha256

__all__ = ["Checkpoints", "result_of", "state_of"]

log = logging.getLogger(__name__)

KEPT = 2  # should the newest be damaged, the one before it is there
SHARE = 0.02  # greatest share of the time that goes into writing checkpoints
DIGEST = re.compile(r"[0-9a-f]{16,}")  # SHA-256, or its first 16 digits
State = dict[str, Any]


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they lie; nothing else may.
        belongs_to: what decides the run's numbers (settings, seed, data, versions), plain values. A
            checkpoint with other values is not used.
        every: seconds between two checkpoints, at least; more when writing one takes long. 0: one
            after every update.
        notes: a dictionary that is saved with every checkpoint and updated by `load`. It holds what
            belongs to the run but is unknown to the training loop, such as clips left out.
        marks: path of each clip -> its mark (`threetconv.data.contents`), so that the log can name
            the clips that changed since a checkpoint that is therefore not used. A digest of the
            marks is in `belongs_to` under "clips".
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        belongs_to: Mapping[str, Any],
        every: float = 60.0,
        notes: dict[str, str] | None = None,
        marks: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = Path(folder)
        # as text with sorted keys, equal settings compare equal
        self._belongs_to = json.dumps(belongs_to, sort_keys=True)
        self._marks = dict(marks or {})
        self._every = self._pause = every
        self._last = time.monotonic()
        self._notes = {} if notes is None else notes

    def due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() - self._last >= self._pause

    def save(self, update: int, state: State) -> Path:
        """Write the state after `update` updates: tensors, numbers, text, lists, dictionaries.

        Raises:
            InputError: no space left, or a folder that cannot be written; earlier ones stay.
        """
        started = time.monotonic()
        # temporary files of a process that was killed while it wrote
        remove_leftovers(self.folder)
        path = self._write(
            f"{update:09d}",
            {
                "belongs_to": self._belongs_to,
                "notes": dict(self._notes),
                "marks": list(self._marks.values()),
                "state": state,
            },
        )
        # names begin with the update in nine digits, so their order is that of the updates
        for old in sorted(self._files())[:-KEPT]:
            old.unlink(missing_ok=True)
        self._last = time.monotonic()
        if self._every > 0:
            # a slow disk makes checkpoints rarer
            self._pause = max(self._every, (self._last - started) / SHARE)
        return path

    def save_aside(self, name: str, state: State) -> Path:
        """Write a state that training does not go on from, for a person to look at."""
        return self._write(name, {"belongs_to": self._belongs_to, "state": state})

    def load(self) -> State | None:
        """The newest state that is whole and belongs to this run; None without one."""
        for path in sorted(self._files(), reverse=True):
            found = self._read(path)
            if found is None:
                continue
            if found["belongs_to"] != self._belongs_to:
                log.warning(
                    "%s belongs to another run, so training starts anew: %s",
                    path,
                    "; ".join(self._differences(found)),
                )
                return None
            # in place: the caller holds this dictionary (`BadClips.found`)
            self._notes.update(found["notes"])
            state: State = found["state"]
            return state
        return None

    def _differences(self, found: State) -> list[str]:
        """How the settings of a checkpoint differ from those of this run, in words."""
        before, now = json.loads(found["belongs_to"]), json.loads(self._belongs_to)
        words = list(_differences(before, now))
        marks = found.get("marks", [])
        # marks are saved without paths; they can be told apart by position while the table is the
        # same
        if "clips" in words and "table" not in words and len(marks) == len(self._marks):
            paths = [p for (p, m), old in zip(self._marks.items(), marks, strict=True) if m != old]
            words[words.index("clips")] = (
                f"the clips have changed: {len(paths):,} of {len(marks):,} differ, first {paths[0]}"
            )
        return words

    def remove(self) -> None:
        """Delete them: the run has ended, and its files are in their places."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        # a name from `save_aside` begins with a word and is never loaded
        return [p for p in self.folder.glob("[0-9]*-*.pt") if not p.name.startswith(".")]

    def _write(self, name: str, content: State) -> Path:
        # in memory first, because the file's name holds the digest of its bytes
        buffer = io.BytesIO()
        torch.save(content, buffer)
        data = buffer.getbuffer()
        path = self.folder / f"{name}-{bytes_sha256(data)[:16]}.pt"
        try:
            with atomic(path) as temporary:
                temporary.write_bytes(data)
                with open(temporary, "rb") as file:
                    os.fsync(file.fileno())  # on the disk before it has its name
        except OSError as error:
            raise InputError(
                path,
                found=f"a checkpoint that could not be written ({error.strerror or error})",
                expected=f"{len(data) / 1e6:,.1f} MB of free space in a folder that can be written",
                remedy="make space and start the same command again: training goes on from the "
                "checkpoint before",
            ) from error
        return path

    def _read(self, path: Path) -> State | None:
        """The content of a file, or None (and a warning) when it is damaged."""
        try:
            data = path.read_bytes()
            if bytes_sha256(data)[:16] != path.stem.rpartition("-")[2]:
                raise ValueError(f"{len(data):,} bytes that are not those that were written")
            # weights_only: unpickling can run no code of the file's
            content: State = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except (OSError, ValueError, RuntimeError, EOFError) as error:
            log.warning("%s is damaged (%s); the checkpoint before it is taken", path, error)
            return None
        return content


def state_of(result: Result) -> State:
    """A result as a checkpoint holds it; `metrics` and `seconds` are saved by the loop."""
    snapshots = [
        # tensors, because `weights_only` refuses to unpickle NumPy arrays
        [s.step, s.epoch, s.tag, s.sum_lr2, {k: torch.from_numpy(v) for k, v in values.items()}]
        for s, values in ((s, s.values) for s in result.snapshots)
    ]
    fields = ("best_state", "best_epoch", "best_step", "n_updates", "sum_lr2")
    return {name: getattr(result, name) for name in fields} | {"snapshots": snapshots}


def result_of(state: State, *, seconds: float) -> Result:
    """Inverse of `state_of`."""
    snapshots = [
        Snapshot(step, epoch, tag, sum_lr2, {k: v.numpy() for k, v in values.items()})
        for step, epoch, tag, sum_lr2, values in state["snapshots"]
    ]
    return Result(**state | {"snapshots": snapshots, "seconds": seconds})


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """The settings that differ, each as "name before -> now"; for digests, the name alone."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            inner = f"{name}.{key}" if name else key
            yield from _differences(before.get(key), now.get(key), inner)
    elif before != now:
        # a digest before and after would tell a reader nothing
        digest = any(isinstance(value, str) and DIGEST.fullmatch(value) for value in (before, now))
        yield name if digest else f"{name} {before} -> {now}"
