"""Which cells are run, and how precisely: the grid and its presets.

Adding a preset = one entry of ``PRESETS``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

from synapse_audit.config.describing import explained


@explained
class Grid(BaseModel):
    """Which cells are run. Fractions are shares of the neurons of each layer, in [0, 1]."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    max_examples: int = Field(ge=60)
    """Rows kept before splitting."""
    fractions: tuple[float, ...]
    """For sets over all layers at once."""
    operators: tuple[str, ...]
    """Swept over ``fractions``; mean is the headline, zero always stands beside it."""
    layer_fractions: tuple[float, ...]
    """For each layer alone (mean and zero)."""
    position_fractions: tuple[float, ...] = ()
    """For the same rewrite at every token position (mean)."""
    class_fractions: tuple[float, ...] | None = None
    """For per-class sets over all layers; None = all where read, else the one nearest to .5."""
    class_layer_fractions: tuple[float, ...] = ()
    """For per-class sets in each layer alone (mean)."""
    most_classes: PositiveInt | None = 20
    """Classes ranked for and aimed at, at most: those with most evaluated examples; None = all."""
    without: tuple[str, ...] = ()
    """Experiments that are not run: names of ``TRIMMED_FIRST``."""
    draws: int = Field(ge=2)
    """Random controls per curve."""
    other_draws: PositiveInt | None = None
    """The same where no test rests on them; None = as many as ``draws``."""
    pooled_controls: bool = False
    """Whether random sets of neurons (all but those of mean over all layers at the pooled position)
    are to be precise as a mean over draws, instead of each."""
    comparator_width: PositiveFloat = 1.0
    """Half width that two-phase estimates of comparators may add, in units of ``precision``."""
    exact_only_examples: PositiveInt | None = None
    """Examples, at a precision of .01, for cells that no cheap route stands in for: every token
    position, weights of blocks, attacks; None = all."""
    iterated_examples: PositiveInt | None = None
    """The same for attacks of many steps (pgd)."""
    first_phase: Literal["float32", "bfloat16", "int8"] = "float32"
    """Number format in which two-phase estimates begin, where the model is in float32 and the
    processor multiplies that format natively; the second phase, always in the model's own format,
    corrects it. int8 rounds the weights of linear layers and their inputs."""
    tests: bool = True
    """Report significance tests (needs enough draws to mean anything)."""
    rankings: tuple[str, ...] = Field(default=("probe", "probeless"), min_length=1)
    """Swept; the first one is the headline ranking."""
    compared: tuple[str, ...] = ()
    """Rankings whose top sets alone are run beside them (mean and zero), to be compared."""
    budgets: tuple[NonNegativeFloat, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0)
    """Weight space: L2 norm of the edit relative to the head's own weights."""
    columns: tuple[float, ...] = (0.05, 0.25, 1.0)
    """Weight space: share of the head's input columns that may be edited."""
    constants: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 12.0)
    """Logit space: constants added to the target's logit."""
    temperatures: tuple[PositiveFloat, ...] = ()
    """Logit space: what all logits are divided by."""
    logit_noise: tuple[NonNegativeFloat, ...] = ()
    """Logit space: standard deviation of Gaussian noise on every logit."""
    sites: tuple[str, ...] = ()
    """Sites besides the block output that are swept too, at ``site_fractions``; at attention_head
    the units are whole heads, and each is silenced alone as well."""
    site_fractions: tuple[float, ...] = (0.1, 0.3, 0.5)
    """For those sites."""
    directions: tuple[str, ...] = ()
    """Directions removed from each layer, beside random ones: mean_difference, probe, leace."""
    token_means: bool = False
    """Fit probes and rankings on the mean over tokens as well, where the head reads one token."""
    other_operators: tuple[str, ...] = ()
    """Operators run at ``other_fractions`` only: noise, scale, negate, resample, clamp, gaussian,
    and the aimed ones (class_mean, translate, patch), which are run toward every class."""
    other_fractions: tuple[float, ...] = (0.1, 0.3, 0.5)
    """For those operators."""
    edits: tuple[str, ...] = ()
    """Weight space: kinds of edits besides push and bias; names of ``WEIGHT_CELLS``."""
    bit_formats: tuple[str, ...] = ()
    """Weight space: number formats whose bits are flipped (fp32, bf16, fp16, int8)."""
    bit_counts: tuple[PositiveInt, ...] = (1, 2, 5, 10, 20)
    """Weight space: how many bits are flipped."""
    faults: NonNegativeInt = 0
    """Weight space: random faults of one bit anywhere in the model, in total; 0 = none."""
    attacks: tuple[str, ...] = ()
    """Input space: names of ``ATTACKS`` (fgsm, pgd, noise, deletion)."""
    epsilons: tuple[PositiveFloat, ...] = (0.05, 0.15, 0.3, 0.6)
    """Input space: L-infinity size of fgsm and pgd, relative to the RMS of a text's embeddings."""
    embedding_noise: tuple[PositiveFloat, ...] = (0.15, 0.3, 0.6, 1.5)
    """Input space: standard deviation of Gaussian noise in the same unit."""
    deletions: tuple[PositiveInt, ...] = (1, 2, 4)
    """Input space: tokens deleted."""
    typed_examples: PositiveInt = 40
    """Input space: examples of every class that typed edits are tried on (``attack``)."""
    membership_rows: PositiveInt = 300
    """Rows of each side that the membership audit is made on (``membership``)."""
    paper: bool = False
    """Run the settings that the SYNAPSE paper names, besides the rest."""

    @field_validator(
        "fractions",
        "layer_fractions",
        "position_fractions",
        "class_fractions",
        "class_layer_fractions",
        "columns",
        "site_fractions",
        "other_fractions",
    )
    @classmethod
    def _shares(cls, values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if values is None:
            return None
        for value in values:
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"fraction {value} given; expected numbers from 0 to 1")
        return tuple(sorted(set(values)))


PRESETS: dict[str, Grid] = {
    "quick": Grid(
        max_examples=600,
        fractions=(0.05, 0.1, 0.25, 0.5, 0.8),
        operators=("mean", "zero"),
        layer_fractions=(0.1, 0.5),
        draws=5,
        pooled_controls=True,
        comparator_width=2.0,
        first_phase="bfloat16",
        tests=False,
        most_classes=10,
        without=("norm-matched controls", "zero of sets kept", "exclusive sets"),
        columns=(0.25, 1.0),
        edits=("universal",),
        temperatures=(0.5, 2.0),
        logit_noise=(1.0, 4.0),
    ),
    "standard": Grid(
        max_examples=2500,
        fractions=(0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 0.95),
        operators=("mean", "zero"),
        layer_fractions=(0.05, 0.1, 0.2, 0.5, 0.8),
        position_fractions=(0.1, 0.3, 0.5),
        class_layer_fractions=(0.1, 0.5),
        draws=20,
        other_draws=8,
        pooled_controls=True,
        comparator_width=2.0,
        without=("exclusive sets",),
        exact_only_examples=250,
        iterated_examples=100,
        first_phase="bfloat16",
        edits=(
            *("universal", "balanced", "rival", "linf", "sparse"),
            *("row_swap", "row_scale", "gaussian_fault", "gain"),
        ),
        bit_formats=("fp32", "fp16", "int8"),
        temperatures=(0.25, 0.5, 0.7, 1.5, 2.0, 4.0),
        logit_noise=(0.5, 1.0, 2.0, 4.0, 8.0),
        attacks=("fgsm", "pgd", "noise", "deletion"),
        compared=("iou", "mutual_information", "activation_gradient", "conductance"),
        sites=(
            *("attention_head", "attention_output", "mlp_output", "mlp_activation", "head_input"),
        ),
        directions=("mean_difference", "probe", "leace"),
        token_means=True,
        other_operators=(
            *("noise", "scale", "negate", "resample", "clamp", "class_mean", "translate", "patch"),
        ),
    ),
    "paper": Grid(
        max_examples=2500,
        fractions=(
            *(0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45),
            *(0.5, 0.65, 0.75, 0.8, 0.95),
        ),
        operators=("mean", "zero"),
        layer_fractions=(0.1, 0.5),
        draws=20,
        other_draws=5,
        rankings=("paper", "probeless"),
        columns=(0.2, 0.25, 1.0),
        edits=("universal",),
        constants=(8.0, 9.0, 10.0, 11.0, 12.0),
        attacks=("fgsm", "noise"),
        epsilons=(),
        embedding_noise=(),
        paper=True,
    ),
}
