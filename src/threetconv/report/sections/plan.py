"""The analysis plan: its hash and date, and what this study does differently."""

from __future__ import annotations

from threetconv.report.document import Block, ListBlock, Paragraph, Section, escape
from threetconv.report.inputs import Inputs
from threetconv.report.tables import make_table, words
from threetconv.report.wording import join_words, plural

__all__ = ["section"]


def section(inputs: Inputs) -> list[Section]:
    """Endpoints and deviations; nothing where no plan was handed to the report."""
    content = inputs.plan
    if not content:
        return []
    plan = content["plan"]
    when = (
        "before a run was trained"
        if content["before_training"]
        else "**after runs had been trained**, so it does not bind their analysis"
    )
    primary = [
        f"**{escape(name)}**: {escape(entry['definition'])}; as a difference against "
        f"{join_words(entry['difference against controls'])} controls."
        for name, entry in plan["primary endpoints"].items()
    ]
    secondary = join_words([escape(name) for name in plan["secondary endpoints"]])
    blocks: list[Block] = [
        Paragraph(
            f"The plan of this analysis was written on {escape(content['written'])}, {when} "
            f"(`results/analysis_plan.json`, SHA-256 `{content['sha256']}`). Its primary endpoints:"
        ),
        ListBlock(primary),
        Paragraph(f"Secondary endpoints: {secondary}."),
    ]
    deviations = content["deviations"]
    if not deviations:
        blocks.append(Paragraph("The present configuration does not deviate from it."))
        return [Section("Analysis plan", blocks)]
    columns = [
        words("entry", lambda line: escape(line["key"])),
        words("planned", lambda line: escape(str(line["planned"]))),
        words("now", lambda line: escape(str(line["now"]))),
        words("noticed"),
    ]
    blocks.append(Paragraph(f"**{plural(len(deviations), 'deviation')}** from it:"))
    blocks.append(
        make_table(
            deviations,
            columns,
            "What the present configuration changes in the plan.",
            label="Table P, deviations",
            wide=True,
        )
    )
    return [Section("Analysis plan", blocks)]
