"""How to ask the tables oneself."""

from __future__ import annotations

from threetconv.report.document import Code, Paragraph, Section
from threetconv.report.inputs import Inputs

__all__ = ["section"]

PANDAS = """\
from threetconv import open_study
from threetconv.records.parameters import derive

study = open_study({results!r})   # only the runs that the study has
best = derive(study.parameters.query("tag == 'best'"))
cells = best.groupby(["network", "dataset", "init"], observed=True)
print(1000 * cells["paper_s"].agg(["mean", lambda x: x.std(ddof=0)]))   # Table 2, s
"""
DUCKDB = """\
from threetconv import open_study

open_study({results!r}).sql('''
    SELECT network, dataset, init,
           1000 * avg(paper_s)        AS mean_s,
           1000 * stddev_pop(paper_s) AS sd_s,
           avg((NOT reachable)::INT)  AS unreachable
    FROM derived WHERE tag = 'best'
    GROUP BY ALL ORDER BY ALL
''')
"""


def section(inputs: Inputs) -> Section:
    """Snippets for pandas and DuckDB that give the layout of Table 2."""
    results = str(inputs.setting("output.results", "results"))
    return Section(
        "How to query the tables",
        [
            Paragraph(
                "The numbers of this study come from Parquet files. The parameter table has a row "
                "per snapshot, layer, transition and channel, with the raw values as the layer "
                "holds them; beside it lie the tables of runs, metrics, summaries and tests "
                "(`study.tables()`). Files of runs that the study had once may lie there as well; "
                "`open_study` leaves them out. With pandas:"
            ),
            Code(PANDAS.format(results=results), "python"),
            Paragraph(
                "With DuckDB (`pip install duckdb`), which reads only the columns it needs. Both "
                "pool the rows of all runs of a cell; group by `run_id` as well for single runs."
            ),
            Code(DUCKDB.format(results=results), "python"),
        ],
    )
