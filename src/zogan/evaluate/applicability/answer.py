"""From figures to an answer, with its reason in words."""

from __future__ import annotations

from collections.abc import Mapping

from zogan.evaluate.applicability.result import Answer, Told

Figures = Mapping[str, Told]
Answered = tuple[Answer, str]

SMALL_ERROR = 0.02
"""Share of rows that a head alone gets wrong, beyond labels in doubt, at which nothing is left to gain."""

MORE_ROWS = 0.02
"""Gain of twice the rows, a share of rows, from which on it decides where chance does not explain it.

benchmarks/applicability.py: 0.17 on banking77 at 3 rows a class, where a head on more rows did more than tuning.
"""

REACH = 0.02
"""Lead of all layers over the last one, a share of rows, from which on tuning pays.

benchmarks/applicability.py: 0.07 on tweets at 50 rows a class, where tuning brought 0.09; -0.10 on banking77 at 3.
"""

REACH_NATS = 0.05
"""Fall of the loss on an answer by training rows shown before it, nats a token, from which on tuning pays.

benchmarks/applicability.py: 0.33 on dialogues, where tuning brought 0.53 on other rows.
"""

LOW_LOSS = 0.1
"""Loss on held-out answers, nats a token, at which nothing is left to gain: a token's chance is nine in ten."""

SPREAD = 0.15
"""Share of the squared gradient in the top 1 % of the weights under which a small share of them does too little.

A normal distribution's top 1 % hold 0.08; benchmarks/applicability.py found 0.44 to 0.78: none below was measured.
"""


def of_classes(figures: Figures) -> Answered:
    """For a classification.

    Args:
        figures: `head`, `neighbour`, `chance`, `layers`, `reach`, `headroom`, `top_1`; `more_rows` where it is known.
    """
    head, chance, reach, headroom = (figures[name] for name in ("head", "chance", "reach", "headroom"))
    more = figures.get("more_rows")
    if all(_low(figures[name]) <= chance.value for name in ("head", "neighbour", "layers")):
        return "not_enough_data", (
            f"no row's label can be told from the others: a head is right on {_percent(head)}, the nearest row on "
            f"{_percent(figures['neighbour'])}, all layers on {_percent(figures['layers'])}, and the commonest class "
            f"alone on {_percent(chance)}. More rows, or labels that say more, come first"
        )
    if headroom.value <= SMALL_ERROR:
        return "not_needed", (
            f"a head on the base as it is has {_percent(head)} of held-out rows right, and {_points(headroom)} are "
            "left to gain once labels in doubt are set aside: fit a head alone (method: head)"
        )
    if more is not None and more.value >= MORE_ROWS and _low(more) > 0 and more.value > reach.value:
        return "not_enough_data", (
            f"twice the training rows would bring a head alone {_points(more)}, and what lies within tuning's reach is "
            f"{_points(reach)}: label more rows first"
        )
    if reach.value < REACH and more is not None and more.value >= MORE_ROWS:
        return "not_enough_data", (
            f"the base's layers hold only {_points(reach)} that its last does not show, and twice the training rows "
            f"may bring a head alone {_points(more)}, though these are too few to be sure of it: label more rows first"
        )
    if reach.value < REACH:
        rows = "what more rows would bring is not known" if more is None else "more rows promise little"
        return "adapters_or_full", (
            f"{_points(headroom)} are left to gain, but the base's layers hold only {_points(reach)} that its last "
            f"does not show, and {rows}: a small change is unlikely to do"
        )
    return _by_spread(
        figures,
        f"the base's layers hold {_points(reach)} more than a head on the last one reads, of {_points(headroom)} that "
        "are left to gain",
    )


def of_texts(figures: Figures) -> Answered:
    """For a generation.

    Args:
        figures: `loss`, `shown`, `reach`, `neighbour`, `answers`, `top_1`.
    """
    loss, shown, reach = (figures[name] for name in ("loss", "shown", "reach"))
    fall = f"from {loss.value:.2f} to {shown.value:.2f} nats a token"
    if loss.value <= LOW_LOSS:
        return "not_needed", f"the base's loss on held-out answers is {loss.value:.2f} nats a token already"
    if _low(reach) > 0 and reach.value >= REACH_NATS:
        return _by_spread(figures, f"training rows that are shown before a prompt take the loss on its answer {fall}")
    why = f"training rows that are shown before a prompt hardly help with its answer ({fall})"
    neighbour, own = figures["neighbour"], figures["answers"]
    if _low(neighbour) > (own.value if own.high is None else own.high):
        return "adapters_or_full", (
            f"{why}, though the answer of the nearest row comes closer than the base's own "
            f"({neighbour.value:.1f} against {own.value:.1f}): what the rows say asks for much change in the base"
        )
    return (
        "not_enough_data",
        f"{why}, nor do their answers come closer than its own: they say too little of one another",
    )


def _by_spread(figures: Figures, why: str) -> Answered:
    top = figures["top_1"]
    if top.value < SPREAD:
        return "adapters_or_full", (
            f"{why}; but the gradient is spread: the top 1 % of the weights hold {_percent(top)} of its square, so "
            "that a small share of them does little"
        )
    return "suited", f"{why}; and the top 1 % of the weights hold {_percent(top)} of the squared gradient"


def _low(figure: Told) -> float:
    return figure.value if figure.low is None else figure.low


def _percent(figure: Told) -> str:
    return f"{100 * figure.value:.1f} %"


def _points(figure: Told) -> str:
    return f"{100 * figure.value:.1f} points"
