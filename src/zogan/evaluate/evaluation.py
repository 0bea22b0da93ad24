"""What evaluation.json holds. Figures stand as they were computed; whoever shows them rounds them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from zogan.errors import RunError

Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MetricInfo(_Part):
    """A metric, and on how many rows it was taken."""

    name: str
    higher_is_better: bool
    rows: Count


class Figure(_Part):
    """A figure and its confidence interval."""

    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    method: Literal["bca", "percentile", "basic", "score", "none"] = Field(description="of the interval")


class Difference(Figure):
    """After less before, on the same rows."""

    better: bool | None = Field(description="true, false, or null where the interval includes 0")


class ClassFigures(_Part):
    """One label's figures, 0 to 1; support is its number of rows."""

    label: str
    precision: FiniteFloat
    recall: FiniteFloat
    f1: FiniteFloat
    support: Count


class ClassTable(_Part):
    """Of the model before and after."""

    before: tuple[ClassFigures, ...]
    after: tuple[ClassFigures, ...] | None


class Confusion(_Part):
    """Rows by truth (outer) and choice (inner), in the order of the labels; of the model before and after."""

    before: tuple[tuple[Count, ...], ...]
    after: tuple[tuple[Count, ...], ...] | None


class ClassExample(_Part):
    """A row whose label came right or went wrong; `probability` is that of the label after."""

    place: str
    text: str
    truth: str
    before: str
    after: str
    probability: FiniteFloat


class TextExample(_Part):
    """A row whose loss fell or rose: mean over its tokens, nats. Answers are greedy, null where not asked for."""

    place: str
    prompt: str
    reference: str
    before: str | None
    after: str | None
    loss_before: FiniteFloat
    loss_after: FiniteFloat


class Examples(_Part):
    """Rows that changed most, the clearest first."""

    better: tuple[ClassExample | TextExample, ...] = ()
    worse: tuple[ClassExample | TextExample, ...] = ()


class Evaluation(_Part):
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

    def dumps(self) -> str:
        """The text of evaluation.json: strict JSON, no NaN."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> Evaluation:
        """Read evaluation.json.

        Raises:
            RunError: no such file, or not what `dumps` writes.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise RunError(f"cannot be read: {' '.join(str(error).split())}", where=str(path)) from None
