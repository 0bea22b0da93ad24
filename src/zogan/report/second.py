"""What the second stage did, in a few sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zogan.report.words import Words


def second_stage(second: Mapping[str, Any], words: Words) -> str:
    """Where its adapters stand, what the validation rows said, and what became of them.

    Args:
        second: the line that the second stage wrote into metrics.jsonl.
        words: of the page.
    """
    if not second["layers"]:
        return words("second.none")
    found = second["validation"]
    factor, digits = (100, 1) if found["figure"] == "errors" else (1, 4)
    shown = words.percent if found["figure"] == "errors" else lambda loss: words.number(loss, digits)
    error = found["standard_error"]
    sentences = (
        words(
            "second.what",
            layers=words("second.and").join(map(_number, second["layers"])),
            share=words.percent(sum(second["left_over"][layer] for layer in second["layers"]), 0),
        ),
        words(
            f"second.{found['figure']}",
            before=shown(found["before"]),
            after=shown(found["after"]),
            difference=words.signed(-factor * found["gain"], digits),
            error="–" if error is None else words.number(factor * error, digits),
        ),
        words(f"second.{_outcome(second)}"),
    )
    return words("between").join(sentences)


def _number(layer: str) -> str:
    """Counted from 1, as in the rest of the page; a model without a stack of layers goes by its name."""
    last = layer.rpartition(".")[2]
    return str(int(last) + 1) if last.isdigit() else layer


def _outcome(second: Mapping[str, Any]) -> str:
    if not second["kept"]:
        return "dropped"
    return "asked" if second["two_stage"] == "always" else "kept"
