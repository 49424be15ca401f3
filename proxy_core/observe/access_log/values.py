"""What an access-log operator yields, and how a value becomes text that can't break its line."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from ..escape import json_line, one_line
from ..stream_info import StreamInfo

# None means "not known": "-" in text, null in JSON. Dicts and lists come from metadata only.
Value = Union[None, str, int, float, bool, Dict[str, Any], List[Any]]


class LogContext:
    """What a log line depends on beside the connection: when and why it is written.

    log_type: "NotSet", "TcpConnectionStart", "TcpUpstreamConnected", "TcpPeriodic", "TcpConnectionEnd" or an
    HTTP type.
    wall: seconds since the epoch. mono: the reactor's seconds, for the duration of a connection that still
    lives.
    """

    __slots__ = ("log_type", "wall", "mono")

    def __init__(self, log_type: str, wall: float, mono: float) -> None:
        self.log_type = log_type
        self.wall = wall
        self.mono = mono


class JsonString(str):
    """A string that is printed as JSON in a text format, in quotes, and cut to `length` there; in a JSON format it is a string
    like any other."""

    length: Optional[int] = None


Getter = Callable[[StreamInfo, LogContext], Value]


def as_text(value: Value, empty: str = "-") -> str:
    """A value in a text format. empty: what stands for None."""
    if value is None:
        return empty
    if isinstance(value, str):
        return _quoted(value) if isinstance(value, JsonString) else one_line(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json_line(value, sort_keys=True)
    return str(value)


def unescaped_text(value: Value, empty: str = "-") -> str:
    """`as_text` for who escapes the whole himself: a string comes as it is."""
    return value if isinstance(value, str) and not isinstance(value, JsonString) else as_text(value, empty)


def truncate(value: Value, length: Optional[int]) -> Value:
    """The first `length` bytes of a string (a character cut in two is dropped); other values stay whole."""
    if length is None or not isinstance(value, str) or len(value) * 4 <= length:
        return value
    if value.isascii():
        return value[:length]
    return value.encode("utf-8", "surrogateescape")[:length].decode("utf-8", "ignore")


def _quoted(value: JsonString) -> str:
    return str(truncate(json_line(str(value)), value.length))


def split_address(address: str) -> Tuple[Optional[str], Optional[int]]:
    """("::1", 443) of "[::1]:443", ("127.0.0.1", 443) of "127.0.0.1:443"; a socket path has no port."""
    if not address:
        return None, None
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or address[0] in "/@":
        return address, None
    return (host[1:-1] if host.startswith("[") else host), int(port)
