"""From snapshots of a training run to a tidy table of temporal parameters, and what is derived.

One row per (snapshot, layer, transition, channel) with the raw parameters as the layer holds them.
Everything derived from them has one definition: `derive` for DataFrames, `DERIVED_SQL` for DuckDB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from threetconv.errors import InputError, missing_file
from threetconv.layer import units
from threetconv.schemas.runs import PARAMETERS as SCHEMA

if TYPE_CHECKING:
    from threetconv.networks.layer_info import LayerInfo

__all__ = [
    "CELL",
    "DERIVED_SQL",
    "HIVE",
    "PARAMETERS",
    "RAW",
    "VALUES",
    "columns_of",
    "derive",
    "displacement",
    "displacement_from_start",
    "magnitude",
    "read_columns",
    "read_parameters",
    "tabulate",
]

PARAMETERS = ("s", "r", "px", "py")  # the paper's names, in its order
RAW = {"s": "scale", "r": "rotate", "px": "translate_x", "py": "translate_y"}
MOVED = ("moved_s", "moved_r", "moved_x", "moved_y")
VALUES = ("run_id", "tag", "reachable", *RAW.values())  # what densities and distances read

CELL = ("network", "dataset", "init", "recipe")  # folders of parameter tables, outermost first
TABLE = "a parameter table (threetconv.schemas.runs.PARAMETERS)"
HIVE = ds.partitioning(
    pa.schema([(name, pa.string()) for name in CELL]),
    flavor="hive",
)

# SELECT list over the raw columns (aliased in float64 first); `derive` is the same in numpy, and a
# test holds the two together.
DERIVED_SQL = """
SELECT * EXCLUDE (s, r, x, y, s_0, r_0, x_0, y_0),
    1 / s                AS s_prime,   -- zoom; above 1 the content grows
    -r                   AS r_prime,   -- radians, clockwise as seen
    -0.5 * x             AS px_prime,  -- fraction of the kernel's extent, right
    0.5 * y              AS py_prime,  -- fraction of the kernel's extent, up
    -ln(abs(s))          AS z_s,
    -r                   AS z_r,
    -0.5 * x             AS z_x,
    0.5 * y              AS z_y,
    -ln(abs(s / s_0))    AS moved_s,   -- since the start of training
    -(r - r_0)           AS moved_r,
    -0.5 * (x - x_0)     AS moved_x,
    0.5 * (y - y_0)      AS moved_y,
    abs(1 - abs(1 / s))  AS paper_s,   -- what Tables 2 and 4 of the paper average
    abs(r)               AS paper_r,
    abs(0.5 * x)         AS paper_px,
    abs(0.5 * y)         AS paper_py,
    degrees(-r)          AS clockwise_degrees,
    -0.5 * x * (kernel_hw - 1)        AS kernel_px_x,
    0.5 * y * (kernel_hw - 1)         AS kernel_px_y,
    -0.5 * x * (kernel_hw - 1) * jump AS input_px_x,
    0.5 * y * (kernel_hw - 1) * jump  AS input_px_y
FROM (
    SELECT *, scale::DOUBLE AS s, rotate::DOUBLE AS r,
        translate_x::DOUBLE AS x, translate_y::DOUBLE AS y,
        scale_start::DOUBLE AS s_0, rotate_start::DOUBLE AS r_0,
        translate_x_start::DOUBLE AS x_0, translate_y_start::DOUBLE AS y_0
    FROM {source}
)
"""

_DISPLACEMENT = {
    "s": units.log_zoom,
    "r": units.clockwise,
    "px": units.right,
    "py": units.up,
}


def displacement(parameter: str, raw: ArrayLike) -> NDArray[np.float64]:
    """z of one parameter: -ln|s| (`s`), -r (`r`, radians), -tx/2 (`px`) or ty/2 (`py`)."""
    return _DISPLACEMENT[parameter](raw)


def displacement_from_start(
    parameter: str, raw: ArrayLike, start: ArrayLike
) -> NDArray[np.float64]:
    """How far training has moved z of one parameter: `displacement` less that of the start.

    Equal to `displacement`, to the bit, where a run starts at the identity.
    """
    return displacement(parameter, raw) - displacement(parameter, start)


def magnitude(parameter: str, raw: ArrayLike) -> NDArray[np.float64]:
    """What the paper's Tables 2 and 4 average: |1 - |1/s||, |r|, |tx/2| or |ty/2|."""
    if parameter == "s":
        return np.abs(1 - np.abs(units.zoom(raw)))
    return np.abs(displacement(parameter, raw))


def derive(frame: pd.DataFrame) -> pd.DataFrame:
    """Add every derived column to a parameter table.

    Args:
        frame: raw columns `scale`, `rotate` (radians), `translate_x`, `translate_y` (half-extents);
            `scale_start` and so on for the displacements since the start; `kernel_hw` and `jump`
            for the pixel columns. Columns whose sources are lacking are left out; pixel columns are
            missing in rows without a `kernel_hw`.

    Returns:
        A copy with, in float64: `s_prime` = 1/s (zoom), `r_prime` = -r (radians clockwise),
        `px_prime` = -tx/2 (right), `py_prime` = +ty/2 (up; both fractions of the kernel's extent);
        the displacements `z_s` = -ln|s|, `z_r`, `z_x`, `z_y` from the identity; `moved_s`,
        `moved_r`, `moved_x`, `moved_y`, the same from the start of training; the magnitudes that
        the paper's Tables 2 and 4 average, `paper_s` = |1 - |1/s||, `paper_r`, `paper_px`,
        `paper_py`; `clockwise_degrees`, `kernel_px_x/y` (one step between taps = 1) and
        `input_px_x/y` (times the layer's jump). The formulas are those of `threetconv.layer.units`.

    Raises:
        ValueError: for a scale of exactly zero.
    """
    scale, rotate, tx, ty = (frame[name].to_numpy(np.float64) for name in RAW.values())
    x, y, turn = units.right(tx), units.up(ty), units.clockwise(rotate)
    columns: dict[str, np.ndarray] = {
        "s_prime": units.zoom(scale),
        "r_prime": turn,
        "px_prime": x,
        "py_prime": y,
        "z_s": displacement("s", scale),
        "z_r": turn,
        "z_x": x,
        "z_y": y,
        **{f"paper_{name}": magnitude(name, frame[raw]) for name, raw in RAW.items()},
        "clockwise_degrees": units.clockwise_degrees(rotate),
    }
    if {f"{raw}_start" for raw in RAW.values()} <= set(frame.columns):
        columns |= {
            moved: displacement_from_start(name, frame[raw], frame[f"{raw}_start"])
            for (name, raw), moved in zip(RAW.items(), MOVED, strict=True)
        }
    if {"kernel_hw", "jump"} <= set(frame.columns):
        size = frame["kernel_hw"].to_numpy(np.float64)
        jump = frame["jump"].to_numpy(np.float64)
        kernel_x, kernel_y = units.kernel_pixels(x, size), units.kernel_pixels(y, size)
        columns |= {
            "kernel_px_x": kernel_x,
            "kernel_px_y": kernel_y,
            "input_px_x": units.input_pixels(kernel_x, jump),
            "input_px_y": units.input_pixels(kernel_y, jump),
        }
    return frame.assign(**columns)


def tabulate(
    values: Mapping[str, np.ndarray],
    layers: list[LayerInfo],
    *,
    run_id: str,
    step: int = 0,
    epoch: int = 0,
    tag: str = "last",
    start: Mapping[str, np.ndarray] | None = None,
) -> pd.DataFrame:
    """Rows for one snapshot.

    Args:
        values: "<layer>.scale", "<layer>.rotate", ... -> (D - 1, out) arrays; and where it is known
            "<layer>.scale.walk", ..., the variance of the walk that noise alone makes.
        layers: the network's 3T layers, from `threetconv.networks.trace.trace`.
        run_id, step, epoch, tag: identify the snapshot; tag is init, snapshot, best or last.
        start: `values` before training; the identity without it.

    Returns:
        The parameter table (columns of `SCHEMA`), ordered by layer, transition, channel. Where a
        kernel is not square, one number cannot describe it: `kernel_hw` is missing there, and so
        are the pixel columns made from it.

    Raises:
        InputError: for no 3T layer at all, a missing layer, a value that is not finite, or a scale
            of exactly zero (1/s is then undefined).
    """
    if not layers:
        raise InputError(
            repr(run_id),
            found="no 3T layer",
            expected="a network with temporal parameters",
            remedy='build or lift it with convolution="3t"',
        )
    frames = []
    for layer in layers:
        arrays: dict[str, np.ndarray] = {}
        for name in RAW.values():
            key = f"{layer.name}.{name}"
            if key not in values:
                raise InputError(
                    f"snapshot {tag!r} at step {step} of {run_id!r}",
                    found=f"no {key!r}",
                    expected="the temporal parameters of every 3T layer",
                    remedy="give the snapshots and the layers of one network; a run of another "
                    "version of threetconv has to be trained again",
                )
            array = np.asarray(values[key], dtype=np.float32)
            if not np.isfinite(array).all() or (name == "scale" and (array == 0).any()):
                raise InputError(
                    f"{run_id!r}, step {step}, layer {layer.name!r}",
                    found=f"{name} with NaN, infinite or (for scale) zero entries",
                    expected="finite parameters and scales other than zero",
                    remedy="the training has diverged: take weights from before, or train again at "
                    "a lower learning rate",
                )
            begun = start[key] if start is not None else np.full_like(array, units.IDENTITY[name])
            walk = values.get(f"{key}.walk", np.full_like(array, np.nan))
            arrays |= {name: array, f"{name}_start": begun, f"{name}_walk": walk}
        transitions, channels = arrays["scale"].shape
        depth, height, width = layer.kernel
        # arrays are (transitions, channels) and `ravel` goes row by row: channels vary fastest
        frames.append(
            pd.DataFrame(
                {
                    "layer_index": layer.index,
                    "layer": layer.name,
                    "kernel_t": depth,
                    "kernel_hw": height if height == width else np.nan,
                    "jump": layer.jump,
                    "channel": np.tile(np.arange(channels), transitions),
                    "transition": np.repeat(np.arange(transitions), channels),
                    "reachable": np.repeat(np.asarray(layer.reachable), channels),
                    "order_leak": layer.order_leak,
                    **{name: np.asarray(a, np.float32).ravel() for name, a in arrays.items()},
                }
            )
        )
    frame = pd.concat(frames, ignore_index=True)
    frame = frame.assign(run_id=run_id, step=step, epoch=epoch, tag=tag)
    return frame[SCHEMA.names]


def read_parameters(
    files: Sequence[str | Path],
    *,
    tags: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Read parameter tables of several runs; the columns `CELL` come from their folders.

    Args:
        files: ".../network=N/dataset=D/init=I/recipe=R/<run_id>.parquet".
        tags: the snapshots to read (init, snapshot, best, last); all without it.
        columns: which columns to read; all without it. The hive columns always come along.

    Raises:
        InputError: for a file that is missing or no Parquet file.
    """
    for file in files:
        if not Path(file).is_file():
            raise missing_file(file, expected=TABLE)
    try:
        dataset = ds.dataset([str(file) for file in files], partitioning=HIVE)
    except pa.ArrowInvalid as error:
        raise _no_table(", ".join(map(str, files)), error) from error
    wanted = None if columns is None else [*columns, *HIVE.schema.names]
    condition = None if tags is None else ds.field("tag").isin(list(tags))
    table = dataset.to_table(columns=wanted, filter=condition).to_pandas()
    # a file outside a folder "recipe=..." is of a study that had the paper's alone
    return table.fillna({"recipe": "paper"})


def read_columns(file: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    """Some columns of one run's parameter table, its texts as categories.

    Nothing else of the file is read: of 1e7 rows a column of floats is 40 MB, one of texts 10-40.

    Raises:
        InputError: when the file is no Parquet file or lacks one of the columns.
    """
    texts = [name for name in columns if pa.types.is_string(SCHEMA.field(name).type)]
    try:
        present = pq.read_schema(file).names
        lacking = [name for name in columns if name not in present]
        if not lacking:
            # as categories: 1e7 Python strings would take far more than the numbers
            with pq.ParquetFile(file, read_dictionary=texts) as source:
                return source.read(columns=list(columns)).to_pandas()
    except pa.ArrowInvalid as error:
        raise _no_table(file, error) from error
    raise _no_table(file, f"no column {', '.join(lacking)}")


def columns_of(file: str | Path) -> set[str]:
    """Names of the columns of a Parquet file; none where it cannot be read."""
    try:
        return set(pq.read_schema(file).names)
    except (OSError, pa.ArrowInvalid):
        return set()


def _no_table(file: str | Path, found: object) -> InputError:
    return InputError(
        file,
        found=str(found).split("\n", 1)[0],
        expected=TABLE,
        remedy="give a table that extract_parameters made, or one of a study's results/parameters; "
        "there a damaged one is made anew by the workflow once it is deleted",
    )
