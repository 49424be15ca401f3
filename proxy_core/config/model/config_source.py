"""envoy.config.core.v3.ConfigSource: where configuration that may change while the proxy runs comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..descriptor import Message, Report, message, optional, plain
from ..kinds import Duration, Enum, String
from ..nested import Nested


@message("envoy.config.core.v3.WatchedDirectory")
@dataclass(eq=False, repr=False)
class WatchedDirectory(Message):
    """A directory in which a change means that files in it are to be read again."""

    path: str = plain(String(min_len=1))


@message("envoy.config.core.v3.PathConfigSource")
@dataclass(eq=False, repr=False)
class PathConfigSource(Message):
    """A file with a DiscoveryResponse, JSON, that is read again when it changes."""

    path: str = plain(String(min_len=1), help="Best replaced by moving a new file over it.")
    watched_directory: Optional[WatchedDirectory] = optional(
        Nested(WatchedDirectory), help="Read again too when this directory changes."
    )


@message(
    "envoy.config.core.v3.ConfigSource",
    unsupported=("api_config_source", "ads", "self", "authorities"),
    required_oneofs=("config_source_specifier",),
)
@dataclass(eq=False, repr=False)
class ConfigSource(Message):
    """Where resources of one kind come from."""

    path: Optional[str] = optional(
        String(min_len=1), oneof="config_source_specifier", deprecated=True, help="Use path_config_source."
    )
    initial_fetch_timeout: Optional[float] = optional(
        Duration(), help="Of no effect with a file: it is read at the start."
    )
    resource_api_version: str = plain(Enum(AUTO=0, V2=1, V3=2), help="V3.")
    path_config_source: Optional[PathConfigSource] = optional(
        Nested(PathConfigSource), oneof="config_source_specifier"
    )

    def check(self, report: Report) -> None:
        if self.resource_api_version == "V2":
            report("resource_api_version", "V2 is gone from Envoy as well: expected V3")

    @property
    def file(self) -> str:
        """The path of the file that is meant."""
        return self.path_config_source.path if self.path_config_source is not None else self.path or ""

    @property
    def directory(self) -> str:
        """The watched directory, "" if there is none."""
        watched = self.path_config_source.watched_directory if self.path_config_source is not None else None
        return watched.path if watched is not None else ""
