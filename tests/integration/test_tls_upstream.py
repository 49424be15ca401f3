"""TLS towards upstreams through a whole proxy: who is trusted, what is asked for, both ends of the stream, and bad servers."""

from __future__ import annotations

import ssl
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest

from proxy_core.buffer import Buffer
from proxy_core.filters.api import CONTINUE, ConnectionEvent, FilterStatus, ReadFilterCallbacks
from tests.support.engine import Engine, Json, access_log, address, bootstrap, cluster, listener, network_filter
from tests.support.peers import Peer, Server
from tests.support.tls_end import (
    TlsPeer, client_context, data_source, server_context, transport_socket, upstream_socket,
)

BOTH = pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
CA = {"trusted_ca": data_source("ca.crt")}
UP_TO_13 = {"tls_params": {"tls_maximum_protocol_version": "TLSv1_3"}}
S = "cluster.c.ssl."
LOG = "%RESPONSE_FLAGS% %UPSTREAM_TRANSPORT_FAILURE_REASON%"
VERIFY = "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_"
NewEngine = Callable[..., Engine]


@pytest.fixture
def new_engine(backend: Server) -> Iterator[NewEngine]:
    made: List[Engine] = []

    def make(transport_socket: Optional[Json], log: str = LOG, endpoint: Optional[Json] = None, **fields: Any) -> Engine:
        proxy = network_filter("tcp_proxy", stat_prefix="t", cluster="c", access_log=[access_log(log)])
        if transport_socket is not None:
            fields["transport_socket"] = transport_socket
        group = cluster(address(backend.port), **fields)
        group["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"].update(endpoint or {})
        engine = Engine(bootstrap([listener(proxy)], [group]))
        made.append(engine)
        return engine.start()
    yield make
    for engine in made:
        assert engine.errors == []
        engine.close()


def secured(engine: Engine, backend: Server, context: Optional[ssl.SSLContext] = None) -> TlsPeer:
    """The next connection of the engine to its upstream, which speaks TLS."""
    peer = TlsPeer(engine.accepted(backend), context or server_context(), server_side=True)
    engine.peers[-1] = peer
    return peer


def value(engine: Engine, name: str) -> int:
    return engine.value(S + name)


def found(engine: Engine, name: str) -> bool:
    return engine.stats.find(S + name) is not None


def refused(engine: Engine, client: Peer) -> str:
    """The log line of a connection whose upstream can't be had."""
    engine.until(lambda: client.over and not engine.live)
    line: str
    line, = engine.lines
    return line[len("TcpConnectionEnd "):]


class StateFilter:
    """Puts something into the filter state before tcp_proxy connects."""

    def __init__(self, values: Dict[str, Any]) -> None:
        self._values = values

    def initialize_read_filter_callbacks(self, callbacks: ReadFilterCallbacks) -> None:
        for name, item in self._values.items():
            callbacks.connection.info.set_filter_state(name, item)

    def on_new_connection(self) -> FilterStatus:
        return CONTINUE

    def on_data(self, data: Buffer, end_stream: bool) -> FilterStatus:
        return CONTINUE

    def on_event(self, event: ConnectionEvent) -> None:
        """Nothing."""


def with_state(engine: Engine, **values: Any) -> None:
    named = {f"envoy.network.{name}": item for name, item in values.items()}
    engine.put_in_front(lambda manager: manager.add_read_filter(StateFilter(named), "state"))


# -- the good way ------------------------------------------------------------------------------------------------------

@BOTH
def test_bytes_both_ways_with_stats_and_log_facts(new_engine: NewEngine, backend: Server, version: str) -> None:
    log = (
        "%UPSTREAM_TLS_VERSION% %UPSTREAM_TLS_CIPHER% %UPSTREAM_PEER_SUBJECT% %UPSTREAM_PEER_ISSUER% "
        "%UPSTREAM_PEER_URI_SAN% %UPSTREAM_LOCAL_DNS_SAN% %UPSTREAM_SERVER_NAME% %DOWNSTREAM_TLS_VERSION%"
    )
    tls = upstream_socket(CA, certificate="client", common=UP_TO_13, sni="server.test")
    engine = new_engine(tls, log=log)
    client = engine.client()
    client.send(b"question")
    server = secured(engine, backend, server_context(version=version, client_ca="ca"))
    engine.until(lambda: bytes(server.tls.got) == b"question")
    server.say(b"answer")
    engine.until(lambda: bytes(client.got) == b"answer")
    cipher = server.tls.session.cipher()
    assert cipher is not None
    assert value(engine, "handshake") == value(engine, f"versions.{version}") == value(engine, f"ciphers.{cipher[0]}") == 1
    client.finish()
    engine.until(lambda: server.ended)
    server.goodbye(fin=True)
    engine.until(lambda: not engine.live)
    line, = engine.lines
    issuer = "CN=Test CA,O=Tests"
    facts = f"{version} {cipher[0]} CN=server.test {issuer} spiffe://test/server client.test server.test -"
    assert line == f"TcpConnectionEnd {facts}"


def test_the_newest_version_of_a_client_is_1_2_unless_more_is_allowed(new_engine: NewEngine, backend: Server) -> None:
    """Envoy's default, too."""
    only_13 = {"tls_params": {"tls_minimum_protocol_version": "TLSv1_3"}}
    for common, version in (({}, "TLSv1.2"), (UP_TO_13, "TLSv1.3"), (only_13, "TLSv1.3")):
        engine = new_engine(upstream_socket(CA, common=common))
        engine.client()
        server = secured(engine, backend)
        engine.until(lambda: server.tls.shaken)
        assert server.tls.session.version() == version


@BOTH
def test_a_client_that_has_finished_still_gets_the_answer(new_engine: NewEngine, backend: Server, version: str) -> None:
    engine = new_engine(upstream_socket(CA, common=UP_TO_13))
    client = engine.client()
    client.send(b"question")
    client.finish()
    server = secured(engine, backend, server_context(version=version))
    engine.until(lambda: server.ended)
    assert (bytes(server.tls.got), server.tls.end) == (b"question", "close_notify")
    server.say(b"answer" * 1000)
    server.goodbye(fin=True)
    engine.until(lambda: client.ended)
    assert bytes(client.got) == b"answer" * 1000
    assert not engine.live


@BOTH
def test_a_server_that_has_finished_still_gets_the_rest(new_engine: NewEngine, backend: Server, version: str) -> None:
    engine = new_engine(upstream_socket(CA, common=UP_TO_13))
    client = engine.client()
    server = secured(engine, backend, server_context(version=version))
    engine.until(lambda: server.tls.shaken)
    server.say(b"banner")
    server.goodbye()
    engine.until(lambda: client.ended)
    assert bytes(client.got) == b"banner"
    client.send(b"late question")
    client.finish()
    engine.until(lambda: server.ended)
    assert bytes(server.tls.got) == b"late question"


def test_a_mebibyte_there_and_back_and_nothing_is_spliced_past_tls(new_engine: NewEngine, backend: Server) -> None:
    engine = new_engine(upstream_socket(CA))
    client = engine.client()
    server = secured(engine, backend)
    engine.until(lambda: server.tls.shaken)
    body = bytes(range(256)) * 4096
    client.send(body)
    engine.until(lambda: len(server.tls.got) == len(body))
    server.say(bytes(server.tls.got))
    engine.until(lambda: len(client.got) == len(body))
    assert bytes(client.got) == body


# -- what is asked for -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("fields, endpoint, state, expected", [
    ({}, {}, {}, None),
    ({"sni": "a.test"}, {}, {}, "a.test"),
    ({"sni": "a.test", "auto_host_sni": True}, {"hostname": "host.test"}, {}, "host.test"),
    ({"sni": "a.test", "auto_host_sni": True}, {}, {}, "a.test"),
    ({"sni": "a.test"}, {"hostname": "host.test"}, {}, "a.test"),
    ({"sni": "a.test", "auto_host_sni": True}, {"hostname": "host.test"}, {"upstream_server_name": "b.test"}, "b.test"),
])
def test_the_server_name(
    new_engine: NewEngine, backend: Server, fields: Json, endpoint: Json, state: Json, expected: Optional[str]
) -> None:
    engine = new_engine(upstream_socket(CA, **fields), endpoint=endpoint)
    with_state(engine, **state)
    engine.client()
    context = server_context()
    asked: List[Optional[str]] = []
    context.sni_callback = lambda session, name, own: asked.append(name)
    server = secured(engine, backend, context)
    engine.until(lambda: server.tls.shaken)
    assert asked == [expected]


def test_a_server_name_that_cannot_be_sent_costs_one_connection(new_engine: NewEngine, backend: Server) -> None:
    engine = new_engine(upstream_socket(CA))
    with_state(engine, upstream_server_name="a..b")
    assert refused(engine, engine.client()) == "UF,URX TLS_error:_'a..b'_can't_be_sent_as_a_server_name"


@pytest.mark.parametrize("protocols, expected", [(None, "h2"), ("http/1.1,h2", "http/1.1"), (["http/1.1"], "http/1.1")])
def test_application_protocols(new_engine: NewEngine, backend: Server, protocols: Any, expected: str) -> None:
    engine = new_engine(upstream_socket(CA, common={"alpn_protocols": ["h2"]}))
    if protocols is not None:
        with_state(engine, application_protocols=protocols)
    engine.client()
    server = secured(engine, backend, server_context(alpn=["http/1.1", "h2"]))
    engine.until(lambda: server.tls.shaken)
    assert server.tls.session.selected_alpn_protocol() == expected


@BOTH
@pytest.mark.parametrize("most, resumed", [({}, True), ({"max_session_keys": 0}, False), ({"max_session_keys": 3}, True)])
def test_sessions_are_resumed(new_engine: NewEngine, backend: Server, version: str, most: Json, resumed: bool) -> None:
    engine = new_engine(upstream_socket(CA, common=UP_TO_13, sni="server.test", **most))
    context = server_context(version=version)
    for count in range(3):
        client = engine.client()
        server = secured(engine, backend, context)
        engine.until(lambda: server.tls.shaken)
        server.say(b"x")
        engine.until(lambda: bytes(client.got) == b"x")
        assert bool(server.tls.session.session_reused) == (resumed and count > 0)
        client.finish()
        server.goodbye(fin=True)
        engine.until(lambda: client.over)
    assert value(engine, "session_reused") == (2 if resumed else 0)
    assert value(engine, "handshake") == 3


# -- who is trusted ----------------------------------------------------------------------------------------------------

def san(kind: str, **matcher: Any) -> Json:
    return {"san_type": kind, "matcher": matcher}


@pytest.mark.parametrize("certificate, validation, refusal, stat", [
    ("server", CA, "", ""),
    ("alpha", None, "", ""),  # nothing is asked
    ("itself", None, "", ""),
    ("itself", CA, "at_depth_0:_self_signed_certificate", "fail_verify_error"),
    ("stranger", CA, "at_depth_0:_unable_to_get_local_issuer_certificate", "fail_verify_error"),
    ("client", CA, "at_depth_0:_unsupported_certificate_purpose", "fail_verify_error"),
    ("expired_server", CA, "at_depth_0:_certificate_has_expired", "fail_verify_error"),
    ("expired_server", {**CA, "allow_expired_certificate": True}, "", ""),
    ("itself", {**CA, "trust_chain_verification": "ACCEPT_UNTRUSTED"}, "", ""),
    ("server", {**CA, "match_typed_subject_alt_names": [san("DNS", exact="server.test")]}, "", ""),
    ("server", {**CA, "match_typed_subject_alt_names": [san("DNS", exact="x.wild.test")]}, "", ""),
    ("server", {**CA, "match_typed_subject_alt_names": [san("IP_ADDRESS", exact="127.0.0.1")]}, "", ""),
    ("server", {**CA, "match_typed_subject_alt_names": [san("URI", prefix="spiffe://")]}, "", ""),
    ("server", {**CA, "match_typed_subject_alt_names": [san("URI", suffix="/nobody"), san("EMAIL", contains="@")]}, "", ""),
    ("server", {**CA, "match_typed_subject_alt_names": [san("DNS", safe_regex={"regex": "nobody.*"})]},
     "SAN_matcher,_certificate_SANs_are_[", "fail_verify_san"),
    ("server", {"verify_certificate_hash": ["00" * 32]}, "cert_hash_and_spki", "fail_verify_cert_hash"),
    ("server", {**CA, "verify_certificate_spki": ["A" * 43 + "="]}, "cert_hash_and_spki", "fail_verify_cert_hash"),
])
def test_server_certificates(
    new_engine: NewEngine, backend: Server, certificate: str, validation: Any, refusal: str, stat: str
) -> None:
    engine = new_engine(upstream_socket(validation))
    client = engine.client()
    client.send(b"secret")
    server = secured(engine, backend, server_context(certificate))
    if not stat:
        engine.until(lambda: bytes(server.tls.got) == b"secret")
        assert value(engine, "handshake") == 1
        return
    line = refused(engine, client)
    assert line.startswith(f"UF,URX {VERIFY}") and refusal in line
    assert value(engine, stat) == 1
    assert value(engine, "handshake") == value(engine, "connection_error") == 0
    assert engine.value("cluster.c.upstream_cx_connect_fail") == 1
    assert bytes(server.tls.got) == b""


@pytest.mark.parametrize("fields, state, refusal", [
    ({"sni": "server.test", "auto_sni_san_validation": True}, {}, ""),
    ({"sni": "x.wild.test", "auto_sni_san_validation": True}, {}, ""),
    ({"auto_sni_san_validation": True}, {}, ""),
    ({"sni": "other.test", "auto_sni_san_validation": True}, {}, "SAN_matcher,_certificate_SANs_are_[server.test,"),
    ({"sni": "server.test", "auto_sni_san_validation": True}, {"upstream_server_name": "other.test"}, "SAN_matcher,"),
    ({"sni": "server.test"}, {"upstream_subject_alt_names": "no.test,localhost"}, ""),
    ({"sni": "server.test"}, {"upstream_subject_alt_names": ["spiffe://test/server"]}, ""),
    ({"sni": "server.test"}, {"upstream_subject_alt_names": ["no.test", "non.test"]},
     "verify_SAN_list,_expected_SANs:_[no.test,_non.test],_certificate_SANs:_[server.test,"),
])
def test_names_that_depend_on_the_connection(
    new_engine: NewEngine, backend: Server, fields: Json, state: Json, refusal: str
) -> None:
    engine = new_engine(upstream_socket(CA, **fields))
    with_state(engine, **state)
    client = engine.client()
    server = secured(engine, backend)
    if not refusal:
        engine.until(lambda: value(engine, "handshake") == 1)
        return
    assert f"{VERIFY}{refusal}" in refused(engine, client)
    assert value(engine, "fail_verify_san") == 1
    assert not server.tls.got


@pytest.mark.parametrize("revoked, crl, gets_in", [("alpha", True, True), ("revoked", True, False), ("revoked", False, True)])
def test_revoked_client_certificates(revoked: str, crl: bool, gets_in: bool) -> None:
    validation = {**CA, **({"crl": data_source("ca.crl")} if crl else {})}
    one = listener(network_filter("echo"), access_log=[access_log("%DOWNSTREAM_TRANSPORT_FAILURE_REASON%")])
    one["filter_chains"][0]["transport_socket"] = transport_socket(validation=validation, require_client_certificate=True)
    engine = Engine(bootstrap([one])).start()
    client = TlsPeer(engine.client(), client_context(certificate=revoked))
    engine.peers[-1] = client
    client.say(b"x")
    engine.until(lambda: client.heard == b"x" or client.over)
    assert (client.heard == b"x") == gets_in
    if not gets_in:
        engine.until(lambda: engine.lines)
        reason = "_certificate_revocation_check_against_provided_CRLs_failed:_certificate_revoked:TLS_error_end"
        where = f"{VERIFY}X509_verify_cert:_certificate_verification_error_at_depth_0:"
        assert engine.lines[0].endswith(where + reason)
    engine.close()


# -- servers that misbehave --------------------------------------------------------------------------------------------

def test_a_server_that_speaks_plaintext(new_engine: NewEngine, backend: Server) -> None:
    engine = new_engine(upstream_socket(CA))
    client = engine.client()
    engine.accepted(backend).send(b"220 smtp.test ready, what would you like\r\n")
    assert refused(engine, client).startswith("UF,URX TLS_error:|")
    assert value(engine, "connection_error") == 1


def test_a_server_that_finishes_or_resets_during_the_handshake_is_no_error_of_tls(
    new_engine: NewEngine, backend: Server
) -> None:
    for reset, reason in ((False, "-"), (True, "TLS_error:|33554536:system_library:OPENSSL_internal:Connection_reset_by_peer")):
        engine = new_engine(upstream_socket(CA))
        client = engine.client()
        server = engine.accepted(backend)
        engine.until(lambda: server.got)
        server.reset() if reset else server.finish()
        assert refused(engine, client).startswith(f"UF,URX {reason}")
        assert value(engine, "connection_error") == 0


def test_connect_timeout_covers_the_handshake(new_engine: NewEngine, backend: Server) -> None:
    engine = new_engine(upstream_socket(CA), connect_timeout="2s")
    client = engine.client()
    server = engine.accepted(backend)
    engine.until(lambda: server.got)
    engine.advance(1.9)
    assert not client.over
    engine.advance(0.2)
    assert refused(engine, client) == "UF,URX -"
    assert engine.value("cluster.c.upstream_cx_connect_timeout") == 1


def test_a_client_that_leaves_during_the_handshake_takes_the_upstream_connection_along(
    new_engine: NewEngine, backend: Server
) -> None:
    engine = new_engine(upstream_socket(CA))
    client = engine.client()
    server = engine.accepted(backend)
    engine.until(lambda: server.got)
    client.reset()
    engine.advance(1.0)  # a reset of a paused connection is heard of after a moment
    engine.until(lambda: server.over and not engine.live)


def test_a_raw_buffer_that_is_configured_is_raw(new_engine: NewEngine, backend: Server) -> None:
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
    engine = new_engine({"name": "raw", "typed_config": {"@type": kind}})
    client = engine.client()
    client.send(b"plain")
    server = engine.accepted(backend)
    engine.until(lambda: bytes(server.got) == b"plain")
    assert not found(engine, "handshake")
