"""The kit for those who write HTTP filters: `HttpHarness` runs them in memory, `assert_body_split_invariant` checks that how a
body was cut means nothing to them.

    harness     the real connection manager on a bench, with an upstream and a client that the test holds
    manager     how that connection manager is built
    client      requests in, responses out, as bytes of the wire
    upstream    the terminal filter: what came past the filters, and what is answered
    watched     every call of a filter with its answer
    invariant   the check
"""

from __future__ import annotations

from .client import Response
from .harness import HttpHarness
from .invariant import BodyOutcome, assert_body_split_invariant
from .upstream import Answer, Upstream
from .watched import HookCall

__all__ = ["Answer", "BodyOutcome", "HookCall", "HttpHarness", "Response", "Upstream", "assert_body_split_invariant"]
