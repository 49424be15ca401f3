"""The state tables: each step that is allowed is in them, and no other is possible."""

from __future__ import annotations

import itertools
from typing import Set, Tuple

import pytest

from proxy_core.errors import IllegalTransition
from proxy_core.http import states
from proxy_core.http.states import CLIENT_TRANSITIONS, JOINT_TRANSITIONS, SERVER_TRANSITIONS, Cycle

TRIGGERS = [
    states.REQUEST,
    states.TUNNEL_REQUEST,
    states.INFORMATIONAL,
    states.RESPONSE,
    states.TUNNEL_RESPONSE,
    states.END,
    states.EOF,
    states.FAIL,
]
Place = Tuple[str, str, bool]


def cycle_at(place: Place) -> Cycle:
    cycle = Cycle()
    cycle.client, cycle.server, cycle.keep_alive = place
    return cycle


def reachable_places() -> Set[Place]:
    """Everything that any sequence of steps leads to."""
    start: Place = (states.IDLE, states.IDLE, True)
    seen, todo = {start}, [start]
    while todo:
        place = todo.pop()
        for party, trigger in itertools.product(("client_does", "server_does", "stop"), TRIGGERS):
            cycle = cycle_at(place)
            try:
                if party == "stop":
                    cycle.stop_keep_alive()
                else:
                    getattr(cycle, party)(trigger)
            except IllegalTransition:
                assert (cycle.client, cycle.server, cycle.keep_alive) == place
                continue
            after = (cycle.client, cycle.server, cycle.keep_alive)
            if after not in seen:
                seen.add(after)
                todo.append(after)
    return seen


def test_each_reachable_pair_is_settled_and_known_to_both_tables() -> None:
    for client, server, keep_alive in reachable_places():
        assert client in CLIENT_TRANSITIONS
        assert server in SERVER_TRANSITIONS
        assert (client, server) not in JOINT_TRANSITIONS
        if not keep_alive:
            assert states.DONE not in (client, server)


def test_an_illegal_step_of_either_party_names_the_step_and_both_states_and_changes_nothing() -> None:
    cycle = Cycle()
    with pytest.raises(IllegalTransition, match="client: end in IDLE .server IDLE"):
        cycle.client_does(states.END)
    with pytest.raises(IllegalTransition, match="server: informational in IDLE .client IDLE"):
        cycle.server_does(states.INFORMATIONAL)
    assert (cycle.client, cycle.server) == (states.IDLE, states.IDLE)


def test_a_request_starts_work_for_both_parties_and_two_ends_start_the_next_cycle() -> None:
    cycle = Cycle()
    cycle.client_does(states.REQUEST)
    assert (cycle.client, cycle.server) == (states.SEND_BODY, states.SEND_HEADERS)
    cycle.client_does(states.END)
    cycle.server_does(states.INFORMATIONAL)
    cycle.server_does(states.RESPONSE)
    assert (cycle.client, cycle.server) == (states.DONE, states.SEND_BODY)
    cycle.server_does(states.END)
    assert (cycle.client, cycle.server) == (states.IDLE, states.IDLE)


def test_without_keep_alive_both_parties_must_close_when_they_are_done() -> None:
    cycle = Cycle()
    cycle.client_does(states.REQUEST)
    cycle.client_does(states.END)
    cycle.stop_keep_alive()
    assert cycle.client == states.MUST_CLOSE
    cycle.server_does(states.RESPONSE)
    cycle.server_does(states.END)
    assert (cycle.client, cycle.server) == (states.MUST_CLOSE, states.MUST_CLOSE)


def test_a_refused_tunnel_ends_the_connection_for_both() -> None:
    cycle = Cycle()
    cycle.client_does(states.TUNNEL_REQUEST)
    cycle.server_does(states.RESPONSE)
    cycle.server_does(states.END)
    assert (cycle.client, cycle.server) == (states.MUST_CLOSE, states.MUST_CLOSE)


def test_an_accepted_tunnel_ends_one_side_at_a_time() -> None:
    cycle = Cycle()
    cycle.client_does(states.TUNNEL_REQUEST)
    cycle.server_does(states.TUNNEL_RESPONSE)
    cycle.client_does(states.END)
    assert (cycle.client, cycle.server) == (states.CLOSED, states.TUNNEL)
    cycle.server_does(states.END)
    assert (cycle.client, cycle.server) == (states.CLOSED, states.CLOSED)


def test_after_a_client_error_the_server_may_still_answer_but_not_go_on() -> None:
    cycle = Cycle()
    cycle.client_does(states.FAIL)
    cycle.server_does(states.RESPONSE)
    cycle.server_does(states.END)
    assert (cycle.client, cycle.server) == (states.ERROR, states.MUST_CLOSE)
