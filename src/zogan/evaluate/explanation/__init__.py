"""A tuned model explained: where the patch lies, what each layer of it is worth, and why a row is answered so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zogan.progress import Progress, Silent

if TYPE_CHECKING:
    from zogan.evaluate.explanation.result import Explanation

__all__ = ["explain_run"]


def explain_run(
    run: Path | str,
    *,
    rows: Sequence[int] = (),
    texts: Sequence[str] = (),
    smallest: Path | None = None,
    cache: Path | None = None,
    progress: Progress = Silent(),
    looked: Callable[[str, str], None] | None = None,
) -> Explanation:
    """Explain the patch of a run that is evaluated.

    Without rows and texts, all of it: where the patch lies, what each layer is worth and the smallest part that keeps
    the verdict, both sought on the validation rows, and a few test rows that tell the most. With them, these alone are
    explained. The run's files stay as they are.

    Args:
        run: its folder.
        rows: numbers of test rows, from 1.
        texts: texts to answer; of generation, prompts.
        smallest: a file for the smallest part that keeps the verdict; not written where the verdict is not accepted,
            or the test rows do not confirm the part.
        cache: for what enters the lowest layer that changes; the user's cache folder where absent.
        progress: told of rows predicted.
        looked: called when the smaller patch was measured on the test rows, before its figures are given: with its
            digest and that of the rows, SHA-256 in hex.

    Raises:
        RunError: not a run, or one that is not evaluated.
        ConfigError: captum is not installed, and rows or texts are asked for; the model does not fit into the memory.
        DataError: there is no such row; a text is empty.
        IntegrityError: the data or the base are no more those of the run.
    """
    from zogan.evaluate.explanation.run import explain_run as explain

    return explain(Path(run), rows=rows, texts=texts, smallest=smallest, cache=cache, progress=progress, looked=looked)
