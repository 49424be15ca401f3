"""Whose fault an error is: the type says it, and the type decides who may catch it.

* `ConfigError` -- the operator's file. Never raised once the server runs; carries every problem found, not the first.
* `PeerError` -- the other side's bytes. Costs that one connection, with a recorded reason.
* `IllegalTransition` -- ours. A state machine was asked for a step its table does not have; a bug, never caught to be
  ignored.

Anything else that leaves a handler is a bug as well: the reactor closes the connection it belongs to, logs the
traceback and goes on.
"""

from __future__ import annotations

from typing import Sequence


class Problem:
    """One thing wrong with a configuration.

    path: where, as a JSON path from the root of the file ("static_resources.listeners[0].name"; "" = the whole file).
    message: one sentence: what was found and what was expected.
    hint: what would probably mend it ("did you mean `port_value`?"), or "".
    """

    __slots__ = ("path", "message", "hint")

    def __init__(self, path: str, message: str, hint: str = "") -> None:
        self.path = path
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.message}" + (f" ({self.hint})" if self.hint else "")

    def __repr__(self) -> str:
        return f"Problem({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class ConfigError(Exception):
    """The configuration can't be used; `problems` lists every reason, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class PeerError(Exception):
    """The peer broke its protocol. The text is the recorded close reason: short, no peer bytes in it unescaped."""


class IllegalTransition(Exception):
    """A state machine has no entry for this event in this state: a bug in this package."""
