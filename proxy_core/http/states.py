"""The states of one HTTP/1 connection, as tables.

Two rules hold for this file. Every change of state is written here, and nowhere else. And nothing here knows
which of the two parties we are: the server codec and the client codec drive the same tables from opposite
ends.

There are two machines, because each direction of the connection has a life of its own. CLIENT is the party
that sends requests, SERVER the one that answers; a request moves both machines, since it starts work for
both. One more rule joins them (`JOINT_TRANSITIONS`): a cycle is over when both sides are done, and then both
start again; a tunnel that was refused, an end or an error of one side decides what the other may still do.

    CLIENT  IDLE -> SEND_BODY -> DONE -> IDLE again, or MUST_CLOSE      asks for a tunnel: IDLE -> TUNNEL
    SERVER  IDLE -> SEND_HEADERS -> SEND_BODY -> DONE -> ...            grants it: SEND_HEADERS -> TUNNEL

Keep-alive is one bit of the pair that only ever goes from True to False within a connection. Without it DONE
becomes MUST_CLOSE (RFC 9112 section 9.6: nothing after the last message may be processed, so bytes that still
come are dropped).

What does not fit the tables: how a body ends (its framing) is the parser's and the writer's matter; here
SEND_BODY lasts until somebody says END. A server may answer before the request is complete, and even before
there is one (408, 400): hence RESPONSE in IDLE. A client that got its whole answer early keeps sending or
gives up; that is its user's choice.

States and triggers are plain strings. Their hashes are cached, where an Enum member as a dict key costs a
Python call (20 against 80 ns), and a string has a readable repr already.
"""

from __future__ import annotations

from typing import Dict, Final, Tuple

from ..errors import IllegalTransition

# States. SEND_HEADERS is the server's only: it owes an answer.
IDLE: Final = "IDLE"
SEND_HEADERS: Final = "SEND_HEADERS"
SEND_BODY: Final = "SEND_BODY"
DONE: Final = "DONE"
TUNNEL: Final = "TUNNEL"
MUST_CLOSE: Final = "MUST_CLOSE"
CLOSED: Final = "CLOSED"
ERROR: Final = "ERROR"

# Triggers. The name of a head covers both directions: received by one party, sent by the other.
REQUEST: Final = "request"
TUNNEL_REQUEST: Final = "tunnel request"
INFORMATIONAL: Final = "informational"
RESPONSE: Final = "response"
TUNNEL_RESPONSE: Final = "tunnel response"
END: Final = "end"
EOF: Final = "eof"
FAIL: Final = "fail"

Table = Dict[str, Dict[str, str]]

CLIENT_TRANSITIONS: Final[Table] = {
    IDLE: {REQUEST: SEND_BODY, TUNNEL_REQUEST: TUNNEL, EOF: CLOSED, FAIL: ERROR},
    SEND_BODY: {END: DONE, FAIL: ERROR},
    DONE: {EOF: CLOSED, FAIL: ERROR},
    TUNNEL: {END: CLOSED, EOF: CLOSED, FAIL: ERROR},
    MUST_CLOSE: {EOF: CLOSED, FAIL: ERROR},
    CLOSED: {EOF: CLOSED, FAIL: ERROR},
    ERROR: {EOF: ERROR, FAIL: ERROR},
}

SERVER_TRANSITIONS: Final[Table] = {
    IDLE: {REQUEST: SEND_HEADERS, RESPONSE: SEND_BODY, EOF: CLOSED, FAIL: ERROR},
    SEND_HEADERS: {
        INFORMATIONAL: SEND_HEADERS,
        RESPONSE: SEND_BODY,
        TUNNEL_RESPONSE: TUNNEL,
        EOF: CLOSED,
        FAIL: ERROR,
    },
    SEND_BODY: {END: DONE, FAIL: ERROR},
    DONE: {EOF: CLOSED, FAIL: ERROR},
    TUNNEL: {END: CLOSED, EOF: CLOSED, FAIL: ERROR},
    MUST_CLOSE: {EOF: CLOSED, FAIL: ERROR},
    CLOSED: {EOF: CLOSED, FAIL: ERROR},
    ERROR: {EOF: ERROR, FAIL: ERROR},
}

# (client, server) -> (client, server), looked up after every step. A pair that is not here stays as it is.
JOINT_TRANSITIONS: Final[Dict[Tuple[str, str], Tuple[str, str]]] = {
    (DONE, DONE): (IDLE, IDLE),
    # The tunnel was refused: what the client sent after its request is neither HTTP nor wanted (Envoy closes,
    # too).
    (TUNNEL, DONE): (MUST_CLOSE, MUST_CLOSE),
    (TUNNEL, MUST_CLOSE): (MUST_CLOSE, MUST_CLOSE),
    # Answered before the whole head of a request was there (408): what comes of it is not read any more.
    (IDLE, SEND_BODY): (MUST_CLOSE, SEND_BODY),
    # One side has ended or failed: the other may finish what it has begun, but begins nothing new.
    (CLOSED, IDLE): (CLOSED, MUST_CLOSE),
    (CLOSED, DONE): (CLOSED, MUST_CLOSE),
    (ERROR, DONE): (ERROR, MUST_CLOSE),
    (IDLE, CLOSED): (MUST_CLOSE, CLOSED),
    (DONE, CLOSED): (MUST_CLOSE, CLOSED),
    (DONE, ERROR): (MUST_CLOSE, ERROR),
}


class Cycle:
    """The two machines of one connection, and whether it may see another request.

    client, server: the present states. keep_alive: read it; `stop_keep_alive()` changes it.
    """

    __slots__ = ("client", "server", "keep_alive")

    def __init__(self) -> None:
        self.client: str = IDLE
        self.server: str = IDLE
        self.keep_alive = True

    def client_does(self, trigger: str) -> None:
        """Step for something the client party sends. Raises IllegalTransition if the table has no such
        step."""
        try:
            client = CLIENT_TRANSITIONS[self.client][trigger]
            if trigger is REQUEST or trigger is TUNNEL_REQUEST:
                self.server = SERVER_TRANSITIONS[self.server][REQUEST]
        except KeyError:
            raise IllegalTransition(f"client: {trigger} in {self.client} (server {self.server})") from None
        self.client = client
        self._join()

    def server_does(self, trigger: str) -> None:
        """Step for something the server party sends. Raises IllegalTransition if the table has no such
        step."""
        try:
            self.server = SERVER_TRANSITIONS[self.server][trigger]
        except KeyError:
            raise IllegalTransition(f"server: {trigger} in {self.server} (client {self.client})") from None
        self._join()

    def stop_keep_alive(self) -> None:
        """The cycle under way is the last one of this connection."""
        if self.keep_alive:
            self.keep_alive = False
            self._join()

    def _join(self) -> None:
        if not self.keep_alive:
            if self.client is DONE:
                self.client = MUST_CLOSE
            if self.server is DONE:
                self.server = MUST_CLOSE
        pair = JOINT_TRANSITIONS.get((self.client, self.server))
        if pair is not None:
            self.client, self.server = pair
