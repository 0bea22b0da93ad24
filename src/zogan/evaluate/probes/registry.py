"""Probes by name: this package's, each in the file of its name, and those of entry points `zogan.probes`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from zogan.config import ProbesConfig, ProbeSection
from zogan.errors import ConfigError, nearest
from zogan.evaluate.metrics import TaskName
from zogan.evaluate.probes.bench import Bench
from zogan.evaluate.probes.reading import Reading

GROUP = "zogan.probes"

Look = Callable[[Bench, Any], Sequence[Reading]]
"""From the models and rows, and the probe's options, to its readings; raises `NotProbedError` where it has none."""

BUILT_IN = tuple(
    name
    for name, field in ProbesConfig.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, ProbeSection)
)


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe.

    Attributes:
        name: in the configuration, tables and files.
        tasks: whose models it looks at.
        look: does so.
    """

    name: str
    tasks: tuple[TaskName, ...]
    look: Look


def probe(*tasks: TaskName) -> Callable[[Look], Probe]:
    """Make the function below a probe of its name, for these tasks."""

    def make(look: Look) -> Probe:
        return Probe(getattr(look, "__name__", "probe"), tasks, look)

    return make


def names() -> list[str]:
    """All probes that are installed, this package's first.

    Raises:
        ConfigError: another's has the name of one of these.
    """
    others = sorted(point.name for point in entry_points(group=GROUP))
    for name in others:
        if name in BUILT_IN:
            raise ConfigError(f"entry point {name!r} has the name of a probe that is there", where=GROUP)
    return [*BUILT_IN, *others]


def find(name: str) -> Probe:
    """The probe of that name.

    Raises:
        ConfigError: none has it, with the nearest; or what has it is no probe.
    """
    if name in BUILT_IN:
        found = getattr(import_module(f"zogan.evaluate.probes.{name}"), name)
        assert isinstance(found, Probe)
        return found
    others = {point.name: point for point in entry_points(group=GROUP)}
    if name not in others:
        raise ConfigError(f"no probe is called {name!r}", where="probes", todo=nearest(name, [*BUILT_IN, *others]))
    try:
        loaded = others[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"entry point {name!r} cannot be loaded: {error}", where=GROUP) from None
    if not isinstance(loaded, Probe):
        raise ConfigError(f"entry point {name!r} gives no Probe", where=GROUP)
    return loaded
