"""The kit for those who write filters, and for tests that want a whole proxy. The standard library is all it needs.

    ChainHarness              a filter chain in memory: feed it, let simulated time pass, look what came of it
    assert_split_invariant    a filter's result must not depend on how its input was cut, paused or ended
    http.HttpHarness          the same for HTTP filters: `from proxy_core.testing.http import HttpHarness`
    Proxy                     a running proxy for the length of a `with` block, in this process or in one of its own
    Faults                    faults in a running proxy, switched by a test
    replay                    a recorded connection, run again through filters

What these are made of may be used alone: `SimulatedClock`, `ScriptedSocket` with its selector and peer, `RecordingFilter`,
`splits`. pytest is not needed; who uses it finds a fixture in `pytest_plugin`.
"""

from __future__ import annotations

from typing import Any

from .clock import SimulatedClock
from .harness import Arrival, ChainHarness, Sent
from .invariant import Outcome, assert_split_invariant, outcome_of
from .recording import RecordingCallbacks, RecordingFilter
from .replay import replay
from .scripted import FIN, ScriptedPeer, ScriptedSelector, ScriptedSocket, reset_error
from .splits import bytewise, random_pieces, splits, two_way
from .watched import Call

__all__ = [
    "FIN", "Arrival", "Call", "ChainHarness", "Faults", "Outcome", "Proxy", "RecordingCallbacks", "RecordingFilter",
    "ScriptedPeer", "ScriptedSelector", "ScriptedSocket", "Sent", "SimulatedClock", "assert_split_invariant", "bytewise",
    "outcome_of", "random_pieces", "replay", "reset_error", "splits", "two_way",
]


def __getattr__(name: str) -> Any:
    """`Proxy` brings the whole server with it, and `Faults` an HTTP client: tests in memory need not wait for that."""
    if name == "Proxy":
        from .proxy import Proxy
        return Proxy
    if name == "Faults":
        from .faults import Faults
        return Faults
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
