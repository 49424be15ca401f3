"""The two state tables and the joint rule: every reachable pair of states with every event."""

from __future__ import annotations

from typing import Callable, Dict, Set

import pytest

from proxy_core.errors import IllegalTransition
from proxy_core.network.states import READ_TABLE, WRITE_TABLE, Event, Side, both_ended, next_read, next_write

Table = Dict[Side, Dict[Event, Side]]
SIDES = [(READ_TABLE, next_read, "read side"), (WRITE_TABLE, next_write, "write side")]
ids = ["read", "write"]


def reachable(table: Table) -> Set[Side]:
    found, waiting = set(), [Side.CONNECTING]
    while waiting:
        state = waiting.pop()
        if state not in found:
            found.add(state)
            waiting.extend(table[state].values())
    return found


@pytest.mark.parametrize("table, step, name", SIDES, ids=ids)
def test_every_reachable_state_takes_its_events_and_refuses_all_others(
    table: Table, step: Callable[[Side, Event], Side], name: str
) -> None:
    for state in reachable(table):
        for event in Event:
            if event in table[state]:
                assert step(state, event) is table[state][event]
            else:
                with pytest.raises(IllegalTransition, match=f"{name}: '{event.value}' while {state.value}"):
                    step(state, event)


@pytest.mark.parametrize("table, step, name", SIDES, ids=ids)
def test_no_state_of_a_table_is_unreachable_and_none_leads_out_of_it(
    table: Table, step: Callable[[Side, Event], Side], name: str
) -> None:
    assert reachable(table) == set(table)


@pytest.mark.parametrize("table, step, name", SIDES, ids=ids)
def test_closed_is_reached_from_everywhere_in_one_step_and_is_the_end(
    table: Table, step: Callable[[Side, Event], Side], name: str
) -> None:
    assert table[Side.CLOSED] == {}
    for state in reachable(table) - {Side.CLOSED}:
        assert step(state, Event.CLOSE) is Side.CLOSED


def test_a_state_that_a_direction_never_has_refuses_every_event() -> None:
    for event in Event:
        with pytest.raises(IllegalTransition):
            next_read(Side.LINGERING, event)
        with pytest.raises(IllegalTransition):
            next_write(Side.STOPPED, event)


def test_a_connection_is_over_exactly_when_both_directions_have_ended() -> None:
    over = {(read, write) for read in reachable(READ_TABLE) for write in reachable(WRITE_TABLE) if both_ended(read, write)}
    assert over == {(Side.ENDED, Side.ENDED)}


def test_a_reply_may_still_be_written_after_the_peer_has_half_closed() -> None:
    """The bug that one table for both directions has: the peer's FIN must not end our writing."""
    read = next_read(Side.OPEN, Event.PEER_ENDED)
    write = next_write(Side.OPEN, Event.END_QUEUED)
    assert not both_ended(read, write)
    assert both_ended(read, next_write(write, Event.END_SENT))
