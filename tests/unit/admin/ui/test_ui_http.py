"""HTTP in the pictures of the live page: a client's connection is paired with the pooled one that serves its request now."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator

import pytest

from proxy_core.admin.ui.picture import picture
from proxy_core.admin.ui.survey import Selection, Survey
from tests.unit.admin.http_kit import OK, ROUTER, HttpRig, Stopping


@pytest.fixture
def rig() -> Iterator[HttpRig]:
    made = HttpRig()
    yield made
    made.close()


def walk(rig: HttpRig, **wanted: Any) -> Survey:
    survey = Survey(rig.connections, {"main"}, {}, Selection(**wanted))
    while not survey.step(1):
        pass
    return survey


def seen(rig: HttpRig) -> Dict[str, Any]:
    """The picture, as it goes out."""
    found: Dict[str, Any] = json.loads(json.dumps(picture(rig.server, walk(rig), 1.0)))
    return found


def settled(rig: HttpRig) -> Survey:
    """A walk in which nothing has moved since the one before."""
    moved = walk(rig).moved
    survey = Survey(rig.connections, {"main"}, moved, Selection())
    while not survey.step(1000):
        pass
    return survey


def test_a_request_under_way_is_waiting_at_its_host_and_paired_with_the_connection_that_serves_it(rig: HttpRig) -> None:
    rig.request(rig.client(), "/slow")
    rig.upstream()
    survey = settled(rig)
    assert {state: tally.count for state, tally in survey.states.items()} == {"waiting": 1}
    host = f"127.0.0.1:{rig.backend.port}"
    assert set(survey.hosts) == {("c", host)} and set(survey.ways) == {("waiting", "c")}
    pair = survey.shown()[0]
    assert pair.far is not None and pair.far.id == rig.row_of("upstream")["id"]
    row = seen(rig)["connections"][0]
    stream = row["streams"][0]
    assert (stream["method"], stream["path"], stream["upstream_id"]) == ("GET", "/slow", row["far"]["id"])
    assert (row["cluster"], row["host"], stream["filters"]) == ("c", host, [ROUTER["name"]])


def test_between_requests_a_connection_is_idle_and_belongs_to_no_cluster(rig: HttpRig) -> None:
    client = rig.client()
    rig.request(client)
    rig.upstream().send(OK)
    rig.until(lambda: client.got.endswith(b"ok"))
    survey = settled(rig)
    assert set(survey.states) == {"idle"} and not survey.hosts
    pair = survey.shown()[0]
    assert pair.far is None and seen(rig)["connections"][0]["streams"] == []


def test_a_pooled_connection_that_serves_another_client_now_is_that_ones(rig: HttpRig) -> None:
    first, second = rig.client(), rig.client()
    rig.request(first)
    upstream = rig.upstream()
    upstream.send(OK)
    rig.until(lambda: first.got.endswith(b"ok"))
    rig.request(second, "/second")
    rig.until(lambda: b"/second" in upstream.got)
    pairs = {pair.near.id: pair.far for pair in settled(rig).shown()}
    ends = [row["id"] for row in rig.rows("&side=downstream")]
    assert pairs[ends[0]] is None and pairs[ends[1]] is not None


def test_an_http_filter_that_parks_a_request_is_counted_for_its_chain_and_a_stall_is_worse(rig: HttpRig) -> None:
    client = rig.client()
    rig.put_before_router("forgetful", Stopping)
    rig.request(client, "/lost")
    survey = settled(rig)
    assert set(survey.states) == {"parked"} and survey.chains["main", ""].parked == {"forgetful": 1}
    rig.advance(1.1)
    rig.advance(0.1)
    assert set(settled(rig).states) == {"stalled"}
    row = seen(rig)["connections"][0]
    assert (row["state"], row["parked_by"]) == ("stalled", "forgetful")
    assert (row["streams"][0]["parked_by"], row["streams"][0]["parked_direction"]) == ("forgetful", "request")
