"""A pilot's patch becomes a candidate, where the configuration names a registry."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from zogan.cli.looks import now
from zogan.cli.registry.shown import line, names
from zogan.cli.registry.verb import Place, memory

if TYPE_CHECKING:
    from zogan.cli.console import Console
    from zogan.config import Config
    from zogan.run import Run


def bring(run: Run, config: Config, path: Path, console: Console) -> None:
    """Add a run to the registry, or say in one line why not, and how by hand. No one is asked for a passphrase."""
    if config.registry.url is None:
        return
    from zogan.errors import ConfigError, IntegrityError, ZoganError
    from zogan.pilot.candidate import bring as bring_run
    from zogan.registry.registry import Registry

    secret, key = os.environ.get("ZOGAN_PASSPHRASE_FILE"), os.environ.get("ZOGAN_IDENTITY")
    try:
        if secret is None and "ZOGAN_PASSPHRASE" not in os.environ:
            raise ConfigError("nothing unlocks your key without asking")
        place = Place(path, None, None, Path(key) if key else None, Path(secret) if secret else None)
        identity = place.identity()
        with Registry(config.registry.url, config.registry.blobs, memory=memory()) as registry:
            people = names(registry)
            for event in bring_run(run, registry, identity=identity, at=now()):
                console.note(f"registry: event {event.number:,}: {line(event, people)}")
    except IntegrityError:
        raise
    except ZoganError as error:
        by_hand = f"zogan registry add {run.folder}; zogan registry evaluate {run.folder}"
        console.note(f"registry: not added: {error}. By hand: {by_hand}")
