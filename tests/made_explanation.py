"""An explanation made by hand: what the tests of how it is shown read."""

from __future__ import annotations

from zogan.evaluate.evaluation import Difference
from zogan.evaluate.explanation.result import (
    Cell,
    Confirmation,
    Explanation,
    Neighbour,
    PartWorth,
    Piece,
    RowExplanation,
    Side,
    Smallest,
    Step,
    Where,
    Worth,
)


def made_explanation(patch: str = "a" * 64) -> Explanation:
    """Of a classifier with three parts, of which the first is left out."""
    return Explanation(
        task="classification", patch=patch, seed=0, where=_where(), worth=_worth(), smallest=_smallest(), rows=(_row(),)
    )


def _difference(value: float, half: float) -> Difference:
    better = None if abs(value) <= half else value > 0
    return Difference(value=value, low=value - half, high=value + half, method="score", better=better)


def _where() -> Where:
    cells = [
        Cell(kind="attention.self.query", layer=layer, changed=10, weights=100, share=0.1, size=0.5)
        for layer in range(2)
    ]
    outside = Cell(kind="embeddings", layer=None, changed=30, weights=900, share=30 / 900, size=None)
    vectors = Cell(kind="biases and norms", layer=None, changed=4, weights=4, share=1.0, size=2.0)
    return Where(changed=54, density=0.002, cells=(*cells, outside), vectors=vectors)


def _worth() -> Worth:
    parts = {"layer.0": (0, 10, -0.03, 0.01), "layer.1": (1, 14, 0.05, 0.02), "outside": (None, 30, 0.01, 0.02)}
    found = [
        PartWorth(part=name, layer=layer, changed=changed, without=0.85 - worth, worth=_difference(worth, half))
        for name, (layer, changed, worth, half) in parts.items()
    ]
    together = PartWorth(part="all", layer=None, changed=54, without=0.66, worth=_difference(0.19, 0.05))
    return Worth(
        metric="accuracy",
        higher_is_better=True,
        split="validation",
        rows=400,
        level=0.95,
        whole=0.85,
        parts=tuple(found),
        together=together,
    )


def _smallest() -> Smallest:
    steps = (
        Step(part="layer.0", figure=0.86, outcome="accepted", difference=_difference(0.01, 0.02), kept=True),
        Step(part="outside", figure=0.8, outcome="undecided", difference=_difference(-0.05, 0.02), kept=False),
    )
    confirmation = Confirmation(
        rows=1000, whole="accepted", part="accepted", whole_figure=0.875, figure=0.878, difference=None, kept=True
    )
    return Smallest(
        rule="verdict",
        split="validation",
        rows=400,
        whole="accepted",
        steps=steps,
        parts=("layer.1", "outside"),
        changed=40,
        density=0.0018,
        patch="b" * 64,
        patch_bytes=375_052,
        confirmation=confirmation,
    )


def _row() -> RowExplanation:
    pieces = [("<b>Love", 1.081, 1.86), ("</b>", 0.0, 0.0), (" the", 0.171, -0.5), (" day", -0.9, 0.02)]
    return RowExplanation(
        why="right",
        row=436,
        place="test.jsonl:436",
        text="<b>Love</b> the day",
        target="positive",
        answer="positive",
        before=Side(answer="neutral", log_probability=-0.8458, baseline=-1.9273, delta=0.0037, steps=32),
        after=Side(answer="positive", log_probability=-0.0155, baseline=-1.9169, delta=-0.0007, steps=32),
        pieces=tuple(Piece(text=text, before=before, after=after) for text, before, after in pieces),
        neighbours=(Neighbour(place="train.jsonl:7", text="Thanks <i>", target="positive", similarity=0.82),),
        cut=3,
    )
