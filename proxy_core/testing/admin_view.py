"""What a running proxy says of itself, asked through its admin, so that it is the same from inside and outside of its process."""

from __future__ import annotations

import http.client
import json
from typing import Any, Dict, List, Tuple

from ..client.ask import connect, read_address

ADMIN = "admin"  # the listener name of the admin's own connections


class AdminView:
    """address: "127.0.0.1:9901" or the path of a Unix socket. timeout: seconds for one answer."""

    def __init__(self, address: str, timeout: float) -> None:
        self.address = address
        self._timeout = timeout

    def get(self, path: str) -> bytes:
        """The body of GET `path`. Raises AssertionError for any status but 200, OSError when nobody answers."""
        status, body = self.ask("GET", path)
        if status != 200:
            raise AssertionError(f"GET {path}: {status} {body.decode('utf-8', 'replace').strip()}")
        return body

    def ask(self, method: str, path: str, content: Any = None) -> Tuple[int, bytes]:
        """(status, body) of a request. content: sent as JSON, if it is not None."""
        connection = http.client.HTTPConnection("localhost", timeout=self._timeout)
        connection.sock = connect(read_address(self.address), self._timeout)
        try:
            if content is None:
                connection.request(method, path)
            else:
                connection.request(method, path, json.dumps(content), {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Whether the proxy accepts connections: /ready."""
        return self.ask("GET", "/ready")[0] == 200

    def stats(self) -> Dict[str, int]:
        """Counters and gauges by name."""
        found = json.loads(self.get("/stats?format=json"))["stats"]
        return {one["name"]: one["value"] for one in found if "name" in one}

    def connections(self, query: str = "") -> List[Dict[str, Any]]:
        """The rows of /connections, those of the admin left out. query: "&state=closed"."""
        found = json.loads(self.get(f"/connections?format=json&limit=0{query}"))["connections"]
        return [one for one in found if one.get("listener") != ADMIN]

    def listeners(self) -> Dict[str, Dict[str, Any]]:
        """Listener name -> its first address, as JSON."""
        found = json.loads(self.get("/listeners?format=json")).get("listener_statuses", [])
        return {one.get("name", ""): one.get("local_address", {}) for one in found}
