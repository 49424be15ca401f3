"""The Redis check: PING must be answered with PONG; or EXISTS says that a key is not there. Mirrors `RedisHealthChecker`.

The protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/ (RESP2). Only the first line of a reply matters
here.
"""

from __future__ import annotations

from typing import Final, Optional

from ...config.model.health_check import Redis
from ...observe.stats import Counter
from ...observe.stream_info import StreamInfo
from .dialogue import Ends
from .outcome import FAILED, LOST, PASSED, Outcome

SIMPLE_STRING: Final = b"+"
ERROR: Final = b"-"
INTEGER: Final = b":"
TYPES: Final = b"+-:$*"
MOST_LINE_BYTES: Final = 65536  # no reply to these two commands comes near
REDIRECTIONS: Final = (b"MOVED", b"ASK")


def command(*words: bytes) -> bytes:
    """A request: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


class RedisKind:
    """See the module docstring. exists_failures: how often the key was there."""

    name = "REDIS"
    idle_close_fails = False
    ignores_noise = False

    def __init__(self, config: Redis, exists_failures: Counter) -> None:
        self._asks_for_key = bool(config.key)
        self._request = command(b"EXISTS", config.key.encode()) if config.key else command(b"PING")
        self._exists_failures = exists_failures

    def new_dialogue(self, host_name: str, info: StreamInfo, ends: Ends) -> RedisDialogue:
        """For a new connection."""
        return RedisDialogue(self._request, self)

    def judge(self, kind: bytes, line: bytes) -> Outcome:
        """What a reply means. kind: its first byte; line: the rest of its first line."""
        if kind == ERROR and _is_redirection(line):
            return PASSED  # it is well, and knows who has the key
        if not self._asks_for_key:
            return PASSED if kind == SIMPLE_STRING and line == b"PONG" else FAILED
        if kind != INTEGER:
            return FAILED
        if line == b"0":
            return PASSED
        self._exists_failures.inc()
        return FAILED


def _is_redirection(line: bytes) -> bool:
    words = line.split(b" ")
    return len(words) == 3 and words[0] in REDIRECTIONS


class RedisDialogue:
    """One connection."""

    __slots__ = ("reusable", "_request", "_kind", "_received")

    def __init__(self, request: bytes, kind: RedisKind) -> None:
        self.reusable = True
        self._request = request
        self._kind = kind
        self._received = b""

    def begin(self) -> bytes:
        """The command."""
        self._received = b""
        return self._request

    def connected(self) -> Optional[Outcome]:
        """The answer counts."""
        return None

    def receive(self, data: bytes) -> Optional[Outcome]:
        """The first line of the reply decides. Another kind of reply than the two commands have is not read to its end, so
        the connection can't be used again."""
        received = self._received = self._received + data
        kind = received[:1]
        if kind not in TYPES or len(received) > MOST_LINE_BYTES:
            return self._broken(LOST)
        end = received.find(b"\r\n")
        if end < 0:
            return None
        line = received[1:end]
        if kind == INTEGER and not line.lstrip(b"-").isdigit():
            return self._broken(LOST)
        outcome = self._kind.judge(kind, line)
        return outcome if end + 2 == len(received) and kind not in b"$*" else self._broken(outcome)

    def receive_eof(self) -> Outcome:
        """No reply."""
        return LOST

    def _broken(self, outcome: Outcome) -> Outcome:
        self.reusable = False
        return outcome
