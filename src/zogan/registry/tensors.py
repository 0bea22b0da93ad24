"""Which tensors a patch touches, kept by list: patches of the same settings mostly share one."""

from __future__ import annotations

import json
from collections.abc import Callable

from sqlalchemy import Connection, select

from zogan.errors import IntegrityError
from zogan.registry import tables


def put_list(connection: Connection, key: str, content: Callable[[str], bytes]) -> None:
    """Index a list of tensors, where it is not yet.

    Args:
        connection: to the tables.
        key: SHA-256 of the list's text.
        content: reads a blob.

    Raises:
        IntegrityError: the blob holds no list of names.
    """
    at = tables.tensors.c
    if connection.execute(select(at.list).where(at.list == key).limit(1)).first() is not None:
        return
    names = listed(key, content(key))
    if names:
        connection.execute(tables.tensors.insert(), [{"tensor": one, "list": key} for one in sorted(set(names))])


def listed(key: str, content: bytes) -> list[str]:
    """The names of a list.

    Raises:
        IntegrityError: it is no list of names.
    """
    try:
        names = json.loads(content)
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            raise ValueError
    except (ValueError, RecursionError):
        raise IntegrityError("holds no list of tensors", where=f"blob {key[:12]}") from None
    return names
