"""The figures of the temporal parameters of networks that started alike."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from threetconv.figures.distributions import temporal_distributions
from threetconv.figures.histograms import histograms as count_histograms

__all__ = ["parameter_figures"]


def parameter_figures(
    densities: pd.DataFrame, joint: pd.DataFrame, histograms: pd.DataFrame, *, init: str
) -> dict[str, Figure]:
    """The paper's Figure 4 (pretrained) or 5 (scratch), and its histograms with shared bins.

    Args:
        densities, joint: as `threetconv.figures.distributions.temporal_distributions` takes them.
        histograms: as `threetconv.figures.histograms.histograms` takes them.
        init: the initialisation to draw.
    """
    return {
        f"distributions_{init}": temporal_distributions(densities, joint, init=init),
        f"histograms_{init}": count_histograms(histograms, init=init),
    }
