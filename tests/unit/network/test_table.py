"""The table of connections: what it remembers of those that ended, and that it keeps none of them in memory."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from proxy_core.network.address import Address
from proxy_core.network.close import ABORT_RESET, CloseReason
from proxy_core.network.connection import Connection
from proxy_core.network.table import ConnectionTable
from proxy_core.observe.reasons import ClosedConnection
from proxy_core.observe.stream_info import StreamInfo, UpstreamInfo
from tests.support.rig import Rig


@pytest.fixture
def rig() -> Any:
    made = Rig("scripted")
    yield made
    made.close()


def ended(rig: Rig, table: ConnectionTable, remember: bool = True) -> Connection:
    """The rig's connection, reset by us with a reason while a filter had it paused."""
    connection = rig.connection
    connection.info.listener_name, connection.info.filter_chain_name = "in", "tls"
    connection.info.upstream = UpstreamInfo()
    connection.info.upstream.cluster_raw, connection.info.upstream.connecting_to = "db", "10.0.0.1:5432"
    connection.info.upstream.connection_id = 9
    connection.info.add_flag("UF")
    connection.remote_address = Address.from_ip("192.0.2.1", 5000)
    connection.local_address = Address.from_ip("192.0.2.2", 80)
    connection.bytes_read, connection.bytes_queued, connection.bytes_sent = 11, 22, 20
    table.add(connection)
    connection.pause_reading("somebody")
    rig.clock.advance(2.5)
    rig.turn()
    connection.close(ABORT_RESET, "detail", config="a setting")
    table.discard(connection, remember)
    return connection


def test_the_record_of_a_connection_has_every_fact_in_its_place(rig: Rig) -> None:
    table = ConnectionTable()
    connection = ended(rig, table)
    one = next(table.closed.newest_first())
    assert isinstance(one, ClosedConnection)
    assert (one.id, one.stream_id) == (connection.id, connection.info.connection_id)
    assert one.closed_at - one.opened_at == 2.5
    assert (one.received, one.sent, one.queued, one.unsent) == (11, 20, 22, 2)
    assert (str(one.remote_address), str(one.local_address)) == ("192.0.2.1:5000", "192.0.2.2:80")
    assert (one.listener, one.filter_chain, one.cluster, one.host) == ("in", "tls", "db", "10.0.0.1:5432")
    assert (one.upstream_id, one.flags, one.paused_by, one.parked_by) == (9, ("UF",), ("somebody",), "")
    assert str(one.reason) == "local policy: detail (a setting)"


def test_an_upstream_connection_is_remembered_with_the_address_it_had(rig: Rig) -> None:
    table = ConnectionTable()
    connection = rig.connection
    connection.info.upstream = UpstreamInfo()
    connection.info.upstream.local_address = "127.0.0.1:40000"
    table.discard(connection)
    assert next(table.closed.newest_first()).local_address == "127.0.0.1:40000"


def test_a_record_keeps_no_connection_in_memory(rig: Rig) -> None:
    table = ConnectionTable()
    connection = ended(rig, table)
    rig.turn()
    held = gc.get_referents(*table.closed._records)
    assert not any(isinstance(one, (Connection, StreamInfo)) for one in held)
    assert connection.fd < 0


def test_what_is_not_to_be_remembered_is_only_forgotten(rig: Rig) -> None:
    table = ConnectionTable()
    connection = ended(rig, table, remember=False)
    assert len(table.closed) == 0 and table.get(connection.id) is None


def test_a_live_connection_is_found_by_its_id(rig: Rig) -> None:
    table = ConnectionTable()
    table.add(rig.connection)
    assert table.get(rig.connection.id) is rig.connection
    assert table.get(12345) is None


def test_a_socket_that_never_was_a_connection_has_a_record_without_an_id() -> None:
    table = ConnectionTable()
    info = StreamInfo(0, 0.0, 5.0)
    info.listener_name, info.end_mono = "in", 6.5
    table.remember_refused(info, "peer", "us", CloseReason("local", "policy", "no chain"))
    one = next(table.closed.newest_first())
    assert (one.id, one.side, one.peer_id, one.listener) == (None, "downstream", None, "in")
    assert one.closed_at - one.opened_at == 1.5
    assert (str(one.remote_address), one.reason.detail) == ("peer", "no chain")
