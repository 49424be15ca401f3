"""What is read out of a certificate: for /certs, access logs, SAN matchers and the choice of a certificate by name.

`ssl` tells these things only of the peer's certificate and only after a verified handshake; the operator wants to know them
of an expired one too. Renderings are those of Envoy 1.40 (OpenSSL's RFC 2253 printing for names). RFC 5280 section 4.1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import re
from typing import Dict, Final, List, Tuple

from . import der

DNS: Final = "dns"
URI: Final = "uri"
IP: Final = "ip"
EMAIL: Final = "email"
OTHER_NAME: Final = "othername"

RSA_KEY: Final = "1.2.840.113549.1.1.1"
EC_KEY: Final = "1.2.840.10045.2.1"

_SUBJECT_ALT_NAME = "2.5.29.17"
_VERSION, _ISSUER_ID, _SUBJECT_ID, _EXTENSIONS = 0xA0, 0x81, 0x82, 0xA3
# GeneralName choices (RFC 5280 section 4.2.1.6)
_OTHER, _EMAIL, _DNS, _URI, _IP = 0xA0, 0x81, 0x82, 0x86, 0x87
_PLAIN_NAMES = {_EMAIL: EMAIL, _DNS: DNS, _URI: URI}

_PEM = re.compile(rb"-----BEGIN ((?:X509 )?CERTIFICATE)-----(.*?)-----END \1-----", re.DOTALL)

# OpenSSL's short names of the attributes that certificates carry.
_SHORT_NAMES = {
    "2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
    "2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.13": "description",
    "2.5.4.15": "businessCategory", "2.5.4.17": "postalCode", "2.5.4.41": "name", "2.5.4.42": "GN",
    "2.5.4.43": "initials", "2.5.4.44": "generationQualifier", "2.5.4.45": "x500UniqueIdentifier",
    "2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym", "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress", "1.2.840.113549.1.9.2": "unstructuredName",
    "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL", "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
    "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}
_COMMON_NAME = "2.5.4.3"

Attribute = Tuple[str, int, bytes]  # OID, string tag, content


class Certificate:
    """One parsed certificate. Times in seconds since the epoch; `names` are its subject alternative names by kind."""

    __slots__ = (
        "der", "serial_number", "issuer", "subject", "common_name", "not_before", "not_after", "names", "key_type",
        "public_key", "all_alternative_names",
    )

    def __init__(self, data: bytes) -> None:
        """data: the certificate in DER. Raises ValueError with what is wrong."""
        self.der = data
        outer = der.Reader(data)
        parts = outer.open(der.SEQUENCE)
        outer.finish()
        body = parts.open(der.SEQUENCE)
        body.skip_optional(_VERSION)
        self.serial_number = serial_text(der.integer(body.next(der.INTEGER)))
        body.next(der.SEQUENCE)  # the signature's algorithm
        self.issuer = name_text(_name(body.open(der.SEQUENCE)))
        validity = body.open(der.SEQUENCE)
        times = [der.time(tag, content) for tag, content in validity.elements()]
        if len(times) != 2:
            raise ValueError("bad validity")
        self.not_before, self.not_after = times
        subject = _name(body.open(der.SEQUENCE))
        self.subject = name_text(subject)
        self.common_name = _common_name(subject)
        self.public_key = body.next_whole(der.SEQUENCE)
        self.key_type = _key_type(self.public_key)
        body.skip_optional(_ISSUER_ID)
        body.skip_optional(_SUBJECT_ID)
        found = _alternative_names(body)
        self.names: Dict[str, List[str]] = {}
        for kind, name in found:
            if kind:
                self.names.setdefault(kind, []).append(name)
        self.all_alternative_names = [name for _, name in found]  # in their order; "" for one of an unknown kind

    def all_names(self, kind: str) -> List[str]:
        """Its alternative names of one kind, in the order of the certificate."""
        return self.names.get(kind, [])

    def fingerprint(self, algorithm: str) -> str:
        """The hash of the whole certificate in hex; algorithm: "sha1" or "sha256"."""
        return hashlib.new(algorithm, self.der).hexdigest()

    def days_left(self, now: float) -> int:
        """Whole days until it expires, 0 if it has. now: seconds since the epoch."""
        return max(0, int(self.not_after - now) // 86400)


def split_pem(data: bytes) -> List[bytes]:
    """The certificates of a PEM file, in DER. What stands between the blocks is ignored. Raises ValueError."""
    found = []
    for block in _PEM.finditer(data):
        try:
            found.append(base64.b64decode(b"".join(block.group(2).split()), validate=True))
        except binascii.Error:
            raise ValueError("a certificate is not base64") from None
    return found


def serial_text(serial: int) -> str:
    """A serial number as Envoy prints it: whole bytes of lower-case hex, plain "0" for zero."""
    digits = f"{abs(serial):x}"
    if serial:
        digits = digits.zfill(len(digits) + len(digits) % 2)
    return f"-{digits}" if serial < 0 else digits


def _name(reader: der.Reader) -> List[List[Attribute]]:
    """A distinguished name: its relative names in order, each a list of attributes."""
    name = []
    while not reader.at_end:
        relative = reader.open(der.SET)
        attributes: List[Attribute] = []
        while not relative.at_end:
            pair = relative.open(der.SEQUENCE)
            oid = der.object_identifier(pair.next(der.OID))
            (tag, content), = pair.elements()
            attributes.append((oid, tag, content))
        name.append(attributes)
    return name


def name_text(name: List[List[Attribute]]) -> str:
    """A distinguished name in the form of RFC 2253, last part first."""
    return ",".join(
        "+".join(_attribute_text(attribute) for attribute in reversed(relative)) for relative in reversed(name)
    )


def _attribute_text(attribute: Attribute) -> str:
    oid, tag, content = attribute
    short = _SHORT_NAMES.get(oid)
    if short is not None:
        try:
            return f"{short}={_escaped(der.text(tag, content))}"
        except ValueError:
            pass  # not a string: shown as bytes, as RFC 2253 section 2.4 says
    return f"{short or oid}=#{der.encode(tag, content).hex().upper()}"


def _escaped(text: str) -> str:
    """RFC 2253 section 2.4; control characters and bytes beyond ASCII in hex, as OpenSSL does it."""
    encoded = text.encode("utf-8")
    out = []
    for at, byte in enumerate(encoded):
        edge = at == 0 and byte in b" #" or at == len(encoded) - 1 and byte == 0x20
        if byte < 0x20 or byte >= 0x7F:
            out.append(f"\\{byte:02X}")
        elif edge or byte in b',+"\\<>;':
            out.append("\\" + chr(byte))
        else:
            out.append(chr(byte))
    return "".join(out)


def _common_name(name: List[List[Attribute]]) -> str:
    for relative in name:
        for oid, tag, content in relative:
            if oid == _COMMON_NAME:
                return der.text(tag, content)
    return ""


def _key_type(public_key: bytes) -> str:
    return der.object_identifier(der.Reader(public_key).open(der.SEQUENCE).open(der.SEQUENCE).next(der.OID))


def _alternative_names(body: der.Reader) -> List[Tuple[str, str]]:
    """(kind, name) of each; kind "" for those that are not told apart here."""
    if body.peek_tag() != _EXTENSIONS:
        return []
    extensions = body.open(_EXTENSIONS).open(der.SEQUENCE)
    while not extensions.at_end:
        extension = extensions.open(der.SEQUENCE)
        oid = der.object_identifier(extension.next(der.OID))
        extension.skip_optional(der.BOOLEAN)
        content = extension.next(der.OCTET_STRING)
        if oid == _SUBJECT_ALT_NAME:
            return [_general_name(tag, name) for tag, name in der.Reader(content).open(der.SEQUENCE).elements()]
    return []


def _general_name(tag: int, content: bytes) -> Tuple[str, str]:
    if tag in _PLAIN_NAMES:
        return _PLAIN_NAMES[tag], content.decode("latin-1")
    if tag == _IP and len(content) in (4, 16):
        return IP, str(ipaddress.ip_address(content))
    if tag == _OTHER:
        return OTHER_NAME, _other_name(content)
    return "", ""


def _other_name(content: bytes) -> str:
    """The value of an otherName whose value is a string; "" for other types."""
    parts = der.Reader(content)
    parts.next(der.OID)
    (tag, value), = parts.open(0xA0).elements()
    try:
        return der.text(tag, value)
    except ValueError:
        return ""
