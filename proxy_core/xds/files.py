"""What all subscriptions to files share, whatever resources are in the files.

Place in the data's way: the server makes one `ResourceFiles`; who wants resources from a file asks it for a `FileSubscription`.
"""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional

from ..config.context import TypeResolver
from ..config.model.config_source import ConfigSource
from ..event.background import Background
from ..event.file_watch import FileWatcher
from ..event.reactor import Reactor
from ..observe.stats import Counter, Scope
from .subscription import FileSubscription, R, SubscriptionStats


class ResourceFiles(NamedTuple):
    """wall_clock: seconds since the epoch. background: decodes what is large; None: nothing is done there. unknown_fields:
    counts what was ignored."""

    types: TypeResolver
    reactor: Reactor
    watcher: FileWatcher
    wall_clock: Callable[[], float]
    background: Optional[Background]
    unknown_fields: Counter

    def subscribe(
        self, source: ConfigSource, scope: Scope, decode: Callable[[bytes, str], R], on_update: Callable[[R], None]
    ) -> FileSubscription[R]:
        """A subscription that is yet to be started, and counts below `scope`. decode, on_update: see `FileSubscription`."""
        def take(response: R) -> None:
            self.unknown_fields.inc(sum(one.message.startswith("unknown field") for one in response.warnings))
            on_update(response)
        return FileSubscription(
            source, self.reactor, self.watcher, self.wall_clock, SubscriptionStats(scope), decode, take, self.background
        )
