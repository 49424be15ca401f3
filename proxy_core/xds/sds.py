"""One secret from one watched file (SDS). Mirrors Envoy's `SdsApi` with a filesystem subscription.

A version that can't be used, because it is not the one secret asked for or because a certificate or key in it is bad, is
rejected and the old one stays. Files that a secret names are read once, when it comes, and what was read is what is used; when
one of them changes they are all read again, and if that fails it counts as `key_rotation_failed`.
"""

from __future__ import annotations

import dataclasses
import functools
import weakref
from typing import Any, Callable, Dict, Final, List, Optional, Protocol

from ..config.context import TypeResolver
from ..config.model.config_source import ConfigSource
from ..config.model.core import DataSource
from ..config.model.secret import Secret
from ..errors import ConfigError, Problem
from ..event.file_watch import FileWatch, FileWatcher
from ..event.reactor import Reactor
from ..observe.log import component_logger
from ..observe.stats import Scope
from .response import Rejected, Response, decode_response
from .subscription import FileSubscription, SubscriptionStats
from .weak import weakly

RESOURCE: Final = "resources[0]"  # where the secret stands in the file

_log = component_logger("secret")


class Use(Protocol):
    """A place where the secret is used: `secrets.SecretUse`."""

    def prepare(self, secret: Secret, path: str) -> Callable[[], None]:
        """See `secrets.SecretUser`."""


class SecretSubscription:
    """See the module docstring. Alive as long as somebody uses it: the watcher refers to it weakly."""

    def __init__(
        self, name: str, kind: str, types: TypeResolver, scope: Scope, watcher: FileWatcher, wall_clock: Callable[[], float]
    ) -> None:
        self.name = name
        self.secret: Optional[Secret] = None
        self.version = ""
        self.updated_at = 0.0
        self._kind = kind
        self._types = types
        self._watcher = watcher
        self._wall_clock = wall_clock
        self._uses: weakref.WeakSet[Any] = weakref.WeakSet()
        self._delivered: Optional[Secret] = None  # as in the file, with the names of others
        self._stats = SubscriptionStats(scope)
        self._rotation_failures = scope.counter("key_rotation_failed")
        self._watches: List[FileWatch] = []
        weakref.finalize(self, _cancel, self._watches)

    def start(self, source: ConfigSource, reactor: Reactor) -> None:
        """Read the file now and at each change."""
        types = self._types
        file = FileSubscription(
            source, reactor, self._watcher, self._wall_clock, self._stats,
            lambda data, path: decode_response(data, path, Secret, types),
            weakly(self, SecretSubscription.on_update),
        )
        weakref.finalize(self, file.close)
        file.start()

    def add(self, use: Use) -> None:
        """Keep `use` up to date, beginning with the present secret. Raises ConfigError if it can't use that."""
        if self.secret is not None:
            use.prepare(self.secret, self.name)()
        self._uses.add(use)

    def on_update(self, response: Response[Secret]) -> None:
        """There is a new version of the file. Raises Rejected."""
        secret = self._only(response)
        try:
            self._apply(secret)
        except ConfigError as error:
            raise Rejected("; ".join(str(problem) for problem in error.problems)) from None
        self._delivered = secret
        self.version = response.version_info
        self.updated_at = self._wall_clock()
        _cancel(self._watches)
        on_change = weakly(self, SecretSubscription.on_named_file)
        for file in named_files(secret):
            self._watches.append(self._watcher.watch(file, functools.partial(on_change, file)))

    def on_named_file(self, file: str) -> None:
        """A file that the secret names has changed."""
        if self._delivered is None:
            return
        try:
            self._apply(self._delivered)
        except ConfigError as error:
            self._rotation_failures.inc()
            _log.warning("the new %s of secret '%s' can't be used, the old one stays: %s", file, self.name, error)

    def _only(self, response: Response[Secret]) -> Secret:
        """The secret asked for. A file has one; Envoy's texts."""
        if not response.resources:
            raise Rejected(f"Missing SDS resources for {self.name} in onConfigUpdate()")
        if len(response.resources) != 1:
            raise Rejected(f"Unexpected SDS secrets length: {len(response.resources)}")
        resource, = response.resources
        if resource.problems:
            raise Rejected("; ".join(str(problem) for problem in resource.problems))
        secret = resource.config
        if secret.name != self.name:
            raise Rejected(f"Unexpected SDS secret (expecting {self.name}): {secret.name}")
        if getattr(secret, self._kind) is None:
            raise Rejected(f"secret {self.name} has no {self._kind}")
        return secret

    def _apply(self, secret: Secret) -> None:
        """Everybody prepares, then everybody changes. Raises ConfigError before the first has changed."""
        resolved = with_files_read(secret, RESOURCE)
        commits = [use.prepare(resolved, RESOURCE) for use in list(self._uses)]
        self.secret = resolved
        for commit in commits:
            commit()


def _cancel(watches: List[FileWatch]) -> None:
    for watch in watches:
        watch.cancel()
    watches.clear()


def _sources(message: Any) -> Dict[str, DataSource]:
    """The data sources of a certificate or validation context, by field."""
    values = {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}
    return {name: value for name, value in values.items() if isinstance(value, DataSource)}


def named_files(secret: Secret) -> List[str]:
    """The files that a secret refers to."""
    found = []
    for part in (secret.tls_certificate, secret.validation_context):
        if part is not None:
            found += [source.filename for source in _sources(part).values() if source.filename is not None]
    return found


def with_files_read(secret: Secret, path: str) -> Secret:
    """The same secret, the content of files in place of their names. Raises ConfigError."""
    values: Dict[str, Any] = {"name": secret.name}
    for name in ("tls_certificate", "validation_context"):
        part = getattr(secret, name)
        if part is not None:
            read = {
                field: DataSource(inline_bytes=source.read(f"{path}.{name}.{field}"))
                for field, source in _sources(part).items() if source.filename is not None
            }
            values[name] = dataclasses.replace(part, **read)
    return Secret(**values)
