"""Show the finished tables as pages and as CSV."""

from pathlib import Path

from threetconv.report.page import write_page
from threetconv.support.files import atomic, read_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    pages, sheets = snakemake.output.html, snakemake.output.csv
    for file, page, sheet in zip(snakemake.input, pages, sheets, strict=True):
        table = read_parquet(file)
        write_page(table, page, title=Path(file).stem)
        with atomic(sheet) as temporary:
            # All rows, of which the page may show only the first.
            table.to_csv(temporary, index=False)
