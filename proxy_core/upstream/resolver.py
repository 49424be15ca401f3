"""Names become addresses, without waiting in the loop: `getaddrinfo` in a thread. Mirrors
`Network::DnsResolver`.

The system's resolver is used, with its files (/etc/hosts, resolv.conf) and caches. It does not tell how long
an answer is good for, so there is no time to live here. A name without addresses is an answer, an empty one;
that nobody could be asked is a failure. Two who ask the same at once are given one answer.
"""

from __future__ import annotations

import socket
from typing import Any, Callable, Dict, Final, List, NamedTuple, Optional, Sequence, Tuple

from ..event.background import Background

LookUp = Callable[[str, int], Sequence[str]]
"""(name, socket.AF_INET or AF_INET6) -> addresses in the order of preference. Blocks. Raises OSError or
UnicodeError."""

# dns_lookup_family -> families to ask for, one after the other. All but ALL stop at the first that has an
# address.
FAMILIES: Final[Dict[str, Tuple[int, ...]]] = {
    "AUTO": (socket.AF_INET6, socket.AF_INET),
    "UNSPECIFIED": (socket.AF_INET6, socket.AF_INET),
    "V4_ONLY": (socket.AF_INET,),
    "V6_ONLY": (socket.AF_INET6,),
    "V4_PREFERRED": (socket.AF_INET, socket.AF_INET6),
    "ALL": (socket.AF_INET, socket.AF_INET6),
}
# There is no such name, or none with an address of that family. Not every system has all of these.
_NOT_FOUND: Final = tuple(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)


class Answer(NamedTuple):
    """addresses: as printed ("10.0.0.1", "::1"), none for a name that has none. error: why nobody could say;
    "" = all is well."""

    addresses: Tuple[str, ...]
    error: str = ""


Callback = Callable[[Answer], None]


def system_look_up(name: str, family: int) -> Sequence[str]:
    """`LookUp` with the system's resolver.

    "localhost" has both loopback addresses, also where the system's files know only one of them (RFC 6761
    section 6.3).
    """
    found: List[str] = []
    try:
        for _, _, _, _, sockaddr in socket.getaddrinfo(name, None, family, socket.SOCK_STREAM):
            address = str(sockaddr[0])
            if address not in found:
                found.append(address)
    except socket.gaierror:
        if not is_localhost(name):
            raise
        found.append("::1" if family == socket.AF_INET6 else "127.0.0.1")
    return found


def is_localhost(name: str) -> bool:
    """Whether a name means this machine, whatever name servers say."""
    plain = name.lower().rstrip(".")
    return plain == "localhost" or plain.endswith(".localhost")


class Query:
    """A question that was asked; made by `Resolver.resolve`."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callback) -> None:
        self.callback: Optional[Callback] = callback

    def cancel(self) -> None:
        """Never call back."""
        self.callback = None


class Resolver:
    """All look-ups of a process. background: the threads; look_up: how names are looked up, for tests."""

    def __init__(self, background: Background, look_up: LookUp = system_look_up) -> None:
        self._background = background
        self._look_up = look_up
        self._asking: Dict[Tuple[str, str], List[Query]] = {}

    def resolve(self, name: str, family: str, callback: Callback) -> Query:
        """Ask for the addresses of `name`; the answer comes in a later turn of the loop.

        family: a `dns_lookup_family`.
        """
        query = Query(callback)
        question = name, family
        if question in self._asking:
            self._asking[question].append(query)
            return query
        self._asking[question] = [query]

        def done(answer: Any, error: Optional[Exception]) -> None:
            if error is not None:  # of `look_up` itself: as good as no answer
                answer = Answer((), f"{type(error).__name__}: {error}")
            self._tell(question, answer)

        self._background.run(lambda: ask(self._look_up, name, family), done)
        return query

    @property
    def pending(self) -> int:
        """How many questions are open."""
        return len(self._asking)

    def _tell(self, question: Tuple[str, str], answer: Answer) -> None:
        for query in self._asking.pop(question):
            if query.callback is not None:
                query.callback(answer)


def ask(look_up: LookUp, name: str, family: str) -> Answer:
    """One question, with as many look-ups as its family takes. Blocks."""
    found: List[str] = []
    error = ""
    for one in FAMILIES[family]:
        if found and family != "ALL":
            break
        try:
            found.extend(look_up(name, one))
        except (OSError, UnicodeError) as failure:
            if not (isinstance(failure, socket.gaierror) and failure.errno in _NOT_FOUND):
                error = str(getattr(failure, "strerror", None) or failure)
    return Answer(tuple(found), "" if found else error)
