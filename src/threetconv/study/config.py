"""The configuration of a study: every key with its type, its limits, its default and its meaning.

One model, from which follow the JSON schema that editors read (`study_schema`), the page
docs/reference/config.md, the defaults and what is said of wrong values
(`threetconv.study.messages`). What values must obey together is in `threetconv.study.rules`.
pydantic comes with Snakemake, so that a host without numpy, pandas and torch can plan a study.

A key whose default is None may be left out; the validated configuration then lacks it as well.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, Tag, create_model

from threetconv.clips.augment_options import OPTIONS
from threetconv.clips.bad_clips import CEILING, POLICIES
from threetconv.data.adapters.registry import ADAPTERS
from threetconv.networks.registry import CATALOGUE
from threetconv.study.choices import CHOICES
from threetconv.study.fields import AMOUNT, FORM, Keys, OneOf, Unique
from threetconv.training.schedules import SCHEDULES

__all__ = ["Study"]

LIFT = "other networks are lifted in your own code, with threetconv.lift"
Network = Annotated[
    str,
    OneOf(CATALOGUE),
    Field(json_schema_extra={"remedy": f"a study knows only these; {LIFT}"}),
]
Networks = Annotated[list[Network], Field(min_length=1), Unique()]
Names = Annotated[list[str], Field(min_length=2), Unique()]
Pair = Annotated[list[str], Field(min_length=2, max_length=2), Unique()]
Size = Annotated[list[Annotated[int, Field(ge=16)]], Field(min_length=2, max_length=2)]
AtLeastTwo = Annotated[int, Field(ge=2)]


class Output(Keys):
    results: str | None = None
    """Folder of everything that is computed; results/<study> without it."""
    reports: str | None = None
    """Folder of the HTML and PDF reports; reports/<study> without it."""


class Checkpoint(Keys):
    """One run and where its weights are."""

    network: Network
    """Network of the run."""
    dataset: str
    """Data set of the run, by its name in the study."""
    replicate: int = Field(default=1, ge=1)
    """Number of the run in its cell."""
    source: str
    """Where the file is: https://... (with sha256) or file:PATH."""
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """SHA-256 of the file; needed for https."""
    format: Annotated[str, OneOf(CHOICES["formats"])] = "threetconv"
    """threetconv: a state dict of this package's networks; authors: a file of the paper's code."""
    classes: Names | None = None
    """Class names in the order of the network's outputs; needed where it is not alphabetical."""
    n_updates: int | None = Field(default=None, ge=1)
    """Updates that it was trained for, if known."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Constant learning rate that it was trained with, if known."""
    licence: str = ""
    """Licence of the weights, for the model card."""


class VariantKeys(Keys):
    init: Annotated[str, OneOf(("pretrained", "scratch"))]
    """Start from 2D weights or from random ones."""
    convolution: Annotated[str, OneOf(CHOICES["convolutions"])]
    """The kind of convolution: 3t, 3d, or a baseline. 2d: the 2D network on single frames, its
    logits averaged; r2plus1d: R(2+1)D (Tran et al. 2018) with as many weights as 3d."""
    recipe: str = "paper"
    """How temporal parameters are trained: paper, or a name under recipes."""
    control: Annotated[str, OneOf(CHOICES["controls"])] = "none"
    """Negative control of the variant: static repeats one frame of each clip, frame-shuffled puts
    frames in a random order, label-shuffled permutes the training labels. none: no control."""
    networks: Networks | None = None
    """Train the variant for these networks only; for all without it."""
    checkpoints: list[Checkpoint] = Field(default=[])
    """Runs of the variant whose weights are fetched; the others are trained."""


_RANGES: Any = {
    name: (
        float | None,
        Field(default=None, ge=o.least, le=o.greatest, description=f"{o.meaning}.".capitalize()),
    )
    for name, o in OPTIONS.items()
}
Augment: type[Keys] = create_model("Augment", __base__=Keys, **_RANGES)


class ClipKeys(Keys):
    frames: int = Field(ge=1)
    """Frames sampled evenly from the clip."""
    height: int = Field(ge=16)
    """Height of a frame in px."""
    width: int = Field(ge=16)
    """Width of a frame in px."""


class Counts(Keys):
    train: int = Field(ge=2)
    """Number for training."""
    val: int = Field(ge=2)
    """Number for validation."""


class Render(Keys):
    set: Annotated[str, OneOf(("gestures", "scenes", "planted"))]
    """Which synthetic set."""
    motion: Annotated[str, OneOf(CHOICES["motions"])] | None = None
    """planted: the one kind of motion in which classes differ."""
    clips: Counts
    """Number of clips in each split, over all classes."""
    frames: Annotated[list[AtLeastTwo], Field(min_length=2, max_length=2)] = Field(default=[20, 28])
    """Shortest and longest length of a clip, in frames."""
    size: Size = Field(default=[64, 64])
    """Height and width of a frame in px."""
    variety: float | None = Field(default=None, gt=0, le=1)
    """gestures: how far places and sizes spread; at 1 (the default) no single frame tells the
    class, below 1 a frame may hint at which coordinate moves, never at the direction."""
    classes: (
        Annotated[
            Annotated[int, Field(ge=2, le=101), Tag("<integer>")]
            | Annotated[Names, Tag("<array>")],
            FORM,
        ]
        | None
    ) = None
    """gestures: a list of class names; scenes: the number of classes, 2 to 101."""


class Dataset(Keys):
    adapter: Annotated[str, OneOf(ADAPTERS)]
    """Layout of the folder."""
    root: str | None = None
    """The data set's folder; not for rendered sets."""
    options: dict[str, Any] = Field(default={})
    """Options of the adapter: classes (all), split, selection, holdout, holdout_seed (ucf101,
    hmdb51), missing (kinetics). selection: holdout (the default) chooses the best epoch on groups
    held out of the training list and reports the test list apart; selection: test chooses it on the
    test list, as the paper did."""
    stands_for: Annotated[str, OneOf(("jester", "ucf101"))] | None = None
    """The paper's data set whose numbers are printed beside this one's."""
    store: Annotated[str, OneOf(("packed", "streamed"))] = "packed"
    """packed decodes every clip once into one file of uint8 frames; streamed decodes at every epoch
    and needs no space."""
    sampling: Annotated[str, OneOf(CHOICES["sampling"])] = "even"
    """Frames of training clips. even: evenly spaced, the same in every epoch, as in the paper;
    random-offset: evenly spaced from an offset drawn in every epoch (needs store: streamed)."""
    augment: Augment = Augment()  # type: ignore[valid-type]
    """Random changes of training clips, the same for all frames of a clip; none by default, as in
    the paper."""
    opposites: list[Pair] | None = None
    """Pairs of classes that are each other played backwards; those of rendered sets and of Jester
    are known."""
    on_bad_clip: Annotated[str, OneOf(POLICIES)] = "fail"
    """fail: stop at a clip that cannot be read; skip: leave such clips out and list them."""
    max_bad_share: float = Field(default=CEILING, ge=0, le=1)
    """Largest share of the clips that skip leaves out; beyond it, skip stops as well."""
    clip: ClipKeys
    """What the network sees."""
    render: Render | None = None
    """Make the set instead of reading the user's."""


class StillsKeys(Keys):
    images: Counts = Counts(train=2400, val=320)
    """Number of images in each split, over all classes."""
    size: Size = Field(default=[64, 64])
    """Height and width of a frame in px."""
    epochs: int = Field(default=4, ge=1)
    """Passes over the training images."""
    batch_size: int = Field(default=32, ge=2)
    """Images per update."""
    learning_rate: float = Field(default=0.003, gt=0)
    """Peak learning rate."""


class Weights2D(Keys):
    source: Annotated[str, OneOf(("stills", "imagenet"))] = "stills"
    """stills: trained here on rendered still images; imagenet: torchvision's."""
    carry: Annotated[str, OneOf(("convolutions", "all"))] = "convolutions"
    """What is taken from the 2D weights: the convolutions alone, as in the paper, or everything."""
    stills: StillsKeys = StillsKeys()
    """The still images and the training on them."""


class Kinds(Keys):
    """One number for each kind of temporal parameter."""

    scale: float = Field(ge=0)
    """Of scales."""
    rotate: float = Field(ge=0)
    """Of rotations."""
    translate: float = Field(ge=0)
    """Of both translations."""


Amount = Annotated[
    Annotated[float, Field(ge=0), Tag("<number>")] | Annotated[Kinds, Tag("<object>")], AMOUNT
]


class RecipeKeys(Keys):
    rate_factor: Amount = 1.0
    """Learning rate of temporal parameters over that of all others; a number, or one for each of
    scale, rotate and translate."""
    spread: Amount = 0.0
    """SD of the noise that moves transforms off the identity before training: of s, of r in
    radians, of tx and ty in half-extents of the kernel; 0 starts at the identity, as in the
    paper."""
    decay: float = Field(default=0.0, ge=0)
    """Weight decay of transforms towards the identity, times their learning rate per update."""
    schedule: Annotated[str, OneOf(SCHEDULES)] | None = None
    """Learning rate of temporal parameters over time; that of training without it."""


_RATES: Any = {
    f"rate_{name}": (
        float | None,
        Field(default=None, alias=name, gt=0, description=f"Learning rate of {name} networks."),
    )
    for name in CHOICES["convolutions"]
}
LearningRates: type[Keys] = create_model("LearningRates", __base__=Keys, **_RATES)


class Training(Keys):
    epochs: int = Field(ge=1)
    """Passes over the training clips."""
    batch_size: Annotated[
        Annotated[AtLeastTwo, Tag("<integer>")] | Annotated[dict[str, AtLeastTwo], Tag("<object>")],
        FORM,
    ]
    """Clips per update; a number, or one per network."""
    learning_rate: LearningRates  # type: ignore[valid-type]
    """Adam's (peak) learning rate per kind of convolution."""
    schedule: Annotated[str, OneOf(SCHEDULES)] = "constant"
    """Learning rate over time. constant: what the paper's code did in effect; plateau: halved when
    validation accuracy no longer improves, as its authors intended."""
    patience: int = Field(default=5, ge=1)
    """Epochs without a better validation accuracy after which plateau halves the rate."""
    early_stopping: int | None = Field(default=None, ge=1)
    """Epochs without a better validation accuracy after which training ends; never without it."""
    warm_up: int = Field(default=0, ge=0)
    """Updates over which learning rates rise linearly to what the schedule says."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay (AdamW), not of transforms, biases and norms."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each label that is spread over all classes, in training."""
    clip_gradient: float | None = Field(default=None, gt=0)
    """Norm of all gradients together above which they are scaled down to it; never without it."""
    class_weights: Annotated[str, OneOf(CHOICES["class_weights"])] = "none"
    """Weights of the classes in the loss; with balanced all classes count alike."""
    micro_batch: int | None = Field(default=None, ge=2)
    """Clips in memory at once; gradients of a batch are summed over parts of this size. Batch norm
    sees one part at a time, so this changes the results. Without it the whole batch is one part."""
    precision: Annotated[str, OneOf(CHOICES["precisions"])] = "float32"
    """Precision of convolutions and matrix products; below float32 on a GPU only."""
    auxiliary_weight: float = Field(default=0.3, ge=0)
    """Weight of each of GoogLeNet's auxiliary heads."""
    runs_per_job: int = Field(default=1, ge=1)
    """Runs of a cell that one job trains one after another; above 1, one job also measures all
    runs of a cell. This saves the seconds in which a process starts, which matters where a run
    takes less than a minute."""
    snapshot_every: int = Field(default=1000, ge=1)
    """Updates between snapshots of the temporal parameters."""
    device: Annotated[str, OneOf(("cpu", "cuda"))] = Field(
        default="cpu", json_schema_extra={"remedy": "a GPU is called cuda"}
    )
    """Where networks are trained; results repeat exactly on cpu only."""


class ChosenChannels(Keys):
    faithfulness: int = Field(default=2, ge=0)
    """Number of channels with the largest drop in class scores."""
    displacement: int = Field(default=2, ge=0)
    """Number of channels whose transforms moved furthest."""
    random: int = Field(default=1, ge=0)
    """Number of channels drawn at random."""


class Explanations(Keys):
    replicates: int = Field(default=1, ge=0)
    """How many runs of each cell have their channels explained, the first ones; 0 for none."""
    networks: Networks | None = None
    """Explain runs of these networks only; of all without it."""
    clips: int = Field(default=24, ge=2)
    """Validation clips on which the effect of removing a channel's motion is measured."""
    channels: ChosenChannels = ChosenChannels()
    """How many channels of a run are chosen, and by which rule."""
    candidates: int | None = Field(default=None, ge=1)
    """Try only this many channels, those that moved furthest, for faithfulness; all without it."""
    methods: Annotated[list[Annotated[str, OneOf(CHOICES["methods"])]], Unique()] = Field(
        default=list(CHOICES["methods"])
    )
    """Saliency methods to show."""
    steps: int = Field(default=500, ge=1)
    """Steps of activation maximisation; 500 in the paper."""
    learning_rate: float = Field(default=0.004, gt=0)
    """Learning rate of activation maximisation; 0.004 in the paper, larger for fewer steps."""


class TuningKeys(Keys):
    replicates: int | None = Field(default=None, ge=0)
    """How many runs of each cell are measured, the first ones; all without it, 0 for none."""
    ruler: Annotated[str, OneOf(("none", "first", "all"))] = "none"
    """Of which layers of the measured 3D networks the nearest 3T filters are sought."""


class Need(Keys):
    replicates: int | None = Field(default=None, ge=0)
    """How many runs of each cell are measured, the first ones; all without it, 0 for none."""
    clips: int | None = Field(default=None, ge=2)
    """Validation clips that a run is measured on, drawn once; all without it."""
    layers: bool = False
    """Whether the transforms of 3T layers are set to the identity one layer at a time as well."""


class Statistics(Keys):
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Significance level, held within each family of four parameters."""
    dataset_contrast: Annotated[Names, Field(max_length=2)] | None = None
    """Two data sets that the family "dataset" compares, first with second; all pairs without it."""
    equivalence_ratio: float = Field(default=1.25, gt=1)
    """Mean displacements within this factor count as equivalent (TOST)."""
    energy_rows: int = Field(default=10_000, ge=10, le=20_000)
    """The energy test on (px, py) takes all rows of a run, or so many drawn ones if it has more."""
    bootstrap_resamples: int = Field(default=1000, ge=100)
    """Resamples of the hierarchical bootstrap."""
    calibration_replicates: int = Field(default=400, ge=20)
    """Simulated studies per network with which the tests are calibrated."""


class Study(Keys):
    study: str = Field(
        pattern="^[A-Za-z0-9_-]+$", json_schema_extra={"remedy": "letters, digits, _ and - only"}
    )
    """Name of the study: in its report, and in its folders' names where output is left out."""
    title: str = "What video networks learn about motion"
    """Title of the report."""
    seed: int = Field(default=2006, ge=0)
    """Everything random follows from this number."""
    replicates: int = Field(default=3, ge=1, le=1000)
    """Training runs per cell of the design, each with its own seed."""
    output: Output = Output()
    """Folders, relative to the working directory; named after the study without it."""
    networks: Networks
    """Networks of the study."""
    width: float = Field(default=1.0, gt=0, le=1)
    """Factor on every channel count."""
    symmetric_time: bool = False
    """Place windows in time from both ends of a clip and average the outputs, where that differs.
    Without it, as in the paper, stages with a stride tell a clip from its reverse at most lengths,
    whatever the filters have learned."""
    recipes: dict[Annotated[str, Field(pattern="^[a-z0-9-]+$")], RecipeKeys] = Field(default={})
    """Ways to train temporal parameters, by name, beside the paper's, which is always there."""
    variants: Annotated[list[VariantKeys], Field(min_length=1), Unique()]
    """What is trained on every data set, with every network or those that the variant names."""
    datasets: dict[Annotated[str, Field(pattern="^[A-Za-z0-9_]+$")], Dataset] = Field(min_length=1)
    """Data sets by name; the name is used in file names and in the report."""
    weights_2d: Weights2D = Weights2D()
    """2D weights that pretrained variants start from."""
    training: Training
    """Training, by Adam on cross-entropy."""
    explanations: Explanations = Explanations()
    """Explanations of what single channels have learned."""
    tuning: TuningKeys = TuningKeys()
    """What channels answer to, measured with stimuli of known motion."""
    need: Need | None = None
    """What accuracy needs: clips backwards, frozen and shuffled, transforms at the identity. Not
    measured without it."""
    statistics: Statistics = Statistics()
    """Statistical analysis."""
