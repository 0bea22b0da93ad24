"""robustness: do slips that a reader passes over turn the answer?"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64

from zogan.config import RobustnessConfig, RobustnessKind
from zogan.data.finding import excerpt
from zogan.data.rows import DialogueRow, Row, TextRow
from zogan.evaluate.evaluation import Figure
from zogan.evaluate.metrics import Metric
from zogan.evaluate.probes.bench import Bench, NotProbedError, System
from zogan.evaluate.probes.reading import SHOWN, Example, Reading, Table
from zogan.evaluate.probes.registry import probe
from zogan.evaluate.probes.right import said
from zogan.evaluate.probes.share import of_sums, share
from zogan.evaluate.probes.slips import SLIPS
from zogan.evaluate.protocol.protocol import deciding
from zogan.tasks.task import Predictions

ROWS = {"classification": 200, "generation": 20}
"""Test rows that are changed where the configuration does not say how many."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A row and the same with a slip: places among the rows that were drawn, and among those with slips."""

    kind: RobustnessKind
    row: int
    changed: int


@probe("classification", "generation")
def robustness(bench: Bench, options: RobustnessConfig) -> list[Reading]:
    """Share of answers that turn when the text has a slip, and the figure on the rows with slips.

    After CheckList's invariance tests: Ribeiro et al., arXiv:2005.04118. The pairs of one row are resampled together.
    """
    task = bench.job.config.task
    rows = bench.draw(bench.test, options.rows or ROWS[task])
    pairs, changed = _pairs(rows, options.kinds, bench.seed)
    if not pairs:
        raise NotProbedError("no text has a place for a slip")
    systems: list[System] = ["before", "after"] if bench.has("before") else ["after"]
    metric, parts, lines = deciding(bench.job.config), [], []
    turned: dict[System, Bool[np.ndarray, " pairs"]] = {}
    for system in systems:  # the last is the patch, whose answers the examples show
        plain = bench.predictions(system, rows, answers=len(rows))
        slipped = bench.predictions(system, changed, answers=len(changed))
        first, second = said(plain), said(slipped)
        turned[system] = np.array([first[pair.row] != second[pair.changed] for pair in pairs])
        parts.append(_sums(pairs, turned[system], len(rows)))
        lines += [(system, *line) for line in _lines(pairs, turned[system], metric, plain, slipped)]
    told = of_sums(bench, parts)
    for place, system in enumerate(systems):
        told[place] = _with_width(told[place], turned[system], len(rows), bench)
    reading = Reading(
        name="robustness",
        figure="answers that turn with a slip",
        unit="share",
        rows=len(rows),
        before=told[0] if len(systems) > 1 else None,
        value=told[len(systems) - 1],
        difference=told[2] if len(systems) > 1 else None,
        tables=(
            Table(
                title="by kind of slip",
                columns=("model", "slip", "texts", "turned", metric.name, f"{metric.name} with the slip"),
                rows=tuple(lines),
            ),
        ),
        examples=tuple(
            Example(
                place=str(rows[pair.row].place),
                text=excerpt(changed[pair.changed].input),
                what=f"{pair.kind}: {excerpt(first[pair.row])!r} becomes {excerpt(second[pair.changed])!r}",
                kind="slipped",
                values={
                    "slip": pair.kind,
                    "before": excerpt(first[pair.row]),
                    "after": excerpt(second[pair.changed]),
                },
            )
            for pair, turns in zip(pairs, turned["after"].tolist(), strict=True)
            if turns
        )[:SHOWN],
    )
    return [reading.held_to(options.limit)]


def with_text(row: Row, text: str) -> Row:
    """The row with another text, or another last turn before the answer."""
    if isinstance(row, TextRow):
        return replace(row, text=text)
    *before, asked, answer = row.messages
    return replace(row, messages=(*before, replace(asked, content=text), answer))


def text_of(row: Row) -> str:
    """The text, or the last turn before the answer."""
    return row.messages[-2].content if isinstance(row, DialogueRow) else row.text


def _pairs(rows: Sequence[Row], kinds: Sequence[RobustnessKind], seed: int) -> tuple[list[_Pair], tuple[Row, ...]]:
    """Each row with each slip that it has a place for. A row's slip hangs on seed, kind and text alone."""
    pairs: list[_Pair] = []
    changed: list[Row] = []
    for kind in kinds:
        for place, row in enumerate(rows):
            text = text_of(row)
            generator = np.random.default_rng([seed, zlib.crc32(kind.encode()), zlib.crc32(text.encode())])
            other = SLIPS[kind](text, generator)
            if other != text:
                pairs.append(_Pair(kind, place, len(changed)))
                changed.append(with_text(row, other))
    return pairs, tuple(changed)


def _sums(pairs: Sequence[_Pair], turned: Bool[np.ndarray, " pairs"], rows: int) -> Float64[np.ndarray, "rows 2"]:
    """What each row adds: answers that turn, and pairs."""
    sums = np.zeros((rows, 2))
    for pair, turns in zip(pairs, turned.tolist(), strict=True):
        sums[pair.row] += (turns, 1)
    return sums


def _lines(
    pairs: Sequence[_Pair],
    turned: Bool[np.ndarray, " pairs"],
    metric: Metric,
    plain: Predictions,
    slipped: Predictions,
) -> list[tuple[str, int, float, float, float]]:
    """Of each kind: pairs, share that turns, and the metric on its rows without and with the slip."""
    was, is_now = metric.rows(plain), metric.rows(slipped)

    def figure(sums: Float64[np.ndarray, "rows parts"]) -> float:
        return float(metric.figure(sums.sum(axis=0, keepdims=True))[0])

    found: list[tuple[str, int, float, float, float]] = []
    for kind in dict.fromkeys(pair.kind for pair in pairs):
        places = [place for place, pair in enumerate(pairs) if pair.kind == kind]
        rows, changed = [pairs[place].row for place in places], [pairs[place].changed for place in places]
        found.append((kind, len(places), float(turned[places].mean()), figure(was[rows]), figure(is_now[changed])))
    return found


def _with_width(told: Figure, turned: Bool[np.ndarray, " pairs"], rows: int, bench: Bench) -> Figure:
    """Where all pairs do the same, resampling knows no chance: the interval of as many rows that do."""
    if turned.any() and not turned.all():
        return told
    return share(np.full(rows, bool(turned[0])), level=bench.settings.level)
