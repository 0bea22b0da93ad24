"""What evaluation.json holds. Figures stand as they were computed; whoever shows them rounds them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from zogan.config import Against
from zogan.evaluate.document import Document, Part
from zogan.evaluate.statistics import Interval, Method

Count = Annotated[int, Field(ge=0)]


class MetricInfo(Part):
    """A metric, and on how many rows it was taken."""

    name: str
    higher_is_better: bool
    rows: Count


class Figure(Part):
    """A figure and its confidence interval."""

    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    method: Method = Field(description="of the interval")

    @staticmethod
    def of(found: Interval) -> Figure:
        """As an interval gives it."""
        return Figure(value=found.value, low=found.low, high=found.high, method=found.method)


class Difference(Figure):
    """After less before, on the same rows."""

    better: bool | None = Field(description="true, false, or null where the interval includes 0")

    @staticmethod
    def told(found: Interval, *, higher_is_better: bool) -> Difference:
        """As an interval gives it, and whether that is better."""
        better = None
        if found.method != "none" and not found.low <= 0 <= found.high:
            better = (found.low > 0) == higher_is_better
        return Difference(value=found.value, low=found.low, high=found.high, method=found.method, better=better)


class Matched(Part):
    """Rows on which after and its rival were right or wrong: `gained` are those that after alone had right."""

    rows: Count
    gained: Count
    lost: Count


class Variances(Part):
    """Where the chance of a figure of several seeds lies: between seeds, between rows, and in what is left."""

    number: Count = Field(description="of seeds")
    seeds: FiniteFloat
    rows: FiniteFloat
    rest: FiniteFloat
    freedom: FiniteFloat | None = Field(description="degrees of the interval; null where nothing varies")


class Estimate(Figure):
    """A figure for a clause of the protocol, on so many rows."""

    rows: Count
    variances: Variances | None = Field(None, description="where it is of several seeds")


class SliceEvidence(Part):
    """A slice: after by itself, and less its rival. Null where its rows give no figure."""

    rows: Count = Field(description="of the slice on which the figure is taken")
    right: Count | None = Field(description="rows that after had right, where rows are right or wrong, of one seed")
    after: Estimate | None
    difference: Estimate | None
    matched: Matched | None


class Evidence(Part):
    """What the clauses of the protocol are judged by: its one figure, on the same predictions.

    Attributes:
        of: SHA-256 of the parts of the protocol that say what is measured.
        right_or_wrong: each row is right or wrong, and the figure is the share of those that are right.
        rival: the figure of what is held against, as is `after`; the mean over seeds where there are several.
        difference: after less rival.
    """

    of: str
    metric: str
    higher_is_better: bool
    right_or_wrong: bool
    against: Against
    seeds: tuple[int, ...]
    level: FiniteFloat = Field(description="of the intervals here: one less the protocol's alpha")
    rows: Count
    rival: FiniteFloat
    after: FiniteFloat
    difference: Estimate | None
    matched: Matched | None
    slices: dict[str, SliceEvidence]
    external: dict[str, SliceEvidence] = Field(default_factory=dict)


class ClassFigures(Part):
    """One label's figures, 0 to 1; support is its number of rows."""

    label: str
    precision: FiniteFloat
    recall: FiniteFloat
    f1: FiniteFloat
    support: Count


class ClassTable(Part):
    """Of the model before and after."""

    before: tuple[ClassFigures, ...]
    after: tuple[ClassFigures, ...] | None


class Confusion(Part):
    """Rows by truth (outer) and choice (inner), in the order of the labels; of the model before and after."""

    before: tuple[tuple[Count, ...], ...]
    after: tuple[tuple[Count, ...], ...] | None


class ClassExample(Part):
    """A row whose label came right or went wrong; `probability` is that of the label after."""

    place: str
    text: str
    truth: str
    before: str
    after: str
    probability: FiniteFloat


class TextExample(Part):
    """A row whose loss fell or rose: mean over its tokens, nats. Answers are greedy, null where not asked for."""

    place: str
    prompt: str
    reference: str
    before: str | None
    after: str | None
    loss_before: FiniteFloat
    loss_after: FiniteFloat


class Examples(Part):
    """Rows that changed most, the clearest first."""

    better: tuple[ClassExample | TextExample, ...] = ()
    worse: tuple[ClassExample | TextExample, ...] = ()


class Drops(Part):
    """How much worse each figure is than on the run's own test rows: above 0 is worse. The rows are not the same."""

    before: dict[str, Difference]
    after: dict[str, Difference] | None


class ExternalEvaluation(Part):
    """The figures on an external set, of the same models."""

    name: str
    note: str | None
    rows: Count
    left_out: Count = Field(description="rows that stand in the run's own, too")
    metrics: tuple[MetricInfo, ...]
    before: dict[str, Figure]
    after: dict[str, Figure] | None
    difference: dict[str, Difference] | None
    drop: Drops


class Learnt(Part):
    """A figure on training rows and on held-out ones; the gap, above 0, is how much better it is on the former."""

    training: FiniteFloat
    held_out: FiniteFloat
    gap: Difference


class Overfitting(Part):
    """How much better the model after is on rows that it learned from than on the rows of the evaluation."""

    rows: Count = Field(description="training rows, drawn by train.seed; as many as those held out, at most")
    figures: dict[str, Learnt]
    loss: Learnt = Field(description="nats; lower is better, and the gap above 0 where it is lower on training rows")


class Evaluation(Document):
    """Before and after on the same rows. `after` and `difference` are null where no patch was evaluated."""

    task: Literal["classification", "generation"]
    split: str
    rows: Count
    before_is: Literal["base", "head_only"]
    level: FiniteFloat = Field(description="confidence level of the intervals, 0 to 1")
    resamples: Count = Field(description="of the bootstrap")
    metrics: tuple[MetricInfo, ...]
    before: dict[str, Figure]
    after: dict[str, Figure] | None = None
    difference: dict[str, Difference] | None = None
    labels: tuple[str, ...] | None = Field(None, description="classification only, as are the two below")
    per_class: ClassTable | None = None
    confusion: Confusion | None = None
    examples: Examples = Examples()
    external: tuple[ExternalEvaluation, ...] = ()
    overfitting: Overfitting | None = Field(None, description="of a run alone")
    evidence: Evidence | None = Field(None, description="for the protocol's clauses; test rows of a run alone")
