"""Tables 2 and 4 and Figures 4 and 5 of the paper: displacement of the temporal parameters."""

from __future__ import annotations

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import (
    Block,
    Callout,
    Details,
    Formula,
    ListBlock,
    Paragraph,
    Section,
    Table,
    escape,
)
from threetconv.report.inputs import Inputs
from threetconv.report.tables import make_table, numbers, two_digits, when, words
from threetconv.report.wording import join_words, of_all

__all__ = ["section"]

# Equations 3 to 5 of the paper (arXiv 2006.15983).
WARP = Formula(
    latex=(
        r"K_{t+1} = f\left(K_t;\ \Theta_{(t,t+1)}\right), \qquad "
        r"\Theta = \begin{pmatrix} s\,\cos\,r & -s\,\sin\,r & t_x\,s\,\cos\,r - t_y\,s\,\sin\,r \\ "
        r"s\,\sin\,r & s\,\cos\,r & t_x\,s\,\sin\,r + t_y\,s\,\cos\,r \end{pmatrix}"
    ),
    typst=(
        "K_(t+1) = f(K_t; Theta_((t, t+1))), quad "
        "Theta = mat(s cos r, -s sin r, t_x s cos r - t_y s sin r; "
        "s sin r, s cos r, t_x s sin r + t_y s cos r)"
    ),
    alt="Slice t plus 1 of a filter is slice t under an affine transformation with scale s, "
    "rotation r and translations t x and t y.",
)
# The quantities of the paper's Tables 2 and 4.
STATISTIC = Formula(
    latex=(
        r"\mu = \frac{1}{n} \sum_{j=1}^{n} u_j, \qquad u = "
        r"\left|1 - \left|\frac{1}{s}\right|\right|,\quad |r|,\quad "
        r"p_x = \left|\frac{t_x}{2}\right|,\quad p_y = \left|\frac{t_y}{2}\right|"
    ),
    typst=(
        "mu = 1/n sum_(j=1)^n u_j, quad u = abs(1 - abs(1/s)), quad abs(r), quad "
        "p_x = abs(t_x / 2), quad p_y = abs(t_y / 2)"
    ),
    alt="mu is the mean over rows of the absolute value of 1 minus the absolute value of 1 over s; "
    "of the absolute value of r; of half the absolute value of t x and of t y.",
)
# Derived in `threetconv.records.noise_floor`.
FLOOR = Formula(
    latex=(
        r"\text{floor} = \sqrt{\frac{2}{\pi}}\ "
        r"\overline{\sqrt{\sum_{i} \eta_i^2 \frac{g_i^2}{v_i}}}"
    ),
    typst='"floor" = sqrt(2/pi) overline(sqrt(sum_i eta_i^2 g_i^2/v_i))',
    alt="The floor is the square root of 2 over pi, times the mean over rows of the square root of "
    "the sum over updates of eta squared times g squared over v.",
)
FIGURES = {"pretrained": "Figure 4", "scratch": "Figure 5"}
NAMES = {2: "pretrained networks", 4: "networks trained from scratch", 0: "other networks"}


def section(inputs: Inputs) -> Section:
    """Definitions, tables, figures."""
    if inputs.displacement.empty:
        return Section(
            "Temporal parameters",
            [Paragraph(absent(inputs))],
        )
    return Section(
        "Temporal parameters",
        sections=[
            Section("How they are measured", measured(inputs)),
            Section("Tables 2 and 4", tables(inputs.displacement)),
            Section("Distributions", distributions(inputs)),
        ],
    )


def absent(inputs: Inputs) -> str:
    """Why there is no table."""
    if inputs.measured.empty:
        return "There is no 3T network besides controls, so no temporal parameters are shown."
    return "No displacement of a 3T network was recorded."


def measured(inputs: Inputs) -> list[Block]:
    """Formulas and units."""
    return [
        Paragraph(
            "A 3TConv filter is a 2D filter and, for every transition from one time slice to the "
            "next, four numbers per output channel: a scale *s*, a rotation *r* and two "
            f"translations *tx*, *ty*. {trained(inputs)}"
        ),
        WARP,
        Paragraph(
            "The paper's Tables 2 and 4 give mean \N{GREEK SMALL LETTER MU} and standard deviation "
            "\N{GREEK SMALL LETTER SIGMA} (divisor *n*) over all rows of a network, where a row is "
            "one transition of one channel of one layer:"
        ),
        STATISTIC,
        ListBlock(
            [
                "All entries are multiplied by 1000. For **s** the unit is the change of size "
                "(28 means 2.8 %).",
                "**r** is in radians. The paper's text says degrees; its code has radians.",
                "**px** and **py** are fractions of the kernel's extent, not pixels of the image.",
                "Figures 4 and 5 show the signed values: log zoom \N{MINUS SIGN}ln|s| (above zero: "
                "content grows), \N{MINUS SIGN}r (clockwise), px (to the right), py (upwards).",
            ]
        ),
        Paragraph(
            "Adam moves a parameter even when its gradient is nothing but noise. If the gradients "
            "*g* of a run had no direction, updates with learning rates \N{GREEK SMALL LETTER ETA} "
            "and Adam's mean square *v* would make a mean displacement of about"
        ),
        FLOOR,
        Paragraph(
            "for *s* and *r*, and half of it for *px* and *py*; the bar is the mean over rows. The "
            "column **/ floor** gives the mean displacement since the start of training divided by "
            "that floor. Where it is near or below 1, noise alone would explain a displacement of "
            "that size." + floorless(inputs.displacement)
        ),
    ]


def trained(inputs: Inputs) -> str:
    """Where the transforms of a recipe start, and how fast they are trained, in a sentence."""
    (name,) = inputs.recipes or ["paper"]
    recipe = inputs.setting(f"recipes.{name}")
    if recipe is None:
        return (
            "Training starts them at the identity (*s* = 1, the others 0) and changes them at the "
            "learning rate of the other weights, as the paper did."
        )
    spread, factor = amounts(recipe["spread"]), amounts(recipe["rate_factor"])
    start = "at the identity (*s* = 1, the others 0)"
    if spread != "0":
        start += f" plus normal noise of SD {spread}"
    return (
        f"Recipe *{escape(name)}* starts them {start}, and trains them at {factor} times the "
        "learning rate of the other weights."
    )


def amounts(value: float | dict[str, float]) -> str:
    """One number, or one for each kind of parameter."""
    if not isinstance(value, dict):
        return f"{value:g}"
    return ", ".join(f"{number:g} ({kind})" for kind, number in value.items())


def floorless(table: pd.DataFrame) -> str:
    """Cells whose runs have no noise floor, where there are any."""
    cells = table.drop_duplicates(["network", "dataset", "init"])
    lacking = int(cells["noise_floor"].isna().sum())
    if not lacking:
        return ""
    return (
        f" For {of_all(lacking, len(cells), 'combination')} of network, dataset and start the "
        "gradients and learning rates are not known, so there is no floor."
    )


def tables(table: pd.DataFrame) -> list[Block]:
    """Table 2, Table 4, and whatever starts otherwise."""
    out: list[Block] = []
    # 0: starts that the paper does not have.
    for number in (2, 4, 0):
        # The accuracy and displacement tables record which of the paper's tables a line belongs
        # to.
        rows = table[table["table"] == number]
        if rows.empty:
            if number:
                out.append(
                    Paragraph(f"*Table {number} is of {NAMES[number]}, and there are none here.*")
                )
            continue
        out.append(displacements(rows, number))
    # Explained only where it matters: with long clips all rows are reachable.
    dead = table[table["n_rows_reachable"] < table["n_rows"]]
    if len(dead):
        names = join_words([escape(n) for n in sorted(dead["network"].astype(str).unique())])
        out.append(
            Callout(
                "All rows and reachable rows",
                "Where few time steps are left, some slices of a kernel only ever meet padding. "
                "The transitions behind them never get a gradient and stay at the identity (here "
                f"in {names}). **All** counts them, as the paper does; **reachable** leaves them "
                "out.",
            )
        )
    return out


def displacements(table: pd.DataFrame, number: int) -> Table:
    """One of the paper's tables in long form, each figure beside the paper's own."""
    paper = table["paper_mean"].notna().any()
    mean, sd = "\N{GREEK SMALL LETTER MU}", "\N{GREEK SMALL LETTER SIGMA}"
    columns = [
        words("network"),
        words("dataset"),
        words("", "parameter"),
        numbers(
            f"{mean} (range)", ("mean", "mean_min", "mean_max"), formats.spread, group="all rows"
        ),
        numbers(sd, "sd", formats.significant, group="all rows"),
        numbers("/ floor", "floor_ratio", two_digits, group="all rows"),
        numbers(mean, "mean_reachable", formats.significant, group="reachable rows"),
        numbers(sd, "sd_reachable", formats.significant, group="reachable rows"),
        numbers("/ floor", "floor_ratio_reachable", two_digits, group="reachable rows"),
        numbers("floor", "noise_floor", formats.significant),
        *when(
            paper,
            numbers(mean, "paper_mean", ".2f", group="paper"),
            numbers(sd, "paper_sd", ".2f", group="paper"),
        ),
    ]
    runs = formats.count_range(table["n_runs"])
    note = f"Runs per cell: {runs}. Values are means over runs; the range is over runs."
    if paper:
        note += " The paper's figures come from one run on Jester or UCF101 and all rows."
    label = f"Table {number}" if number else "Tables 2 and 4, other starts"
    caption = (
        f"Temporal parameters of {NAMES[number]}, \N{MULTIPLICATION SIGN} 10\u207b\u00b3: mean and "
        "standard deviation of the displacement from the identity, at the best checkpoint."
    )
    return make_table(table, columns, caption, label=label, group_by=2, note=note, wide=True)


def companions(table: pd.DataFrame) -> str:
    """What the grey lines of a panel are, if there are any."""
    # Other datasets in the same network: every dataset but the panel's own.
    others = table.groupby(["network", "init"], observed=True)["dataset"].nunique().max() - 1
    if others < 1:
        return ""
    what = "The grey line is the other dataset" if others == 1 else "Grey lines are other datasets"
    return f"{what} in the same network. "


def distributions(inputs: Inputs) -> list[Block]:
    """Figures 4 and 5, and the histograms folded."""
    table = inputs.displacement
    out: list[Block] = [
        Paragraph(
            "The panels of Figures 4 and 5 share their axes. Rows exactly at the identity are "
            "taken out of the densities and their share is printed in the panel, with the share of "
            "values that lie outside the axes (0.1 to 99.9 % of all values together). "
            f"{companions(table)}Translations are shown by the regions of highest density that "
            "hold 50, 80 and 95 % of the rows."
        )
    ]
    present = [init for init in ("pretrained", "scratch") if (table["init"] == init).any()]
    present += sorted(set(table["init"].astype(str)) - set(present))
    for init in present:
        label = FIGURES.get(init, f"Figure ({init})")
        out += inputs.figure(
            f"distributions_{init}",
            label=label,
            caption=f"Distributions of the temporal parameters of 3T networks, start: {init}. Left "
            "and middle: density of scale and rotation on an asinh axis, log density. Right: joint "
            "density of the translations.",
            alt=f"Grid of panels for networks that started {init}: one row per network and "
            "dataset, with the density of scale, the density of rotation, and contours of the "
            "joint density of the two translations. Means and standard deviations are in the table "
            "above.",
        )
    folded: list[Block] = []
    for init in present:
        # Folded and optional, so a missing one needs no remark.
        if f"histograms_{init}" in inputs.figures:
            label = FIGURES.get(init, f"Figure ({init})")
            folded += inputs.figure(
                f"histograms_{init}",
                label=f"{label}, as histograms",
                caption="The same rows drawn as in the paper: counts of the signed values on a log "
                "axis, here with bins shared by all panels, so that heights can be compared.",
                alt=f"Histograms of the four temporal parameters for networks that started {init}, "
                "one row per network and dataset.",
            )
    if folded:
        out.append(Details("The paper's histograms, with shared bins", folded))
    return out
