"""Downstream TLS through a whole listener: who gets in, both ends of the stream, stats, access logs, and peers that misbehave."""

from __future__ import annotations

import hashlib
import random
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest

from proxy_core.network import tls
from tests.support.engine import Engine, Json, access_log, address, bootstrap, cluster, listener, network_filter
from tests.support.garbage import found_by_the_garbage_collector
from tests.support.peers import Peer, RefusedPort, Server
from tests.support.tls_end import TlsEnd, TlsPeer, client_context, data_source, pem, transport_socket

BOTH = pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
ECHO = network_filter("echo")
S = "listener.127.0.0.1_0."
CA = {"trusted_ca": data_source("ca.crt")}
LOG = (
    "%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER% %BYTES_RECEIVED%/%BYTES_SENT% "
    "%DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_LOCAL_SUBJECT% %DOWNSTREAM_TRANSPORT_FAILURE_REASON%"
)
NewEngine = Callable[..., Engine]


@pytest.fixture
def new_engine() -> Iterator[NewEngine]:
    made: List[Engine] = []

    def make(
        *filters: Json, tls: Optional[Json] = None, chain: Optional[Json] = None, clusters: Any = (), runtime: Any = None,
        log: str = LOG, **fields: Any,
    ) -> Engine:
        one = listener(*(filters or (ECHO,)), access_log=[access_log(log)], **fields)
        one["filter_chains"][0].update(transport_socket=tls or transport_socket(), **(chain or {}))
        engine = Engine(bootstrap([one], clusters, runtime))
        made.append(engine)
        return engine.start()
    yield make
    for engine in made:
        assert engine.errors == []
        engine.close()


def proxying(new_engine: NewEngine, server: Server, **settings: Any) -> Engine:
    proxy = network_filter("tcp_proxy", stat_prefix="t", cluster="c")
    return new_engine(proxy, clusters=[cluster(address(server.port))], **settings)


def tls_client(engine: Engine, name: Optional[str] = "server.test", **context: Any) -> TlsPeer:
    peer = TlsPeer(engine.client(), client_context(**context), name)
    engine.peers[-1] = peer
    return peer


def shaken(engine: Engine, **context: Any) -> TlsPeer:
    client = tls_client(engine, **context)
    engine.until(lambda: client.tls.shaken)
    return client


def value(engine: Engine, name: str) -> int:
    return engine.value(S + name)


# -- who gets in -------------------------------------------------------------------------------------------------------

@BOTH
def test_an_echo_over_tls_with_its_stats_and_its_log_line(new_engine: NewEngine, version: str) -> None:
    engine = new_engine()
    client = shaken(engine, version=version)
    client.say(b"hello")
    engine.until(lambda: client.heard == b"hello")
    cipher = client.tls.session.cipher()
    assert cipher is not None
    assert value(engine, "ssl.handshake") == value(engine, "ssl.no_certificate") == 1
    assert value(engine, f"ssl.versions.{version}") == value(engine, f"ssl.ciphers.{cipher[0]}") == 1
    client.goodbye(fin=True)
    engine.until(lambda: not engine.live)
    assert engine.lines == [f"NotSet {version} {cipher[0]} 5/5 - CN=server.test -"]
    assert client.tls.end == "close_notify"


def test_the_application_protocol_is_the_servers_first_choice_or_none(new_engine: NewEngine) -> None:
    engine = new_engine(tls=transport_socket(common={"alpn_protocols": ["h2,http/1.1"]}))
    assert shaken(engine, alpn=["http/1.1", "h2"]).tls.session.selected_alpn_protocol() == "h2"
    assert shaken(engine, alpn=["smtp"]).tls.session.selected_alpn_protocol() is None
    assert [connection.info.alpn for connection in engine.live] == ["h2", ""]


def test_versions_can_be_bounded(new_engine: NewEngine) -> None:
    engine = new_engine(tls=transport_socket(common={"tls_params": {"tls_minimum_protocol_version": "TLSv1_3"}}))
    client = tls_client(engine, version="TLSv1.2")
    engine.until(lambda: client.tls.end)
    assert client.tls.end == "TLSV1_ALERT_PROTOCOL_VERSION"
    assert shaken(engine, version="TLSv1.3").tls.session.version() == "TLSv1.3"
    assert value(engine, "ssl.connection_error") == 1


def test_a_session_is_resumed(new_engine: NewEngine) -> None:
    engine = new_engine()
    context = client_context("TLSv1.2")
    first = TlsPeer(engine.client(), context)
    engine.peers[-1] = first
    engine.until(lambda: first.tls.shaken)
    second = TlsPeer(engine.client(), context, session=first.tls.session.session)
    engine.peers[-1] = second
    engine.until(lambda: value(engine, "ssl.handshake") == 2)
    assert second.tls.session.session_reused
    assert value(engine, "ssl.session_reused") == 1


@BOTH
@pytest.mark.parametrize("certificate, required, gets_in, stat", [
    ("client", True, True, "handshake"), ("client", False, True, "handshake"), ("", False, True, "no_certificate"),
    ("", True, False, "fail_verify_no_cert"), ("stranger", True, False, "fail_verify_error"),
    ("stranger", False, False, "fail_verify_error"), ("expired", True, False, "fail_verify_error"),
    ("below", True, False, "fail_verify_error"),
])
def test_client_certificates(
    new_engine: NewEngine, version: str, certificate: str, required: bool, gets_in: bool, stat: str
) -> None:
    engine = new_engine(tls=transport_socket(validation=CA, require_client_certificate=required))
    client = tls_client(engine, version=version, certificate=certificate)
    client.say(b"hello")
    engine.until(lambda: client.heard == b"hello" or client.tls.end or client.over)
    assert (client.heard == b"hello") == gets_in
    assert value(engine, f"ssl.{stat}") == 1
    assert value(engine, "ssl.handshake") == gets_in
    assert value(engine, "ssl.connection_error") == 0
    if not gets_in:
        engine.until(lambda: not engine.live)
        line, = engine.lines
        assert "0/0" in line and ("CERTIFICATE_VERIFY_FAILED" in line or "PEER_DID_NOT_RETURN_A_CERTIFICATE" in line)


def test_an_intermediate_in_trusted_ca_is_trusted_by_itself(new_engine: NewEngine) -> None:
    engine = new_engine(tls=transport_socket(validation={"trusted_ca": data_source("middle.crt")}))
    client = tls_client(engine, certificate="below")
    client.say(b"hello")
    engine.until(lambda: client.heard == b"hello")


@BOTH
def test_the_facts_of_a_client_certificate_reach_the_log(new_engine: NewEngine, version: str) -> None:
    names = (
        "SUBJECT", "ISSUER", "SERIAL", "URI_SAN", "DNS_SAN", "IP_SAN", "EMAIL_SAN", "OTHERNAME_SAN", "CERT_V_START",
        "FINGERPRINT_256", "CERT",
    )
    log = "|".join(f"%DOWNSTREAM_PEER_{name}%" for name in names)
    engine = new_engine(tls=transport_socket(validation=CA), log=log)
    client = shaken(engine, version=version, certificate="client")
    client.goodbye(fin=True)
    engine.until(lambda: not engine.live)
    line, = engine.lines
    subject, issuer, serial, uri, dns, ip, email, other, start, fingerprint, certificate = line[7:].split("|")
    assert (subject, issuer) == ("CN=client.test,OU=Team,O=Org\\, Inc,C=CH", "CN=Test CA,O=Tests")
    assert (uri, dns, ip) == ("spiffe://test/client", "client.test", "10.0.0.1")
    assert (email, other) == ("me@client.test", "upn@test")
    assert start == "2020-01-01T00:00:00.000Z" and len(serial) == 40 and len(fingerprint) == 64
    assert certificate.startswith("-----BEGIN%20CERTIFICATE-----%0A")


def test_a_certificate_whose_names_do_not_match_is_refused_after_the_handshake(new_engine: NewEngine) -> None:
    matcher = {"san_type": "DNS", "matcher": {"exact": "somebody.test"}}
    engine = new_engine(tls=transport_socket(validation={**CA, "match_typed_subject_alt_names": [matcher]}))
    client = tls_client(engine, certificate="client")
    client.say(b"hello")
    engine.until(lambda: client.over)
    assert client.heard == b""
    assert (value(engine, "ssl.fail_verify_san"), value(engine, "ssl.handshake")) == (1, 0)
    assert "verify_cert_failed:_SAN_matcher" in engine.lines[0] and "CN=client.test" in engine.lines[0]
    without = tls_client(engine)
    engine.until(lambda: without.tls.end)
    assert value(engine, "ssl.fail_verify_no_cert") == 1


# -- peers that misbehave ----------------------------------------------------------------------------------------------

def test_a_client_that_speaks_plain_http_costs_one_connection_and_one_reason(new_engine: NewEngine) -> None:
    engine = new_engine()
    client = engine.client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    engine.until(lambda: client.over)
    assert bytes(client.got) == b""
    assert value(engine, "ssl.connection_error") == 1
    reason = "TLS_error:|268435612:SSL_routines:OPENSSL_internal:HTTP_REQUEST:TLS_error_end"
    assert engine.lines == [f"NotSet TLSv1.2 - 0/0 - CN=server.test {reason}"]


def test_garbage_of_any_kind_leaves_nothing_behind(new_engine: NewEngine) -> None:
    engine = new_engine()
    chance = random.Random(11)
    for _ in range(60):
        client = engine.client()
        client.send(bytes(chance.getrandbits(8) for _ in range(chance.randint(5, 400))))
        client.finish()
        engine.until(lambda: client.over)
    engine.until(lambda: not engine.live)
    assert value(engine, "downstream_cx_destroy") == 60
    assert value(engine, "ssl.handshake") == 0


def test_a_client_that_leaves_at_any_point_of_its_hello_is_no_error(new_engine: NewEngine) -> None:
    engine = new_engine()
    hello = TlsEnd(client_context()).take()
    for size in (0, 1, 4, 5, 6, 9, 50, len(hello) // 2, len(hello) - 1, len(hello)):
        client = engine.client()
        client.send(hello[:size])
        client.finish()
        engine.until(lambda: client.over)
    engine.until(lambda: not engine.live)
    assert value(engine, "ssl.connection_error") == 0
    assert all(line.endswith(" -") for line in engine.lines)


@pytest.mark.parametrize("chain, runtime, seconds", [
    ({"transport_socket_connect_timeout": "2s"}, None, 2.0),
    ({}, None, 15.0),
    ({}, {"proxy_core.handshake_timeout_ms": 700}, 0.7),
])
def test_a_handshake_that_does_not_go_on_is_bounded(
    new_engine: NewEngine, chain: Json, runtime: Any, seconds: float
) -> None:
    log = "%CONNECTION_TERMINATION_DETAILS% %DOWNSTREAM_LOCAL_CLOSE_REASON%"
    engine = new_engine(chain=chain, runtime=runtime, log=log)
    client = engine.client()
    hello = TlsEnd(client_context()).take()
    client.send(hello[:10])
    engine.until(lambda: engine.live)
    engine.turn(3)
    engine.advance(seconds * 0.9)
    client.send(hello[10:11])  # a byte now and then does not buy time
    engine.turn(3)
    assert engine.live
    engine.advance(seconds * 0.1 + 0.001)
    engine.until(lambda: client.over)
    assert value(engine, "downstream_cx_transport_socket_connect_timeout") == 1
    assert engine.lines == ["NotSet transport socket timeout was reached transport_socket_timeout"]


def test_the_bound_on_handshakes_does_not_end_what_is_established(new_engine: NewEngine) -> None:
    engine = new_engine(chain={"transport_socket_connect_timeout": "2s"})
    client = shaken(engine)
    engine.advance(100.0)
    client.say(b"still here")
    engine.until(lambda: client.heard == b"still here")
    assert value(engine, "downstream_cx_transport_socket_connect_timeout") == 0


def test_a_reset_in_the_middle_is_a_reset(new_engine: NewEngine) -> None:
    engine = new_engine(log="%DOWNSTREAM_DETECTED_CLOSE_TYPE%")
    client = shaken(engine)
    engine.turn(3)
    client.reset()
    engine.until(lambda: not engine.live)
    assert engine.lines == ["NotSet RemoteReset"]


# -- the two ends of the stream ----------------------------------------------------------------------------------------

@BOTH
@pytest.mark.parametrize("notify, fin", [(True, False), (True, True), (False, True)])
def test_a_client_that_has_finished_still_gets_its_answer(
    new_engine: NewEngine, backend: Server, version: str, notify: bool, fin: bool
) -> None:
    engine = proxying(new_engine, backend)
    client = shaken(engine, version=version)
    client.say(b"question")
    if notify:
        client.goodbye(fin=fin)
    else:
        client.finish()
    upstream = engine.accepted(backend)
    engine.until(lambda: upstream.ended)
    assert bytes(upstream.got) == b"question"
    upstream.send(b"answer" * 1000)
    upstream.finish()
    engine.until(lambda: client.ended)
    assert client.heard == b"answer" * 1000
    assert client.tls.end == "close_notify"
    assert not engine.live


@BOTH
def test_a_server_that_has_finished_still_gets_the_rest_of_the_question(
    new_engine: NewEngine, backend: Server, version: str
) -> None:
    engine = proxying(new_engine, backend)
    client = shaken(engine, version=version)
    upstream = engine.accepted(backend)
    upstream.send(b"banner")
    upstream.finish()
    engine.until(lambda: client.tls.end == "close_notify" and client.ended)
    assert client.heard == b"banner"
    for piece in (b"first ", b"second ", b"third"):
        client.say(piece)
        engine.turn(3)
    engine.until(lambda: bytes(upstream.got) == b"first second third")
    client.goodbye(fin=True)
    engine.until(lambda: upstream.ended)
    engine.until(lambda: not engine.live)


def test_data_and_the_end_that_come_with_the_handshake_wait_for_the_upstream(
    new_engine: NewEngine, backend: Server
) -> None:
    engine = proxying(new_engine, backend)
    client = tls_client(engine, version="TLSv1.3")
    client.say(b"early")
    original = client.tls.send

    def send_and_finish(data: bytes) -> None:
        original(data)
        client.tls.finish()
    client.tls.send = send_and_finish  # type: ignore[method-assign]  # goodbye in the same segment as the data
    upstream = engine.accepted(backend)
    engine.until(lambda: upstream.ended)
    assert bytes(upstream.got) == b"early"
    upstream.send(b"late")
    upstream.finish()
    engine.until(lambda: client.ended)
    assert client.heard == b"late"


def test_a_connection_that_the_engine_closes_ends_with_a_goodbye(new_engine: NewEngine) -> None:
    reply = network_filter("direct_response", response={"inline_string": "go away"})
    engine = new_engine(reply)
    client = tls_client(engine)
    engine.until(lambda: client.over)
    assert client.heard == b"go away"
    assert client.tls.end == "close_notify"


def test_a_refused_upstream_closes_the_client_without_an_error_of_ours(new_engine: NewEngine) -> None:
    port = RefusedPort()
    proxy = network_filter("tcp_proxy", stat_prefix="t", cluster="c")
    engine = new_engine(proxy, clusters=[cluster(address(port.port))])
    client = tls_client(engine)
    engine.until(lambda: client.over)
    engine.until(lambda: not engine.live)
    assert value(engine, "ssl.connection_error") == 0
    port.close()


# -- volume ------------------------------------------------------------------------------------------------------------

@BOTH
def test_a_mebibyte_there_and_back(new_engine: NewEngine, version: str) -> None:
    engine = new_engine()
    client = shaken(engine, version=version)
    body = random.Random(5).getrandbits(8 << 20).to_bytes(1 << 20, "big")
    client.say(body)
    engine.until(lambda: len(client.heard) == len(body))
    assert hashlib.sha256(client.heard).digest() == hashlib.sha256(body).digest()


def test_a_client_that_does_not_read_stops_the_upstream_and_loses_nothing(
    new_engine: NewEngine, backend: Server
) -> None:
    limit = 65536
    engine = proxying(new_engine, backend, per_connection_buffer_limit_bytes=limit)
    client = shaken(engine)
    engine.turn(3)
    upstream = engine.accepted(backend)
    client.reading = False
    body = random.Random(6).getrandbits(8 * (12 << 20)).to_bytes(12 << 20, "big")
    upstream.send(body)
    last, still = -1, 0
    while still < 20:
        engine.turn()
        still = still + 1 if upstream.unsent == last else 0
        last = upstream.unsent
    assert upstream.unsent > 0
    downstream = next(one for one in engine.live if one.transport.name == "tls")
    assert downstream.write_buffer.size <= 3 * limit
    assert downstream.transport.has_output
    client.reading = True
    upstream.finish()
    engine.until(lambda: client.ended)
    assert hashlib.sha256(client.heard).digest() == hashlib.sha256(body).digest()


def test_plain_bytes_are_what_is_counted(new_engine: NewEngine) -> None:
    engine = new_engine()
    client = shaken(engine)
    client.say(b"x" * 1000)
    engine.until(lambda: len(client.heard) == 1000)
    connection, = engine.live
    assert (connection.bytes_read, connection.bytes_sent) == (1000, 1000)
    facts: Dict[str, Any] = connection.info.tls or {}
    client.goodbye(fin=True)
    engine.until(lambda: not engine.live)
    assert facts["peer_end"] == tls.CLOSE_NOTIFY


# -- certificates in use -----------------------------------------------------------------------------------------------

def test_the_certificates_of_a_listener_are_listed_and_gauged(new_engine: NewEngine) -> None:
    inline = {"certificate_chain": {"inline_string": pem("alpha.crt")}, "private_key": {"inline_string": pem("alpha.key")}}
    engine = new_engine(tls=transport_socket(common={"tls_certificates": [inline]}, validation=CA))
    entry, = engine.context.certificates.to_json(engine.clock())
    assert [one["path"] for one in entry["cert_chain"]] == ["<inline>"]
    assert [one["path"] for one in entry["ca_cert"]] == [data_source("ca.crt")["filename"]]
    assert value(engine, "ssl.certificate.unnamed_cert_e3b0c442.expiration_unix_time_seconds") == 4733510399


def test_a_plain_listener_is_not_touched_by_any_of_this(new_engine: NewEngine) -> None:
    engine = Engine(bootstrap([listener(ECHO)])).start()
    client: Peer = engine.client()
    client.send(b"plain")
    engine.until(lambda: bytes(client.got) == b"plain")
    assert engine.live[0].info.tls is None
    assert engine.context.certificates.to_json(0.0) == []
    engine.close()


@pytest.mark.parametrize("how", ["goodbye", "reset", "bad record"])
def test_nothing_of_a_connection_is_left_for_the_garbage_collector(new_engine: NewEngine, how: str) -> None:
    engine = new_engine()

    def come_and_go() -> None:
        client = shaken(engine)
        client.say(b"hello")
        engine.until(lambda: client.heard == b"hello")
        if how == "goodbye":
            client.goodbye(fin=True)
        elif how == "reset":
            client.reset()
        else:
            client.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        engine.until(lambda: not engine.live)
        engine.peers.pop().close()
        engine.advance(1.1)  # timers that were put off are not set any more
    come_and_go()  # what is made once is made now
    with found_by_the_garbage_collector() as found:
        come_and_go()
    assert found == {}
