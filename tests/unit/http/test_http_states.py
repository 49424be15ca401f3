"""The state tables: each step that is allowed is in them, and no other is possible."""

from __future__ import annotations

from typing import Set

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


def reachable_places() -> Set[Cycle]:
    """Everything that any sequence of steps leads to."""
    seen, todo = {states.START}, [states.START]
    while todo:
        place = todo.pop()
        for after in (*place.client_does.values(), *place.server_does.values(), place.last):
            if after not in seen:
                seen.add(after)
                todo.append(after)
    return seen


def test_each_reachable_pair_is_settled_and_known_to_both_tables() -> None:
    for place in reachable_places():
        assert place.client in CLIENT_TRANSITIONS
        assert place.server in SERVER_TRANSITIONS
        assert (place.client, place.server) not in JOINT_TRANSITIONS
        if not place.keep_alive:
            assert states.DONE not in (place.client, place.server)


def test_each_step_of_the_tables_is_a_step_of_the_places_and_no_other() -> None:
    for place in reachable_places():
        allowed = set(CLIENT_TRANSITIONS[place.client])
        if states.REQUEST not in SERVER_TRANSITIONS[place.server]:
            allowed -= {states.REQUEST, states.TUNNEL_REQUEST}
        assert set(place.client_does) == allowed
        assert set(place.server_does) == set(SERVER_TRANSITIONS[place.server])
        for trigger in TRIGGERS:
            for steps in (place.client_does, place.server_does):
                if trigger not in steps:
                    with pytest.raises(IllegalTransition):
                        steps[trigger]


def test_keep_alive_never_comes_back() -> None:
    for place in reachable_places():
        assert not place.last.keep_alive and place.last.last is place.last
        if not place.keep_alive:
            assert not any(after.keep_alive for after in (*place.client_does.values(), *place.server_does.values()))


def test_an_illegal_step_of_either_party_names_the_step_and_both_states_and_changes_nothing() -> None:
    cycle = states.START
    with pytest.raises(IllegalTransition, match="client: end in IDLE .server IDLE"):
        cycle = cycle.client_does[states.END]
    with pytest.raises(IllegalTransition, match="server: informational in IDLE .client IDLE"):
        cycle = cycle.server_does[states.INFORMATIONAL]
    assert (cycle.client, cycle.server) == (states.IDLE, states.IDLE)


def test_a_request_starts_work_for_both_parties_and_two_ends_start_the_next_cycle() -> None:
    cycle = states.START
    cycle = cycle.client_does[states.REQUEST]
    assert (cycle.client, cycle.server) == (states.SEND_BODY, states.SEND_HEADERS)
    cycle = cycle.client_does[states.END]
    cycle = cycle.server_does[states.INFORMATIONAL]
    cycle = cycle.server_does[states.RESPONSE]
    assert (cycle.client, cycle.server) == (states.DONE, states.SEND_BODY)
    cycle = cycle.server_does[states.END]
    assert (cycle.client, cycle.server) == (states.IDLE, states.IDLE)


def test_without_keep_alive_both_parties_must_close_when_they_are_done() -> None:
    cycle = states.START
    cycle = cycle.client_does[states.REQUEST]
    cycle = cycle.client_does[states.END]
    cycle = cycle.last
    assert cycle.client == states.MUST_CLOSE
    cycle = cycle.server_does[states.RESPONSE]
    cycle = cycle.server_does[states.END]
    assert (cycle.client, cycle.server) == (states.MUST_CLOSE, states.MUST_CLOSE)


def test_a_refused_tunnel_ends_the_connection_for_both() -> None:
    cycle = states.START
    cycle = cycle.client_does[states.TUNNEL_REQUEST]
    cycle = cycle.server_does[states.RESPONSE]
    cycle = cycle.server_does[states.END]
    assert (cycle.client, cycle.server) == (states.MUST_CLOSE, states.MUST_CLOSE)


def test_an_accepted_tunnel_ends_one_side_at_a_time() -> None:
    cycle = states.START
    cycle = cycle.client_does[states.TUNNEL_REQUEST]
    cycle = cycle.server_does[states.TUNNEL_RESPONSE]
    cycle = cycle.client_does[states.END]
    assert (cycle.client, cycle.server) == (states.CLOSED, states.TUNNEL)
    cycle = cycle.server_does[states.END]
    assert (cycle.client, cycle.server) == (states.CLOSED, states.CLOSED)


def test_after_a_client_error_the_server_may_still_answer_but_not_go_on() -> None:
    cycle = states.START
    cycle = cycle.client_does[states.FAIL]
    cycle = cycle.server_does[states.RESPONSE]
    cycle = cycle.server_does[states.END]
    assert (cycle.client, cycle.server) == (states.ERROR, states.MUST_CLOSE)
