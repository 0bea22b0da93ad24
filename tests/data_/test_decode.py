"""Bytes to text: marks, bad lines with the encoding that would fit, and text that is garbled already."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zogan.data.decode import decode, fitting, garbled
from zogan.errors import DataError


@given(st.text(st.characters(codec="utf-8", exclude_characters="\ufeff")))
def test_what_is_valid_comes_back(text: str) -> None:
    for raw in (text.encode(), b"\xef\xbb\xbf" + text.encode()):
        assert (decode(raw, "utf-8", where="f").text, decode(raw, "utf-8", where="f").faults) == (text, {})


def test_utf16_has_its_own_mark() -> None:
    assert decode("été".encode("utf-16"), "utf-16", where="f").text == "été"
    assert decode("\ufeffété".encode("utf-16-le"), "utf-16-le", where="f").text == "été"


@pytest.mark.parametrize(
    ("text", "encoding"), [("café", "latin-1"), ("“quoted”", "cp1252"), ("荷物が届きません", "cp932")]
)
def test_a_bad_line_is_named_with_what_would_fit(text: str, encoding: str) -> None:
    raw = b"fine\n" + text.encode(encoding) + "\nété\n".encode()
    decoded = decode(raw, "utf-8", where="f")
    assert list(decoded.faults) == [2]
    assert decoded.faults[2].endswith(f"is not utf-8; {encoding} would fit")
    assert decoded.text.split("\n")[::2] == ["fine", "été"]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_offset_is_the_files(mark: bytes) -> None:
    raw = mark + b"abc\nde\xe9f\n"
    said = decode(raw, "utf-8", where="f").faults[2]
    assert said == f"byte 0xe9 at offset {len(mark) + 6} is not utf-8; latin-1 would fit"


def test_euc_is_known_and_noise_is_not() -> None:
    assert fitting("注文の確認".encode("euc_jp")) == "euc_jp"
    assert fitting("é".encode()) == "utf-8"
    assert fitting(b"\x81\xff") is None
    said = decode(b"\x81\xff", "utf-8", where="f").faults[1]
    assert said == "byte 0x81 at offset 0 is not utf-8"


@pytest.mark.parametrize(
    ("raw", "encoding", "said"),
    [
        (b"a", "utf-80", r"f: data.encoding = 'utf-80' is no encoding. For example utf-8"),
        ("a".encode("utf-16"), "utf-8", r"f: starts as UTF-16 does. Set data.encoding to utf-16"),
        (b"\xff\xfea", "utf-16", r"f: is not utf-16: byte offset 2"),
    ],
)
def test_a_whole_file_in_another_encoding(raw: bytes, encoding: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        decode(raw, encoding, where="f")


@pytest.mark.parametrize("text", ["café", "naïve", "荷物", "😀", "Ünïcödé", "“it’s”", "£5", "привет", "a\ufffdb", "…"])
def test_text_read_as_latin_is_found(text: str) -> None:
    if "\ufffd" not in text:
        assert not garbled(text)
        assert garbled(f"so {text.encode().decode('cp1252', 'replace')} it is")
    assert garbled(text.encode().decode("latin-1"))


@pytest.mark.parametrize(
    "text", ["plain", "„groß“", "SÃO PAULO", "縺れた糸", "naïve — café…", "Ñandú", "là““", "a\x85b"]
)
def test_what_only_looks_odd_is_left_alone(text: str) -> None:
    assert garbled(text) == ("\x85" in text)


def test_japanese_read_as_cp932_is_found() -> None:
    assert garbled("荷物がまだ届きません".encode().decode("cp932", "replace"))
    assert garbled("これは".encode().decode("cp932", "ignore"))
