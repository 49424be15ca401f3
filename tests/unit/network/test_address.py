"""Addresses: printed forms, both ways, and what is refused."""

from __future__ import annotations

import socket
import sys

import pytest

from proxy_core.network.address import Address


@pytest.mark.parametrize("ip, port, text", [
    ("127.0.0.1", 443, "127.0.0.1:443"),
    ("0.0.0.0", 0, "0.0.0.0:0"),
    ("::1", 443, "[::1]:443"),
    ("2001:DB8:0:0::1", 80, "[2001:db8::1]:80"),
])
def test_an_ip_address_is_printed_as_envoy_does(ip: str, port: int, text: str) -> None:
    address = Address.from_ip(ip, port)
    assert str(address) == address.text == text
    assert (address.port, address.path) == (port, "")
    assert address.family == (socket.AF_INET6 if ":" in ip else socket.AF_INET)


@pytest.mark.parametrize("bad", ["localhost", "", "1.2.3", "1.2.3.4.5", "256.0.0.1", "::g", "[::1]", "01.2.3.4"])
def test_what_is_no_ip_address_is_refused(bad: str) -> None:
    if bad == "01.2.3.4" and sys.version_info < (3, 9, 5):
        pytest.skip("older Pythons take leading zeros")
    with pytest.raises(ValueError):
        Address.from_ip(bad, 1)


def test_what_the_kernel_returns_is_printed_the_same() -> None:
    assert Address.from_sockaddr(socket.AF_INET, ("10.0.0.1", 5)) == Address.from_ip("10.0.0.1", 5)
    assert Address.from_sockaddr(socket.AF_INET6, ("::1", 5, 0, 0)) == Address.from_ip("::1", 5)
    mapped = Address.from_sockaddr(socket.AF_INET6, ("::ffff:10.0.0.7", 5, 0, 0))  # an IPv4 client of "::"
    assert (mapped, mapped.ip, mapped.family) == (Address.from_ip("10.0.0.7", 5), "10.0.0.7", socket.AF_INET)


@pytest.mark.parametrize("raw, text", [("/run/x", "/run/x"), ("", ""), (b"\0name", "@name"), ("\0name", "@name"), (None, "")])
def test_unix_addresses_as_the_kernel_returns_them(raw: object, text: str) -> None:
    address = Address.from_sockaddr(socket.AF_UNIX, raw)
    assert (address.text, address.ip, address.port) == (text, "", 0)


def test_an_at_sign_names_the_abstract_namespace() -> None:
    address = Address.from_path("@name")
    assert address.is_abstract and address.sockaddr == "\0name" and address.text == "@name"
    assert not Address.from_path("/run/x").is_abstract


def test_equal_addresses_are_one_key_and_others_are_not() -> None:
    assert len({Address.from_ip("::1", 1), Address.from_ip("0::1", 1), Address.from_ip("::1", 2)}) == 2
    assert Address.from_ip("127.0.0.1", 1) != "127.0.0.1:1"
    assert repr(Address.from_ip("127.0.0.1", 1)) == "Address(127.0.0.1:1)"
