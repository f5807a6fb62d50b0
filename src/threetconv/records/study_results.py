"""The results of one study as it is: its tables, limited to the runs that it has, and SQL on them.

Files of runs that a study had once may lie beside those of the present ones (`replicates` lowered,
a data set renamed). Whoever reads ``parameters/**/*.parquet`` pools them; `open_study` does not.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from threetconv.errors import InputError, look_up
from threetconv.records.parameters import CELL, DERIVED_SQL, HIVE

if TYPE_CHECKING:
    import duckdb

__all__ = ["StudyResults", "open_study"]

# table -> its place below the results folder, and what a row of it stands for
TABLES = {
    "runs": ("runs.parquet", "run"),
    "metrics": ("metrics.parquet", "run, epoch, split, metric"),
    "snapshots": ("snapshots.parquet", "run, snapshot"),
    "order_leak": ("order_leak.parquet", "network, data set, convolution, stage in time"),
    "parameters": ("parameters", "run, snapshot, layer, transition, channel"),
    "control_parameters": ("control_parameters", "the same of negative controls"),
    "summaries": ("summaries.parquet", "run, snapshot, layer or model, parameter, rows"),
    "tests": ("tests.parquet", "family, contrast, block or layer, checkpoint, parameter"),
    "accuracy_tests": ("accuracy_tests.parquet", "family, data set, contrast, network"),
    "sensitivity": ("sensitivity.parquet", "contrast, method, parameter"),
    "layer_profile": ("layer_profile.parquet", "cell, layer, parameter"),
    "bootstrap": ("bootstrap.parquet", "contrast, parameter"),
    "distances": ("distances.parquet", "contrast, parameter"),
    "calibration": ("calibration.parquet", "test, design"),
    "power": ("power.parquet", "recipe, family, design"),
    "accuracy": ("tables/accuracy.parquet", "cell: the paper's Tables 1 and 3"),
    "accuracy_of_controls": ("tables/accuracy_of_controls.parquet", "cell of a control"),
    "displacement": ("tables/displacement.parquet", "cell, parameter: the paper's Tables 2 and 4"),
    "densities": ("tables/densities.parquet", "cell, parameter, place on the axis"),
    "joint_densities": ("tables/joint_densities.parquet", "cell, place in the plane"),
    "histograms": ("tables/histograms.parquet", "cell, parameter, bin"),
    "tuning": ("tuning", "run, channel"),
    "tuning_responses": ("tuning/responses", "run, channel, condition"),
    "agreement": ("agreement.parquet", "cell, layer, parameter, index of tuning"),
    "agreement_runs": ("agreement_runs.parquet", "tuned 3T run, layer, parameter, index"),
    "reproducibility": ("reproducibility.parquet", "cell, measure, layer, parameter"),
    "endpoints": ("endpoints.parquet", "recipe, primary endpoint, data set, comparison"),
    "prediction": ("prediction.parquet", "cell of a data set with opposite classes"),
    "prediction_runs": ("prediction_runs.parquet", "run, pair of opposite classes"),
    "ruler_cells": ("ruler_cells.parquet", "cell of 3D runs, measure, layer"),
    "ruler_runs": ("ruler_runs.parquet", "3D run, measure, layer"),
    "need_cells": ("need_cells.parquet", "cell, measure, clips, what is at the identity"),
    "need_classes": ("need_classes.parquet", "cell, class or pair of opposites, condition"),
    "need_runs": ("need_runs.parquet", "run, measure, clips, what is at the identity"),
    "need_tests": ("need_tests.parquet", "cell, control, measure"),
    "channels": ("explanations/channels.parquet", "explained run, channel"),
    "faithfulness": ("explanations/faithfulness.parquet", "explained run, layer or channel, class"),
    "chosen": ("explanations/chosen.parquet", "explained run, chosen channel"),
    "images": ("explanations/images.parquet", "explained run, picture"),
    "sanity": ("explanations/sanity.parquet", "explained run, channel, method, randomisation"),
    "trajectories": ("explanations/trajectories.parquet", "explained run, channel, slice"),
    "planted": ("planted.parquet", "planted motion, parameter, comparison"),
    "planted_layers": ("planted_layers.parquet", "planted motion, layer, parameter"),
    "planted_tuning": ("planted_tuning.parquet", "planted motion, index of tuning, comparison"),
    "planted_where": ("planted_where.parquet", "cell, planted parameter: where it is lost"),
    "alignment": ("alignment.parquet", "data set, axis"),
}
PARTITIONED = ("parameters", "control_parameters")  # by cell, in folders


def open_study(results: str | Path = "results") -> StudyResults:
    """The tables of a study's results, limited to the runs that the study has.

    Args:
        results: the results folder of a study that ran: ``results`` of the embedded one,
            ``results/<study>`` of another.

    Raises:
        InputError: when the folder holds no study's results.

    Example::

        study = open_study("results")
        study.tables()  # name -> what a row stands for
        study.runs  # a DataFrame
        study.sql("SELECT network, avg(z_s) FROM derived WHERE tag = 'best' GROUP BY network")
    """
    return StudyResults(results)


class StudyResults:
    """Tables as attributes (DataFrames, read when first asked for), and as views for SQL.

    `parameters` holds the raw values as the layer does: scale; rotate in radians, positive turns
    counter-clockwise; translate_x and translate_y in half-extents of the kernel; network, dataset
    and init come from the folders' names. The view `derived` adds the readable columns of
    `threetconv.records.parameters.derive`, in the units told there. Everything with a `run_id` is
    limited to the runs of runs.parquet; controls are in `control_parameters`, apart from real runs.
    """

    def __init__(self, results: str | Path) -> None:
        self.folder = Path(results)
        file = self.folder / "runs.parquet"
        try:
            table = pq.read_table(file, partitioning=None).to_pandas()
            present = set(table.columns)
        except (FileNotFoundError, NotADirectoryError):
            found, present = "no such file", set()
        except (OSError, ValueError) as error:  # arrow's are ValueErrors
            found, present = str(error).split("\n", 1)[0], set()
        else:
            found = "a table of something else"
        if not {"run_id", *CELL, "convolution", "control"} <= present:
            raise InputError(
                file,
                found=found,
                expected="the table of a study's runs",
                remedy="name the results folder of a study (results, or results/<study>), and run "
                "the study to its end first",
            )
        self.runs = table

    def __repr__(self) -> str:
        return (
            f"open_study({str(self.folder)!r}): {len(self.runs)} runs; {', '.join(self.tables())}"
        )

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.tables()]

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name.startswith("_") or name not in TABLES:
            raise AttributeError(f"no table {name!r}; there are {', '.join(self.tables())}")
        table = self._dataset(name).to_table().to_pandas()
        # `__getattr__` is called for missing attributes only, so the table is read once
        setattr(self, name, table)
        return table

    def tables(self) -> dict[str, str]:
        """Table -> what a row of it stands for; those that are there."""
        return {name: row for name, (_, row) in TABLES.items() if not self._lacking(name)}

    def files(self, name: str) -> list[Path]:
        """The files of a table; of parameters one for each 3T run that the study has,
        of tuning one for each run.

        Raises:
            InputError: for a table that no study has, or that is not there (yet).
        """
        lacking = self._lacking(name)
        if lacking:
            raise InputError(
                lacking[0],
                found="no such file",
                expected=f"the table {name} of this study",
                remedy="run the study to its end; some tables are made for some studies only",
            )
        return self._files(name)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The answer to a query; print it, or take its ``.df()``.

        Views: the tables that are there, under the same names, and `derived`.

        Raises:
            InputError: without DuckDB (``pip install duckdb``), or when the query fails.
        """
        connection = self._connection
        import duckdb  # an extra; `_connection` has said so

        try:
            return connection.sql(query)
        except duckdb.Error as error:
            raise InputError(
                f"query of {self.folder}",
                found=str(error),
                expected=f"SQL on {', '.join(self.tables())}, derived",
                remedy="correct the query; a table that is not listed is not there",
            ) from error

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        try:
            import duckdb  # an extra
        except ModuleNotFoundError as error:
            raise InputError(
                "open_study(...).sql",
                found="no module duckdb",
                expected="DuckDB, which threetconv needs for SQL only",
                remedy="pip install duckdb, or use the tables as DataFrames",
            ) from error
        connection = duckdb.connect()
        for name in self.tables():
            connection.register(name, self._dataset(name))
        if "parameters" in self.tables():
            connection.execute("CREATE VIEW derived AS " + DERIVED_SQL.format(source="parameters"))
        return connection

    def _files(self, name: str) -> list[Path]:
        place = self.folder / look_up(TABLES, name, what="table")[0]
        if place.suffix:
            return [place]
        if name not in PARTITIONED:
            return [place / f"{run_id}.parquet" for run_id in self.runs["run_id"]]
        runs = self.runs[self.runs["convolution"] == "3t"]
        runs = runs[(runs["control"] == "none") == (name == "parameters")]
        return [
            place.joinpath(*(f"{key}={run[key]}" for key in CELL), f"{run['run_id']}.parquet")
            for run in runs.to_dict("records")
        ]

    def _lacking(self, name: str) -> list[Path]:
        """What of a table is not there; its folder, where the study has no such run."""
        files = self._files(name) or [self.folder / TABLES[name][0]]
        return [file for file in files if not file.is_file()]

    def _dataset(self, name: str) -> ds.Dataset:
        files = [str(file) for file in self.files(name)]
        dataset = ds.dataset(files, partitioning=HIVE if name in PARTITIONED else None)
        if "run_id" not in dataset.schema.names:
            return dataset
        # tables of an earlier configuration may still hold runs that the study no longer has
        return dataset.filter(pc.field("run_id").isin(self.runs["run_id"].tolist()))
