"""Whom a TLS context trusts and with which parameters: what is refused at load, with its path, and what reaches OpenSSL."""

from __future__ import annotations

import ssl
import sys
from typing import Any, Dict, List, Tuple

import pytest

from proxy_core.config.decode import decode
from proxy_core.config.fields import TypeRegistry
from proxy_core.config.model.secret import CertificateValidationContext
from proxy_core.errors import ConfigError
from proxy_core.extensions.transport.tls import config
from proxy_core.extensions.transport.tls.checks import CertificateChecks
from proxy_core.extensions.transport.tls.client import is_server_name
from proxy_core.extensions.transport.tls.client_contexts import MOST_CONTEXTS, MOST_SERVER_NAMES, ClientContexts, Sessions
from proxy_core.extensions.transport.tls.contexts import ContextMaker
from proxy_core.extensions.transport.tls.parameters import Parameters
from proxy_core.extensions.transport.tls.trust import load_trust
from tests.support.engine import Engine, bootstrap, cluster, listener, network_filter, address
from tests.support.tls_end import data_source, pem, tls_certificate, transport_socket, upstream_socket

CA = {"trusted_ca": data_source("ca.crt")}


def context_of(**fields: Any) -> CertificateValidationContext:
    return decode(CertificateValidationContext, fields, TypeRegistry())


def flags(**fields: Any) -> int:
    trust = load_trust(context_of(**fields), "v", True)
    assert trust is not None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.apply(made)
    return int(made.verify_flags)


def problems(**fields: Any) -> List[Tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        load_trust(context_of(**fields), "v", True)
    return [(problem.path, problem.message) for problem in caught.value.problems]


# -- trust -------------------------------------------------------------------------------------------------------------

def test_revocation_lists_are_looked_up_for_the_chain_or_for_the_leaf() -> None:
    crl = data_source("ca.crl")
    assert not flags(**CA) & 0xC
    assert flags(**CA, crl=crl) & 0xC == 0xC
    assert flags(**CA, crl=crl, only_verify_leaf_cert_crl=True) & 0xC == 0x4


def test_a_list_in_the_file_of_the_authority_counts_as_in_envoy() -> None:
    assert flags(trusted_ca={"inline_string": pem("ca.crt") + pem("ca.crl")}) & 0xC == 0xC


@pytest.mark.parametrize("crl, text", [
    ({"inline_string": "x"}, "no PEM revocation list in it"),
    ({"inline_string": "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"}, "Failed to load CRL from <inline>"),
])
def test_a_list_that_is_none_is_refused(crl: Dict[str, Any], text: str) -> None:
    (path, message), = problems(**CA, crl=crl)
    assert path == "v.crl" and text in message


def test_times_can_be_left_out_of_account() -> None:
    assert flags(**CA, allow_expired_certificate=True) & 0x200000
    assert not flags(**CA) & 0x200000


@pytest.mark.parametrize("fields, path", [
    ({"allow_expired_certificate": True}, "v.allow_expired_certificate"),
    ({"match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "x"}}]}, "v.match_typed_subject_alt_names"),
    ({**CA, "system_root_certs": {}}, "v.system_root_certs"),
])
def test_contradictions(fields: Dict[str, Any], path: str) -> None:
    assert [found for found, _ in problems(**fields)] == [path]


def test_without_an_authority_or_with_any_no_chain_is_verified() -> None:
    assert load_trust(context_of(), "v", True) is None
    assert load_trust(context_of(**CA, trust_chain_verification="ACCEPT_UNTRUSTED"), "v", True) is None


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="this Python tells the verified chain")
def test_the_depth_of_chains_needs_a_python_that_tells_it() -> None:
    (path, message), = problems(**CA, max_verify_depth=1)
    assert path == "v.max_verify_depth" and "3.13" in message


@pytest.mark.parametrize("length, most, refused", [(2, 0, False), (3, 0, True), (3, 1, False), (1, 0, False), (5, 2, True)])
def test_the_depth_of_chains_is_the_number_of_intermediates(length: int, most: int, refused: bool) -> None:
    class Session:
        """A verified chain of some length."""

        def get_verified_chain(self) -> List[bytes]:
            return [b""] * length
    session: Any = Session()
    refusal = CertificateChecks(context_of(**CA, max_verify_depth=most)).refuse_chain(session)
    assert (refusal is not None) == refused
    if refusal is not None:
        assert refusal.stat == "fail_verify_error" and "certificate chain too long" in refusal.why


# -- parameters --------------------------------------------------------------------------------------------------------

def parameters(newest: str = "TLSv1_3", **fields: Any) -> Parameters:
    common = decode(config.CommonTlsContext, {"tls_params": fields}, TypeRegistry())
    return Parameters(common, "c", newest)


@pytest.mark.parametrize("fields, newest, expected", [
    ({}, "TLSv1_3", ("TLSv1_2", "TLSv1_3")),
    ({}, "TLSv1_2", ("TLSv1_2", "TLSv1_2")),
    ({"tls_minimum_protocol_version": "TLSv1_3"}, "TLSv1_2", ("TLSv1_3", "TLSv1_3")),
    ({"tls_maximum_protocol_version": "TLSv1_3"}, "TLSv1_2", ("TLSv1_2", "TLSv1_3")),
    ({"tls_minimum_protocol_version": "TLSv1_1"}, "TLSv1_2", ("TLSv1_1", "TLSv1_2")),
])
def test_versions(fields: Dict[str, Any], newest: str, expected: Tuple[str, str]) -> None:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    parameters(newest, **fields).apply(made)
    assert (made.minimum_version.name, made.maximum_version.name) == expected


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521", "prime256v1"])
def test_one_curve(curve: str) -> None:
    parameters(ecdh_curves=[curve]).apply(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


def test_an_unknown_curve_and_several_are_refused_with_the_path() -> None:
    with pytest.raises(ConfigError, match=r"c\.tls_params\.ecdh_curves\[0\]: Failed to initialize ECDH curves nope"):
        parameters(ecdh_curves=["nope"])
    with pytest.raises(ConfigError, match="more than one curve"):
        parameters(ecdh_curves=["P-256", "P-384"])


def test_tickets_can_be_switched_off() -> None:
    for off in (False, True):
        message = decode(config.DownstreamTlsContext, {"disable_stateless_session_resumption": off}, TypeRegistry())
        made = ContextMaker(message, None, "").make([])
        assert (made.num_tickets == 0) == bool(made.options & ssl.OP_NO_TICKET) == off


@pytest.mark.parametrize("fields, path", [
    ({"disable_stateful_session_resumption": True}, "disable_stateful_session_resumption"),
    ({"session_ticket_keys": {"keys": [{"inline_string": "x"}]}}, "session_ticket_keys"),
    ({"session_timeout": "5s"}, "session_timeout"),
])
def test_what_pythons_ssl_cannot_do_is_refused(fields: Dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decode(config.DownstreamTlsContext, fields, TypeRegistry())
    assert [problem.path for problem in caught.value.problems] == [path]


# -- clients -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, good", [
    ("a.test", True), ("localhost", True), ("127.0.0.1", True), ("x_y.test", True), ("a..b", False), (".a", False),
    ("a" * 64 + ".test", False), ("a\0b", False),
])
def test_server_names(name: str, good: bool) -> None:
    assert is_server_name(name) == good


@pytest.mark.parametrize("tls, path, text", [
    (upstream_socket(common={"tls_certificates": [tls_certificate("client"), tls_certificate("server")]}),
     "common_tls_context.tls_certificates", "Multiple TLS certificates are not supported for client contexts"),
    (upstream_socket(sni="a..b"), "sni", "can't be sent as a server name"),
    (upstream_socket(sni="a.test", auto_sni_san_validation=True), "auto_sni_san_validation", "without a validation context"),
    (upstream_socket({"trusted_ca": {"inline_string": "x"}}), "common_tls_context.validation_context.trusted_ca", "no PEM"),
    (transport_socket(), "", "is not an upstream transport socket"),
])
def test_upstream_contexts_that_cannot_work(tls: Dict[str, Any], path: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Engine(bootstrap([listener(network_filter("echo"))], [cluster(address(1), transport_socket=tls)]))
    problem, = caught.value.problems
    where = "static_resources.clusters[0].transport_socket.typed_config"
    assert problem.path == (f"{where}.{path}" if path else where) and text in problem.message


def test_what_is_kept_for_names_and_protocols_that_clients_choose_is_bounded() -> None:
    contexts = ClientContexts(parameters(), None, None, 1)
    for number in range(MOST_CONTEXTS + 10):
        contexts.find([f"p{number}"])
    assert len(contexts._by_protocols) == MOST_CONTEXTS
    assert contexts.find(["p70"]) is contexts.find(["p70"])

    class Session:
        """As much of a session as is looked at."""

        has_ticket = True
        id = b""
    sessions = Sessions(1)
    session: Any = Session()
    for number in range(MOST_SERVER_NAMES + 10):
        sessions.add(str(number), session, False)
    assert sessions.take("0") is None
    assert sessions.take(str(MOST_SERVER_NAMES + 9)) is session


def test_sessions_of_1_3_are_offered_once_and_the_newest_first() -> None:
    class Session:
        """As much of a session as is looked at."""

        has_ticket = True
        id = b""
    one, two, three = [Session() for _ in range(3)]
    given: Any
    sessions = Sessions(2)
    for given in (one, two, three):
        sessions.add("a", given, True)
    assert [sessions.take("a"), sessions.take("a"), sessions.take("a")] == [three, two, None]
    given = one
    sessions.add("a", given, False)
    assert sessions.take("a") is sessions.take("a") is one
    assert sessions.take("b") is None
