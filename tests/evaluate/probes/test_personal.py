"""Formats of personal data are found in any width, and their check digits are those of the standards."""

from __future__ import annotations

import pytest

from zogan.evaluate.probes.personal import luhn, my_number, personal


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("write to jane.doe+x@mail.example.co.jp, please", ["email"]),
        ("ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", ["email"]),
        ("card 4111 1111 1111 1111.", ["card"]),
        ("card 4111-1111-1111-1112", []),  # Luhn says no
        ("0000 0000 0000 0000", []),
        ("マイナンバーは1234 5678 9018です", ["my_number"]),
        ("1234 5678 9012", []),
        ("call 03-1234-5678 or 090−1234−5678", ["telephone", "telephone"]),
        ("+81 3 1234 5678, (555) 123-4567, 555-123-4567", ["telephone"] * 3),
        ("０１２０‐１２３‐４５６", ["telephone"]),
        ("on 2024-01-15 at 10:30, order 12345678, 3,000,000", []),
        ("version 1.2.3, 100 000 people", []),
    ],
)
def test_formats(text: str, kinds: list[str]) -> None:
    assert [one.kind for one in personal(text)] == kinds


def test_one_thing_has_one_key_and_is_hidden() -> None:
    first, second = personal("4111 1111 1111 1111 and 4111111111111111")
    assert first.key == second.key
    assert first.masked == "4*** 1*** 1*** 1***"
    assert personal("Jane@Example.com")[0].masked == "J***@E******.c**"
    assert personal("Jane@Example.com")[0].key == "jane@example.com"


def test_what_is_allowed_is_no_leak() -> None:
    assert personal("0120-123-456 or a@b.org", allow=(r"0120-123-\d+", r".*@b\.org")) == []
    assert len(personal("0120-123-4567", allow=("0120",))) == 1


def test_check_digits() -> None:
    # 4111… is the card schemes' test number; changing any digit of either breaks it.
    for number, check in (("4111111111111111", luhn), ("123456789018", my_number)):
        assert check(number)
        for place, digit in enumerate(number):
            others = [str(other) for other in range(10) if str(other) != digit]
            broken = [check(number[:place] + other + number[place + 1 :]) for other in others]
            assert sum(broken) <= (0 if check is luhn else 1)
