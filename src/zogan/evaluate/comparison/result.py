"""What a comparison of two models on the same rows says. Figures stand as they were computed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from zogan.evaluate.document import Part
from zogan.evaluate.evaluation import Count, Difference

Kind = Literal["run", "patch", "model"]
Which = Literal["a", "b"]
Share = Annotated[float, Field(ge=0, le=1)]


class SideInfo(Part):
    """One of the two.

    Attributes:
        name: as it was given.
        kind: what it is.
        base: fingerprint of its base, or of the folder itself.
        patch: digest of the patch that was measured; None for a folder without one.
    """

    name: str
    kind: Kind
    base: str
    patch: str | None


class Compared(Part):
    """A metric on the same rows of both; `difference` is B less A, and `better` that B is.

    Attributes:
        metric: its name.
        higher_is_better: which way is good.
        rows: on how many it was taken.
        a: figure of A.
        b: figure of B.
        difference: with its paired interval.
        test: mcnemar where rows are right or wrong, else sign_flip.
        p_value: that both are alike.
        p_adjusted: the same by Holm's correction over the parts of the rows that are listed together; None of all rows.
    """

    metric: str
    higher_is_better: bool
    rows: Count
    a: FiniteFloat
    b: FiniteFloat
    difference: Difference
    test: Literal["mcnemar", "sign_flip"]
    p_value: Share
    p_adjusted: Share | None = None


class Counts(Part):
    """Rows by who had them right, in a metric of rows that are right or wrong."""

    metric: str
    both_right: Count
    a_alone: Count
    b_alone: Count
    both_wrong: Count


class Churn(Part):
    """Rows on which the two give another label or answer, right or wrong (Milani Fard et al., NIPS 2016)."""

    rows: Count
    changed: Count
    share: Share


class PartComparison(Part):
    """Some of the rows: a slice of the protocol, or those of one label."""

    name: str
    rows: Count
    metrics: tuple[Compared, ...]


class ClassDifference(Part):
    """A row that got another label; probabilities are those of the right one. `text` is None where not at hand."""

    place: str
    key: str
    slices: tuple[str, ...]
    better: Which | None
    text: str | None
    truth: str
    a: str
    b: str
    probability_a: Share
    probability_b: Share


class TextDifference(Part):
    """A row with another loss (mean over its tokens, nats) or answer. What is not at hand is None."""

    place: str
    key: str
    slices: tuple[str, ...]
    better: Which | None
    prompt: str | None
    reference: str | None
    a: str | None
    b: str | None
    loss_a: FiniteFloat
    loss_b: FiniteFloat


RowDifference = ClassDifference | TextDifference


class Comparison(Part):
    """Two models on the same rows.

    Attributes:
        task: of both.
        rows: how many.
        level: confidence level of the intervals, 0 to 1.
        resamples: of the bootstrap, and of the sign flip.
        a: the one.
        b: the other.
        metrics: on all rows.
        slices: of the protocol.
        labels: classification: the rows of each label, by the metrics of rows that are right or wrong.
        counts: who had which rows right.
        churn: None where nothing was answered.
        notes: what keeps the figures from being like for like, or could not be read.
        differing: how many rows differ.
        differences: those rows, the clearest first.
    """

    task: Literal["classification", "generation"]
    rows: Count
    level: FiniteFloat
    resamples: Count
    a: SideInfo
    b: SideInfo
    metrics: tuple[Compared, ...]
    slices: tuple[PartComparison, ...]
    labels: tuple[PartComparison, ...]
    counts: tuple[Counts, ...]
    churn: Churn | None
    notes: tuple[str, ...]
    differing: Count
    differences: tuple[RowDifference, ...]
