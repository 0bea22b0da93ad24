"""Records of each format: line numbers, and what is wrong with which."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zogan.data.records import EncodingFault, Fault, Record, records
from zogan.errors import DataError


def read(
    folder: Path, name: str, content: str | bytes, columns: tuple[str, ...] = ("a", "b")
) -> list[tuple[int, Record]]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(records(path, columns, "utf-8", name=name))


def test_jsonl(tmp_path: Path) -> None:
    got = read(tmp_path, "f.jsonl", '{"a": 1, "b": "x\u2028y"}\r\n\n  \n{"a": 2, "b": null, "c": []}')
    assert got == [(1, {"a": 1, "b": "x\u2028y"}), (4, {"a": 2, "b": None, "c": []})]


@pytest.mark.parametrize(
    ("line", "said"),
    [("{", "not JSON: Expecting property name"), ("[1]", "not a JSON object"), ("[" * 99999, "not JSON")],
)
def test_bad_json_is_one_rows_fault(tmp_path: Path, line: str, said: str) -> None:
    (one, good), (two, fault) = read(tmp_path, "f.ndjson", f'{{"a": 1, "b": 2}}\n{line}\n')
    assert (one, two, good) == (1, 2, {"a": 1, "b": 2})
    assert isinstance(fault, Fault)
    assert fault.startswith(said)


def test_bad_bytes_are_one_rows_fault(tmp_path: Path) -> None:
    for name, head, row in (("f.jsonl", b"", b'{"a": "\xe9", "b": 1}'), ("f.csv", b"a,b\n", b'"x\n\xe9",1')):
        got = read(tmp_path, name, head + row + b"\n")
        assert len(got) == 1
        assert isinstance(got[0][1], EncodingFault)
        assert got[0][0] == 1 + head.count(b"\n")


def test_csv_rows_begin_where_an_editor_says(tmp_path: Path) -> None:
    got = read(tmp_path, "f.CSV", '\ufeffa,b\r\n1,"two\nlines, \r and ""quotes"""\r\n\r\n3,4\r\n')
    assert got == [(2, {"a": "1", "b": 'two\nlines, \r and "quotes"'}), (5, {"a": "3", "b": "4"})]


def test_tsv(tmp_path: Path) -> None:
    assert read(tmp_path, "f.tsv", "b\ta\nx, y\tz\n") == [(2, {"b": "x, y", "a": "z"})]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1", "1 columns where the header has 2"),
        ("1,2,3", "3 columns where the header has 2"),
        ('1,"x"y', "not CSV: "),
        ('1,"x\ny\nz', "a quote opens here and is not closed: the 2 lines after it"),
    ],
)
def test_bad_csv_is_one_rows_fault(tmp_path: Path, row: str, said: str) -> None:
    got = read(tmp_path, "f.csv", f"a,b\n1,2\n{row}\n")
    assert got[0] == (2, {"a": "1", "b": "2"})
    assert got[1][0] == 3
    assert isinstance(got[1][1], Fault)
    assert got[1][1].startswith(said)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00\ufeff"), max_size=20)


@settings(max_examples=50)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=10), st.sampled_from([(",", "f.csv"), ("\t", "f.tsv")]))
def test_what_pythons_csv_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], kind: tuple[str, str]
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=kind[0], lineterminator="\n").writerows([("a", "b"), *rows])
    got = read(tmp_path_factory.mktemp("csv"), kind[1], text.getvalue())
    assert [record for _, record in got] == [{"a": one, "b": two} for one, two in rows]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"a": ["x", None], "b": [1, 2], "c": [True, False]}), path)
    got = list(records(path, ("a", "b"), "utf-8", name="f"))
    assert got == [(1, {"a": "x", "b": 1}), (2, {"a": None, "b": 2})]
    with pytest.raises(DataError, match=r"f: no column 'd'. There are: 'a', 'b', 'c'"):
        list(records(path, ("d",), "utf-8", name="f"))
    path.write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="f: not readable as Parquet"):
        list(records(path, ("a",), "utf-8", name="f"))


def test_parquet_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"Parquet needs pyarrow. pip install 'zogan\[parquet\]'"):
        read(tmp_path, "f.parquet", b"")


@pytest.mark.parametrize(("name", "content"), [("f.jsonl", '{"texts": 1, "b": 2}\n'), ("f.csv", "texts,b\n1,2\n")])
def test_a_missing_column_names_those_that_are_there(tmp_path: Path, name: str, content: str) -> None:
    said = rf"{name}:? no column 'text'. There are: 'texts', 'b'. Did you mean 'texts'\?"
    with pytest.raises(DataError, match=said):
        read(tmp_path, name, content, ("text", "b"))


def test_a_column_twice(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"f\.csv:1: column 'a' stands twice"):
        read(tmp_path, "f.csv", "a,a,b\n1,2,3\n")


@pytest.mark.parametrize(
    ("name", "said"),
    [("f.json", "One JSON object a line"), ("f.cvs", "Did you mean '.csv'"), ("f", "suffix '' .* Known: .csv")],
)
def test_another_suffix(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(tmp_path, name, "")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.csv: no such file. See `data:`"):
        list(records(tmp_path / "none.csv", ("a",), "utf-8", name="f"))


@pytest.mark.parametrize("name", ["f.jsonl", "f.csv"])
def test_an_empty_file_has_no_records(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, name, "") == []
