"""Where a request carries tokens. Mirrors `ExtractorImpl`.

The last place comes first: cookies, then parameters of the query, then headers; of several places of a kind, and of several
lines of a header, the last one.
"""

from __future__ import annotations

import re
from typing import Callable, Collection, Dict, Final, List, NamedTuple, Sequence, Tuple

from ....http.events import RequestHead
from ....http.routing.inline_headers import INLINE
from ....http.routing.text import wire
from ....http.routing.values import cookie_value
from ..bodies import joined
from .config import JwtProvider
from .query import decoded_parameters, without_parameter

_TOKEN_CHARACTER: Final = re.compile(r"[A-Za-z0-9_.=-]")


class Location(NamedTuple):
    """kind: "header", "param" or "cookie". prefix: what stands before the token in a header."""

    kind: str
    name: str
    prefix: str = ""

    def tokens(self, head: RequestHead) -> List[str]:
        """The tokens there, in the order of the wire."""
        return _READERS[self.kind](self, head)

    def remove(self, head: RequestHead) -> None:
        """Take them out; a cookie stays, as in Envoy."""
        if self.kind == "header":
            head.headers.remove(self.name)
        elif self.kind == "param":
            head.path = without_parameter(head.path, self.name)


class Found(NamedTuple):
    """A token and where it was."""

    text: str
    location: Location


DEFAULT: Final = (Location("header", "authorization", "Bearer "), Location("param", "access_token"))


def locations_of(provider: JwtProvider) -> Tuple[Location, ...]:
    """The places that a provider names, or the usual ones."""
    named = [Location("header", wire(one.name.lower()), wire(one.value_prefix)) for one in provider.from_headers]
    named += [Location("param", wire(name)) for name in provider.from_params]
    named += [Location("cookie", wire(name)) for name in provider.from_cookies]
    return tuple(named) or DEFAULT


def extract(head: RequestHead, locations: Sequence[Location], gone: Collection[Location]) -> List[Found]:
    """All tokens, the first to be checked first. gone: places that a token was used up from already."""
    found = [Found(text, where) for where in locations if where not in gone for text in where.tokens(head)]
    found.reverse()
    return found


def _in_header(where: Location, head: RequestHead) -> List[str]:
    lines = head.headers.get_all(where.name)
    if len(lines) > 1 and where.name in INLINE["request"]:
        lines = [joined(head.headers, where.name) or ""]
    if not where.prefix:
        return lines
    found = []
    for line in lines:
        _, prefix, rest = line.partition(where.prefix)
        if prefix:
            begin = _TOKEN_CHARACTER.search(rest)
            found.append(rest[begin.start():] if begin is not None else rest)
    return found


def _in_query(where: Location, head: RequestHead) -> List[str]:
    return [value for name, value in decoded_parameters(head.path) if name == where.name][:1]


def _in_cookie(where: Location, head: RequestHead) -> List[str]:
    value = cookie_value(head.headers, where.name)
    return [] if value is None else [value]


_READERS: Final[Dict[str, Callable[[Location, RequestHead], List[str]]]] = {
    "header": _in_header, "param": _in_query, "cookie": _in_cookie,
}
