"""What a kind of check says and hears on one connection, without I/O: the contract between kinds and `probe`."""

from __future__ import annotations

from typing import Optional, Protocol, Sequence

from ...network.address import Address
from ...observe.stream_info import StreamInfo
from .outcome import Outcome


class Dialogue(Protocol):
    """One connection of one kind of check; it may serve several probes, one after the other."""

    @property
    def reusable(self) -> bool:
        """Whether the next probe may be made on this connection. Asked between two probes."""

    def begin(self) -> bytes:
        """A probe starts: what to send for it."""

    def connected(self) -> Optional[Outcome]:
        """The connection is up; an outcome if that is all the kind wants to know."""

    def receive(self, data: bytes) -> Optional[Outcome]:
        """Bytes came while a probe is under way; an outcome if they complete the answer."""

    def receive_eof(self) -> Outcome:
        """The host has closed while a probe is under way."""


class Ends(Protocol):
    """Where a probe's connection comes from and goes to; asked for once it is connecting."""

    @property
    def local(self) -> Address:
        """Our end."""

    @property
    def remote(self) -> Address:
        """The host's end."""


class Kind(Protocol):
    """One check's kind, prepared from its configuration.

    name: Envoy's HealthCheckerType. idle_close_fails: whether a host that closes between two probes has failed one.
    ignores_noise: whether bytes that come between two probes may be overlooked.
    """

    name: str
    idle_close_fails: bool
    ignores_noise: bool

    def new_dialogue(self, host_name: str, info: StreamInfo, ends: Ends) -> Dialogue:
        """For a new connection. host_name: as the endpoint's `health_check_config.hostname` says, or "". info: of the probe."""


class InOrder:
    """Finds pieces in a stream, each after the end of the one before, with anything between. Keeps no more of the stream than
    the beginning of a piece may need. Mirrors `PayloadMatcher`."""

    __slots__ = ("_pieces", "_next", "_tail")

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self._next = 0
        self._tail = b""

    def feed(self, data: bytes) -> bool:
        """Look at more of the stream; True once all pieces have come."""
        stream = self._tail + data
        while self._next < len(self._pieces):
            piece = self._pieces[self._next]
            at = stream.find(piece)
            if at < 0:
                keep = len(piece) - 1
                self._tail = stream[-keep:] if keep else b""
                return False
            stream = stream[at + len(piece):]
            self._next += 1
        self._tail = b""
        return True
