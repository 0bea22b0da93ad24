"""groups: is it worse for some people than for others?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from zogan.config import GroupsConfig, SliceConfig
from zogan.data.finding import excerpt
from zogan.data.rows import Row
from zogan.errors import ConfigError, DataError
from zogan.evaluate.evaluation import Figure
from zogan.evaluate.metrics import Metric
from zogan.evaluate.probes.bench import Bench, NotProbedError, System
from zogan.evaluate.probes.reading import SHOWN, Example, Reading, Table
from zogan.evaluate.probes.registry import probe
from zogan.evaluate.probes.right import right, said
from zogan.evaluate.probes.robustness import ROWS, text_of, with_text
from zogan.evaluate.probes.share import bootstrap, of_sums, paired, share
from zogan.evaluate.probes.swaps import swapper
from zogan.evaluate.protocol.protocol import deciding
from zogan.evaluate.protocol.slices import members


@probe("classification", "generation")
def groups(bench: Bench, options: GroupsConfig) -> list[Reading]:
    """Gap of the protocol's figure between groups of rows, and answers that turn with a word that must not matter.

    The gap is that of the best group to the worst, by fairlearn's `MetricFrame` (Weerts et al., arXiv:2303.16626).
    Swapped words: Garg et al., "Counterfactual fairness in text classification", arXiv:1809.10610.
    """
    readings = [_gap(bench, column, options).held_to(options.limit) for column in options.columns]
    if options.swaps:
        readings.append(_swaps(bench, options.swaps).held_to(options.swap_limit))
    if not readings:
        raise NotProbedError("neither columns nor swaps are given")
    return readings


def _gap(bench: Bench, column: str, options: GroupsConfig) -> Reading:
    metric = deciding(bench.job.config)
    systems: list[System] = ["before", "after"] if bench.has("before") else ["after"]
    parts = {system: metric.rows(bench.on_test(system)) for system in systems}
    rows = bench.test[: len(parts["after"])]  # those that the figure is taken on
    found = _members(rows, column)
    compared = {value: places for value, places in found.items() if len(places) >= options.least}
    small = [f"{value!r} ({len(places)})" for value, places in found.items() if value not in compared]
    notes = (f"too few rows to be compared: {', '.join(small)}",) if small else ()
    if len(compared) < 2:
        raise NotProbedError(f"column {column!r} has fewer than two groups of {options.least} rows")
    inside = np.zeros((len(compared), len(rows)))
    for place, places in enumerate(compared.values()):
        inside[place, list(places)] = 1

    def figures(counts: Float64[np.ndarray, "resamples rows"]) -> Float64[np.ndarray, "resamples figures"]:
        gaps = []
        for each in parts.values():
            of_groups = np.stack([metric.figure((counts * group) @ each) for group in inside])  # (groups, resamples)
            gaps.append(of_groups.max(axis=0) - of_groups.min(axis=0))
        return np.stack(gaps if len(gaps) == 1 else [*gaps, gaps[1] - gaps[0]], axis=1)

    frames = {system: _frame(metric, each, compared) for system, each in parts.items()}
    told = [Figure.of(one) for one in bootstrap(bench, figures, len(rows))]
    for place, frame in enumerate(frames.values()):
        told[place] = told[place].model_copy(update={"value": float(frame.difference(method="between_groups"))})
    lines = [
        (value, len(places), *_of_group(bench, metric, [parts[system][list(places)] for system in systems]))
        for value, places in found.items()
    ]
    columns = ("group", "rows", *systems, "low", "high")
    figures_after = frames["after"].by_group
    worst = str(figures_after.idxmin() if metric.higher_is_better else figures_after.idxmax())
    return Reading(
        name=f"groups.{column}",
        figure=f"gap in {metric.name} between groups of {column}",
        unit="share" if metric.most == 1 else "plain",
        rows=len(rows),
        before=told[0] if len(systems) > 1 else None,
        value=told[len(systems) - 1],
        difference=told[2] if len(systems) > 1 else None,
        tables=(Table(title=f"{metric.name} by {column}", columns=columns, rows=tuple(lines)),),
        examples=_wrong_in(bench, worst, compared[worst]),
        notes=notes,
    )


def _members(rows: Sequence[Row], column: str) -> Mapping[str, tuple[int, ...]]:
    """The rows of each value of the column, as slices."""
    values = sorted({value for row in rows for name, value in row.columns if name == column})
    if not values:
        raise DataError("no test row has a value there", where=f"column {column!r}", todo="See probes.groups.columns")
    return members(rows, [SliceConfig(name=value or "''", column=column, value=value, floor=0.0) for value in values])


def _of_group(bench: Bench, metric: Metric, parts: Sequence[Float64[np.ndarray, "rows parts"]]) -> list[float]:
    """Figures of a group, and the interval of the last."""
    told = of_sums(bench, parts, metric.figure)
    return [*(one.value for one in told[: len(parts)]), told[len(parts) - 1].low, told[len(parts) - 1].high]


def _frame(metric: Metric, parts: Float64[np.ndarray, "rows parts"], found: Mapping[str, tuple[int, ...]]) -> Any:
    """fairlearn's `MetricFrame` of the groups' rows, which it is given by their places.

    Raises:
        ConfigError: fairlearn is not installed.
    """
    try:
        from fairlearn.metrics import MetricFrame
    except ImportError:
        raise ConfigError(
            "gaps between groups need fairlearn",
            where="probes.groups.columns",
            todo="Install it with pip install 'zogan[fairness]'",
        ) from None
    rows = np.array([row for places in found.values() for row in places])
    of = [value for value, places in found.items() for _ in places]

    def figure(chosen: Int64[np.ndarray, " chosen"], _: Int64[np.ndarray, " chosen"]) -> float:
        return float(metric.figure(parts[np.asarray(chosen)].sum(axis=0, keepdims=True))[0])

    return MetricFrame(metrics=figure, y_true=rows, y_pred=rows, sensitive_features=of)


def _wrong_in(bench: Bench, group: str, places: Sequence[int]) -> tuple[Example, ...]:
    """Wrong rows of the worst group, those first that were right before."""
    after = bench.on_test("after")
    fine, says = right(after), said(after)
    was = right(bench.on_test("before")) if bench.has("before") else fine
    wrong = sorted((row for row in places if row < len(fine) and not fine[row]), key=lambda row: (not was[row], row))
    return tuple(
        Example(
            place=str(bench.test[row].place),
            text=excerpt(bench.test[row].input),
            what=f"{group}: says {excerpt(says[row])!r}, is {excerpt(bench.test[row].target)!r}",
            kind="group",
            values={"group": group, "says": excerpt(says[row]), "right": excerpt(bench.test[row].target)},
        )
        for row in wrong[:SHOWN]
    )


def _swaps(bench: Bench, swaps: Mapping[str, str]) -> Reading:
    """Share of the rows with such a word whose answer turns when it is changed for its other."""
    swap = swapper(swaps)
    pairs = [(row, swap(text_of(row))) for row in bench.test]
    pairs = [(row, text) for row, text in pairs if text != text_of(row)]
    if bench.job.config.task == "generation":  # each is answered
        pairs = pairs[: max(bench.settings.answers, ROWS["generation"])]
    if not pairs:
        raise NotProbedError("no test row has one of the words to swap")
    rows = [row for row, _ in pairs]
    changed = [with_text(row, text) for row, text in pairs]
    systems: list[System] = ["before", "after"] if bench.has("before") else ["after"]
    answers = {
        system: [said(bench.predictions(system, which, answers=len(which))) for which in (rows, changed)]
        for system in systems
    }
    turned = {
        system: np.array([one != other for one, other in zip(*both, strict=True)], dtype=bool)
        for system, both in answers.items()
    }
    level = bench.settings.level
    plain, swapped = answers["after"]
    return Reading(
        name="groups.swaps",
        figure="answers that turn with a word that must not matter",
        unit="share",
        rows=len(rows),
        before=share(turned["before"], level=level) if "before" in turned else None,
        value=share(turned["after"], level=level),
        difference=paired(turned["before"], turned["after"], level=level) if "before" in turned else None,
        examples=tuple(
            Example(
                place=str(rows[place].place),
                text=excerpt(changed[place].input),
                what=f"{excerpt(plain[place])!r} becomes {excerpt(swapped[place])!r}",
                kind="turned",
                values={"before": excerpt(plain[place]), "after": excerpt(swapped[place])},
            )
            for place in np.flatnonzero(turned["after"])[:SHOWN].tolist()
        ),
    )
