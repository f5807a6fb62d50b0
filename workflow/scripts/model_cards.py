"""Write the model card of each run beside its weights."""

from pathlib import Path

from threetconv.records.model_card import model_card
from threetconv.support.files import write_text
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    cards = zip(snakemake.input.records, snakemake.params.facts, snakemake.output, strict=True)
    for record, facts, card in cards:
        write_text(card, model_card(Path(record).parent, **facts))
