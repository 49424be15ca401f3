"""What an admin endpoint is: a function from a request to a reply, and its entry in the table of routes.

Place in the data's way: `filter` turns what the codec reads into a `Request`, `routes.dispatch` finds the
handler, and `filter` writes the `Response` it returns. Nothing here knows of connections. Mirrors Envoy's
`Server::Admin::UrlHandler` and `AdminStream`.
"""

from __future__ import annotations

import datetime
import json
from typing import Any, Callable, Dict, Final, List, NamedTuple, Optional, Protocol, Tuple
from urllib.parse import unquote_to_bytes

from .host import AdminHost

TEXT: Final = "text/plain; charset=UTF-8"
PLAIN: Final = "text/plain"  # what Envoy says with a few errors
JSON: Final = "application/json"
HTML: Final = "text/html; charset=UTF-8"


class Request(NamedTuple):
    """method: as sent. path: normalised, without the query. query: decoded parameters; the first of a name
    counts. body: of a POST of JSON or a form.
    """

    method: str
    path: str
    query: Dict[str, str]
    body: bytes = b""


class Sink(Protocol):
    """One viewer of a reply that is written as things happen. Nothing is refused: whoever writes looks at
    `waiting` or `is_full` first, so that a viewer who reads slowly misses something instead of growing our
    memory.
    """

    @property
    def waiting(self) -> int:
        """Bytes that the viewer's socket has not taken yet."""

    @property
    def is_full(self) -> bool:
        """Whether that is more than the watermark of its connection."""

    def write(self, data: bytes) -> None:
        """Send some of the body; ignored once the viewer is gone."""

    def end(self) -> None:
        """The body is complete."""


# Begins to write; what it answers is called once when the viewer is gone or the body is complete.
Stream = Callable[[Sink], Callable[[], None]]


class Response(NamedTuple):
    """A reply. after: called when the reply is on its way, in the same turn of the loop (/quitquitquit).
    headers: more of them. stream: makes the body instead of `body`; it says something at least every half
    minute, or the connection ends as an idle one.
    """

    status: int
    body: bytes
    content_type: str = TEXT
    after: Optional[Callable[[], None]] = None
    headers: Tuple[Tuple[str, str], ...] = ()
    stream: Optional[Stream] = None


Handler = Callable[[AdminHost, Request], Response]


class Param(NamedTuple):
    """A query parameter, for people. choices: its values; () = free text; None = a flag that only has to be
    there.
    """

    name: str
    help: str
    choices: Optional[Tuple[str, ...]] = ()


class Route(NamedTuple):
    """An endpoint. mutates: it changes something, so it takes only POST."""

    path: str
    handler: Handler
    help: str
    mutates: bool = False
    params: Tuple[Param, ...] = ()


def text(body: str, status: int = 200, content_type: str = TEXT) -> Response:
    """A reply of text."""
    return Response(status, body.encode("utf-8", "backslashreplace"), content_type)


def json_reply(tree: Any) -> Response:
    """A reply of JSON as Envoy prints it: one blank of indent, a line end at the end."""
    body = json.dumps(tree, indent=1, ensure_ascii=False) + "\n"
    return Response(200, body.encode("utf-8", "backslashreplace"), JSON)


def timestamp(wall: float) -> str:
    """Seconds since the epoch as protobuf prints them: "2026-11-23T06:41:51.316Z"."""
    moment = datetime.datetime.fromtimestamp(wall, datetime.timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_query(query: str) -> Dict[str, str]:
    """The parameters of a query string, or of a form. Percent signs are decoded, "+" stays as in Envoy.

    Of a name that comes twice the first counts; a parameter without "=" has the value "".
    """
    found: Dict[str, str] = {}
    for item in query.split("&"):
        name, _, value = item.partition("=")
        if name:
            found.setdefault(_decode(name), _decode(value))
    return found


def _decode(value: str) -> str:
    # The codec gives one character per byte.
    return unquote_to_bytes(value.encode("latin-1", "replace")).decode("utf-8", "replace")


def normalise_path(path: str) -> Optional[str]:
    """The path of a request target (no query) with what can be written in two ways written in one, or None if
    it is no path at all: dot segments resolved, empty segments dropped, unreserved characters decoded (RFC
    3986 section 6.2.2).

    Mirrors `normalize_path` and `merge_slashes`, which Envoy's admin has on.
    """
    if not path.startswith("/") or "#" in path:
        return None
    kept: List[str] = []
    segments = [_decode_unreserved(segment) for segment in path.split("/")[1:]]
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    ends_open = segments[-1] in ("", ".", "..") and bool(kept)
    return "/" + "/".join(kept) + ("/" if ends_open else "")


def _decode_unreserved(segment: str) -> str:
    pieces = segment.split("%")
    result = pieces[0]
    for piece in pieces[1:]:
        character = _hex_character(piece[:2])
        if character and (character.isalnum() or character in "-._~"):
            result += character + piece[2:]
        else:
            result += "%" + piece
    return result


def _hex_character(digits: str) -> str:
    try:
        code = int(digits, 16) if len(digits) == 2 and digits.isalnum() else 128
    except ValueError:
        return ""
    return chr(code) if code < 128 else ""


def choice_of(query: Dict[str, str], name: str, *known: str) -> Optional[str]:
    """The value of a parameter if it is one of `known`, else None."""
    value = query.get(name)
    return value if value in known else None
