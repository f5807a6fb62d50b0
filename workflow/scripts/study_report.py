"""Write the study's report as HTML and as PDF."""

import yaml

from threetconv.report.content import build_document
from threetconv.report.html import render_html
from threetconv.report.pdf import render_pdf
from threetconv.statistics.analysis_plan import read_plan
from threetconv.statistics.tests.sentences import sentences
from threetconv.support.files import read_parquet
from threetconv.support.logs import step_log
from threetconv.support.provenance import git_sha, versions

with step_log(snakemake.log[0]) as log:
    with open(snakemake.input.config, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    tables = {name: read_parquet(snakemake.input[name]) for name in snakemake.params.tables}
    tests, level = tables["tests_table"], config["statistics"]["alpha"]
    # Sentences are made here: they need the level and the equivalence tests, which the table
    # lacks.
    tables["tests_table"] = tests.assign(
        sentence=sentences(tests, alpha=level, equivalence=tables.get("sensitivity"))
    )
    document = build_document(
        **tables,
        config=config,
        plan=read_plan(snakemake.input.plan),
        figures=snakemake.params.figures,
        provenance_facts={"git commit": git_sha(), **versions()},
    )
    render_html(document, snakemake.output.html)
    render_pdf(document, snakemake.output.pdf)
    log.info("wrote %s and %s", snakemake.output.html, snakemake.output.pdf)
