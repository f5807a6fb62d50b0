"""Show a finished table as a page and as CSV."""

from threetconv.files import atomic, read_parquet
from threetconv.logs import step_log
from threetconv.report.page import write_page

with step_log(snakemake.log[0]):
    table = read_parquet(snakemake.input[0])
    write_page(table, snakemake.output.html, title=snakemake.wildcards.table)
    with atomic(snakemake.output.csv) as temporary:
        table.to_csv(temporary, index=False)
