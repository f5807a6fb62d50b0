"""Fetch torchvision's ImageNet weights of a 2D network."""

from threetconv.support.logs import step_log
from threetconv.training.pretrain_2d import fetch_imagenet

with step_log(snakemake.log[0]):
    fetch_imagenet(snakemake.wildcards.network, snakemake.output[0], cache=snakemake.params.cache)
