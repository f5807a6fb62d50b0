"""Draw chosen channels, what classes lose without motion, and what the transforms do."""

from threetconv.explain.motion.affine_gallery import affine_gallery
from threetconv.figures.explained import class_drop_table, explained_rows
from threetconv.figures.explanations import channel_rows_figure, class_drops
from threetconv.figures.gallery import gallery
from threetconv.figures.theme import save
from threetconv.support.files import read_parquet
from threetconv.support.logs import step_log

NAMES = ("chosen", "channels", "faithfulness", "images", "trajectories")

with step_log(snakemake.log[0]):
    files, params, output = snakemake.input, snakemake.params, snakemake.output
    tables = {name: read_parquet(files[name]) for name in NAMES}
    runs = read_parquet(files.runs)
    runs = runs[runs["run_id"].isin(params.explained)]
    for (network, dataset), rows, drops in zip(
        params.pairs, output.rows, output.drops, strict=True
    ):
        mine = runs[(runs["network"] == network) & (runs["dataset"] == dataset)]
        save(channel_rows_figure(explained_rows(runs=mine, folder=params.folder, **tables)), rows)
        of_3t = mine[mine["convolution"] == "3t"]
        save(class_drops(class_drop_table(tables["faithfulness"], of_3t)), drops)
    save(gallery(*affine_gallery()), output.gallery)
