"""Runtime values: layered key-value settings, the last layer wins. Mirrors `Runtime::SnapshotImpl` with static and admin
layers.

Settings of our own that Envoy has no field for are keys here as well, below `proxy_core.`, so that one file serves both:

    proxy_core.half_closed_timeout_ms   silence on a half-closed connection before it is closed (default 300000)
    proxy_core.flush_timeout_ms         no progress while the last bytes wait for a peer that does not read (60000)
    proxy_core.paused_timeout_ms        silence on a connection whose reading is paused (3600000)
    proxy_core.handshake_timeout_ms     a TLS handshake that transport_socket_connect_timeout does not bound (15000)
    proxy_core.drain_idle_timeout_ms    silence after which a connection of a stopped listener is closed (60000)
    proxy_core.drain_most_ms            the same, silent or not (3600000); both from the end of the drain time on
    proxy_core.linger_timeout_ms        a closed connection takes and drops input for so long, to save its reply (5000)

0 switches a bound off. Of the admin (see `admin.guard`):

    proxy_core.admin_hosts              names in the Host header that are allowed besides IP addresses and localhost
    proxy_core.admin_read_only          true: nothing can be changed through it
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional, Tuple

from ..config.model.bootstrap import LayeredRuntime
from ..network.settings import ConnectionSettings
from ..observe.stat_names_server import RuntimeStats

OURS = ("half_closed_timeout", "flush_timeout", "paused_timeout", "linger_timeout")


class Runtime:
    """The layers and their merged view. stats: where to say so; Envoy loads its runtime twice before it serves."""

    def __init__(self, config: Optional[LayeredRuntime], stats: Optional[RuntimeStats] = None) -> None:
        self._stats = stats
        self.layers: List[Tuple[str, Dict[str, Any]]] = []
        self._admin: Optional[Dict[str, Any]] = None
        for layer in config.layers if config is not None else []:
            values = flatten(layer.static_layer or {})
            if layer.admin_layer is not None:
                self._admin = values
            self.layers.append((layer.name, values))
        self._merged: Dict[str, Any] = {}
        self._merge(loads=2)

    def _merge(self, loads: int = 1) -> None:
        self._merged = {}
        for _, values in self.layers:
            self._merged.update(values)
        if self._stats is not None:
            self._stats.load_success.inc(loads)
            self._stats.override_dir_not_exists.inc(loads)  # there are no directories of overrides here
            self._stats.admin_overrides_active.set(1 if self._admin else 0)
            self._stats.num_keys.set(len(self._merged))
            self._stats.num_layers.set(len(self.layers))

    def get(self, key: str) -> Any:
        """The value of `key`, None when no layer has it."""
        return self._merged.get(key)

    def integer(self, key: str) -> Optional[int]:
        """The value as a whole number; None when it is not there or no number."""
        value = self._merged.get(key)
        if value is None or isinstance(value, bool):
            return None
        try:
            return int(value)
        except (TypeError, ValueError):
            return None

    def boolean(self, key: str, default: bool) -> bool:
        """The value as a switch: true, false, or a number (0 = off). Anything else is as good as nothing, as in Envoy, which
        takes the words of an operator's override for what they say but not those of a static layer."""
        value = self._merged.get(key)
        if isinstance(value, str):
            if self._admin is not None and key in self._admin and value.lower() in ("true", "false"):
                return value.lower() == "true"
            try:
                value = float(value)
            except ValueError:
                return default
        return bool(value) if isinstance(value, (bool, int, float)) else default

    def modify(self, values: Dict[str, str]) -> bool:
        """`/runtime_modify`: set keys of the admin layer, "" deletes. False when there is no admin layer."""
        if self._admin is None:
            return False
        for key, value in values.items():
            if value:
                self._admin[key] = value
            else:
                self._admin.pop(key, None)
        self._merge()
        return True

    def entries(self) -> Dict[str, Any]:
        """What /runtime prints."""
        names = [name for name, _ in self.layers]
        entries = {
            key: {
                "final_value": _text(self._merged[key]),
                "layer_values": [_text(values.get(key, "")) for _, values in self.layers],
            }
            for key in sorted(self._merged)
        }
        return {"entries": entries, "layers": names}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dict):  # a FractionalPercent
        return json.dumps(value)
    return str(value)


def flatten(tree: Dict[str, Any], prefix: str = "") -> Dict[str, Any]:
    """Nested layers as dotted keys. {"a": {"b": 1}} and {"a.b": 1} are the same."""
    flat: Dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and not {"numerator", "denominator"} & set(value):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def connection_settings(runtime: Runtime) -> ConnectionSettings:
    """The base settings of every connection, with our runtime keys applied."""
    settings = ConnectionSettings()
    for name in OURS:
        milliseconds = runtime.integer(f"proxy_core.{name}_ms")
        if milliseconds is not None:
            setattr(settings, name, max(0, milliseconds) / 1000)
    return settings
