"""The store behind /certs and server.days_until_first_cert_expiring."""

from __future__ import annotations

import gc

from proxy_core.observe.certificates import CertificateSet, CertificateStore
from proxy_core.observe.x509 import Certificate, split_pem
from tests.support.tls_end import pem

NOW = 1790000000.0


def certificate(name: str) -> Certificate:
    return Certificate(split_pem(pem(f"{name}.crt").encode())[0])


def test_an_entry_is_what_envoy_prints() -> None:
    store = CertificateStore()
    kept = CertificateSet([("<inline>", certificate("ca"))], [("/etc/server.crt", certificate("server"))])
    store.add(kept)
    entry, = store.to_json(NOW)
    server, = entry["cert_chain"]
    assert list(server) == [
        "path", "serial_number", "subject_alt_names", "days_until_expiration", "valid_from", "expiration_time",
    ]
    assert server["path"] == "/etc/server.crt"
    assert server["subject_alt_names"] == [
        {"dns": "server.test"}, {"dns": "*.wild.test"}, {"dns": "localhost"}, {"uri": "spiffe://test/server"},
        {"ip_address": "127.0.0.1"}, {"ip_address": "::1"},
    ]
    assert server["days_until_expiration"] == str((4733510399 - 1790000000) // 86400)
    assert (server["valid_from"], server["expiration_time"]) == ("2020-01-01T00:00:00Z", "2119-12-31T23:59:59Z")
    authority, = entry["ca_cert"]
    assert authority["path"] == "<inline>" and authority["subject_alt_names"] == []


def test_entries_come_in_the_order_they_were_made_and_go_with_their_owners() -> None:
    store = CertificateStore()
    sets = [CertificateSet([], [(name, certificate(name))]) for name in ("server", "alpha", "client")]
    for one in sets:
        store.add(one)
    del one
    assert [entry["cert_chain"][0]["path"] for entry in store.to_json(NOW)] == ["server", "alpha", "client"]
    del sets[1]
    gc.collect()
    assert [entry["cert_chain"][0]["path"] for entry in store.to_json(NOW)] == ["server", "client"]


def test_the_first_expiry_counts_authorities_too() -> None:
    store = CertificateStore()
    assert store.days_until_first_expiry(NOW) is None
    kept = CertificateSet([], [("a", certificate("server"))])
    store.add(kept)
    assert store.days_until_first_expiry(4733510399 - 3 * 86400) == 3
    late = CertificateSet([("b", certificate("expired"))], [])
    store.add(late)
    assert store.days_until_first_expiry(NOW) == 0
