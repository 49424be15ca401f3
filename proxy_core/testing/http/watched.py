"""Every call of an HTTP filter, with its answer, and what about them is a bug. The engine tolerates some of it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, FrozenSet, List, NamedTuple, Optional

from ...buffer import Buffer
from ...http.filter_api import (
    CONTINUE, CONTINUE_AND_DONT_END_STREAM, STOP_ALL_AND_BUFFER, STOP_ALL_AND_WATERMARK, STOP_AND_BUFFER, STOP_AND_WATERMARK,
    STOP_ITERATION, STOP_NO_BUFFER, FilterStatus, HttpFilter,
)

_TO_HEADERS: Final = frozenset((
    CONTINUE, STOP_ITERATION, CONTINUE_AND_DONT_END_STREAM, STOP_ALL_AND_BUFFER, STOP_ALL_AND_WATERMARK,
))
_TO_DATA: Final = frozenset((CONTINUE, STOP_AND_BUFFER, STOP_AND_WATERMARK, STOP_NO_BUFFER))
_TO_TRAILERS: Final = frozenset((CONTINUE, STOP_ITERATION))
# What a hook may answer; those that answer nothing have none.
_ANSWERS: Final[Dict[str, FrozenSet[FilterStatus]]] = {
    "decode_headers": _TO_HEADERS, "decode_data": _TO_DATA, "decode_trailers": _TO_TRAILERS,
    "encode_headers": _TO_HEADERS, "encode_data": _TO_DATA, "encode_trailers": _TO_TRAILERS,
}
_TOLD: Final = ("on_local_reply", "on_stream_complete", "on_destroy")


class HookCall(NamedTuple):
    """at: simulated seconds. data: the bytes that a data hook was called with. status: None where there is none."""

    at: float
    filter: str
    hook: str
    data: bytes = b""
    end_stream: bool = False
    status: Optional[FilterStatus] = None


class HttpWitness:
    """What was seen of all filters, in order. now: simulated seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.calls: List[HookCall] = []
        self.misuses: List[str] = []
        self._now = now

    def watch(self, made: HttpFilter, name: str) -> HttpFilter:
        """Put itself around the hooks that the filter has written."""
        for hook in (*_ANSWERS, *_TOLD):
            own = getattr(type(made), hook, None)
            if own is not None and own is not getattr(HttpFilter, hook):
                setattr(made, hook, self._around(getattr(made, hook), name, hook))
        return made

    def _around(self, call: Callable[..., Any], name: str, hook: str) -> Callable[..., Any]:
        def seen(*arguments: Any) -> Any:
            data = bytes(arguments[0]) if arguments and isinstance(arguments[0], Buffer) else b""
            end_stream = len(arguments) > 1 and arguments[1] is True
            place = len(self.calls)
            self.calls.append(HookCall(self._now(), name, hook, data, end_stream))
            status = call(*arguments)
            if hook in _ANSWERS:
                self.calls[place] = self.calls[place]._replace(status=status)
                if status not in _ANSWERS[hook]:
                    self.misuses.append(f"{name}: {hook} answered {status!r}")
            return status
        return seen
