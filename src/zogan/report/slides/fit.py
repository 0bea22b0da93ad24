"""How much room a text takes, so that it is made to fit before it is written: nothing on a slide flows over.

Measured with the font that comes with matplotlib, which runs wider than those that a slide is shown in: what fits here
fits there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import matplotlib
from PIL import ImageFont

from zogan.report.facts import excerpt

LINE = 1.3
"""Height of a line, by the size of its letters."""

_BOLD = 1.1
_LOOSE = 0.94
"""Of a line that Japanese fills: programs differ in where they may break it, and in the space that they leave."""
_NO_START = set("、。，．・：；？！」』）】〕｝ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ％%")


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Points that a line of text is wide, at a size in points; full-width letters are square."""
    wide = [_wide(letter) for letter in text]
    narrow = "".join(letter for letter, is_wide in zip(text, wide, strict=True) if not is_wide)
    # Programs leave a quarter of a letter between the two kinds.
    changes = sum(one != other for one, other in pairwise(wide))
    return size * (sum(wide) + _font().getlength(narrow) / 100 + changes / 4) * (_BOLD if bold else 1.0)


def lines(text: str, size: float, room: float, *, bold: bool = False) -> int:
    """Lines that a text takes in so many points of width: broken at spaces, and between full-width letters."""
    count = 0
    if any(map(_wide, text)):
        room *= _LOOSE
    for paragraph in text.split("\n"):
        count, filled = count + 1, 0.0
        for piece in _pieces(paragraph):
            long = width(piece, size, bold=bold)
            if filled and filled + width(piece.rstrip(), size, bold=bold) > room:
                count, filled = count + 1, 0.0
            while long > room:  # a word that is wider than the line is cut
                count, long = count + 1, long - room
            filled += long
    return count


def height(paragraphs: Sequence[str], size: float, room: float, *, gap: float = 0.0, bold: bool = False) -> float:
    """Points that paragraphs take, with `gap` of a line between them."""
    total = sum(lines(text, size, room, bold=bold) for text in paragraphs)
    return size * LINE * (total + gap * max(0, len(paragraphs) - 1))


def fitted(
    paragraphs: Sequence[str],
    room: float,
    most: float,
    *,
    sizes: Sequence[float],
    gap: float = 0.0,
    bold: bool = False,
) -> tuple[list[str], float]:
    """The paragraphs and the largest size at which they fit; at the smallest, the longest of them are shortened.

    Args:
        paragraphs: to be fitted.
        room: width, points.
        most: height, points.
        sizes: that are allowed, the largest first.
        gap: between paragraphs, in lines.
        bold: they are set in bold.
    """
    found = list(paragraphs)
    for size in sizes:
        if height(found, size, room, gap=gap, bold=bold) <= most:
            return found, size
    size = sizes[-1]
    while height(found, size, room, gap=gap, bold=bold) > most:
        index = max(range(len(found)), key=lambda index: len(found[index]))
        if len(found[index]) < 8:
            found.pop()
            continue
        found[index] = excerpt(found[index].removesuffix("…"), max(4, int(len(found[index]) * 0.9)))
    return found, size


def _pieces(text: str) -> list[str]:
    """What a line may not break within: words with the space after them, full-width letters with what must follow."""
    found: list[str] = []
    for word in re.findall(r"\S+\s*|\s+", text):
        piece = ""
        for letter in word:
            ends = piece and (_wide(letter) or _wide(piece[-1]) or piece[-1] in "-/")
            if ends and letter not in _NO_START and not letter.isspace():
                found.append(piece)
                piece = ""
            piece += letter
        found.append(piece)
    return found


def _wide(letter: str) -> bool:
    # In Japanese text a minus sign is set as wide as a letter.
    return unicodedata.east_asian_width(letter) in "WF" or letter == "−"


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), 100)
