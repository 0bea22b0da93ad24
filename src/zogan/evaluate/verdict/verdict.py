"""What verdict.json holds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, FiniteFloat

from zogan.config import Against
from zogan.evaluate.document import Document, Part
from zogan.evaluate.evaluation import Count
from zogan.evaluate.probes.reading import Unit
from zogan.evaluate.protocol.late import Kind
from zogan.evaluate.statistics import Claim, Method
from zogan.patch.meta import Sha256

NAME = "verdict.json"

Outcome = Literal["accepted", "rejected", "undecided"]

Why = Literal["not_measured", "no_figure", "no_chance", "on_threshold", "seeds", "out_of_reach", "holds_limit"]
"""Why no number of rows decides a clause: it was not measured; its rows give no figure; they are all alike, so that
chance is not known; the figure lies just on the threshold; the chance lies in the seeds; it would take over ten million
rows; a probe's interval holds its limit."""


class Clause(Part):
    """One clause of the protocol.

    Attributes:
        kind: the claim, the floor of a slice or of an external set, a limit, or that of a probe.
        name: of the slice, set, limit or reading; of the figure for the claim.
        unit: of a probe's reading.
        value: what was measured: the difference for a claim, the figure on the slice or set, or what is limited.
        low, high: ends of its interval at the protocol's level.
        method: of the interval.
        threshold: what the value is held against, in the same unit.
        rows: on which it was measured.
        p_value: one-sided, that the clause holds.
        p_adjusted: the same by Holm's correction over the claim and all floors; accepted at half of alpha or less.
        p_against, p_against_adjusted: likewise that it does not hold; rejected at half of alpha or less.
        more_rows: where undecided, how many more rows like these would decide it, 80 % of the time.
        why: where undecided and no number of rows is given, why not.
    """

    kind: Literal["claim", "slice", "external", "limit", "probe"]
    name: str
    unit: Unit | None = None
    outcome: Outcome
    value: FiniteFloat | None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    method: Method | None = None
    threshold: FiniteFloat
    rows: Count | None = None
    p_value: FiniteFloat | None = None
    p_adjusted: FiniteFloat | None = None
    p_against: FiniteFloat | None = None
    p_against_adjusted: FiniteFloat | None = None
    more_rows: Count | None = None
    why: Why | None = None


class Reason(Part):
    """Why a verdict is exploratory; `values` are what its sentence tells."""

    kind: Kind | Literal["never_frozen", "uncounted", "key", "rows", "order", "slice"]
    values: dict[str, str | int] = Field(default_factory=dict)


class Standing(Part):
    """Whether a verdict confirms, or only explores.

    Attributes:
        exploratory: why it confirms nothing; empty where it does.
        frozen_at: UTC; null where no protocol is frozen.
        looks: how often a patch was measured on these test rows since.
    """

    exploratory: tuple[Reason, ...]
    frozen_at: str | None
    looks: Count


class Spoken(Part):
    """A verdict in one language: as a whole, each clause, and how it stands."""

    verdict: str
    clauses: tuple[str, ...]
    standing: tuple[str, ...]


class Verdict(Document):
    """What a protocol says of a patch.

    Attributes:
        outcome: accepted where every clause is, rejected where one is, else undecided.
        exploratory: the protocol or the test rows are not those that were frozen in time.
        rival, after: the figure of what is held against, and of the patch.
        more_rows: where undecided, test rows beyond those at hand that would decide all of it, 80 % of the time; null
            where no number would.
        protocol: SHA-256 of the protocol, as `patch` is of the patch and `test` of the test rows.
        sentences: by language.
    """

    format: Literal[1] = 1
    outcome: Outcome
    exploratory: bool
    metric: str
    higher_is_better: bool
    against: Against
    seeds: tuple[int, ...]
    claim: Claim
    margin: FiniteFloat
    alpha: FiniteFloat
    level: FiniteFloat = Field(description="of the intervals")
    rival: FiniteFloat
    after: FiniteFloat
    clauses: tuple[Clause, ...]
    more_rows: Count | None
    standing: Standing
    protocol: Sha256
    patch: Sha256
    test: Sha256
    sentences: dict[Literal["en", "ja"], Spoken] = Field(default_factory=dict)
