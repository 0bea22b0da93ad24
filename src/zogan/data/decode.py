"""Bytes of a text file to text; lines that are not in its encoding are named, with the one that would fit."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from zogan.errors import DataError

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_JAPANESE = re.compile("[\u3041-\u30ff\u4e00-\u9fff]{2,}")
_HALFWIDTH = re.compile("[\uff61-\uff9f]")
_CONTROL = re.compile("[\x80-\x9f]")
# UTF-8 read as cp1252 or latin-1: a lead byte and its continuation bytes, as characters. What they stand for
# must be a letter or sign in common use: a German ß before a closing quote looks like N'Ko otherwise.
_CONTINUATION = "[\x80-\xbf" + bytes(range(0x80, 0xA0)).decode("cp1252", "ignore") + "]"
_UTF8_AS_LATIN = re.compile(
    f"[\xc2-\xdf]{_CONTINUATION}|[\xe0-\xef]{_CONTINUATION}{{2}}|[\xf0-\xf4]{_CONTINUATION}{{3}}"
)
_COMMON = re.compile(
    "[\xa0-\u017f\u0370-\u04ff\u2000-\u214f\u3000-\u9fff\uac00-\ud7af\uff00-\uffef\ufffd\U0001f000-\U0001faff]"
)
# Japanese UTF-8 read as cp932: these lead characters come again and again.
_UTF8_AS_CP932 = re.compile("[縺繧繝].{1,3}[縺繧繝]")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text with "\\n" between lines, and what is wrong with which line (from 1)."""

    text: str
    faults: Mapping[int, str]


def decode(raw: bytes, encoding: str, *, where: str) -> Decoded:
    """Decode a file whole, or line by line where a line is not valid.

    Raises:
        DataError: no such encoding, or not one line of the file can be told apart in it.
    """
    try:
        b"ab".decode(encoding, "replace")
    except LookupError:
        raise DataError(
            f"data.encoding = {encoding!r} is no encoding", where=where, todo="For example utf-8, cp932, latin-1"
        ) from None
    if raw.startswith(_UTF16) and codecs.lookup(encoding).name == "utf-8":
        raise DataError("starts as UTF-16 does", where=where, todo="Set data.encoding to utf-16")
    mark = len(codecs.BOM_UTF8) if raw.startswith(codecs.BOM_UTF8) else 0
    body = raw[mark:]
    try:
        return Decoded(body.decode(encoding).removeprefix("\ufeff"), {})
    except UnicodeDecodeError as error:
        if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
            raise DataError(f"is not {encoding}: byte offset {error.start}", where=where) from None
    return _by_line(body, encoding, mark)


def garbled(text: str) -> bool:
    """Whether a text went through the wrong encoding before: é as Ã©, or the mark of a lost character."""
    if text.isascii():
        return False
    if "\ufffd" in text or _CONTROL.search(text) or _UTF8_AS_CP932.search(text):
        return True
    return any(_twice_encoded(piece) for piece in _UTF8_AS_LATIN.findall(text))


def _by_line(body: bytes, encoding: str, offset: int) -> Decoded:
    lines: list[str] = []
    faults: dict[int, str] = {}
    for number, line in enumerate(body.split(b"\n"), 1):
        try:
            lines.append(line.decode(encoding))
        except UnicodeDecodeError as error:
            lines.append(line.decode(encoding, "replace"))
            other = fitting(line)
            fits = f"; {other} would fit" if other else ""
            faults[number] = f"byte 0x{line[error.start]:02x} at offset {offset + error.start} is not {encoding}{fits}"
        offset += len(line) + 1
    return Decoded("\n".join(lines), faults)


def fitting(line: bytes) -> str | None:
    """The first common encoding in which the bytes are plausible text."""
    for encoding, plausible in _CANDIDATES.items():
        try:
            if plausible(line.decode(encoding)):
                return encoding
        except UnicodeDecodeError:
            continue
    return None


def _japanese(text: str) -> bool:
    # In cp932 a Latin letter with an accent is a half-width katakana, or one kanji with the letter after it.
    return sum(map(len, _JAPANESE.findall(text))) > len(_HALFWIDTH.findall(text))


def _no_controls(text: str) -> bool:
    return _CONTROL.search(text) is None


_CANDIDATES: dict[str, Callable[[str], bool]] = {
    "utf-8": lambda text: True,
    "cp932": _japanese,
    "euc_jp": _japanese,
    "latin-1": _no_controls,
    "cp1252": _no_controls,
}


def _twice_encoded(piece: str) -> bool:
    try:
        return _COMMON.fullmatch(piece.encode("cp1252").decode("utf-8")) is not None
    except UnicodeError:
        return False
