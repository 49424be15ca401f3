"""The two state machines of a stream, as tables.

    request    AWAITED -> RECEIVING -> COMPLETE            its head is being read; its body is; its end was read
    response   NONE -> STARTED -> COMPLETE                 nothing but 1xx was sent; the head was; the end was

Either may be given up: the stream is OVER then, in both machines, and nothing moves any more. The joint rule is HTTP/1.1's: a
stream is over when its response is complete, even if the request is not; the rest of the request is then not wanted and the
connection ends (RFC 9112 section 9.6). So does a tunnel when either side has ended.
"""

from __future__ import annotations

from typing import Dict, Final

from ...errors import IllegalTransition

# States and triggers are plain strings, as in `http.states`, and for the same reason.
AWAITED: Final = "awaited"
RECEIVING: Final = "receiving"
COMPLETE: Final = "complete"
NONE: Final = "none"
STARTED: Final = "started"
OVER: Final = "over"

HEAD: Final = "head"
END: Final = "end"
GIVEN_UP: Final = "given up"


class Steps(Dict[str, str]):
    """From one state of one machine: the state after each trigger. Raises IllegalTransition for a step that is not there: a bug
    of a filter or ours."""

    def __init__(self, where: str, steps: Dict[str, str]) -> None:
        super().__init__(steps)
        self._where = where

    def __missing__(self, trigger: str) -> str:
        raise IllegalTransition(self._where.format(trigger))


def _table(machine: str, table: Dict[str, Dict[str, str]]) -> Dict[str, Steps]:
    return {state: Steps(f"{machine}: {{}} in {state}", steps) for state, steps in table.items()}


REQUEST_TABLE: Final = _table("request", {
    AWAITED: {HEAD: RECEIVING, GIVEN_UP: OVER},
    RECEIVING: {END: COMPLETE, GIVEN_UP: OVER},
    COMPLETE: {GIVEN_UP: OVER},
    OVER: {},
})
RESPONSE_TABLE: Final = _table("response", {
    NONE: {HEAD: STARTED, GIVEN_UP: OVER},
    STARTED: {END: COMPLETE, GIVEN_UP: OVER},
    COMPLETE: {GIVEN_UP: OVER},
    OVER: {},
})
