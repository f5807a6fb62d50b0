"""Write the model card of each run beside its weights."""

from pathlib import Path

from threetconv.files import write_text
from threetconv.logs import step_log
from threetconv.model_card import model_card

with step_log(snakemake.log[0]):
    cards = zip(snakemake.input.records, snakemake.params.facts, snakemake.output, strict=True)
    for record, facts, card in cards:
        write_text(card, model_card(Path(record).parent, **facts))
