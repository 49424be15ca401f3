"""A switch that the runtime may override: the `runtime_enabled` of many filters. Mirrors `Runtime::FeatureFlag`."""

from __future__ import annotations

from typing import Optional, Protocol

from ..config.model.core import RuntimeFeatureFlag


class Runtime(Protocol):
    """What is asked of `server.runtime.Runtime`."""

    def boolean(self, key: str, default: bool) -> bool:
        """The value of `key` as a switch."""


class FeatureFlag:
    """Asked each time, so an operator's change counts from the next connection on."""

    __slots__ = ("_runtime", "_key", "_default")

    def __init__(self, config: Optional[RuntimeFeatureFlag], runtime: Runtime) -> None:
        """config: None = on."""
        self._runtime = runtime
        self._key = config.runtime_key if config is not None else ""
        self._default = config is None or bool(config.default_value)

    @property
    def enabled(self) -> bool:
        """Whether it is on now."""
        return self._runtime.boolean(self._key, self._default) if self._key else self._default
