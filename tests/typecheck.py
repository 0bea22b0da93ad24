"""How annotations are checked while the tests run: as type checkers read them, an int where a float is asked."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
