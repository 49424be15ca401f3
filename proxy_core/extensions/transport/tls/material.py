"""Certificates and keys from the configuration into an `ssl.SSLContext`, with every mistake named by its JSON path.

Each source is read once, and what was read is what is used. `ssl` takes keys from files only, so certificate and key go through
an anonymous file in memory, or where there is none through a temporary file that only we may read and that is gone at once.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from typing import Iterator, List, Optional

from ....config.model.core import DataSource
from ....config.model.secret import TlsCertificate
from ....errors import ConfigError, Problem
from ....observe import x509

INLINE = "<inline>"
_MISMATCH = "KEY_VALUES_MISMATCH"


class Identity:
    """A certificate chain with its private key. `leaf` is the certificate itself; `source` its file, or "<inline>"."""

    def __init__(self, leaf: x509.Certificate, source: str, chain: bytes, key: bytes, password: Optional[bytes]) -> None:
        self.leaf = leaf
        self.source = source
        self._chain = chain
        self._key = key
        self._password = password

    def load_into(self, context: ssl.SSLContext, path: str = "", key_name: str = "") -> None:
        """Give `context` the chain and the key. Raises ConfigError at `path`, the JSON path of the TlsCertificate."""
        asked: List[bool] = []

        def password() -> bytes:
            asked.append(True)
            return self._password or b""

        with as_file(self._chain + b"\n" + self._key) as name:
            try:
                context.load_cert_chain(name, password=password)
            except (ssl.SSLError, ValueError) as error:
                raise ConfigError([Problem(*_key_problem(error, path, key_name, self._password, bool(asked)))]) from None


def _key_problem(error: Exception, path: str, name: str, password: Optional[bytes], asked: bool) -> List[str]:
    """Path and text of what is wrong with a key (the chain has been looked at before)."""
    reason = getattr(error, "reason", None) or "there is no usable PEM key in it"
    if reason == _MISMATCH:
        return [f"{path}.private_key", f"Failed to load private key from {name}, Cause: it is not the certificate's key"]
    if asked and password is None:
        text = f"Failed to load private key from {name}, Cause: it is encrypted, and `password` is not set"
        return [f"{path}.private_key", text]
    if asked:
        return [f"{path}.password", f"Failed to load private key from {name}, Cause: the password is wrong"]
    return [f"{path}.private_key", f"Failed to load private key from {name}, Cause: {reason}"]


def load_identity(message: TlsCertificate, path: str) -> Identity:
    """Read one TlsCertificate and try it. Raises ConfigError."""
    if message.certificate_chain is None:
        raise ConfigError([Problem(f"{path}.certificate_chain", "Failed to load incomplete certificate: not set")])
    if message.private_key is None:
        raise ConfigError([Problem(f"{path}.private_key", "Failed to load incomplete private key: not set")])
    where = f"{path}.certificate_chain"
    chain = message.certificate_chain.read(where, allow_empty=False)
    certificates = parse_certificates(chain, where, f"Failed to load certificate chain from {name_of(message.certificate_chain)}")
    key = message.private_key.read(f"{path}.private_key", allow_empty=False)
    password = message.password.read(f"{path}.password") if message.password is not None else None
    identity = Identity(certificates[0], name_of(message.certificate_chain), _pem_of(certificates), key, password)
    identity.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), path, name_of(message.private_key))
    return identity


def load_authorities(data: bytes, name: str, path: str) -> List[x509.Certificate]:
    """The certificates of `trusted_ca`, which was read from `name`. Raises ConfigError."""
    return parse_certificates(data, path, f"Failed to load trusted CA certificates from {name}")


def parse_certificates(data: bytes, path: str, complaint: str) -> List[x509.Certificate]:
    """All certificates of a PEM text, at least one. Raises ConfigError that begins with `complaint`."""
    try:
        found = [x509.Certificate(block) for block in x509.split_pem(data)]
    except ValueError as error:
        raise ConfigError([Problem(path, f"{complaint}: {error}")]) from None
    if not found:
        raise ConfigError([Problem(path, f"{complaint}: no PEM certificate in it")])
    return found


def name_of(source: DataSource) -> str:
    """What to call a data source in messages and in /certs."""
    return source.filename if source.filename is not None else INLINE


def _pem_of(certificates: List[x509.Certificate]) -> bytes:
    return "".join(ssl.DER_cert_to_PEM_cert(certificate.der) for certificate in certificates).encode()


@contextlib.contextmanager
def as_file(data: bytes) -> Iterator[str]:
    """The name of a file with this content, for as long as the block runs."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        number = os.memfd_create("pem", os.MFD_CLOEXEC)
        with os.fdopen(number, "wb", buffering=0) as file:
            file.write(data)
            yield f"/proc/self/fd/{number}"
        return
    number, name = tempfile.mkstemp()  # mode 0600
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        yield name
    finally:
        os.unlink(name)
