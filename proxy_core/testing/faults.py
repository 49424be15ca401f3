"""Faults in a running proxy, switched by a test. For who knows Toxiproxy's clients: `Faults` is the client, `Service` is a proxy.

    with Proxy(config) as proxy:
        redis = Faults(proxy.admin)["redis"]            # the `name` of a fault filter in the configuration
        with redis.downstream("latency", latency=1000, jitter=50):
            ...                                         # every answer is late, on connections that are open already as well
        with redis.down():
            ...                                         # connections are reset, new ones refused

A fault is in force on every connection when the call returns, and off when the block ends. It works over the admin, so the
proxy may as well be another process.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any, Dict, Iterator, List, Optional

from .admin_view import AdminView

PATH = "/faults"
UPSTREAM = "upstream"
DOWNSTREAM = "downstream"


class Faults:
    """The fault filters of a proxy. admin: its admin's address, as `Proxy.admin`. timeout: seconds for an answer."""

    def __init__(self, admin: str, timeout: float = 20.0) -> None:
        self._admin = AdminView(admin, timeout)

    def __getitem__(self, name: str) -> Service:
        """The fault filters of this name. Raises KeyError if there is none."""
        if all(one["name"] != name for one in self.all()):
            raise KeyError(name)
        return Service(self, name)

    def all(self) -> List[Dict[str, Any]]:
        """What is in force: name, listener, enabled, seed, connections, toxics."""
        found: List[Dict[str, Any]] = json.loads(self._admin.get(PATH))["faults"]
        return found

    def reset(self) -> None:
        """No toxics, everything enabled, and connections are numbered from 0 again."""
        self.change({"reset": True})

    def change(self, *changes: Dict[str, Any]) -> None:
        """Make these changes, all or none of them. Raises ValueError saying what is wrong with them. See `admin.faults`."""
        status, body = self._admin.ask("POST", PATH, list(changes))
        if status != 200:
            raise ValueError(f"POST {PATH}: {status} {body.decode('utf-8', 'replace').strip()}")


class Service:
    """What a fault filter stands before. A toxic's name is <type>_<stream> if it is given none."""

    def __init__(self, faults: Faults, name: str) -> None:
        self._faults = faults
        self.name = name

    # -- for the length of a block -------------------------------------------------------------------------------------

    def downstream(self, type: str, **attributes: int) -> contextlib.AbstractContextManager[None]:
        """A toxic on what comes from the server, until the block ends. toxicity (0 to 1) and name may be among the attributes."""
        return self._toxic(type, DOWNSTREAM, attributes)

    def upstream(self, type: str, **attributes: int) -> contextlib.AbstractContextManager[None]:
        """A toxic on what comes from the client."""
        return self._toxic(type, UPSTREAM, attributes)

    @contextlib.contextmanager
    def _toxic(self, type: str, stream: str, attributes: Dict[str, Any]) -> Iterator[None]:
        name = self.add(type, stream, **attributes)
        try:
            yield
        finally:
            self.remove(name)

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """The service is down until the block ends."""
        self.disable()
        try:
            yield
        finally:
            self.enable()

    # -- until further notice ------------------------------------------------------------------------------------------

    def add(
        self, type: str, stream: str = DOWNSTREAM, name: str = "", toxicity: float = 1.0, **attributes: int
    ) -> str:
        """Add a toxic; its name. attributes: those of its type. Raises ValueError."""
        name = name or f"{type}_{stream}"
        toxic = {"name": name, "type": type, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        self._change(add=[toxic])
        return name

    def update(self, name: str, toxicity: Optional[float] = None, **attributes: int) -> None:
        """Give a toxic other values; those that are not named stay. Raises ValueError."""
        update: Dict[str, Any] = {"name": name, "attributes": attributes}
        if toxicity is not None:
            update["toxicity"] = toxicity
        self._change(update=[update])

    def remove(self, name: str) -> None:
        """Remove a toxic. Raises ValueError."""
        self._change(remove=[name])

    def enable(self) -> None:
        """Clients are let in."""
        self._change(enabled=True)

    def disable(self) -> None:
        """Connections are reset, and new ones refused."""
        self._change(enabled=False)

    def seed(self, seed: int) -> None:
        """What is drawn from now on is drawn from this seed, and the next connection is the first one again."""
        self._change(seed=seed)

    @property
    def toxics(self) -> Dict[str, Dict[str, Any]]:
        """The toxics in force by name."""
        return {
            toxic["name"]: toxic for one in self._faults.all() if one["name"] == self.name for toxic in one["toxics"]
        }

    def _change(self, **what: Any) -> None:
        self._faults.change({"name": self.name, **what})
