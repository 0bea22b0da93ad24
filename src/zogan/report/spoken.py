"""A verdict in words: as a whole, each clause, and whether it confirms anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from zogan.evaluate.verdict.verdict import Clause, Spoken, Verdict
from zogan.report.metrics import Metric
from zogan.report.readings import reading_name, reading_span, reading_value
from zogan.report.words import Language, Words

Say = Callable[..., Any]
"""A catalogue's key and values to text, or to markup."""
Mark = Callable[[str], Any]
"""Sets apart what is the user's own."""


def spoken(verdict: Verdict) -> Verdict:
    """The verdict with its sentences in every language."""
    return verdict.model_copy(
        update={"sentences": {name: _spoken(verdict, Words(name)) for name in get_args(Language)}}
    )


class Speaker:
    """Says a verdict.

    Args:
        verdict: what is said.
        words: of the language.
        say: fills a text of the catalogue; `words` where absent.
        mark: sets apart what is the user's own; as it is where absent.
    """

    def __init__(self, verdict: Verdict, words: Words, say: Say | None = None, mark: Mark = str) -> None:
        self.verdict, self.words, self.say, self.mark = verdict, words, say or words, mark
        self.metric = Metric(verdict.metric, verdict.higher_is_better)

    @property
    def lead(self) -> Any:
        """The outcome, and the clause that it hangs on: the first with this outcome."""
        outcome = self.words(f"verdict.{self.verdict.outcome}")
        return self.say("verdict.lead", outcome=outcome, sentence=self.clause(self.deciding))

    @property
    def others(self) -> list[Any]:
        """The claim, and what else does not hold, said."""
        told = [one for one in self.verdict.clauses if one.kind == "claim" or one.outcome != "accepted"]
        return [self.clause(one) for one in told if one is not self.deciding]

    @property
    def deciding(self) -> Clause:
        """The clause that the outcome hangs on: the first with this outcome."""
        return next(one for one in self.verdict.clauses if one.outcome == self.verdict.outcome)

    def clause(self, clause: Clause) -> Any:
        """A clause, what became of it, and what would decide it where it is open."""
        sentence = self._sentence(clause)
        if clause.more_rows is not None:
            more = self.words(f"more.{clause.kind}", rows=self.words.number(clause.more_rows))
        elif clause.why is not None:
            more = self.words(f"why.{clause.why}")
        else:
            return sentence
        return sentence + self.words("between") + more

    def _sentence(self, clause: Clause) -> Any:
        if clause.kind == "claim":
            return self._claim(clause)
        if clause.kind == "probe":
            return self._probe(clause)
        return self._limit(clause) if clause.kind == "limit" else self._floor(clause)

    def standing(self) -> list[Any]:
        """Whether it confirms, why not, and how often was looked."""
        found = self.verdict.standing
        lines = [self.say(f"standing.{one.kind}", **self._values(one.values)) for one in found.exploratory]
        if not lines and found.frozen_at is not None:
            lines.append(self.words("standing.confirmed", at=self.words.moment(found.frozen_at)))
        if found.frozen_at is not None:
            lines.append(self.words("standing.looks", looks=self.words.number(found.looks)))
        return lines

    def name(self, clause: Clause) -> Any:
        """A clause's name in a table: the figure less that of its rival, or what else it is about."""
        if clause.kind == "limit":
            return self.words.name("limit", clause.name)
        if clause.kind == "probe":
            return reading_name(clause.name, self.words, self.say, self.mark)
        figure = self.words.name("metric", self.verdict.metric)
        if clause.kind in ("slice", "external"):
            return self.say(f"verdict.{clause.kind}", figure=figure, name=self.mark(clause.name))
        return self.words("verdict.claim", figure=figure, rival=self.rival)

    def measured(self, clause: Clause) -> str:
        """Its value."""
        if clause.value is None:
            return "–"
        if clause.kind == "claim":
            return self.metric.difference(clause.value, self.words)
        return self._level(clause, clause.value)

    def interval(self, clause: Clause) -> str:
        """Its interval; empty where it has none."""
        if clause.low is None or clause.high is None:
            return ""
        if clause.kind == "probe":
            return reading_span(clause.low, clause.high, clause.unit or "plain", self.words)
        span = self.metric.span if clause.kind == "claim" else self.metric.interval
        return span(clause.low, clause.high, self.words)

    def must(self, clause: Clause) -> str:
        """What it must be."""
        if clause.kind == "claim":
            sign = ">" if self.verdict.higher_is_better else "<"
            return f"{sign} {self.metric.difference(clause.threshold, self.words)}"
        better = clause.kind in ("slice", "external") and self.verdict.higher_is_better
        return f"{'≥' if better else '≤'} {self._level(clause, clause.threshold)}"

    def p_value(self, clause: Clause) -> str:
        """That it holds, corrected."""
        p_value = clause.p_adjusted
        if p_value is None:
            return ""
        return f"< {self.words.number(0.0001, 4)}" if p_value < 0.0001 else self.words.number(p_value, 4)

    @property
    def level(self) -> str:
        """Of the intervals."""
        return self.words("unit.percent", value=f"{100 * self.verdict.level:.6g}")

    @property
    def rival(self) -> str:
        """What the patch is held against."""
        return self.words(f"rival.{self.verdict.against}")

    def _claim(self, clause: Clause) -> Any:
        words, metric, verdict = self.words, self.metric, self.verdict
        values = {"figure": words.name("metric", verdict.metric), "moved": self._moved()}
        if clause.value is None:
            what = words("claim.nothing", **values)
        else:
            what = words(
                "claim.what",
                **values,
                difference=self._difference(clause.value),
                span=self.interval(clause),
                level=self.level,
            )
        kind = "superiority_by" if verdict.claim == "superiority" and verdict.margin else verdict.claim
        margin = metric.difference(verdict.margin, words).lstrip("+")
        return words(f"claim.{kind}.{clause.outcome}", what=what, rival=self.rival, margin=margin)

    def _moved(self) -> str:
        """From what was before; or beside what another tuning gave."""
        verdict = self.verdict
        rival, after = (self.metric.value(value, self.words) for value in (verdict.rival, verdict.after))
        if verdict.against in ("full", "production"):
            return self.words("claim.apart", after=after, rival=self.rival, value=rival)
        moved = verdict.after - verdict.rival
        return self.words(f"claim.{'same' if not moved else 'up' if moved > 0 else 'down'}", rival=rival, after=after)

    def _difference(self, moved: float) -> str:
        """In points where the figure has them; else as it is, and as a share of what it was."""
        plain = self.metric.difference(moved, self.words)
        if self.metric.scale != "plain" or not self.verdict.rival:
            return plain
        percent = self.words("unit.percent", value=self.words.signed(100 * moved / self.verdict.rival))
        return self.words("claim.relative", difference=plain, percent=percent)

    def _floor(self, clause: Clause) -> Any:
        words = self.words
        floor = self.metric.value(clause.threshold, words)
        values = {"name": self.mark(clause.name), "figure": words.name("metric", self.verdict.metric)}
        if clause.value is None:
            return self.say(f"{clause.kind}.nothing", **values, floor=floor)
        what = self.say(
            f"{clause.kind}.what",
            **values,
            rows=words.number(clause.rows or 0),
            value=self.measured(clause),
            span=self.interval(clause),
            level=self.level,
        )
        return self.say(f"slice.{clause.outcome}", what=what, floor=floor)

    def _limit(self, clause: Clause) -> str:
        name, allowed = self.words.name("limit", clause.name), self._level(clause, clause.threshold)
        return self.words(f"limit.{clause.outcome}", limit=name, value=self.measured(clause), allowed=allowed)

    def _probe(self, clause: Clause) -> Any:
        name, allowed = self.name(clause), self._level(clause, clause.threshold)
        if clause.value is None:
            return self.say("probe.unmeasured", probe=name, allowed=allowed)
        what = self.say("probe.what", probe=name, value=self.measured(clause), span=self.interval(clause))
        return self.say(f"probe.{clause.outcome}", what=what, allowed=allowed)

    def _level(self, clause: Clause, value: float) -> str:
        """A value of a slice, an external set, a probe or a limit, in its unit."""
        if clause.kind == "probe":
            return reading_value(value, clause.unit or "plain", self.words)
        if clause.kind in ("slice", "external"):
            return self.metric.value(value, self.words)
        if clause.name.endswith("_bytes"):
            return self.words.size(value)
        if clause.name == "density":
            return self.words.small_percent(value)
        digits = 1 if value < 100 else 0
        return self.words("limit.milliseconds", value=self.words.number(value, digits))

    def _values(self, values: dict[str, str | int]) -> dict[str, Any]:
        return {
            key: self.words.number(value) if isinstance(value, int) else self.mark(value)
            for key, value in values.items()
        }


def _spoken(verdict: Verdict, words: Words) -> Spoken:
    speaker = Speaker(verdict, words)
    return Spoken(
        verdict=speaker.lead,
        clauses=tuple(speaker.clause(one) for one in verdict.clauses),
        standing=tuple(speaker.standing()),
    )
