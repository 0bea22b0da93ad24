"""What each event asks for, and what it changes. The same rules write an event, and prove it from the log later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zogan.registry.event import Event
from zogan.registry.rules import people, places, stages
from zogan.registry.rules.refused import RefusedError
from zogan.registry.state import View

__all__ = ["RefusedError", "advance"]

_RULES: dict[str, Callable[[Event, Any, View], None]] = {
    "begin": people.begin,
    "enrol": people.enrol,
    "revoke": people.revoke,
    "policy": people.rule,
    "add": stages.add,
    "evaluate": stages.evaluate,
    "approve": stages.approve,
    "reject": stages.reject,
    "waive": stages.waive,
    "promote": places.promote,
    "rollback": places.roll_back,
    "retire": stages.retire,
}


def advance(event: Event, view: View) -> None:
    """Take one event into the state.

    Raises:
        RefusedError: the policy, or the state of what it is about, does not permit it; nothing was put.
    """
    _RULES[event.body.kind](event, event.body, view)
