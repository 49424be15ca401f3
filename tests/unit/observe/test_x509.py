"""Certificates read with our own reader: the renderings of Envoy and OpenSSL, and bytes that are no certificate."""

from __future__ import annotations

import random
import ssl
from typing import List

import pytest

from proxy_core.observe import der, x509
from proxy_core.observe.x509 import Certificate, name_text, serial_text, split_pem
from tests.support.tls_end import pem

YEAR_2020 = 1577836800
END_OF_2119 = 4733510399


def certificate(name: str) -> Certificate:
    return Certificate(split_pem(pem(f"{name}.crt").encode())[0])


def test_a_server_certificate() -> None:
    server = certificate("server")
    assert server.subject == "CN=server.test"
    assert server.issuer == "CN=Test CA,O=Tests"
    assert server.common_name == "server.test"
    assert (server.not_before, server.not_after) == (YEAR_2020, END_OF_2119)
    assert server.key_type == x509.EC_KEY
    assert server.all_names(x509.DNS) == ["server.test", "*.wild.test", "localhost"]
    assert server.all_names(x509.IP) == ["127.0.0.1", "::1"]
    assert server.all_names(x509.URI) == ["spiffe://test/server"]
    assert server.all_names(x509.EMAIL) == ["a@server.test"]
    assert server.all_names(x509.OTHER_NAME) == []


def test_names_of_other_kinds() -> None:
    client = certificate("client")
    assert client.all_names(x509.OTHER_NAME) == ["upn@test"]
    assert client.all_names(x509.DNS) == ["client.test"]


def test_a_certificate_without_extensions_and_one_of_rsa() -> None:
    assert certificate("by_name").names == {}
    assert certificate("server_rsa").key_type == x509.RSA_KEY


def test_an_expired_certificate_is_read_like_any_other() -> None:
    expired = certificate("expired")
    assert expired.days_left(YEAR_2020) == 366
    assert expired.days_left(END_OF_2119) == 0


@pytest.mark.parametrize("seconds, days", [(86400, 1), (86399, 0), (0, 0), (-5, 0), (86400 * 2 - 1, 1)])
def test_days_left_are_whole_days(seconds: int, days: int) -> None:
    assert certificate("server").days_left(END_OF_2119 - seconds) == days


def test_names_are_printed_as_rfc_2253_says() -> None:
    assert certificate("client").subject == "CN=client.test,OU=Team,O=Org\\, Inc,C=CH"
    assert certificate("umlaut").subject == 'CN=Z\\C3\\BCrich,O=\\ #x\\\\\\"\\<\\>\\;'


def test_relative_names_of_several_attributes_unknown_ones_and_odd_types() -> None:
    utf8 = der.UTF8_STRING
    name = [
        [("2.5.4.6", der.PRINTABLE_STRING, b"CH")],
        [("2.5.4.11", utf8, b"Team "), ("2.5.4.3", utf8, b"a\n")],
        [("1.2.3.4", utf8, b"x"), ("2.5.4.10", der.BIT_STRING, b"\x00\x01"), ("2.5.4.7", utf8, b"")],
    ]
    assert name_text(name) == "L=+O=#03020001+1.2.3.4=#0C0178,CN=a\\0A+OU=Team\\ ,C=CH"


@pytest.mark.parametrize("number, text", [
    (0, "0"), (1, "01"), (0xFABC, "fabc"), (0xABC, "0abc"), (-5, "-05"), (1 << 152, "01" + "00" * 19),
])
def test_serial_numbers_are_whole_bytes_of_hex(number: int, text: str) -> None:
    assert serial_text(number) == text


def test_fingerprints_are_those_of_openssl() -> None:
    server = certificate("server")
    assert len(server.fingerprint("sha256")) == 64 and len(server.fingerprint("sha1")) == 40
    assert server.der == ssl.PEM_cert_to_DER_cert(pem("server.crt"))


def test_a_pem_file_may_hold_several_certificates_and_text_between() -> None:
    text = "comment \u00e4\n" + pem("server.crt") + "between\n" + pem("server.key") + pem("ca.crt").replace("\n", "\r\n")
    assert [Certificate(one).subject for one in split_pem(text.encode())] == ["CN=server.test", "CN=Test CA,O=Tests"]
    assert split_pem(b"") == []


def test_a_block_that_is_not_base64_is_refused() -> None:
    with pytest.raises(ValueError, match="not base64"):
        split_pem(b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n")


def test_no_prefix_of_a_certificate_is_a_certificate() -> None:
    whole = certificate("client").der
    for size in range(len(whole)):
        with pytest.raises(ValueError):
            Certificate(whole[:size])
    with pytest.raises(ValueError, match="too many"):
        Certificate(whole + b"\x00")


def test_mutated_certificates_are_read_or_refused_and_nothing_else() -> None:
    chance = random.Random(5)
    wholes: List[bytes] = [certificate(name).der for name in ("client", "server_rsa", "umlaut")]
    for _ in range(3000):
        mutated = bytearray(chance.choice(wholes))
        for _ in range(chance.randint(1, 5)):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        try:
            Certificate(bytes(mutated))
        except ValueError:
            pass
