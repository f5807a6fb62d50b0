"""Draw what each temporal parameter does to an image."""

from threetconv.explain.motion.affine_gallery import affine_gallery
from threetconv.figures.gallery import gallery
from threetconv.figures.theme import save
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    save(gallery(*affine_gallery()), snakemake.output[0])
