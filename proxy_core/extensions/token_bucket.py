"""A token bucket that is filled when it is looked at: no timer, fractions of a token are kept, whole tokens are given. Starts
full and never holds more than `max_tokens`. Mirrors `AtomicTokenBucketImpl` and the configuration of `envoy.type.v3.TokenBucket`.

The content is kept as a whole number, in units of token x nanosecond of the fill interval, so it is exact however long the
proxy runs: with floats a bucket of one token a second is a token short now and then.
"""

from __future__ import annotations

from typing import Protocol

_NANOSECONDS = 1_000_000_000


class Clock(Protocol):
    """The reactor: `now` in seconds."""

    now: float


class TokenBucket:
    """See the module docstring. fill_interval: seconds in which `tokens_per_fill` tokens come, more than 0."""

    __slots__ = ("_clock", "_token", "_rate", "_most", "_content", "_filled_at", "__weakref__")

    def __init__(self, clock: Clock, max_tokens: int, tokens_per_fill: int, fill_interval: float) -> None:
        self._clock = clock
        self._token = round(fill_interval * _NANOSECONDS)  # what one token is worth
        self._rate = tokens_per_fill  # what a nanosecond brings
        self._most = max_tokens * self._token
        self._content = self._most
        self._filled_at = round(clock.now * _NANOSECONDS)

    def take(self) -> bool:
        """One token, if there is one."""
        self._fill()
        if self._content < self._token:
            return False
        self._content -= self._token
        return True

    def holds(self, count: int) -> bool:
        """Whether there are that many."""
        self._fill()
        return self._content >= count * self._token

    def take_up_to(self, count: int) -> int:
        """As many whole tokens as there are, at most `count`; how many it were."""
        self._fill()
        taken = min(count, self._content // self._token)
        self._content -= taken * self._token
        return taken

    def whole(self) -> int:
        """How many whole tokens there are."""
        self._fill()
        return self._content // self._token

    def seconds_to_next(self) -> float:
        """Until there is one more of them, 0.0 if there is one now."""
        self._fill()
        missing = self._token - self._content
        return missing / self._rate / _NANOSECONDS if missing > 0 else 0.0

    def start_with(self, count: int) -> None:
        """Hold so many tokens now."""
        self._fill()
        self._content = count * self._token

    def _fill(self) -> None:
        now = round(self._clock.now * _NANOSECONDS)
        if now > self._filled_at:
            content = self._content + (now - self._filled_at) * self._rate
            self._content = content if content < self._most else self._most
            self._filled_at = now
