"""What the connections of one filter chain or cluster share, made anew when a secret changes. Mirrors `SslSocketFactory`.

The material of a TLS context stands in *slots*: one for each certificate, one for the validation context. A slot is filled from
the message itself or by a secret, and while one is empty there are no contexts: whoever connects then is turned away. A change
makes a whole new state; connections keep the one that they began with.
"""

from __future__ import annotations

import dataclasses
import hashlib
import weakref
from typing import Any, Callable, Dict, Generic, List, Optional, Tuple, TypeVar, Union

from ....config.descriptor import REPEATED
from ....config.model.secret import CertificateValidationContext, SdsSecretConfig, Secret, TlsCertificate
from ....errors import ConfigError, Problem
from ....observe.certificates import CertificateSet
from . import config
from .checks import CertificateChecks
from .material import Identity, load_identity, name_of
from .stats import SslStats
from .trust import Trust, load_trust

CERTIFICATE = "tls_certificate"
VALIDATION = "validation_context"

State = TypeVar("State")


class Validation:
    """A loaded validation context. trust: None = chains are not verified; checks: None = there is nothing to check."""

    __slots__ = ("message", "trust", "checks")

    def __init__(self, message: CertificateValidationContext, path: str, required: bool) -> None:
        """required: whether the peer must have a certificate even if nothing is asked of it. Raises ConfigError."""
        self.message = message
        self.trust: Optional[Trust] = load_trust(message, path, required or message.demands_certificate)
        checks = CertificateChecks(message)
        self.checks: Optional[CertificateChecks] = checks if checks.any else None


Piece = Union[Identity, Validation]


class Slot:
    """A place for one certificate or for the validation context; the `SecretUser` of the secret that fills it.

    secret_name: "" if the message itself does. load: makes a piece of (TlsCertificate or CertificateValidationContext, path).
    """

    __slots__ = ("kind", "secret_name", "piece", "use", "_load", "_owner", "__weakref__")

    def __init__(self, kind: str, load: Callable[[Any, str], Piece], owner: Prepared[Any], secret_name: str = "") -> None:
        self.kind = kind
        self.secret_name = secret_name
        self.piece: Optional[Piece] = None
        self.use: Any = None  # keeps the secret coming
        self._load = load
        self._owner = weakref.ref(owner)

    def fill(self, message: Any, path: str) -> None:
        """From the configuration itself. Raises ConfigError."""
        self.piece = self._load(message, path)

    def prepare(self, secret: Secret, path: str) -> Callable[[], None]:
        """See `xds.secrets.SecretUser`."""
        piece = self._load(getattr(secret, self.kind), f"{path}.{self.kind}")
        owner = self._owner()
        return owner.replace(self, piece) if owner is not None else lambda: None


class Prepared(Generic[State]):
    """See the module docstring. Subclasses call `_load` once, and make a state from the pieces.

    context: a `TransportContext` or `UpstreamTransportContext`; stats: of its owner.
    """

    def __init__(self, common: config.CommonTlsContext, context: Any, stats: SslStats, required: bool = False) -> None:
        """required: whether a peer must have a certificate."""
        self.state: Optional[State] = None
        self.stats = stats
        self._common = common
        self._context = context
        self._path = f"{context.path}.common_tls_context"
        self._required = required
        self._certificates: List[Slot] = []
        self._validation: Optional[Slot] = None
        self._announced: Optional[CertificateSet] = None
        self._complete = False

    def _load(self, problems: List[Problem]) -> None:
        """Fill every slot that can be filled now, and make the first state. Raises ConfigError, `problems` included."""
        common = self._common
        for index, one in enumerate(common.tls_certificates):
            slot = Slot(CERTIFICATE, self.load_certificate, self)
            self._certificates.append(slot)
            self._try(problems, slot.fill, one, f"{self._path}.tls_certificates[{index}]")
        for index, each in enumerate(common.tls_certificate_sds_secret_configs):
            slot = Slot(CERTIFICATE, self.load_certificate, self, each.name)
            self._certificates.append(slot)
            self._try(problems, self._subscribe, slot, each, f"{self._path}.tls_certificate_sds_secret_configs[{index}]")
        self._load_validation(problems)
        if problems:
            raise ConfigError(problems)
        self._complete = True
        self._install(*self._made({}))

    def _load_validation(self, problems: List[Problem]) -> None:
        common, combined = self._common, self._common.combined_validation_context
        if common.validation_context is not None:
            slot = self._validation = Slot(VALIDATION, self._load_context, self)
            self._try(problems, slot.fill, common.validation_context, f"{self._path}.validation_context")
            return
        secret = common.validation_context_sds_secret_config
        where, load = "validation_context_sds_secret_config", self._load_context
        if combined is not None:
            secret = combined.validation_context_sds_secret_config
            where, load = f"combined_validation_context.{where}", self._load_combined
        if secret is not None:
            slot = self._validation = Slot(VALIDATION, load, self, secret.name)
            self._try(problems, self._subscribe, slot, secret, f"{self._path}.{where}")

    def _try(self, problems: List[Problem], action: Callable[..., None], *arguments: Any) -> None:
        try:
            action(*arguments)
        except ConfigError as error:
            problems.extend(error.problems)

    def _subscribe(self, slot: Slot, secret: SdsSecretConfig, path: str) -> None:
        slot.use = self._context.secrets.use(secret, slot.kind, path, slot)

    # -- pieces ----------------------------------------------------------------------------------------------------

    def load_certificate(self, message: TlsCertificate, path: str) -> Identity:
        """A certificate with its key. Raises ConfigError."""
        return load_identity(message, path)

    def _load_context(self, message: CertificateValidationContext, path: str) -> Validation:
        return Validation(message, path, self._required)

    def _load_combined(self, message: CertificateValidationContext, path: str) -> Validation:
        combined = self._common.combined_validation_context
        assert combined is not None and combined.default_validation_context is not None
        return self._load_context(_merged(combined.default_validation_context, message), path)

    # -- states ----------------------------------------------------------------------------------------------------

    def replace(self, slot: Slot, piece: Piece) -> Callable[[], None]:
        """Make the state with `piece` in `slot`; what is returned puts it in force. Raises ConfigError."""
        made = self._made({slot: piece}) if self._complete else None

        def commit() -> None:
            slot.piece = piece
            self.stats.updates_by_sds.inc()
            if made is not None:
                self._install(*made)
        return commit

    def _made(self, changed: Dict[Slot, Piece]) -> Tuple[Optional[State], Optional[CertificateSet]]:
        slots = [*self._certificates, *([self._validation] if self._validation is not None else [])]
        pieces = [changed.get(slot, slot.piece) for slot in slots]
        if any(piece is None for piece in pieces):
            return None, None
        identities = [piece for piece in pieces if isinstance(piece, Identity)]
        validation = next((piece for piece in pieces if isinstance(piece, Validation)), None)
        return self.make(identities, validation), _certificate_set(identities, validation)

    def make(self, identities: List[Identity], validation: Optional[Validation]) -> State:
        """A state from all pieces, for subclasses to say. Raises ConfigError."""
        raise TypeError("a subclass says what its state is")

    def _install(self, state: Optional[State], certificates: Optional[CertificateSet]) -> None:
        self.state = state
        if certificates is None:
            return
        self._announced = certificates
        self._context.certificates.add(certificates)
        first: Dict[str, int] = {}
        for slot in self._certificates:
            if isinstance(slot.piece, Identity):
                name = slot.secret_name or _unnamed("cert")
                first[name] = min(first.get(name, slot.piece.leaf.not_after), slot.piece.leaf.not_after)
        if self._validation is not None and certificates.authorities:
            name = self._validation.secret_name or _unnamed("ca_cert")
            first[name] = min(one.not_after for _, one in certificates.authorities)
        for name, seconds in first.items():
            self.stats.set_expiration(name, seconds)


def _merged(default: CertificateValidationContext, secret: CertificateValidationContext) -> CertificateValidationContext:
    """protobuf's MergeFrom: what the secret sets wins, lists are joined."""
    changes: Dict[str, Any] = {}
    for name, field in type(default).DESCRIPTOR.fields.items():
        value = getattr(secret, name)
        if field.label == REPEATED:
            changes[name] = [*getattr(default, name), *value]
        elif field.is_set(value):
            changes[name] = value
    return dataclasses.replace(default, **changes)


def _certificate_set(identities: List[Identity], validation: Optional[Validation]) -> CertificateSet:
    authorities = []
    if validation is not None and validation.trust is not None and validation.message.trusted_ca is not None:
        source = name_of(validation.message.trusted_ca)
        authorities = [(source, one) for one in validation.trust.authorities]
    return CertificateSet(authorities, [(identity.source, identity.leaf) for identity in identities])


def _unnamed(kind: str) -> str:
    """Envoy names the gauge of a certificate by its secret's name; those that have none share a hash of nothing."""
    return f"unnamed_{kind}_{hashlib.sha256(b'').hexdigest()[:8]}"
