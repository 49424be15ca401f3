"""What a downstream TLS context may say, and every mistake in it named by its path."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any, Dict, List

import pytest

from proxy_core.config.load import decode_bootstrap
from proxy_core.errors import ConfigError
from proxy_core.extensions.transport.tls import config, material
from proxy_core.server.extensions import Extensions
from tests.support.engine import Engine, Json, bootstrap, listener, network_filter
from tests.support.tls_end import CERTS, data_source, pem, tls_certificate, transport_socket

PATH = "static_resources.listeners[0].filter_chains[0].transport_socket.typed_config"
COMMON = f"{PATH}.common_tls_context"
FIRST = f"{COMMON}.tls_certificates[0]"


def with_socket(socket_config: Dict[str, Any]) -> Json:
    one = listener(network_filter("echo"))
    one["filter_chains"][0]["transport_socket"] = socket_config
    return bootstrap([one])


def problems(socket_config: Dict[str, Any]) -> List[str]:
    """What loading this transport socket complains about."""
    try:
        engine = Engine(with_socket(socket_config))
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    engine.close()
    return []


def with_certificate(**fields: Any) -> Dict[str, Any]:
    return transport_socket(common={"tls_certificates": [fields]})


def inline(name: str) -> Dict[str, str]:
    return {"inline_string": pem(name)}


@pytest.mark.parametrize("fields", [
    tls_certificate(), tls_certificate("server_rsa"), tls_certificate("expired"),
    {"certificate_chain": inline("server.crt"), "private_key": inline("server.key")},
    {"certificate_chain": inline("server.crt"), "private_key": data_source("server_locked.key"),
     "password": {"inline_string": "secret"}},
    {"certificate_chain": {"inline_string": pem("below.crt") + pem("middle.crt")}, "private_key": inline("below.key")},
    {"certificate_chain": {"inline_string": pem("server.crt") + "trailing"}, "private_key": inline("server.key")},
])
def test_what_can_be_loaded(fields: Dict[str, Any]) -> None:
    assert problems(with_certificate(**fields)) == []


@pytest.mark.parametrize("fields, where, text", [
    ({"certificate_chain": {"filename": "/nowhere/a.crt"}, "private_key": inline("server.key")},
     ".certificate_chain.filename", "Invalid path: /nowhere/a.crt"),
    ({"certificate_chain": inline("server.crt"), "private_key": {"filename": "/nowhere/a.key"}},
     ".private_key.filename", "Invalid path: /nowhere/a.key"),
    ({"private_key": inline("server.key")}, ".certificate_chain", "not set"),
    ({"certificate_chain": inline("server.crt")}, ".private_key", "not set"),
    ({"certificate_chain": {"inline_string": "hello"}, "private_key": inline("server.key")},
     ".certificate_chain", "Failed to load certificate chain from <inline>: no PEM certificate in it"),
    ({"certificate_chain": data_source("server.key"), "private_key": inline("server.key")},
     ".certificate_chain", f"Failed to load certificate chain from {CERTS}/server.key: no PEM certificate in it"),
    ({"certificate_chain": {"inline_string": ""}, "private_key": inline("server.key")},
     ".certificate_chain", "DataSource cannot be empty"),
    ({"certificate_chain": inline("server.crt"), "private_key": {"inline_string": "hello"}},
     ".private_key", "Failed to load private key from <inline>, Cause: there is no usable PEM key in it"),
    ({"certificate_chain": inline("server.crt"), "private_key": data_source("client.key")},
     ".private_key", f"Failed to load private key from {CERTS}/client.key, Cause: it is not the certificate's key"),
    ({"certificate_chain": inline("server.crt"), "private_key": inline("server_locked.key")},
     ".private_key", "it is encrypted, and `password` is not set"),
    ({"certificate_chain": inline("server.crt"), "private_key": inline("server_locked.key"),
      "password": {"inline_string": "wrong"}}, ".password", "the password is wrong"),
])
def test_what_can_not_be_loaded_is_named_by_its_path(fields: Dict[str, Any], where: str, text: str) -> None:
    found, = problems(with_certificate(**fields))
    assert found.startswith(f"{FIRST}{where}: ") and text in found


def test_a_broken_certificate_says_what_is_wrong_with_it() -> None:
    spoilt = ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(pem("server.crt"))[:-10])
    found, = problems(with_certificate(certificate_chain={"inline_string": spoilt}, private_key=inline("server.key")))
    assert found == f"{FIRST}.certificate_chain: Failed to load certificate chain from <inline>: truncated"


def test_no_message_shows_a_key_or_a_password() -> None:
    fields = {"certificate_chain": inline("server.crt"), "private_key": inline("server_locked.key"),
              "password": {"inline_string": "wr0ng-s3cret"}}
    text = "\n".join(problems(with_certificate(**fields)))
    assert "wr0ng" not in text and "PRIVATE" not in text


def test_all_mistakes_are_reported_at_once() -> None:
    found = problems(transport_socket(
        common={"tls_certificates": [{"private_key": inline("server.key")}, tls_certificate(), {}]},
        validation={"trusted_ca": {"inline_string": "junk"}},
    ))
    assert [one.partition(": ")[0].replace(COMMON, "") for one in found] == [
        ".tls_certificates[0].certificate_chain", ".tls_certificates[2].certificate_chain",
        ".validation_context.trusted_ca",
    ]


def test_a_server_needs_a_certificate() -> None:
    socket_config = transport_socket(common={"tls_certificates": []})
    assert problems(socket_config) == [f"{COMMON}.tls_certificates: No TLS certificates found for server context"]
    del socket_config["typed_config"]["common_tls_context"]
    assert problems(socket_config) == [f"{COMMON}.tls_certificates: No TLS certificates found for server context"]


def test_requiring_certificates_without_an_authority_is_refused() -> None:
    found, = problems(transport_socket(require_client_certificate=True))
    assert found.startswith(f"{PATH}.require_client_certificate: needs ")
    found, = problems(transport_socket(validation={"verify_certificate_hash": ["ab" * 32]}))
    assert found.startswith(f"{COMMON}.validation_context: ") and "not supported" in found


@pytest.mark.parametrize("validation, where", [
    ({"match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "a"}}]}, "match_typed_subject_alt_names"),
    ({"verify_certificate_hash": ["zz" * 32]}, "verify_certificate_hash[0]"),
    ({"verify_certificate_spki": ["a" * 43 + "!"]}, "verify_certificate_spki[0]"),
    ({"trusted_ca": data_source("ca.crt"), "crl": data_source("ca.crt")}, "crl"),
    ({"trusted_ca": data_source("ca.crt"),
      "match_typed_subject_alt_names": [{"matcher": {"exact": "a"}}]}, "match_typed_subject_alt_names[0].san_type"),
])
def test_validation_contexts_that_can_not_be(validation: Dict[str, Any], where: str) -> None:
    found = problems(transport_socket(validation=validation))
    assert found[0].startswith(f"{COMMON}.validation_context.{where}: ")


def test_ciphers_that_do_not_exist_are_named() -> None:
    names = ["NOPE", "[ECDHE-ECDSA-AES128-GCM-SHA256|NEITHER]"]
    found, = problems(transport_socket(common={"tls_params": {"cipher_suites": names}}))
    assert found.startswith(f"{COMMON}.tls_params.cipher_suites: ") and found.endswith("Rejected: NOPE, NEITHER")


def test_a_protocol_name_that_is_too_long_is_refused() -> None:
    found, = problems(transport_socket(common={"alpn_protocols": ["a" * 256]}))
    assert found.startswith(f"{COMMON}.alpn_protocols: ")


def test_fields_of_envoys_that_are_not_supported_say_so() -> None:
    registry = Extensions()
    with pytest.raises(ConfigError, match="`session_timeout` is a field of Envoy's"):
        decode_bootstrap(with_socket(transport_socket(session_timeout="5s")), registry.types(), False, registry.is_terminal)


def test_a_key_leaves_no_file_behind_where_there_is_no_memory_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    modes: List[int] = []
    with material.as_file(b"secret") as name:
        modes.append(os.stat(name).st_mode & 0o777)
        assert Path(name).parent == tmp_path and Path(name).read_bytes() == b"secret"
    assert modes == [0o600] and not list(tmp_path.iterdir())
    assert problems(with_certificate(**tls_certificate())) == []
    assert not list(tmp_path.iterdir())


def test_the_message_prints_what_it_was_made_of() -> None:
    message = config.DownstreamTlsContext(
        common_tls_context=config.CommonTlsContext(alpn_protocols=["h2"]), require_client_certificate=True
    )
    assert message.to_json() == {"common_tls_context": {"alpn_protocols": ["h2"]}, "require_client_certificate": True}
