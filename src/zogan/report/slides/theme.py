"""Size, colours and typefaces of the slides."""

from __future__ import annotations

import re
from typing import Any

from pptx.dml.color import RGBColor
from pptx.opc.constants import RELATIONSHIP_TYPE
from pptx.presentation import Presentation
from pptx.util import Pt

WIDTH, HEIGHT = 960.0, 540.0
"""Of a slide, points: 16 to 9."""
MARGIN = 48.0
"""At the left and right, points."""

INK, SOFT, LINE = RGBColor(0x18, 0x21, 0x2B), RGBColor(0x5B, 0x67, 0x75), RGBColor(0xD8, 0xDE, 0xE5)
SHEET, PAPER = RGBColor(0xF4, 0xF6, 0xF8), RGBColor(0xFF, 0xFF, 0xFF)
BEFORE, AFTER = RGBColor(0x8A, 0x95, 0xA3), RGBColor(0x0A, 0x6C, 0x74)
OUTCOMES = {
    "accepted": RGBColor(0x0F, 0x6B, 0x3C),
    "rejected": RGBColor(0xA3, 0x29, 0x2B),
    "undecided": RGBColor(0x7A, 0x5A, 0x00),
}

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"

LATIN = "Arial"
EAST_ASIAN = "Noto Sans CJK JP"
_FALLBACK = "Yu Gothic"
"""Of Japanese, for offices that lack the first."""


def dress(presentation: Presentation) -> None:
    """Give a presentation its size, and its theme the typefaces, which text, tables and charts take from it."""
    presentation.slide_width, presentation.slide_height = Pt(WIDTH), Pt(HEIGHT)
    theme = presentation.slide_master.part.part_related_by(RELATIONSHIP_TYPE.THEME)
    xml = theme.blob.decode("utf-8")
    for kind in ("majorFont", "minorFont"):
        start, end = xml.index(f"<a:{kind}>"), xml.index(f"</a:{kind}>")
        part = re.sub(r'<a:latin typeface="[^"]*"', f'<a:latin typeface="{LATIN}"', xml[start:end], count=1)
        part = re.sub(r'<a:ea typeface="[^"]*"', f'<a:ea typeface="{EAST_ASIAN}"', part, count=1)
        part = re.sub(r'(script="Jpan" typeface=)"[^"]*"', rf'\1"{_FALLBACK}"', part)
        xml = xml[:start] + part + xml[end:]
    theme._blob = xml.encode("utf-8")


def speak(properties: Any, language: str) -> None:
    """Mark a run's language and its East Asian typeface, which a program without themes would not find."""
    properties.set("lang", {"en": "en-GB", "ja": "ja-JP"}.get(language, language))
    for tag in properties.findall(f"{_A}ea"):
        properties.remove(tag)
    ea = properties.makeelement(f"{_A}ea", {"typeface": EAST_ASIAN})
    # The schema wants it after the fill and the latin typeface, which python-pptx puts where they belong.
    properties.append(ea)
