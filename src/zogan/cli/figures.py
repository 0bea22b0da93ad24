"""Before, after and difference, as the commands print them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zogan.cli.tables import table

if TYPE_CHECKING:
    from rich.table import Table

    from zogan.evaluate.evaluation import Evaluation


def figures_table(evaluation: Evaluation) -> Table:
    """Each figure before and after, and the difference with its interval."""
    from zogan.report.metrics import Metric
    from zogan.report.words import Words

    words = Words("en")
    before_is = {"base": "before: the base", "head_only": "before: head only"}[evaluation.before_is]
    rows = []
    for info in evaluation.metrics:
        metric, before = Metric(info.name, info.higher_is_better), evaluation.before[info.name]
        cells = [words.name("metric", info.name), metric.value(before.value, words)]
        if evaluation.after is not None and evaluation.difference is not None:
            difference = evaluation.difference[info.name]
            cells += [
                metric.value(evaluation.after[info.name].value, words),
                metric.difference(difference.value, words),
                metric.span(difference.low, difference.high, words),
            ]
        rows.append(cells)
    level = words.percent(evaluation.level, 0)
    columns = ["", before_is, "after", "difference", f"{level} interval"]
    return table(columns[: len(rows[0])], rows, title=f"on {evaluation.rows:,} {evaluation.split} rows")


def external_tables(evaluation: Evaluation) -> list[Table | str]:
    """Of each external set the figures there, and the drop from the test rows with its interval."""
    from zogan.report.external import external
    from zogan.report.words import Words

    words = Words("en")
    columns = ("", "before", "after", "difference", "drop", f"{words.percent(evaluation.level, 0)} interval")
    shown: list[Table | str] = []
    for one in external(evaluation, words, words):
        rows = [
            (
                words.name("metric", line.metric),
                *(cell.value for cell in (line.before, line.after, line.difference, line.drop)),
                line.drop.interval,
            )
            for line in one.lines
        ]
        shown.append(table(columns, rows, title=f"on {one.rows:,} rows of {one.name!r}, from elsewhere"))
    return shown


def figures_tree(evaluation: Evaluation) -> dict[str, Any]:
    """The same, for machines."""
    tree = evaluation.model_dump(mode="json")
    return {key: tree[key] for key in ("rows", "metrics", "before", "after", "difference", "external", "overfitting")}
