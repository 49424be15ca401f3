"""Secrets by name: the bootstrap's static ones, and those that a watched file delivers. Mirrors Envoy's `SecretManagerImpl`.

A TLS context that uses a secret is its `SecretUser`. It is asked to prepare for a new secret before anything is changed, so that
one that can't be used is rejected as a whole, and old secrets stay in force everywhere. One per server; knows nothing of `ssl`.
"""

from __future__ import annotations

import time
import weakref
from typing import Any, Callable, Dict, List, Optional, Protocol, Sequence, Tuple

from ..config.context import TypeResolver
from ..config.dump import dump_any, redacted
from ..config.model.secret import SdsSecretConfig, Secret
from ..config.model.config_source import ConfigSource
from ..errors import ConfigError, Problem
from ..event.file_watch import FileWatcher
from ..event.reactor import Reactor
from ..observe.stats import StatsStore
from .sds import SecretSubscription
from .subscription import source_problems

CERTIFICATE = "tls_certificate"
VALIDATION = "validation_context"
# What Envoy calls a secret of each kind.
_STATIC_NOUNS = {CERTIFICATE: "static secret", VALIDATION: "static certificate validation context"}
_DUPLICATE_NOUNS = {CERTIFICATE: "TlsCertificate", VALIDATION: "CertificateValidationContext"}


class SecretUser(Protocol):
    """Somebody whose TLS contexts are made of secrets."""

    def prepare(self, secret: Secret, path: str) -> Callable[[], None]:
        """Make ready for a new secret; what is returned puts it in force. Raises ConfigError, with paths below `path`."""


class SecretUse:
    """One place where a TLS context names a secret. The user is told of new versions for as long as it keeps this object."""

    __slots__ = ("_user", "_source", "__weakref__")

    def __init__(self, user: SecretUser) -> None:
        self._user: Callable[[], Optional[SecretUser]] = weakref.ref(user)
        self._source: Optional[SecretSubscription] = None

    def attach(self, source: SecretSubscription) -> None:
        """Be told of new versions, beginning with the present one. Raises ConfigError if that can't be used here."""
        self._source = source
        source.add(self)

    def prepare(self, secret: Secret, path: str) -> Callable[[], None]:
        """See `SecretUser.prepare`."""
        user = self._user()
        return user.prepare(secret, path) if user is not None else _nothing


def _nothing() -> None:
    """For a user that is gone."""


class SecretManager:
    """See the module docstring. `problems`: static secrets that share a name."""

    def __init__(
        self, static: Sequence[Secret], types: TypeResolver, stats: StatsStore, reactor: Reactor, watcher: FileWatcher,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """wall_clock: seconds since the epoch."""
        self._reactor = reactor
        self._types = types
        self._stats = stats
        self._watcher = watcher
        self._wall_clock = wall_clock
        self._static: Dict[Tuple[str, str], Tuple[Secret, str]] = {}
        self._files: weakref.WeakValueDictionary[Tuple[str, str, str], SecretSubscription] = weakref.WeakValueDictionary()
        self.problems: List[Problem] = []
        for index, secret in enumerate(static):
            kind, path = kind_of(secret), f"static_resources.secrets[{index}]"
            if (kind, secret.name) in self._static:
                text = f"Duplicate static {_DUPLICATE_NOUNS[kind]} secret name {secret.name}"
                self.problems.append(Problem(f"{path}.name", text))
            self._static[kind, secret.name] = secret, path

    def use(self, config: SdsSecretConfig, kind: str, path: str, user: SecretUser) -> SecretUse:
        """Have `user` prepared with the secret that `config`, at `path`, names: now if it is there, and at each update.

        kind: CERTIFICATE or VALIDATION. Raises ConfigError if it is unknown, or known and of no use.
        """
        use = SecretUse(user)
        if config.sds_config is not None:
            self._subscribe(use, config.sds_config, config.name, kind, f"{path}.sds_config")
            return use
        found = self._static.get((kind, config.name))
        if found is None:
            raise ConfigError([Problem(f"{path}.name", f"Unknown {_STATIC_NOUNS[kind]}: {config.name}")])
        use.prepare(*found)()
        return use

    def _subscribe(self, use: SecretUse, source: ConfigSource, name: str, kind: str, path: str) -> None:
        problems = source_problems(source, path)
        if problems:
            raise ConfigError(problems)
        key = (source.file, name, kind)
        found = self._files.get(key)
        if found is not None:
            use.attach(found)
            return
        scope = self._stats.scope(f"sds.{name}")
        found = self._files[key] = SecretSubscription(name, kind, self._types, scope, self._watcher, self._wall_clock)
        use.attach(found)
        found.start(source, self._reactor)

    def to_json(self) -> Dict[str, List[Dict[str, Any]]]:
        """For /config_dump: the static secrets and those delivered, without what is private. last_updated: epoch seconds."""
        static = [{"name": one.name, "secret": redacted(dump_any(one))} for one, _ in self._static.values()]
        active, warming = [], []
        for source in sorted(self._files.values(), key=lambda one: one.name):
            if source.secret is None:
                warming.append({"name": source.name})
            else:
                active.append({
                    "name": source.name, "version_info": source.version, "last_updated": source.updated_at,
                    "secret": redacted(dump_any(source.secret)),
                })
        return {"static_secrets": static, "dynamic_active_secrets": active, "dynamic_warming_secrets": warming}


def kind_of(secret: Secret) -> str:
    """Which of its members a secret has."""
    return CERTIFICATE if secret.tls_certificate is not None else VALIDATION
