"""What every verb of the registry takes besides its own: where the registry lies, who signs, how it speaks."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from zogan.cli.console import Console
from zogan.cli.options import DEFAULT_CONFIG, Debug, Json, Quiet

if TYPE_CHECKING:
    from zogan.registry.identity import Identity
    from zogan.registry.registry import Registry

_PANEL = "Where the registry lies, and who signs"

_Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="ZOGAN_REGISTRY",
        help="SQLite file, or postgresql://…",
        show_default="registry.url of zogan.yaml",
        rich_help_panel=_PANEL,
    ),
]
_Blobs = Annotated[
    str | None,
    typer.Option(
        "--blobs",
        metavar="URL",
        envvar="ZOGAN_REGISTRY_BLOBS",
        help="Folder, or s3://…, for files.",
        show_default="registry.blobs, else beside the SQLite file",
        rich_help_panel=_PANEL,
    ),
]
_Key = Annotated[
    Path | None,
    typer.Option(
        "--identity",
        metavar="FILE",
        envvar="ZOGAN_IDENTITY",
        help="Your key.",
        show_default="registry.identity, else identity.pem in your settings' folder",
        rich_help_panel=_PANEL,
    ),
]
_Secret = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        envvar="ZOGAN_PASSPHRASE_FILE",
        help="Its first line unlocks your key; else ZOGAN_PASSPHRASE does, else you are asked.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
_Config = Annotated[
    Path,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration that names the registry.",
        show_default="zogan.yaml",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True)
class Place:
    """Where the registry lies and who signs, as far as it was said."""

    config: Path
    url: str | None
    blobs: str | None
    key: Path | None
    secret: Path | None

    def settings(self) -> tuple[str, str | None]:
        """URLs of the database and of the files.

        Raises:
            ConfigError: nothing names a registry.
        """
        from zogan.errors import ConfigError

        url, blobs = self.url, self.blobs
        if url is None and self.config.is_file():
            from zogan.config import load_config

            given = load_config(self.config).registry
            url, blobs = given.url, blobs or given.blobs
        if url is None:
            raise ConfigError(
                "nothing names a registry", where="--url", todo="Give --url FILE, or registry.url in zogan.yaml"
            )
        return url, blobs

    def open(self, *, unproved: bool = False) -> Registry:
        """The registry, which is there."""
        from zogan.registry.registry import Registry

        url, blobs = self.settings()
        return Registry(url, blobs, memory=memory(), unproved=unproved)

    def identity(self) -> Identity:
        """Your key, unlocked."""
        from zogan.registry.identity import closed, load

        path = self.key_file()
        closed(path)
        return load(path, passphrase(self.secret))

    def key_file(self) -> Path:
        """Where your key lies, or will."""
        if self.key is not None:
            return self.key
        if self.config.is_file():
            from zogan.config import load_config

            given = load_config(self.config).registry.identity
            if given is not None:
                return given
        import platformdirs

        return Path(platformdirs.user_config_dir("zogan")) / "identity.pem"


def memory() -> Path:
    """The file with the heads that this machine has seen."""
    import platformdirs

    return Path(platformdirs.user_state_dir("zogan")) / "registry-heads.json"


def passphrase(secret: Path | None, *, new: bool = False) -> str:
    """What unlocks a key: from a file, from the environment, or asked for.

    Raises:
        IdentityError: there is no one to ask.
    """
    from zogan.registry.identity import IdentityError

    if secret is not None:
        lines = secret.read_text(encoding="utf-8").splitlines()
        return lines[0] if lines else ""
    if (given := os.environ.get("ZOGAN_PASSPHRASE")) is not None:
        return given
    if not sys.stdin.isatty():
        raise IdentityError(
            "nothing unlocks the key",
            where="--passphrase-file",
            todo="Give --passphrase-file FILE or ZOGAN_PASSPHRASE, or run it on a terminal",
        )
    given = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True)
    return str(given)


def verb(command: Callable[..., None]) -> Callable[..., None]:
    """A command that takes a `Place` and a `Console` first, with the options that make them."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        as_json, quiet, debug = given.pop("as_json"), given.pop("quiet"), given.pop("debug")
        place = Place(**{name: given.pop(name) for name in ("config", "url", "blobs", "key", "secret")})
        with Console(as_json=as_json, quiet=quiet, debug=debug) as console:
            command(place, console, **given)

    hints = get_type_hints(command, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [
        one.replace(annotation=hints[one.name], kind=keyword)
        for one in list(inspect.signature(command).parameters.values())[2:]
    ]
    shared = [
        inspect.Parameter(name, keyword, default=default, annotation=annotation)
        for name, annotation, default in (
            ("url", _Url, None),
            ("blobs", _Blobs, None),
            ("key", _Key, None),
            ("secret", _Secret, None),
            ("config", _Config, DEFAULT_CONFIG),
            ("as_json", Json, False),
            ("quiet", Quiet, False),
            ("debug", Debug, False),
        )
    ]
    run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in (*own, *shared)}
    del run.__wrapped__
    return run
