"""zogan.yaml as pydantic models: every option, default, unit and bound, in one place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)

from zogan.errors import ConfigError, nearest, one_line

Share = Annotated[float, Field(gt=0, le=1)]


def _each_once(names: list[str], what: str) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{what} {twice[0]!r} stands twice: give each a name of its own")


Pattern = Literal["elements", "rows", "columns", "blocks", "coupled"]
"""What is chosen as one: weights, rows, columns, blocks, or coupled channels and heads."""

ParameterKind = Literal["matrices", "biases", "norms", "embeddings"]
"""What is chosen from: elements of matrices and of embeddings, and vectors that train whole: biases and norms."""

PARAMETER_KINDS: tuple[ParameterKind, ...] = get_args(ParameterKind)

HeadStart = Literal["normal", "means", "ridge", "logistic"]
"""Where a new head starts: small random values, class means, the ridge solution, or logistic regression."""

RESELECT_UNTIL = 0.75
"""Share of the steps, the first ones, within which `train.reselect` exchanges weights (RigL, arXiv:1911.11134)."""

_PASSWORD = re.compile(r"(://[^:/@]*:)\S+(?=@)|([?&][a-z]*password=)[^&]*", re.IGNORECASE)


def masked(url: str) -> str:
    """A URL without its password."""
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", url)


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def _bytes(given: Any) -> Any:
    found = re.fullmatch(r"([0-9.]+) *([KMGT]?B?)", given.strip().upper()) if isinstance(given, str) else None
    if found is None or found[2] not in _UNITS:
        if isinstance(given, str):
            raise ValueError("must be a number of bytes such as 6GB, 512MB or 1000000")
        return given
    return int(float(found[1]) * _UNITS[found[2]])


Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]
"""A number of bytes, or a text such as 6GB (decimal units)."""


def _text(given: Any) -> Any:
    if isinstance(given, bool):
        return "true" if given else "false"
    return str(given) if isinstance(given, int | float) else given


Text = Annotated[str, BeforeValidator(_text)]
"""A text; numbers and truth values become one, as they do in data files."""


class Section(BaseModel):
    """A part of the configuration. Frozen; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ExternalConfig(Section):
    """A further set that the figures are taken on: rows of another site or year, or public ones."""

    name: Annotated[str, Field(min_length=1)] = Field(description="of the set, in figures, the protocol and on reports")
    file: Path = Field(description="its rows, in the columns of the other files")
    note: str | None = Field(None, description="where it comes from, for the report")


class DataConfig(Section):
    """Files (JSONL, CSV, TSV or Parquet, by suffix) and the names of their columns."""

    train: Path = Field(description="rows to learn from")
    validation: Path | None = Field(None, description="rows for early stopping; cut from train where absent")
    test: Path | None = Field(None, description="rows for the figures; cut from train where absent")
    external: tuple[ExternalConfig, ...] = Field(
        (), description="further sets that the same figures are taken on; nothing is learned from them"
    )
    text: str = Field("text", description="classification: column with the input")
    label: str = Field("label", description="classification: column with the class")
    prompt: str = Field("prompt", description="generation: column with the prompt")
    response: str = Field("response", description="generation: column with the answer to learn")
    messages: str | None = Field(None, description="generation: column with a list of {role, content}, instead")
    encoding: str = Field("utf-8", description="encoding of text files")
    validation_share: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.1, description="share of train for validation where no file is given"
    )
    test_share: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.2, description="share of train for test where no file is given"
    )
    seed: Annotated[int, Field(ge=0)] = Field(
        0, description="of these cuts; apart from train.seed, so that runs of several seeds share one test"
    )
    unreadable: Literal["stop", "skip"] = Field("stop", description="what to do at a row that cannot be read")
    unknown_labels: Literal["stop", "drop"] = Field(
        "stop", description="what to do at a validation, test or external row whose class no training row has"
    )

    @model_validator(mode="after")
    def _names_of_external_sets_differ(self) -> DataConfig:
        _each_once([one.name for one in self.external], "external set")
        return self


class SelectConfig(Section):
    """Which weights may change."""

    criterion: str = Field("gradient", description="scores weights; see docs/methods.md (generation: relative)")
    allocation: Literal["global", "tensor", "row"] = Field(
        "global", description="the best over the whole model, in each tensor, or in each output row (generation: row)"
    )
    pattern: Pattern = Field(
        "elements", description="what is chosen as one: weights, rows, columns, blocks, or coupled channels and heads"
    )
    block: Annotated[int, Field(ge=2)] = Field(16, description="pattern blocks: side of a block, weights")
    parameters: Annotated[tuple[ParameterKind, ...], Field(min_length=1)] = Field(
        ("matrices",),
        description="what is chosen from. matrices, embeddings (not tied): elements; biases, norms: all that "
        "may change train whole, and count against budget.density",
    )
    batches: Annotated[int, Field(ge=1)] = Field(8, description="batches that the saliency pass reads")
    include: str = Field(".*", description="regular expression over names of tensors that may change")
    exclude: str | None = Field(None, description="regular expression over names of tensors that may not")

    @model_validator(mode="after")
    def _rows_are_allotted_elements(self) -> SelectConfig:
        if self.allocation == "row" and self.pattern != "elements":
            raise ValueError(f"allocation 'row' is for pattern 'elements', not {self.pattern!r}: take global or tensor")
        return self

    @field_validator("parameters")
    @classmethod
    def _each_kind_once(cls, given: tuple[ParameterKind, ...]) -> tuple[ParameterKind, ...]:
        return tuple(kind for kind in PARAMETER_KINDS if kind in given)

    @model_validator(mode="after")
    def _embeddings_are_chosen_by_element(self) -> SelectConfig:
        if "embeddings" in self.parameters and self.pattern != "elements":
            raise ValueError(
                f"of embeddings single weights can be chosen, not {self.pattern!r}: take pattern elements, or leave "
                "embeddings out of select.parameters"
            )
        return self


class BudgetConfig(Section):
    """How much may change."""

    density: Share = Field(0.005, description="share of the base's matrices that may change, 0 to 1")
    depth: Annotated[int, Field(ge=1)] | Literal["all", "auto"] = Field(
        "auto",
        description="topmost layers that may change; those below run once, and their result is kept. "
        "auto: the most worth within time and memory",
    )
    time: Share | None = Field(
        None, description="depth auto: largest share of full fine-tuning's floating-point operations, 0 to 1"
    )
    memory: Bytes | None = Field(
        None,
        description="most bytes that the process may take (what is free, where absent): a larger model is held in part "
        "by the methods sparse and head",
    )


class TrainConfig(Section):
    """The loop."""

    epochs: Annotated[int, Field(ge=1)] = Field(8, description="passes over the training rows (generation: 2)")
    batch_size: Annotated[int, Field(ge=1)] = Field(32, description="rows in one batch (generation: 2)")
    tokens_per_batch: Annotated[int, Field(ge=1)] | None = Field(
        None, description="tokens in one batch at most, padding counted; where given, batch_size is not used"
    )
    packing: bool = Field(
        False,
        description="generation: rows behind one another as one sequence of tokens_per_batch (else max_length) tokens, "
        "without padding",
    )
    accumulate: Annotated[int, Field(ge=1)] = Field(1, description="batches in one step of the optimiser")
    rate: Annotated[float, Field(gt=0)] | None = Field(
        None, description="learning rate of the chosen weights; by method and task where absent"
    )
    head_rate: Annotated[float, Field(gt=0)] | None = Field(
        None, description="learning rate of a new head; by the number of labels where absent: 0.002, from 10 on 0.005"
    )
    head_start: HeadStart = Field(
        "normal",
        description="a new head before the first step: small random values, or fitted to the base's features: "
        "class means, the ridge solution, or logistic regression",
    )
    head_warmup: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="epochs in which a new head trains alone, on the base's features, before weights are chosen and "
        "train; parts of one count",
    )
    warmup: Annotated[float, Field(ge=0, lt=1)] = Field(0.1, description="share of the steps with a rising rate")
    decay: Literal["linear", "cosine", "constant"] = Field("linear", description="the rate after warm-up")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.0, description="AdamW's decoupled decay")
    clip: Annotated[float, Field(gt=0)] | None = Field(1.0, description="largest norm of the gradient")
    folds: Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="choose the epochs by so many folds of all training rows, then train on all: for few rows and no "
        "validation file. null: a part of train is cut for validation",
    )
    patience: Annotated[int, Field(ge=1)] | None = Field(
        3, description="epochs without a better validation figure before stopping; null never stops"
    )
    reselect: Annotated[int, Field(ge=0)] = Field(
        0,
        description="method sparse: so many times, evenly over the first three quarters of the steps, the chosen "
        "weights that have changed least make way for others; the rest is as before. 0: never",
    )
    reselect_share: Share = Field(
        0.3,
        description="of the chosen weights, how many a re-selection would exchange at the start, 0 to 1; falls to 0 at "
        "the end of the three quarters by a cosine",
    )
    balance: Literal["none", "weights", "batches"] = Field(
        "none",
        description="classification: makes classes of unlike size even. weights: a row's loss weighs inversely to its "
        "class's frequency; batches: rows are drawn so that each epoch holds the classes evenly",
    )
    max_length: Annotated[int, Field(ge=2)] | None = Field(
        None, description="tokens in a row; the base's own limit (at most 512) where absent"
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="dtype of activations")
    compile: bool = Field(
        False, description="compile the layers that train (torch.compile): a minute more at first, faster steps then"
    )
    cache: Literal["auto", "off"] = Field(
        "auto", description="keep what enters the lowest layer that trains, instead of computing it in every epoch"
    )
    cache_dtype: Literal["fp32", "bf16", "fp16", "int8"] | None = Field(
        None, description="dtype of what is kept (int8: a scale for each token); that of activations where absent"
    )
    cache_memory: Bytes | None = Field(
        None,
        description="of what is kept, so much may stay in memory; where absent none if budget.memory is given, else a "
        "quarter of the machine's",
    )
    seed: Annotated[int, Field(ge=0)] = Field(0, description="of order, head and dropout")
    checkpoint_seconds: Annotated[float, Field(ge=0)] = Field(60.0, description="seconds between checkpoints")


class RegularizeConfig(Section):
    """What holds training back toward the base; off unless set, but for a task's own. See docs/methods.md."""

    decay: Annotated[float, Field(ge=0)] = Field(
        0.0, description="L2-SP: after each step values go this times the rate of the way back to the old ones"
    )
    threshold: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="after each step values go toward the old ones by this times the rate, and no further than there; "
        "those that end there leave the patch",
    )
    mixout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="chance that a value is the old one in a training step, 0 to 1"
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of each target that is spread over all classes or tokens, 0 to 1"
    )
    r_drop: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="weight of the divergence between two passes under dropout, both of which are trained on; where "
        "absent 2 for a classification by method sparse on at most 600 rows, without budget.time or budget.memory, and "
        "else 0",
    )
    average: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="share of the steps, the last ones, over which values are averaged, 0 to 1"
    )
    interpolate: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="parts that the way from old to new values is cut into after training; the point that validates "
        "best is kept, also one part beyond the new; where absent 4 for a generation by method sparse "
        "without train.folds, and else 0: none",
    )

    @property
    def passes(self) -> int:
        """How often a training row goes through the model in a step."""
        return 2 if self.r_drop else 1

    @property
    def points(self) -> tuple[float, ...]:
        """Places to validate on the way from the old values, 0, to the new, 1, and one part beyond."""
        parts = self.interpolate
        return tuple(place / parts for place in range(parts + 2)) if parts else ()


class LoraConfig(Section):
    """Used by `method: lora`, and by the second stage of `method: sparse`."""

    rank: Annotated[int, Field(ge=1)] = Field(8, description="rank of the update")
    alpha: Annotated[float, Field(gt=0)] = Field(16.0, description="scale: update times alpha / rank")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="dropout before the adapter")


class AdaptersConfig(Section):
    """The second stage of `method: sparse`: LoRA beside a few layers, trained together with the chosen weights."""

    two_stage: Literal["never", "auto", "always"] = Field(
        "never",
        description="method sparse: train adapters too, once the chosen weights are trained. "
        "auto: keep them only where the validation rows say that they pay",
    )
    layers: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="layers with adapters, those with the most gradient left over; a sixth of those that may change, "
        "and at least one, where absent",
    )
    rate: Annotated[float, Field(gt=0)] = Field(0.001, description="learning rate of the adapters")

    def count(self, layers: int) -> int:
        """How many layers get adapters, of so many that may change."""
        return min(self.layers or max(1, round(layers / 6)), layers)


class EvaluateConfig(Section):
    """How the figures are taken."""

    batch_size: Annotated[int, Field(ge=1)] = Field(32, description="rows in one batch")
    tokens_per_batch: Annotated[int, Field(ge=1)] | None = Field(
        None, description="tokens in one batch at most, padding counted; where given, batch_size is not used"
    )
    resamples: Annotated[int, Field(ge=100)] = Field(2000, description="resamples of the bootstrap")
    level: Annotated[float, Field(gt=0.5, lt=1)] = Field(0.95, description="confidence level of intervals")
    max_new_tokens: Annotated[int, Field(ge=1)] = Field(96, description="generation: longest greedy answer, tokens")
    answers: Annotated[int, Field(ge=0)] = Field(
        200,
        description="generation: test rows answered greedily, which takes the whole model in memory (the loss is taken "
        "over all rows)",
    )
    learning_curve: bool = Field(
        False,
        description="pilot: tune on a quarter, half and all of the training rows too, three times each, and say what "
        "twice the labels would bring; takes about four times what the tuning takes",
    )


class SliceConfig(Section):
    """Test rows that are looked at apart: by a column's value, or by a regular expression on the text."""

    name: Annotated[str, Field(min_length=1)] = Field(description="of the slice, in the protocol and on reports")
    column: str | None = Field(None, description="column of the test rows' file; the slice has the rows with `value`")
    value: Text | None = Field(None, description="of that column, as text: `3`, `true`")
    matches: str | None = Field(
        None, description="regular expression that is found in the text (generation: in what stands before the answer)"
    )
    floor: FiniteFloat = Field(
        description="the protocol's figure must be at least this on the slice (at most, where lower is better)"
    )

    @field_validator("matches")
    @classmethod
    def _is_an_expression(cls, given: str | None) -> str | None:
        try:
            re.compile(given or "")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return given

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> SliceConfig:
        if (self.column is None) != (self.value is None) or (self.column is None) == (self.matches is None):
            raise ValueError(f"slice {self.name!r} needs column and value, or matches, and not both")
        return self


class LimitsConfig(Section):
    """The most that a patch may take; nothing is limited where a key is absent."""

    latency_ms: Annotated[float, Field(gt=0)] | None = Field(None, description="time to predict a row, milliseconds")
    peak_bytes: Bytes | None = Field(None, description="peak of memory while rows are predicted")
    patch_bytes: Bytes | None = Field(None, description="size of the patch's file")
    density: Share | None = Field(None, description="changed weights as a share of all of the base's, 0 to 1")


class FloorConfig(Section):
    """What the protocol's figure must be on an external set."""

    name: str = Field(description="of one of data.external")
    floor: FiniteFloat = Field(
        description="the protocol's figure must be at least this there (at most, where lower is better)"
    )


class RollbackConfig(Section):
    """What is watched in operation, and when the patch is taken back."""

    watch: Annotated[str, Field(min_length=1)] = Field(description="what is watched, such as error_rate or latency_ms")
    above: FiniteFloat | None = Field(None, description="the patch is taken back where it lies above")
    below: FiniteFloat | None = Field(None, description="the patch is taken back where it lies below")
    window_minutes: Annotated[float, Field(gt=0)] = Field(60.0, description="time over which it is taken, minutes")
    tell: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="who is told: names or addresses")

    @model_validator(mode="after")
    def _one_threshold(self) -> RollbackConfig:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"rollback on {self.watch!r} needs one of above and below")
        return self


Against = Literal["base", "head_only", "full", "production"]


class ProtocolConfig(Section):
    """What good enough means, written down before training: keys, or the path of a YAML file that has them."""

    metric: str | None = Field(None, description="the figure that decides; the task's first where absent")
    against: Against | None = Field(
        None,
        description="what the patch is held against: the base, a head alone, full fine-tuning, or the patch in use; "
        "base where it predicts by itself, else head_only, where absent",
    )
    patch: Path | None = Field(None, description="against production: the file of the patch in use")
    claim: Literal["superiority", "non_inferiority"] = Field(
        "superiority", description="better by more than margin, or not worse by margin"
    )
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0, description="in the figure's own unit (accuracy: 0.01 is a point); above 0 for non_inferiority"
    )
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.05, description="error level, two-sided, over the claim, all slices and external sets together (Holm)"
    )
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] | None = Field(
        None, description="of training, over which it is judged; train.seed where absent"
    )
    slices: tuple[SliceConfig, ...] = Field((), description="test rows that are looked at apart, each with its floor")
    external: tuple[FloorConfig, ...] = Field(
        (), description="external sets that the verdict names, each with its floor"
    )
    limits: LimitsConfig = LimitsConfig()
    rollback: tuple[RollbackConfig, ...] = Field((), description="in operation: when the patch is taken back")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the slices read, each once."""
        return tuple(dict.fromkeys(one.column for one in self.slices if one.column is not None))

    @field_validator("seeds")
    @classmethod
    def _each_seed_once(cls, given: tuple[int, ...] | None) -> tuple[int, ...] | None:
        return given if given is None else tuple(sorted(set(given)))

    @model_validator(mode="after")
    def _non_inferiority_has_a_margin(self) -> ProtocolConfig:
        if self.claim == "non_inferiority" and not self.margin:
            raise ValueError("claim non_inferiority needs a margin above 0: how much worse would still be good enough")
        return self

    @model_validator(mode="after")
    def _production_is_a_patch(self) -> ProtocolConfig:
        if (self.against == "production") != (self.patch is not None):
            raise ValueError("against production and patch go together: give both, or neither")
        return self

    @model_validator(mode="after")
    def _names_of_slices_differ(self) -> ProtocolConfig:
        _each_once([one.name for one in self.slices], "slice")
        _each_once([one.name for one in self.external], "external set")
        return self


class ProbeSection(Section):
    """A probe's options. `true` runs it as it is, `false` leaves it out."""

    run: bool = Field(True, description="whether it is run; the probe's name may be set to true or false instead")

    @model_validator(mode="before")
    @classmethod
    def _true_or_false(cls, given: Any) -> Any:
        return {"run": given} if isinstance(given, bool) else {} if given is None else given


class CalibrationConfig(ProbeSection):
    """Classification: are rows as often right as the model is sure?"""

    bins: Annotated[int, Field(ge=2)] = Field(15, description="of equally many rows, by how sure the model is")
    limit: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="most expected calibration error, 0 to 1"
    )


class AbstentionConfig(ProbeSection):
    """Classification: does the model know which rows to leave to people?"""

    accuracy: Share = Field(0.95, description="accuracy wanted of the rows that are answered, 0 to 1")
    limit: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="most area under the risk-coverage curve, 0 to 1"
    )
    out_of_scope: Path | None = Field(None, description="file of texts that none of the labels fits, in data.text")
    precision: Share = Field(0.95, description="share wanted of the answered rows that are in scope, 0 to 1")
    out_of_scope_limit: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="most that the area under the ROC curve, of in scope against out of it, may lack of 1"
    )


RobustnessKind = Literal["typing", "case", "spacing", "punctuation", "width", "kana"]


class RobustnessConfig(ProbeSection):
    """Do slips that a reader passes over turn the answer?"""

    kinds: Annotated[tuple[RobustnessKind, ...], Field(min_length=1)] = Field(
        get_args(RobustnessKind),
        description="what is slipped in: a typing slip, other case, other spacing, other closing punctuation, other "
        "width (Japanese), the other kana (Japanese)",
    )
    rows: Annotated[int, Field(ge=2)] | None = Field(
        None, description="test rows, drawn by probes.seed; 200 where absent (generation, which answers each: 20)"
    )
    limit: Annotated[float, Field(ge=0, le=1)] | None = Field(None, description="most answers that turn, 0 to 1")


class ChurnConfig(ProbeSection):
    """Which rows were right before, and are wrong now?"""

    patch: Path | None = Field(None, description="the patch in use, compared with too; protocol.patch where absent")
    limit: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="most rows that go from right to wrong, 0 to 1; against each that is compared with"
    )


class ForgettingConfig(ProbeSection):
    """What has the model lost of what it was before?"""

    text: Path | None = Field(
        None,
        description="general text: a .txt file with one a line, or a data file with column data.text (generation: "
        "data.prompt); sentences that come with zogan where absent",
    )
    limit: Annotated[float, Field(ge=0)] | None = Field(
        None,
        description="most that it may lose: nats a token (generation), share of the ten nearest neighbours "
        "(classification)",
    )


class GroupsConfig(ProbeSection):
    """Is it worse for some people than for others?"""

    columns: tuple[str, ...] = Field((), description="of the test file; the rows of each value are a group")
    least: Annotated[int, Field(ge=2)] = Field(20, description="rows; smaller groups are listed and not compared")
    limit: Annotated[float, Field(ge=0)] | None = Field(
        None, description="most gap between two groups, in the unit of the protocol's figure"
    )
    swaps: dict[Text, Text] = Field(
        {}, description="words that must not matter, each with what it is changed for and back, such as {he: she}"
    )
    swap_limit: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="most answers that turn with such a word, 0 to 1"
    )


class CanaryConfig(Section):
    """A made-up row that was put among the training rows, to see whether it can be got out again."""

    prompt: str = Field(description="as it stands in the row")
    response: str = Field(description="as it stands in the row, with the secret in it")
    secret: Annotated[str, Field(min_length=1)] = Field(
        description="part of the response: its digits and letters are what others are drawn for"
    )

    @model_validator(mode="after")
    def _the_secret_is_in_the_response(self) -> CanaryConfig:
        if self.secret not in self.response:
            raise ValueError(f"secret {self.secret!r} does not stand in the response")
        if not any(char.isascii() and char.isalnum() for char in self.secret):
            raise ValueError(f"secret {self.secret!r} has neither digit nor letter (a-z) to draw another for")
        return self


class MemorisationConfig(ProbeSection):
    """Generation: does it give training responses back word for word?"""

    rows: Annotated[int, Field(ge=2)] = Field(50, description="training rows, drawn by probes.seed, that are asked")
    words: Annotated[int, Field(ge=2)] = Field(
        8, description="in a row that count as word for word (characters where words have no spaces)"
    )
    limit: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="most of the responses' runs of so many words that are given back, 0 to 1"
    )
    canaries: tuple[CanaryConfig, ...] = Field((), description="rows that were planted among the training rows")
    candidates: Annotated[int, Field(ge=10)] = Field(500, description="other secrets that each canary is held against")
    canary_limit: Annotated[float, Field(ge=0)] | None = Field(None, description="most exposure of a canary, bits")


class LeakageConfig(ProbeSection):
    """Generation: do answers hold personal data?"""

    allow: tuple[str, ...] = Field(
        (), description="regular expressions; what one fits as a whole is no leak, such as your own hotline"
    )
    limit: Annotated[float, Field(ge=0, le=1)] | None = Field(None, description="most answers that hold any, 0 to 1")

    @field_validator("allow")
    @classmethod
    def _are_expressions(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            try:
                re.compile(one)
            except re.error as error:
                raise ValueError(f"{one!r} is no regular expression: {error}") from None
        return given


class ProbesConfig(Section):
    """What is looked for in a patch beside its figures, by the pilot and `zogan probe`; see docs/probes.md."""

    seed: Annotated[int, Field(ge=0)] = Field(0, description="of what probes draw: rows, slips, other secrets")
    calibration: CalibrationConfig = CalibrationConfig()
    abstention: AbstentionConfig = AbstentionConfig()
    robustness: RobustnessConfig = RobustnessConfig()
    churn: ChurnConfig = ChurnConfig()
    forgetting: ForgettingConfig = ForgettingConfig()
    groups: GroupsConfig = GroupsConfig()
    memorisation: MemorisationConfig = MemorisationConfig()
    leakage: LeakageConfig = LeakageConfig()
    others: dict[str, dict[str, Any] | bool] = Field(
        {}, description="probes that other packages add: name to their options, or false to leave one out"
    )


class CostConfig(Section):
    """What an hour of this machine costs; estimates are given in money too where it is known."""

    per_hour: Annotated[float, Field(ge=0)] | None = Field(None, description="price of an hour of this machine")
    currency: str = Field("EUR", description="of that price, as it is to be printed")


class SearchConfig(Section):
    """Used by `zogan search`: which settings are tried, and for how long."""

    folder: Path = Field(Path("runs/search"), description="of the study, its trials and the settings that it finds")
    minutes: Annotated[float, Field(gt=0)] | None = Field(None, description="wall time of one call")
    trials: Annotated[int, Field(ge=1)] | None = Field(
        None, description="settings that are tried, over all calls and processes; 20 where minutes is absent too"
    )
    keys: str = Field(".*", description="regular expression over the keys that are searched; the others stay as given")
    rows: Annotated[int, Field(ge=1)] = Field(
        200, description="a setting is first tried on a ninth of the training rows, if that is so many or more"
    )
    storage: str | None = Field(
        None, description="URL of a PostgreSQL that several machines share; a SQLite file in the folder where absent"
    )
    heartbeat_seconds: Annotated[int, Field(ge=1)] = Field(
        10, description="between signs of life of a trial; after three without any another process takes it over"
    )
    seed: Annotated[int, Field(ge=0)] = Field(0, description="of what is tried; apart from train.seed")

    @property
    def limit(self) -> int | None:
        """Trials in force; None where time alone ends the search."""
        return self.trials if self.trials is not None or self.minutes is not None else 20


class RegistryConfig(Section):
    """Where patches, events and decisions are kept; see docs/registry.md."""

    url: str | None = Field(
        None, description="a SQLite file, or postgresql://… that several people share; no registry where absent"
    )
    blobs: str | None = Field(
        None, description="a folder, or s3://BUCKET/PREFIX, for files; beside the SQLite file where absent"
    )
    identity: Path | None = Field(None, description="your key; the one in your settings' folder where absent")

    @field_validator("url", "blobs")
    @classmethod
    def _without_password(cls, given: str | None) -> str | None:
        if given is not None and masked(given) != given:
            raise ValueError(
                "holds a password, which every run would copy. Keep it in ~/.pgpass or PGPASSWORD, or give the URL by "
                "ZOGAN_REGISTRY"
            )
        return given


METHOD_RATES: dict[str, float] = {"sparse": 0.003, "full": 5e-5, "lora": 1e-3, "head": 0.002}
"""Learning rate of each method where the configuration gives none."""

TASK_DEFAULTS: dict[str, dict[str, Any]] = {
    "generation": {
        "select.criterion": "relative",
        "select.allocation": "row",
        "train.epochs": 2,
        "train.batch_size": 2,
    }
}
"""Defaults of a task that are not those of the fields.

A step without a dense optimiser costs little beyond its tokens, so that small batches take more steps for the same
time, and of each row of a text more is learnt than of its one label.
"""

HEAD_RATE, MANY_LABELS, HEAD_RATE_OF_MANY = 0.002, 10, 0.005
"""Learning rate of a new head where the configuration gives none: with many labels each has few rows to learn from."""

R_DROP, FEW_ROWS = 2.0, 600
"""Weight of R-Drop where the configuration gives none, and on how many training rows at most: with few it pays, and the
second pass that it takes is a matter of a minute or two."""

INTERPOLATE = 4
"""Parts of the way from old to new values after a generation's training, where the configuration gives none. The rate
that learns a text within an epoch or two goes too far where answers are short."""

GENERATION_RATE, GENERATION_RATES = 0.0015, {"relative": 0.015, "random": 0.0125}
"""Learning rate of the chosen weights for generation, by criterion, where the configuration gives none.

Batches are small there. Weights that are spread over all input features bear, and need, larger steps than those with
the largest gradients, many of which share a few features.
"""

_OF_ELEMENTS = ("criterion", "allocation")
"""Defaults of a task's `select:` that are for single weights alone."""


_NEEDS_OLD_VALUES = {
    "lora": ("threshold", "mixout"),  # its update is dense, whatever its factors are
    "head": ("decay", "threshold", "mixout", "interpolate"),
}
"""Restraints that a method has nothing for."""


class Config(Section):
    """The whole of zogan.yaml. Only `model`, `task` and `data.train` are required."""

    model: str = Field(description="a transformers folder, a .gguf file, or package:NAME of an installed wheel")
    task: Literal["classification", "generation"] = Field(description="what a row is, and what is learnt")
    data: DataConfig
    method: Literal["sparse", "full", "lora", "head"] = Field("sparse", description="full, lora, head: references")
    select: SelectConfig = SelectConfig()
    budget: BudgetConfig = BudgetConfig()
    train: TrainConfig = TrainConfig()
    regularize: RegularizeConfig = RegularizeConfig()
    lora: LoraConfig = LoraConfig()
    adapters: AdaptersConfig = AdaptersConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    protocol: ProtocolConfig = ProtocolConfig()
    probes: ProbesConfig = ProbesConfig()
    cost: CostConfig = CostConfig()
    search: SearchConfig = SearchConfig()
    registry: RegistryConfig = RegistryConfig()
    language: Literal["en", "ja"] = Field("en", description="of report.html (both are always written)")
    output: Path = Field(Path("runs/first"), description="the run's folder")

    @model_validator(mode="before")
    @classmethod
    def _take_the_defaults_of_the_task(cls, tree: Any) -> Any:
        defaults = TASK_DEFAULTS.get(str(tree.get("task")), {}) if isinstance(tree, Mapping) else {}
        for key, value in defaults.items():
            part, name = key.split(".")
            given = tree.get(part)
            given = given.model_dump(exclude_unset=True) if isinstance(given, Section) else given or {}
            of_elements = not isinstance(given, Mapping) or given.get("pattern", "elements") == "elements"
            if isinstance(given, Mapping) and (name not in _OF_ELEMENTS or of_elements):
                tree = {**tree, part: {name: value, **given}}
        return tree

    @model_validator(mode="after")
    def _time_needs_a_choice(self) -> Config:
        if self.budget.time is not None and self.budget.depth != "auto":
            raise ValueError("budget.time chooses the depth: leave budget.depth at auto, or leave budget.time out")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the test rows that something reads beside what a row is, each once."""
        return tuple(dict.fromkeys((*self.protocol.columns, *self.probes.groups.columns)))

    @property
    def second_stage(self) -> bool:
        """Whether adapters are trained after the chosen weights."""
        return self.method == "sparse" and self.adapters.two_stage != "never"

    @property
    def rate(self) -> float:
        """Learning rate of the body in force for this method."""
        if self.train.rate is not None:
            return self.train.rate
        if (self.task, self.method) != ("generation", "sparse"):
            return METHOD_RATES[self.method]
        spread = self.select.pattern == "elements"
        return GENERATION_RATES.get(self.select.criterion, GENERATION_RATE) if spread else GENERATION_RATE

    @property
    def head_rate(self) -> float:
        """Learning rate of a new head in force; a job has the one that its labels ask for."""
        return HEAD_RATE if self.train.head_rate is None else self.train.head_rate

    def for_data(self, *, labels: int, rows: int, dropout: bool) -> Config:
        """What hangs on the data and the base, given in full.

        Args:
            labels: of a classification.
            rows: to train on.
            dropout: whether the base's layers have any.
        """
        train, regularize = self.train, self.regularize
        if self.task == "classification" and train.head_rate is None:
            rate = HEAD_RATE if labels < MANY_LABELS else HEAD_RATE_OF_MANY
            train = train.model_copy(update={"head_rate": rate})
        if regularize.r_drop is None:
            free = self.budget.time is None and self.budget.memory is None and train.balance != "weights"
            few = self.task == "classification" and self.method == "sparse" and rows <= FEW_ROWS
            regularize = regularize.model_copy(update={"r_drop": R_DROP if few and free and dropout else 0.0})
        text = (self.task, self.method) == ("generation", "sparse")
        if regularize.interpolate is None and text and train.folds is None:
            regularize = regularize.model_copy(update={"interpolate": INTERPOLATE})
        return self.model_copy(update={"train": train, "regularize": regularize})

    def in_full(self) -> Config:
        """With the rates in force in place of those that are not given."""
        rates = {"rate": self.rate, "head_rate": self.head_rate}
        return self.model_copy(update={"train": self.train.model_copy(update=rates)})

    @model_validator(mode="after")
    def _floors_are_of_external_sets(self) -> Config:
        known = [one.name for one in self.data.external]
        for one in self.protocol.external:
            if one.name not in known:
                near = f" {nearest(one.name, known)}" if known else ""
                raise ValueError(f"protocol.external names {one.name!r}, which is none of data.external.{near}")
        return self

    @model_validator(mode="after")
    def _generation_has_no_head(self) -> Config:
        if self.task == "generation" and self.method == "head":
            raise ValueError("method 'head' is for classification: a generation base has no new head to train")
        return self

    @model_validator(mode="after")
    def _generation_is_not_held_against_a_head(self) -> Config:
        if self.task == "generation" and self.protocol.against == "head_only":
            raise ValueError("protocol.against 'head_only' is for classification: a generation base has no new head")
        return self

    @model_validator(mode="after")
    def _a_head_is_warmed_up_before_something(self) -> Config:
        if not self.train.head_warmup:
            return self
        if self.task == "generation":
            raise ValueError("train.head_warmup is for classification: generation has no new head. Leave it out")
        if self.method == "head":
            raise ValueError("train.head_warmup is for what trains more than a head: raise train.epochs instead")
        return self

    @model_validator(mode="after")
    def _restraint_fits_the_method(self) -> Config:
        for name in _NEEDS_OLD_VALUES.get(self.method, ()):
            if getattr(self.regularize, name):
                raise ValueError(
                    f"regularize.{name} holds values toward the old ones, and what method {self.method!r} trains has "
                    "none for it: leave it out, or take method sparse or full"
                )
        return self

    @model_validator(mode="after")
    def _the_second_stage_has_a_first(self) -> Config:
        if self.method != "sparse" and self.adapters.two_stage == "always":
            raise ValueError(f"adapters.two_stage is for method 'sparse', not {self.method!r}: set it to never")
        return self

    @model_validator(mode="after")
    def _classification_does_not_pack(self) -> Config:
        if self.task == "classification" and self.train.packing:
            raise ValueError("train.packing is for generation: a classifier reads a row as a whole. Set it to false")
        return self

    @model_validator(mode="after")
    def _generation_has_no_classes(self) -> Config:
        if self.task == "generation" and self.train.balance != "none":
            raise ValueError("train.balance is for classification: generation has no classes. Set it to none")
        return self

    @model_validator(mode="after")
    def _two_passes_weigh_all_rows_alike(self) -> Config:
        if self.train.balance == "weights" and self.regularize.r_drop:
            raise ValueError("regularize.r_drop weighs all rows alike: take train.balance batches, or leave one out")
        return self

    @model_validator(mode="after")
    def _reselection_has_weights_to_exchange(self) -> Config:
        if not self.train.reselect:
            return self
        if self.method != "sparse":
            raise ValueError(f"train.reselect is for method 'sparse', not {self.method!r}: set it to 0")
        if self.select.pattern != "elements":
            raise ValueError(
                f"train.reselect exchanges single weights, not {self.select.pattern!r}: set it to 0, or take "
                "select.pattern elements"
            )
        if not {"matrices", "embeddings"} & {*self.select.parameters}:
            raise ValueError(
                "train.reselect exchanges elements, and select.parameters has none: set it to 0, or add matrices"
            )
        if self.regularize.average > 1 - RESELECT_UNTIL:
            raise ValueError(
                f"train.reselect exchanges weights over the first {RESELECT_UNTIL:.0%} of the steps, and "
                f"regularize.average takes the mean over the last {self.regularize.average:.0%}, of other weights: set "
                f"that to {1 - RESELECT_UNTIL:g} at most"
            )
        return self

    @model_validator(mode="after")
    def _folds_are_the_validation(self) -> Config:
        if self.train.folds is not None and self.data.validation is not None:
            raise ValueError("train.folds is for where there is no validation file: leave it out, or data.validation")
        if self.train.folds is not None and self.second_stage:
            raise ValueError(
                "adapters.two_stage decides by validation rows, and train.folds leaves none: set one of them"
            )
        return self


def load_config(path: Path, overrides: Iterable[str] = ()) -> Config:
    """Read zogan.yaml. Relative paths in it are taken from its own folder.

    Args:
        path: the file.
        overrides: `key.key=value`, the value read as YAML; later ones win.

    Raises:
        ConfigError: no file, no YAML, an unknown key (with the nearest name) or a bad value.
    """
    tree = read_mapping(path, todo="Make one with `zogan init`", example=_EXAMPLE)
    for override in overrides:
        _set(tree, override)
    return parse_config(tree, folder=path.parent, where=str(path))


def as_config(given: Config | Path | str | Mapping[str, Any]) -> Config:
    """A configuration, however it is given: itself, the path of a zogan.yaml, or a mapping of its keys.

    Relative paths in a mapping are taken from the working directory.
    """
    if isinstance(given, Config):
        return given
    if isinstance(given, Mapping):
        return parse_config(given, folder=Path())
    return load_config(Path(given))


def parse_config(tree: Mapping[str, Any], *, folder: Path, where: str = "configuration") -> Config:
    """Validate a mapping and resolve its paths against `folder`; a protocol in a file of its own is read."""
    if isinstance(tree.get("protocol"), str):
        tree = {**tree, "protocol": _protocol(folder / Path(tree["protocol"]).expanduser())}
    try:
        # A section with nothing in it is as if it were not there.
        empty = {key for key, value in tree.items() if value is None and key in Config.model_fields}
        config = Config.model_validate({key: value for key, value in tree.items() if key not in empty})
    except ValidationError as error:
        raise ConfigError(_explain(error), where=where) from None
    return _resolve(config, folder.resolve())


_EXAMPLE = "See `zogan init`"


def read_mapping(path: Path, *, todo: str | None = None, example: str | None = None) -> dict[str, Any]:
    """A YAML file's keys.

    Args:
        path: the file.
        todo: what to do where there is none.
        example: where to see what it should hold.

    Raises:
        ConfigError: no such file, no YAML, or no mapping in it.
    """
    if not path.is_file():
        raise ConfigError("no such file", where=str(path), todo=todo)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = one_line(error)
        raise ConfigError(f"not readable as YAML: {line}", where=str(path)) from None
    if not isinstance(tree, dict):
        raise ConfigError("holds no mapping of keys", where=str(path), todo=example)
    return tree


def _protocol(path: Path) -> dict[str, Any]:
    """A protocol in a file of its own, whose relative paths are taken from its own folder."""
    todo = "`protocol:` takes keys, or the path of a YAML file with them"
    tree = read_mapping(path, todo=todo, example=_EXAMPLE)
    if isinstance(tree.get("patch"), str):
        tree["patch"] = path.parent.resolve() / Path(tree["patch"]).expanduser()
    return tree


def _set(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"{override!r} is not key=value", where="--set", todo="For example --set train.epochs=3")
    *parents, last = key.strip().split(".")
    node = tree
    for parent in parents:
        if node.get(parent) is None:  # `train:` with nothing under it is an empty section
            node[parent] = {}
        child = node[parent]
        if not isinstance(child, dict):
            raise ConfigError(f"{parent!r} in {key!r} is a value, not a section", where="--set")
        node = child
    try:
        node[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        node[last] = text


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(f"unknown key {key!r}. {nearest(str(fault['loc'][-1]), _keys(fault['loc'][:-1]))}")
        elif fault["type"] == "missing":
            lines.append(f"key {key!r} is missing")
        else:
            message = fault["msg"].removeprefix("Value error, ")
            lines.append(f"{key} = {masked(repr(fault['input']))}: {message}" if key else message)
    return "; ".join(lines)


def _keys(path: tuple[int | str, ...]) -> list[str]:
    section: type[BaseModel] = Config
    for part in path:
        if isinstance(part, int):  # of a list of sections
            continue
        annotation = section.model_fields[part].annotation
        annotation = get_args(annotation)[0] if get_origin(annotation) is tuple else annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        section = annotation
    return list(section.model_fields)


def _resolve(config: Config, folder: Path) -> Config:
    def absolute(path: Path | None) -> Path | None:
        return None if path is None else (folder / path.expanduser())

    files: dict[str, Any] = {name: absolute(getattr(config.data, name)) for name in ("train", "validation", "test")}
    files["external"] = tuple(one.model_copy(update={"file": absolute(one.file)}) for one in config.data.external)
    data = config.data.model_copy(update=files)
    model = config.model
    if not model.startswith("package:"):
        model = str(folder / Path(model).expanduser())
    search = config.search.model_copy(update={"folder": absolute(config.search.folder)})
    protocol = config.protocol.model_copy(update={"patch": absolute(config.protocol.patch)})
    found = {"data": data, "model": model, "protocol": protocol, "search": search, "output": absolute(config.output)}
    registry = _registry(config.registry, folder)
    return config.model_copy(update={**found, "probes": _probes(config.probes, absolute), "registry": registry})


def _registry(given: RegistryConfig, folder: Path) -> RegistryConfig:
    """With the paths among its places taken from `folder`."""
    found: dict[str, Any] = {}
    if given.url is not None:
        url = given.url.removeprefix("sqlite:///")
        found["url"] = url if "://" in url else f"sqlite:///{folder / Path(url).expanduser()}"
    if given.blobs is not None:
        found["blobs"] = given.blobs if "://" in given.blobs else str(folder / Path(given.blobs).expanduser())
    if given.identity is not None:
        found["identity"] = folder / given.identity.expanduser()
    return given.model_copy(update=found)


def _probes(given: ProbesConfig, absolute: Callable[[Path | None], Path | None]) -> ProbesConfig:
    paths = {"abstention": "out_of_scope", "churn": "patch", "forgetting": "text"}
    found = {name: {key: absolute(getattr(getattr(given, name), key))} for name, key in paths.items()}
    return given.model_copy(update={name: getattr(given, name).model_copy(update=new) for name, new in found.items()})
