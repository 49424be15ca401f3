"""One run of a filter over one input that is cut in one way, and what an outsider can see of it.

The runs of `invariant` are made of this; a failing one prints the call of `outcome_of` that repeats it.
"""

from __future__ import annotations

from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

from .gates import Gate, TakingGate
from .harness import ChainHarness
from .watched import INJECTS_READ

READ = "read"
WRITE = "write"

# Ways to hold the chain up, see `outcome_of`.
IN_FRONT = "in_front"
BEHIND = "behind"
BEHIND_LEAVING = "behind_leaving"
READING = "reading"

Make = Callable[[], Any]
After = Callable[[ChainHarness], None]


class Outcome(NamedTuple):
    """What came of a run.

    onward: bytes past all filters; onward_ends: how often the end of the stream came there. sent: bytes that reached the peer;
    sent_end: whether a FIN did, before the run was over. closed: by whom, how and why, "" if the connection is open.
    misuses: see `watched`, and exceptions and stalls. still: what the connection waits for when all is over, "" if closed.
    injects: whether the filter injects into the read chain.
    """

    onward: bytes
    onward_ends: int
    sent: bytes
    sent_end: bool
    closed: str
    misuses: Tuple[str, ...]
    still: str
    injects: bool


def outcome_of(
    make: Make,
    pieces: Sequence[bytes],
    *,
    end_stream: bool = True,
    pause: str = "",
    at: int = 0,
    side: str = READ,
    after: Optional[After] = None,
    patience: float = 60.0,
    **options: Any,
) -> Outcome:
    """Give a new chain these pieces, one read each, then the end if `end_stream`, and say what came of it.

    make: a new filter, or a list of them. side: "read" for pieces from the peer, "write" for pieces from the upstream.
    pause: what is held up from piece number `at` on, until everything has been sent:
        in_front          a filter in front of them parks and continues: they get all the rest at once, with the end
        behind            a filter behind them takes what comes and injects it later
        behind_leaving    a filter behind them parks and leaves the bytes in the buffer, so that they are seen again
        reading           the connection reads nothing, as when the upstream takes no more
    after: called with the harness when everything was sent; to answer what the filter has asked. patience: simulated seconds
    that timers get at the end. options: of `ChainHarness`.
    """
    made = make()
    filters = list(made) if isinstance(made, (list, tuple)) else [made]
    gate = _gate(pause)
    in_chain = filters if gate is None else [gate, *filters] if pause == IN_FRONT else [*filters, gate]
    harness = ChainHarness(in_chain, raise_errors=False, **options)
    send = harness.feed if side == READ else harness.write
    for number, piece in enumerate(pieces):
        if number == at:
            _hold_up(harness, gate, pause)
        send(piece)
    if at >= len(pieces):
        _hold_up(harness, gate, pause)
    if end_stream:
        send(b"", True)
    _let_go(harness, gate, pause)
    if after is not None:
        after(harness)
        harness.settle()
    _wait(harness, patience)
    # What a gate behind them had when the connection closed came past the filters all the same.
    withheld = gate.withheld if gate is not None and pause != IN_FRONT else b""
    return _seen(harness, withheld)


def _gate(pause: str) -> Optional[Gate]:
    if pause == BEHIND:
        return TakingGate()
    if pause in (IN_FRONT, BEHIND_LEAVING):
        return Gate()
    if pause not in ("", READING):
        raise ValueError(f"no such pause: '{pause}'")
    return None


def _hold_up(harness: ChainHarness, gate: Optional[Gate], pause: str) -> None:
    if harness.closed:
        return
    if gate is not None:
        gate.shut()
    elif pause == READING:
        harness.pause()


def _let_go(harness: ChainHarness, gate: Optional[Gate], pause: str) -> None:
    if gate is not None:
        harness.act(gate.open)
    elif pause == READING and harness.paused_by:
        harness.resume()


def _wait(harness: ChainHarness, patience: float) -> None:
    """Let time pass while a filter waits for a point in time."""
    end = harness.now + patience
    while harness.waits and not harness.closed and harness.advance_to_next_timer(end):
        pass


def _seen(harness: ChainHarness, withheld: bytes) -> Outcome:
    reason = harness.close_reason
    problems: List[str] = [*harness.misuses, *(f"exception: {error!r}" for error in harness.errors)]
    problems += [f"{name} parked the chain with nothing left to wake it" for name in harness.stalls]
    return Outcome(
        harness.onward + withheld, harness.onward_ends, harness.sent, harness.sent_end, str(reason) if reason is not None else "",
        tuple(dict.fromkeys(problems)), "" if harness.closed else harness.describe(),
        any(call.method == INJECTS_READ and call.filter != "gate" for call in harness.calls),
    )
