"""Tables: text of the user's as it is, numbers to the right."""

from __future__ import annotations

from rich.console import Console

from zogan.cli.tables import table


def drawn(width: int = 60, **options: object) -> str:
    console = Console(width=width)
    rows = [("[bold]a[/bold] :smile:", "1"), ("b", "1,000")]
    with console.capture() as capture:
        console.print(table(("name", "count"), rows, **options))  # type: ignore[arg-type]
    return capture.get()


def test_markup_in_a_cell_is_text() -> None:
    assert "[bold]a[/bold] :smile:" in drawn()


def test_numbers_stand_to_the_right() -> None:
    first, second = (line.rstrip() for line in drawn(numbers=1).splitlines()[-3:-1])
    assert first.endswith(" 1")
    assert second.endswith(" 1,000")
    assert len(first) == len(second)


def test_a_title_stands_above() -> None:
    assert drawn(title="of rows").splitlines()[0].strip() == "of rows"
    assert "of rows" not in drawn()


def test_a_narrow_screen_folds_and_loses_nothing() -> None:
    text = drawn(width=16)
    assert "…" not in text
    assert all(part in text for part in ("smile", "1,000"))
