"""Many signatures checked at once, by several processes where it is worth their start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

from zogan.registry.canonical import is_canonical
from zogan.registry.envelope import pae

Claim = tuple[int, bytes, bytes, str]
"""An event's number, payload and signature, and the public key that it names, in hex."""

_BATCH = 500
_WORTH = 4 * _BATCH
"""Signatures that one process checks in less time than others take to start."""


class Signatures:
    """Checks that run beside whoever hands them in.

    Args:
        processes: that share the work.
        found: told of each event whose signature is wrong, or whose payload is not canonical.
    """

    def __init__(self, processes: int, found: Callable[[int, str], None]) -> None:
        self._processes, self._found = processes, found
        self._batch: list[Claim] = []
        self._waiting: list[Claim] = []
        self._jobs: list[Future[list[tuple[int, str]]]] = []
        self._pool: ProcessPoolExecutor | None = None
        self.checked = 0

    def add(self, claim: Claim) -> None:
        """Hand one in."""
        self.checked += 1
        self._batch.append(claim)
        if len(self._batch) >= _BATCH:
            self._send()

    def __enter__(self) -> Signatures:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def done(self) -> None:
        """Wait for all."""
        if self._pool is not None:
            self._send()
            for job in self._jobs:
                self._tell(job.result())
        else:
            self._tell(wrong([*self._waiting, *self._batch]))
        self._waiting, self._batch, self._jobs = [], [], []

    def _send(self) -> None:
        batch, self._batch = self._batch, []
        if self._pool is None:
            self._waiting += batch
            if self._processes < 2 or len(self._waiting) < _WORTH:
                if self._processes < 2:
                    self._tell(wrong(self._waiting))
                    self._waiting = []
                return
            self._pool = ProcessPoolExecutor(self._processes, mp_context=get_context("spawn"))
            waiting, self._waiting = self._waiting, []
            self._jobs += [self._pool.submit(wrong, part) for part in _parts(waiting)]
            return
        self._jobs.append(self._pool.submit(wrong, batch))
        if len(self._jobs) > 8 * self._processes:  # so that memory stays bounded
            self._tell(self._jobs.pop(0).result())

    def _tell(self, faults: list[tuple[int, str]]) -> None:
        for number, what in faults:
            self._found(number, what)


def wrong(claims: list[Claim]) -> list[tuple[int, str]]:
    """Which of these are not signed as they say, or not canonical; by number."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    keys: dict[str, Ed25519PublicKey] = {}
    found = []
    for number, payload, signature, public in claims:
        try:
            if public not in keys:
                keys[public] = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
            keys[public].verify(signature, pae(payload))
        except (InvalidSignature, ValueError):
            found.append((number, "its signature is not that of the key that it names"))
            continue
        if not is_canonical(payload):
            found.append((number, "its payload is not canonical"))
    return found


def _parts(claims: list[Claim]) -> Iterator[list[Claim]]:
    for start in range(0, len(claims), _BATCH):
        yield claims[start : start + _BATCH]
