"""What explanation.json holds. Figures stand as they were computed; whoever shows them rounds them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, FiniteFloat

from zogan.evaluate.document import Document, Part
from zogan.evaluate.evaluation import Count, Difference, Estimate
from zogan.evaluate.verdict.verdict import Outcome
from zogan.patch.meta import Sha256
from zogan.tasks.job import Split

NAME = "explanation.json"

Rule = Literal["verdict", "no_worse"]
"""What a smaller part must keep on the rows of the search: an accepted verdict; or, where the whole patch is not
accepted on so few rows, that it is not shown to be worse than the whole."""

Asked = Literal["right", "wrong", "uncertain", "row", "text"]
"""Why a row is explained: it came right, or went wrong, and the model is surest of it; the model is least sure of it;
or it was asked for."""


class Cell(Part):
    """Changed weights of some tensors.

    Attributes:
        kind: of matrix, such as `attention.self.query`; the tensor's name outside of the layers.
        layer: from 0; null outside of the layers.
        share: of the weights that changed, 0 to 1.
        size: |new - old| / |old| over the changed weights, Euclidean norms; null where all were 0.
    """

    kind: str
    layer: Count | None
    changed: Count
    weights: Count
    share: FiniteFloat
    size: FiniteFloat | None


class Where(Part):
    """Where in the model the changes lie: matrices by layer and kind, and all biases and norms together."""

    changed: Count
    density: FiniteFloat = Field(description="share of all of the base's weights, 0 to 1")
    cells: tuple[Cell, ...]
    vectors: Cell | None


class PartWorth(Part):
    """What one part of the patch is worth: the whole patch less the patch without this part, on the same rows.

    Attributes:
        part: `layer.3`, counted from 0 as in the names of tensors; `outside`; or `all`.
        layer: its number; null for what stands in no layer, and for all.
        changed: weights that are switched off.
        without: the figure with the part switched off.
        worth: the whole patch's figure less that; `better` says whether the part does good.
    """

    part: str
    layer: Count | None
    changed: Count
    without: FiniteFloat
    worth: Difference


class Worth(Part):
    """What each layer's changes are worth on the protocol's figure.

    Attributes:
        split: the rows that it was measured on.
        whole: the figure with the whole patch.
        level: of the intervals, 0 to 1.
        parts: in the order of the model.
        together: all changes of the base switched off at once; a head and adapters stay.
        cut: layers below which nothing changes, and which ran just once for each row; 0 where all ran.
    """

    metric: str
    higher_is_better: bool
    split: Split
    rows: Count
    level: FiniteFloat
    whole: FiniteFloat
    parts: tuple[PartWorth, ...]
    together: PartWorth
    cut: Count = 0


class Step(Part):
    """One step of the search: a part that was left out, with those that were left out before it.

    Attributes:
        figure: of what is left.
        outcome: the protocol's on these rows.
        difference: what is left less the whole patch.
        kept: whether the part stays out.
    """

    part: str
    figure: FiniteFloat
    outcome: Outcome
    difference: Difference
    kept: bool


class Confirmation(Part):
    """The smallest part on the test rows: one look.

    Attributes:
        whole: the protocol's outcome of the whole patch, of this run's seed.
        part: the same of the part.
        figure: of the part.
        difference: the part's less what the protocol holds it against.
        kept: whether the outcome is the same.
    """

    rows: Count
    whole: Outcome
    part: Outcome
    whole_figure: FiniteFloat
    figure: FiniteFloat
    difference: Estimate | None
    kept: bool


class Smallest(Part):
    """The smallest part of an accepted patch that keeps the verdict, by greedy backward elimination of layers.

    Attributes:
        rule: what a part had to keep on the rows of the search.
        whole: the protocol's outcome of the whole patch on these rows.
        steps: in their order: the least worth first.
        parts: what stays.
        changed: weights of the base that it changes; `density` is their share, 0 to 1.
        patch: digest of the smaller patch, SHA-256 in hex; the whole's where nothing could be left out.
        patch_bytes: size of its file.
        confirmation: on the test rows; null where nothing was left out.
    """

    rule: Rule
    split: Split
    rows: Count
    whole: Outcome
    steps: tuple[Step, ...]
    parts: tuple[str, ...]
    changed: Count
    density: FiniteFloat
    patch: Sha256
    patch_bytes: Count
    confirmation: Confirmation | None

    @property
    def stands(self) -> bool:
        """Whether the test rows bear it out."""
        return self.confirmation is None or self.confirmation.kept


class Piece(Part):
    """A piece of the text that the model reads, and what it added to the answer's log-probability before and after.

    Attributes:
        text: of one token, or of several that make one character.
        before: null where there is no model before.
        after: nats; above 0 it spoke for the answer.
    """

    text: str
    before: FiniteFloat | None
    after: FiniteFloat


class Side(Part):
    """One model on a row.

    Attributes:
        answer: its own.
        log_probability: of the answer that is explained, nats.
        baseline: the same of a text of padding; attributions add up to the difference, but for `delta`.
        delta: sum of the attributions less that difference, nats.
        steps: of the integral.
    """

    answer: str
    log_probability: FiniteFloat
    baseline: FiniteFloat
    delta: FiniteFloat
    steps: Count


class Neighbour(Part):
    """A training row that the tuned model sees much alike: cosine of pooled hidden states, -1 to 1."""

    place: str
    text: str
    target: str
    similarity: FiniteFloat


class RowExplanation(Part):
    """Why a row is answered as it is.

    Attributes:
        why: it is among those that are explained.
        row: its number among the test rows, from 1; null for a text.
        target: the right answer; null where that is not known.
        answer: that is explained: the tuned model's; of generation, the row's own answer where it has one.
        cut: tokens beyond the length limit, which the model does not read.
    """

    why: Asked
    row: Count | None
    place: str | None
    text: str
    target: str | None
    answer: str
    before: Side | None
    after: Side
    pieces: tuple[Piece, ...]
    neighbours: tuple[Neighbour, ...]
    cut: Count = 0


class Explanation(Document):
    """Where a patch lies, what each layer of it is worth, the smallest part that does, and why rows are answered so.

    Attributes:
        skipped: what was not looked at, and why.
    """

    format: Literal[1] = 1
    task: Literal["classification", "generation"]
    patch: Sha256
    seed: Count
    where: Where
    worth: Worth | None = None
    smallest: Smallest | None = None
    rows: tuple[RowExplanation, ...] = ()
    skipped: dict[str, str] = Field(default_factory=dict)
