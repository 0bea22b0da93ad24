"""The registry: every patch, who said what of it and on what evidence, what stood where, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from zogan.errors import IntegrityError
from zogan.progress import Progress, Silent
from zogan.registry import copies, exchange, fetching, garbage, lineage, log
from zogan.registry.blobs import Blobs
from zogan.registry.candidate import candidate
from zogan.registry.database import Database, RegistryError
from zogan.registry.difference import Difference, difference
from zogan.registry.event import (
    BASE,
    Approved,
    Begun,
    Body,
    Enrolled,
    Event,
    Promoted,
    Rejected,
    Retired,
    Revoked,
    RolledBack,
    Ruled,
    Waived,
    worded,
)
from zogan.registry.identity import Identity
from zogan.registry.log import Head
from zogan.registry.policy import Policy, Role
from zogan.registry.projection import Tables
from zogan.registry.remembered import Remembered
from zogan.registry.rules import RefusedError
from zogan.registry.state import AliasState, PatchState, Person
from zogan.registry.tensors import put_list
from zogan.registry.verify import Verified, verify, verify_new


class Registry:
    """An open registry. What changes it takes the time and who signs; all of it happens, or nothing.

    Args:
        url: of the database: `sqlite:///FILE`, a file's path, or `postgresql://…`.
        blobs: where files are kept: a folder, or what fsspec knows; beside the SQLite file where absent.
        memory: a file with the heads that this machine has seen; None to remember none.
        unproved: open it even where the log does not lead to them, to verify it.

    Raises:
        RegistryError: there is no registry.
        IntegrityError: the log no longer leads to a head that was seen before.
    """

    def __init__(
        self, url: str, blobs: str | None = None, *, memory: Path | None = None, unproved: bool = False
    ) -> None:
        self.database = Database(url)
        self.blobs = Blobs(_files(self.database, blobs))
        self.database.renew()
        self._remembered = _remembered(memory, self.database)
        with self.database.reading() as connection:
            if not log.begun(connection):
                raise RegistryError("it holds no event", where=self.database.shown, todo="Run `zogan registry init`")
            if not unproved:
                self._leads(connection)

    @classmethod
    def create(
        cls,
        url: str,
        blobs: str | None = None,
        *,
        identity: Identity,
        name: str,
        registry: str,
        at: str,
        policy: Policy | None = None,
        memory: Path | None = None,
    ) -> Registry:
        """Begin a registry.

        Args:
            url: of the database, as `blobs` and `memory` are taken by `Registry`.
            blobs: where files are kept.
            identity: of its first owner.
            name: the owner's.
            registry: its id: 32 digits in hex, at random.
            at: now, UTC.
            policy: the rules; those by default where absent.
            memory: a file with the heads that this machine has seen.

        Raises:
            RegistryError: there is one already.
        """
        with worded():
            body = Begun(registry=registry, name=name, public=identity.public, policy=policy or Policy())
        database = Database(url)
        _files(database, blobs)
        database.make()
        with database.reading() as connection:
            if log.begun(connection):
                raise RegistryError("there is a registry already", where=database.shown)
        if (known := _remembered(memory, database)) is not None:
            known.forget()
        log.append(database, body, identity, at=at)
        database.close()
        return cls(url, blobs, memory=memory)

    @property
    def id(self) -> str:
        """By which its first event names it: 32 digits in hex."""
        with self.database.reading() as connection:
            first = log.event_of(connection, 1).body
        if not isinstance(first, Begun):
            raise IntegrityError("begins no registry", where="event 1", todo="Run `zogan registry verify`")
        return first.registry

    # What changes it

    def enrol(self, name: str, public: str, roles: tuple[Role, ...], *, identity: Identity, at: str) -> Event:
        """Make a person known by the public key, or give other roles to one who is."""
        with worded():
            body = Enrolled(name=name, public=public.lower(), roles=roles)
        return self._append(body, identity, at)

    def revoke(self, person: str, reason: str, *, identity: Identity, at: str) -> Event:
        """Take a person's key out of use."""
        keyid = self.person(person).keyid
        with worded():
            body = Revoked(person=keyid, reason=reason)
        return self._append(body, identity, at)

    def rule(self, policy: Policy, reason: str, *, identity: Identity, at: str) -> Event:
        """Put another policy in force."""
        with worded():
            body = Ruled(policy=policy, reason=reason)
        return self._append(body, identity, at)

    def add(self, file: Path, *, identity: Identity, at: str, note: str | None = None) -> Event:
        """Make a patch file a candidate; who signs is its author."""
        body, touched = candidate(file, self.blobs, note=note)
        key = body.blobs["tensors"]
        event, head = log.append(
            self.database,
            body,
            identity,
            at=at,
            prepare=lambda connection: put_list(connection, key, self.blobs.get) if touched else None,
        )
        self._keep(head)
        return event

    def evaluate(self, run: Path, *, identity: Identity, at: str) -> Event:
        """Bring the evidence of a run's folder on its patch, which is in the registry."""
        from zogan.registry.evidence import evidence

        return self._append(evidence(run, self.blobs), identity, at)

    def approve(self, patch: PatchState, *, identity: Identity, at: str, note: str | None = None) -> Event:
        """Approve a patch on the evidence that `patch` was read with; its files are hashed first."""
        found = patch.evidence
        if found is None:
            raise RefusedError(
                f"the patch {patch.digest[:12]} has no verdict",
                todo="Bring its run with `zogan registry evaluate` first",
            )
        with self.database.reading() as connection:
            self._whole(connection, patch)
        with worded():
            body = Approved(
                patch=patch.digest,
                base=patch.base,
                report=found.report,
                protocol=found.protocol,
                evaluation=found.number,
                note=note,
            )
        return self._append(body, identity, at)

    def reject(self, patch: PatchState, reason: str, *, identity: Identity, at: str) -> Event:
        """Reject a patch on its evidence."""
        with worded():
            body = Rejected(patch=patch.digest, reason=reason)
        return self._append(body, identity, at)

    def waive(
        self, patch: PatchState, clause: str, *, owner: str, reason: str, until: str, identity: Identity, at: str
    ) -> Event:
        """Set a clause aside for a patch: `owner`, a person's name, answers for it until a day."""
        keyid = self.person(owner).keyid
        with worded():
            body = Waived(patch=patch.digest, clause=clause, owner=keyid, reason=reason, until=until)
        return self._append(body, identity, at)

    def promote(self, patch: PatchState, alias: str, *, instead: str | None, identity: Identity, at: str) -> Event:
        """Put an approved patch at an alias.

        Args:
            patch: that is put there; its files are hashed first.
            alias: task and place, such as support/production.
            instead: digest of what stands there, as it was last seen; None where nothing or the bare base does.
            identity: who signs.
            at: now, UTC.

        Raises:
            RefusedError: the policy does not permit it, or something else stands there by now.
            IntegrityError: a file of the patch or of its evidence is not what was approved.
        """
        with self.database.reading() as connection:
            self._whole(connection, patch)
        with worded():
            body = Promoted(patch=patch.digest, alias=alias, instead=instead)
        return self._append(body, identity, at)

    def roll_back(self, alias: AliasState, to: PatchState | None, reason: str, *, identity: Identity, at: str) -> Event:
        """Put back at an alias what stood there before; `to` None is the bare base.

        Raises:
            RefusedError: `to` never stood there, or something else stands there by now than in `alias`.
            IntegrityError: the patch's file is not what it was.
        """
        if to is not None and (fault := self.blobs.fault(to.file)):
            raise IntegrityError(fault, where=f"patch {to.digest[:12]}", todo="Put it back from a backup")
        digest = None if to is None else to.digest
        with worded():
            body = RolledBack(patch=digest, alias=alias.name, instead=alias.patch, reason=reason)
        return self._append(body, identity, at)

    def retire(self, patch: PatchState, reason: str, *, identity: Identity, at: str) -> Event:
        """Take a patch out of use for good."""
        with worded():
            body = Retired(patch=patch.digest, reason=reason)
        return self._append(body, identity, at)

    # What is asked of it

    def policy(self) -> Policy:
        """The rules in force."""
        with self._looking() as connection:
            return Tables(connection).policy()

    def people(self) -> tuple[Person, ...]:
        """Everyone who was ever enrolled, in that order."""
        with self._looking() as connection:
            return tuple(sorted(Tables(connection).people().values(), key=lambda one: one.number))

    def person(self, given: str) -> Person:
        """A person by name, or by the beginning of the keyid.

        Raises:
            RegistryError: no one, or several, are known by that.
        """
        people = self.people()
        named = [one for one in people if one.name == given and one.revoked is None]
        found = named or [one for one in people if len(given) >= lineage.SHORTEST and one.keyid.startswith(given)]
        if len(found) != 1:
            names = sorted({one.name for one in people})
            raise RegistryError(
                f"{given!r} names {'several people' if found else 'no one'}", todo=f"Known: {', '.join(names)}"
            )
        return found[0]

    def find(self, patch: str) -> PatchState:
        """A patch by its digest, the beginning of one, or an alias's name."""
        with self._looking() as connection:
            return lineage.find(connection, patch)

    def knows(self, patch: str) -> bool:
        """Whether a patch, by its whole digest, is in the registry."""
        with self._looking() as connection:
            return Tables(connection).patch(patch) is not None

    def evidence(self, patch: PatchState) -> Event | None:
        """The evaluation of a patch that counts."""
        if patch.evidence is None:
            return None
        with self._looking() as connection:
            return log.event_of(connection, patch.evidence.number)

    def fetch(self, patch: PatchState, folder: Path) -> fetching.Fetched:
        """Write a patch and the evidence that counts into a new folder."""
        return fetching.fetch(self.blobs, patch, self.evidence(patch), folder)

    def aliases(self) -> list[AliasState]:
        """All aliases, by name."""
        with self._looking() as connection:
            return lineage.aliases(connection)

    def alias(self, name: str) -> AliasState:
        """An alias by its name."""
        with self._looking() as connection:
            return lineage.alias_of(connection, name)

    def patches(
        self, *, limit: int = 50, before: int | None = None, base: str | None = None, stage: str | None = None
    ) -> list[PatchState]:
        """The last patches, the newest first; see `lineage.patches`."""
        with self._looking() as connection:
            return lineage.patches(connection, limit=limit, before=before, base=base, stage=stage)

    def base(self, given: str) -> str:
        """A base's fingerprint by its beginning.

        Raises:
            RegistryError: no patch, or patches of several bases, begin so.
        """
        with self._looking() as connection:
            return lineage.base_of(connection, given)

    def life(self, patch: PatchState) -> lineage.Life:
        """What became of a patch."""
        with self._looking() as connection:
            return lineage.life(connection, patch)

    def log(
        self, *, limit: int = 50, before: int | None = None, patch: str | None = None, alias: str | None = None
    ) -> list[Event]:
        """The last events, the newest first; see `lineage.page`.

        Raises:
            RegistryError: no such alias.
        """
        with self._looking() as connection:
            if alias is not None:
                lineage.alias_of(connection, alias)
            return lineage.page(connection, limit=limit, before=before, patch=patch, alias=alias)

    def why(self, alias: str, at: str) -> lineage.Standing:
        """What stood at an alias at a time, by whose word, and on what evidence."""
        with self._looking() as connection:
            return lineage.why(connection, alias, at)

    def touching(self, tensor: str, *, limit: int = 50, before: int | None = None) -> list[PatchState]:
        """The patches that touch a tensor, the newest first."""
        with self._looking() as connection:
            return lineage.touching(connection, tensor, limit=limit, before=before)

    def stood_before(self, alias: AliasState) -> PatchState | None:
        """What stood at an alias before what stands there now; None for the bare base.

        Raises:
            RegistryError: nothing did.
        """
        with self._looking() as connection:
            found = lineage.stood_before(connection, alias)
            if found is None:
                todo = (
                    f"Roll back to the bare base with --to {BASE}"
                    if alias.patch is not None
                    else "The bare base stands there; put a patch back with --to PATCH"
                )
                raise RegistryError(f"nothing stood at {alias.name} before", todo=todo)
            return None if found.patch is None else Tables(connection).patch(found.patch)

    def target(self, alias: AliasState, to: str | None) -> PatchState | None:
        """What a rollback goes to: what is named, `base` among it, or what stood there before; None for the base."""
        if to == BASE:
            return None
        return self.stood_before(alias) if to is None else self.find(to)

    def difference(self, alias: str, then: PatchState | None) -> Difference:
        """What changes for users where a patch, or the bare base, comes to stand at an alias."""
        with self._looking() as connection:
            view = Tables(connection)
            standing = view.alias(alias)
            now = view.patch(standing.patch) if standing is not None and standing.patch is not None else None
            return difference(connection, alias, now, then, empty=standing is None)

    # What keeps it

    def head(self) -> Head:
        """The last event, in a short line to be kept elsewhere."""
        with self._looking() as connection:
            found = log.head(connection)
        assert found is not None  # it has a first event
        return found

    def verify(
        self,
        *,
        written_down: Head | None = None,
        new: bool = False,
        full: bool = False,
        files: bool = True,
        processes: int = 1,
        progress: Progress = Silent(),
    ) -> Verified:
        """Read and prove the whole log, and hash all files.

        What was proved on this machine before is hashed anew; signatures and rules are those of what came since.

        Args:
            written_down: a head that was kept elsewhere.
            new: read only what came since everything was last verified here; all, where nothing was.
            full: believe nothing of what was proved here before.
            files: hash the blobs.
            processes: that check signatures.
            progress: told how far it is.
        """
        memory = self._remembered
        proved = None if memory is None or full else memory.proved
        if new and proved is not None and written_down is None:
            found = verify_new(self.database, proved, processes=processes)
            if found and found.head is not None and memory is not None:
                memory.keep(found.head)
            return found
        found = verify(
            self.database,
            self.blobs if files else None,
            written_down=written_down or (None if memory is None else memory.seen),
            proved=proved,
            kept=None if memory is None else memory.kept,
            processes=processes,
            progress=progress,
        )
        if found and found.head is not None and memory is not None:
            memory.keep(found.head, proved=True)
        return found

    def collect(self, *, at: str, dry: bool = False) -> garbage.Collected:
        """Delete files that no event names."""
        return garbage.collect(self.database, self.blobs, at=at, dry=dry)

    def backup(self, folder: Path, *, progress: Progress = Silent()) -> copies.Copied:
        """Write a copy into a new folder."""
        return copies.backup(self.database, self.blobs, folder, progress=progress)

    @classmethod
    def restore(
        cls,
        folder: Path,
        url: str,
        blobs: str | None = None,
        *,
        memory: Path | None = None,
        progress: Progress = Silent(),
    ) -> copies.Copied:
        """Make a registry from a copy, where there is none."""
        database = Database(url)
        try:
            found = copies.restore(folder, database, Blobs(_files(database, blobs)), progress=progress)
            known = _remembered(memory, database)
            if known is not None:
                known.forget()
                known.keep(found.head)
            return found
        finally:
            database.close()

    def export(
        self,
        file: Path,
        *,
        patches: Iterable[str] = (),
        aliases: Iterable[str] = (),
        processes: int = 1,
        progress: Progress = Silent(),
    ) -> exchange.Exported:
        """Write an archive for another site.

        Args:
            file: is made.
            patches: whose files go along, with their evidence, by digest or the beginning of one.
            aliases: the same, by what stands there; where neither is given, the files of all patches go along.
            processes: that check signatures.
            progress: told how far it is.
        """
        chosen = {self.find(one).digest for one in patches}
        for name in aliases:
            standing = self.alias(name)
            if standing.patch is None:
                raise RegistryError(f"the bare base stands at {name}", todo="Name patches with --patch")
            chosen.add(standing.patch)
        return exchange.export(
            self.database, self.blobs, file, patches=chosen or None, processes=processes, progress=progress
        )

    @classmethod
    def import_from(
        cls,
        file: Path,
        url: str,
        blobs: str | None = None,
        *,
        head: Head | None = None,
        memory: Path | None = None,
        processes: int = 1,
        progress: Progress = Silent(),
    ) -> exchange.Imported:
        """Take from an archive what is new, into a registry that its log goes on from, or where there is none.

        Args:
            file: the archive.
            url: of the database, as `blobs` and `memory` are taken by `Registry`.
            blobs: where files are kept.
            head: that was kept elsewhere, and that the archive must lead to.
            memory: a file with the heads that this machine has seen.
            processes: that check signatures.
            progress: told how far it is.

        Raises:
            IntegrityError: the archive is damaged, hostile or forged, or does not lead to `head`.
            DivergedError: this registry and the archive's both went on behind the same event, or are two.
        """
        database = Database(url)
        try:
            files, known = Blobs(_files(database, blobs)), _remembered(memory, database)
            wanted = () if head is None else (head,)
            if exchange.empty(database):
                # A registry that is gone comes back no older than it was seen here.
                seen = None if known is None else known.seen
                wanted = wanted if seen is None else (*wanted, seen)
            else:
                cls(url, blobs, memory=memory).close()
            found = exchange.bring(file, database, files, wanted=wanted, processes=processes, progress=progress)
            if known is not None:
                known.keep(found.head)
            return found
        finally:
            database.close()

    def close(self) -> None:
        """Let the database go."""
        self.database.close()

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _looking(self) -> Iterator[Connection]:
        with self.database.reading() as connection:
            yield connection

    def _append(self, body: Body, identity: Identity, at: str) -> Event:
        event, head = log.append(self.database, body, identity, at=at)
        self._keep(head)
        return event

    def _keep(self, head: Head) -> None:
        if self._remembered is not None:
            self._remembered.keep(head)

    def _leads(self, connection: Connection) -> None:
        """That the log still holds the newest head that was seen here."""
        seen = None if self._remembered is None else self._remembered.seen
        if seen is None:
            return
        found = log.signed(connection, seen.number)
        if found is None or found.hash != seen.hash:
            raise IntegrityError(
                f"event {seen.number:,} is not there as this machine has seen it: the log was cut, changed or replaced",
                where=self.database.shown,
                todo="Run `zogan registry verify`, and put it back from a backup",
            )

    def _whole(self, connection: Connection, patch: PatchState) -> None:
        """That the patch's file and its evidence are what was signed."""
        named = {"patch": patch.file}
        if patch.evidence is not None:
            named |= log.event_of(connection, patch.evidence.number).blobs
        for what, digest in named.items():
            if fault := self.blobs.fault(digest):
                raise IntegrityError(
                    f"{what}: {fault}", where=f"patch {patch.digest[:12]}", todo="Put it back from a backup"
                )


def _files(database: Database, blobs: str | None) -> str:
    """Where files are kept: beside the SQLite file, where nothing else is said."""
    if blobs is not None:
        return blobs
    if database.file is None:
        raise RegistryError(
            "a shared database needs a place for files", where="registry.blobs", todo="Name a folder or s3://…"
        )
    return str(database.file.with_name(f"{database.file.stem}-blobs"))


def _remembered(memory: Path | None, database: Database) -> Remembered | None:
    place = str(database.file.resolve()) if database.file is not None else database.shown
    return None if memory is None else Remembered(memory, place)
