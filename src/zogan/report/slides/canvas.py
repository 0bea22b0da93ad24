"""A deck to draw on: pages with text, tables and charts that PowerPoint itself can edit, all made to fit."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pptx import Presentation
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import (
    XL_CHART_TYPE,
    XL_LABEL_POSITION,
    XL_LEGEND_POSITION,
    XL_MARKER_STYLE,
)
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.util import Pt

from zogan.report.facts import excerpt
from zogan.report.slides import theme
from zogan.report.slides.fit import LINE, fitted, lines, width
from zogan.report.slides.settled import settled
from zogan.report.slides.theme import speak
from zogan.report.words import Words

_TITLE_ONLY = 5
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_CELL = 7.0
"""Left and right of a cell's text, points; half of it above and below."""


@dataclass(frozen=True)
class Box:
    """A place on a slide, points."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        head: its heading.
        part: of the width, beside the others.
        number: its cells stand at the right.
        whole: no line of its cells is broken, if there is room; so it is with numbers.
    """

    head: str
    part: float
    number: bool = False
    whole: bool = False


BODY = Box(theme.MARGIN, 128.0, theme.WIDTH - 2 * theme.MARGIN, 366.0)


class Canvas:
    """The deck.

    Args:
        words: of its language.
        foot: at the bottom of each page.
    """

    def __init__(self, words: Words, foot: str) -> None:
        self.words, self.foot = words, foot
        self._deck = Presentation()
        theme.dress(self._deck)

    def page(self, title: str, *, notes: Sequence[str]) -> Page:
        """A new page with its title, and what to say."""
        slide = self._deck.slides.add_slide(self._deck.slide_layouts[_TITLE_ONLY])
        page = Page(slide, self.words)
        page.title(title)
        slide.notes_slide.notes_text_frame.text = "\n".join(notes)
        number = f"{self.foot}  ·  {len(self._deck.slides)}"
        page.text([number], Box(BODY.left, 506, BODY.width, 18), sizes=(10,), colour=theme.SOFT, align=PP_ALIGN.RIGHT)
        return page

    def about(self, title: str, subject: str) -> None:
        """Properties of the file."""
        properties = self._deck.core_properties
        properties.title, properties.subject, properties.author = title, subject, "zogan"
        properties.last_modified_by, properties.keywords = "zogan", ""
        properties.language = self.words.language

    def save(self, path: Path) -> None:
        """Write it."""
        package = io.BytesIO()
        self._deck.save(package)
        path.write_bytes(settled(package.getvalue()))


class Page:
    """One slide."""

    def __init__(self, slide: Any, words: Words) -> None:
        self._slide, self._words = slide, words

    def title(self, text: str) -> None:
        """Two lines at most."""
        shape = self._slide.shapes.title
        box = Box(theme.MARGIN, 34, theme.WIDTH - 2 * theme.MARGIN, 80)
        _put(shape, box)
        (text,), size = fitted([text], box.width - 4, box.height, sizes=(28, 26, 24, 22), bold=True)
        self._fill(shape.text_frame, [text], size, theme.INK, bold=True, anchor=MSO_ANCHOR.MIDDLE)

    def text(
        self,
        paragraphs: Sequence[str],
        box: Box,
        *,
        sizes: Sequence[float] = (20, 18, 16, 15, 14),
        colour: RGBColor = theme.INK,
        bold: bool = False,
        bullets: bool = False,
        gap: float = 0.45,
        align: PP_ALIGN = PP_ALIGN.LEFT,
        mono: bool = False,
        sheet: RGBColor | None = None,
    ) -> None:
        """Paragraphs, at the largest of the sizes at which they fit.

        Args:
            paragraphs: what to write.
            box: where.
            sizes: that are allowed, the largest first.
            colour: of the letters.
            bold: whether they are.
            bullets: with a mark before each.
            gap: between paragraphs, in lines.
            align: to which side.
            mono: letters of one width, for commands.
            sheet: colour behind the text.
        """
        inset = 12.0 if sheet is not None else 0.0
        indent = 16.0 if bullets else 0.0
        room = (box.width - 2 * inset - indent - 2) / (1.12 if mono else 1.0)
        found, size = fitted(paragraphs, room, box.height - 2 * inset, sizes=sizes, gap=gap, bold=bold)
        shape = self._slide.shapes.add_textbox(Pt(0), Pt(0), Pt(1), Pt(1))
        _put(shape, box)
        if sheet is not None:
            shape.fill.solid()
            shape.fill.fore_color.rgb = sheet
        self._fill(
            shape.text_frame,
            found,
            size,
            colour,
            bold=bold,
            gap=gap,
            align=align,
            mono=mono,
            inset=inset,
            indent=indent,
        )

    def table(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[str]],
        box: Box,
        *,
        alt: str,
        sizes: Sequence[float] = (15, 14, 13, 12, 11),
        colours: Mapping[tuple[int, int], RGBColor] | None = None,
    ) -> float:
        """A table, at the largest of the sizes at which it fits; at the smallest, cells are shortened, rows left out.

        Args:
            columns: of it.
            rows: their cells.
            box: where; a shorter table takes less of its height.
            alt: what it shows, for those who do not see it.
            sizes: of the letters.
            colours: of the letters of single cells, by row and column.

        Returns:
            Where it ends, points from the top.
        """
        table = [[column.head for column in columns], *map(list, rows)]
        table, rooms, heights, size = _laid_out(table, columns, box, sizes)
        frame = self._slide.shapes.add_table(len(table), len(columns), Pt(1), Pt(1), Pt(1), Pt(1))
        frame._element.nvGraphicFramePr.cNvPr.set("descr", alt)
        _put(frame, Box(box.left, box.top, box.width, sum(heights)))
        made = frame.table
        made.horz_banding = False
        _plain(made)
        for index, room in enumerate(rooms):
            made.columns[index].width = Pt(room)
        for row, cells in enumerate(table):
            made.rows[row].height = Pt(heights[row])
            for place, text in enumerate(cells):
                cell = made.cell(row, place)
                cell.fill.solid()
                cell.fill.fore_color.rgb = theme.SHEET if row == 0 else theme.PAPER
                cell.margin_left = cell.margin_right = Pt(_CELL)
                cell.margin_top = cell.margin_bottom = Pt(_CELL / 2)
                _ruled(cell)
                colour = (colours or {}).get((row - 1, place), theme.SOFT if row == 0 else theme.INK)
                align = PP_ALIGN.RIGHT if columns[place].number else PP_ALIGN.LEFT
                bold = row == 0 or place == 0 or (row - 1, place) in (colours or {})
                self._fill(cell.text_frame, [text], size, colour, bold=bold, align=align, inset=None)
        return box.top + sum(heights)

    def bars(
        self,
        categories: Sequence[str],
        series: Mapping[str, Sequence[float]],
        box: Box,
        *,
        alt: str,
        form: str,
        colours: Sequence[RGBColor] = (theme.BEFORE, theme.AFTER),
        most: float | None = None,
    ) -> None:
        """Lying bars, a group a category, each with its value.

        Args:
            categories: of it, the first on top.
            series: name to the values.
            box: where.
            alt: what it shows.
            form: of the numbers, as Excel writes it.
            colours: of the series.
            most: end of the axis, which begins at 0.
        """
        data = CategoryChartData(number_format=form)
        data.categories = [_shortened(name, 13, 200) for name in categories]
        for name, values in series.items():
            data.add_series(name, values)
        chart = self._chart(XL_CHART_TYPE.BAR_CLUSTERED, data, box, alt)
        chart.has_legend = len(series) > 1
        if chart.has_legend:
            chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.TOP, False
        plot = chart.plots[0]
        plot.gap_width, plot.overlap, plot.has_data_labels = 60, -5, True
        labels = plot.data_labels
        labels.number_format, labels.number_format_is_linked = form, False
        labels.position = XL_LABEL_POSITION.OUTSIDE_END
        labels.font.size, labels.font.color.rgb = Pt(12), theme.INK
        for one, colour in zip(plot.series, colours, strict=False):
            one.format.fill.solid()
            one.format.fill.fore_color.rgb = colour
        chart.category_axis.reverse_order = True
        chart.category_axis.format.line.color.rgb = theme.LINE
        # Each bar has its value: the axis would say it twice.
        chart.value_axis.visible, chart.value_axis.has_major_gridlines = False, False
        chart.value_axis.minimum_scale, chart.value_axis.maximum_scale = 0, most

    def curves(
        self, series: Mapping[str, Sequence[tuple[float, float]]], box: Box, *, alt: str, across: str, up: str
    ) -> None:
        """Lines over a number: name to points (x, y), the last of them with marks."""
        data = XyChartData(number_format="0.00")
        for name, points in series.items():
            one = data.add_series(name)
            for x, y in points:
                one.add_data_point(x, y)
        chart = self._chart(XL_CHART_TYPE.XY_SCATTER_LINES_NO_MARKERS, data, box, alt)
        chart.has_legend = True
        chart.legend.position, chart.legend.include_in_layout = XL_LEGEND_POSITION.TOP, False
        for one, colour in zip(chart.plots[0].series, (theme.BEFORE, theme.AFTER)[-len(series) :], strict=True):
            one.format.line.color.rgb, one.format.line.width, one.smooth = colour, Pt(2.25), False
            one.marker.style = XL_MARKER_STYLE.NONE
        # The last has a mark at each of its points, which are few.
        one.marker.style, one.marker.size = XL_MARKER_STYLE.CIRCLE, 7
        one.marker.format.fill.solid()
        one.marker.format.fill.fore_color.rgb = colour
        up_axis, across_axis = chart.value_axis, chart.category_axis
        for axis, name in ((up_axis, up), (across_axis, across)):
            axis.has_title = True
            _said(axis.axis_title, name)
            axis.tick_labels.font.size, axis.tick_labels.font.color.rgb = Pt(11), theme.SOFT
            axis.tick_labels.number_format, axis.tick_labels.number_format_is_linked = "General", False
            axis.format.line.color.rgb = theme.LINE
        up_axis.has_major_gridlines, up_axis.major_gridlines.format.line.color.rgb = True, theme.LINE
        across_axis.has_major_gridlines = False
        last = max(x for points in series.values() for x, _ in points)
        across_axis.minimum_scale, across_axis.maximum_scale = 0, last
        across_axis.major_unit = max(1, round(last / 8))

    def _chart(self, kind: XL_CHART_TYPE, data: Any, box: Box, alt: str) -> Any:
        frame = self._slide.shapes.add_chart(kind, Pt(1), Pt(1), Pt(1), Pt(1), data)
        _put(frame, box)
        frame._element.nvGraphicFramePr.cNvPr.set("descr", alt)
        chart = frame.chart
        chart.has_title = False
        chart.font.size, chart.font.color.rgb = Pt(13), theme.INK
        speak(chart.font._element, self._words.language)
        return chart

    def _fill(
        self,
        frame: Any,
        paragraphs: Sequence[str],
        size: float,
        colour: RGBColor,
        *,
        bold: bool = False,
        gap: float = 0.0,
        align: PP_ALIGN = PP_ALIGN.LEFT,
        anchor: MSO_ANCHOR = MSO_ANCHOR.TOP,
        mono: bool = False,
        inset: float | None = 0.0,
        indent: float = 0.0,
    ) -> None:
        """Write paragraphs with a fixed size and height of line, so that every program breaks them as measured."""
        frame.word_wrap, frame.vertical_anchor = True, anchor
        if inset is not None:
            frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = Pt(inset)
        for index, text in enumerate("\n".join(paragraphs).split("\n")):
            paragraph = frame.paragraphs[0] if index == 0 else frame.add_paragraph()
            paragraph.alignment, paragraph.line_spacing = align, Pt(size * LINE)
            paragraph.space_before, paragraph.space_after = Pt(size * LINE * gap if index else 0), Pt(0)
            if indent:
                _bulleted(paragraph, indent)
            run = paragraph.add_run()
            run.text = text
            run.font.size, run.font.bold, run.font.color.rgb = Pt(size), bold, colour
            if mono:
                run.font.name = "Consolas"
            speak(run.font._element, self._words.language)


def _put(shape: Any, box: Box) -> None:
    shape.left, shape.top, shape.width, shape.height = Pt(box.left), Pt(box.top), Pt(box.width), Pt(box.height)


def _laid_out(
    table: list[list[str]], columns: Sequence[Column], box: Box, sizes: Sequence[float]
) -> tuple[list[list[str]], list[float], list[float], float]:
    """A table's cells, the widths of its columns, the heights of its rows, and the size of its letters."""
    for size in sizes:
        rooms, whole = _rooms(table, columns, box.width, size)
        heights = _heights(table, rooms, size)
        if whole and sum(heights) <= box.height:
            return table, rooms, heights, size
    for letters in range(200, 39, -10):
        table = [[excerpt(text, letters) for text in row] for row in table]
        heights = _heights(table, rooms, size)
        if sum(heights) <= box.height:
            return table, rooms, heights, size
    while len(table) > 2 and sum(heights) > box.height:
        table, heights = table[:-1], heights[:-1]
    return table, rooms, heights, size


def _rooms(
    table: Sequence[Sequence[str]], columns: Sequence[Column], room: float, size: float
) -> tuple[list[float], bool]:
    """Widths of the columns: of numbers and words what they need on one line, and whether that leaves room."""
    need = {
        place: 2 * _CELL
        + 6
        + 1.04 * max(width(line, size, bold=row == 0 or column.whole) for row, line in _lines_of(table, place))
        for place, column in enumerate(columns)
        if column.number or column.whole
    }
    texts = sum(column.part for place, column in enumerate(columns) if place not in need)
    left = room - sum(need.values())
    if left < 0.25 * room:
        parts = sum(column.part for column in columns)
        return [room * column.part / parts for column in columns], False
    return [need.get(place, left * column.part / texts) for place, column in enumerate(columns)], True


def _lines_of(table: Sequence[Sequence[str]], place: int) -> list[tuple[int, str]]:
    """The lines of a column's cells, with their rows; of its heading the longest word, for that may be broken."""
    found = [(0, max(table[0][place].split() or [""], key=len))]
    return found + [(row, line) for row, cells in enumerate(table[1:], 1) for line in cells[place].split("\n")]


def _heights(table: Sequence[Sequence[str]], rooms: Sequence[float], size: float) -> list[float]:
    return [
        max(
            size * LINE * lines(text, size, room - 2 * _CELL - 2, bold=row == 0 or place == 0)
            for place, (text, room) in enumerate(zip(cells, rooms, strict=True))
        )
        + _CELL
        + 1
        for row, cells in enumerate(table)
    ]


def _plain(table: Any) -> None:
    """PowerPoint's style `No Style, No Grid`: what is seen is what is set here."""
    style = table._tbl.tblPr.find(f"{_A}tableStyleId")
    style.text = "{2D5ABB26-0587-4C30-8999-92F81FD0307C}"


def _ruled(cell: Any) -> None:
    """A rule below a cell; the schema wants it before the fill."""
    properties = cell._tc.get_or_add_tcPr()
    rule = properties.makeelement(f"{_A}lnB", {"w": str(Pt(0.75))})
    fill = rule.makeelement(f"{_A}solidFill", {})
    fill.append(fill.makeelement(f"{_A}srgbClr", {"val": str(theme.LINE)}))
    rule.append(fill)
    properties.insert(0, rule)


def _bulleted(paragraph: Any, indent: float) -> None:
    properties = paragraph._p.get_or_add_pPr()
    properties.set("marL", str(Pt(indent)))
    properties.set("indent", str(-Pt(indent)))
    mark = properties.makeelement(f"{_A}buChar", {"char": "•"})
    properties.append(mark)


def _said(title: Any, text: str) -> None:
    title.text_frame.text = text
    run = title.text_frame.paragraphs[0].runs[0]
    run.font.size, run.font.bold, run.font.color.rgb = Pt(12), False, theme.SOFT


def _shortened(text: str, size: float, room: float) -> str:
    while width(text, size) > room and len(text) > 4:
        text = excerpt(text.removesuffix("…"), max(4, int(len(text) * 0.9)))
    return text
