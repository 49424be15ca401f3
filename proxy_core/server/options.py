"""What the command line asked for. Envoy's names; `cli` fills it, `/server_info` prints it."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict

SERVE = "serve"
VALIDATE = "validate"


@dataclasses.dataclass
class Options:
    """One field per flag. Times in the unit of the flag's name."""

    config_path: str = ""
    config_yaml: str = ""
    mode: str = SERVE
    log_level: str = "info"
    component_log_level: str = ""
    log_format: str = ""
    log_path: str = ""
    admin_address_path: str = ""
    drain_time_s: int = 600
    drain_strategy: str = "gradual"
    drain_on_exit_s: int = 0
    parent_shutdown_time_s: int = 900
    concurrency: int = 1
    service_cluster: str = ""
    service_node: str = ""
    service_zone: str = ""
    base_id: int = 0
    restart_epoch: int = 0
    file_flush_interval_msec: int = 1000
    file_flush_min_size_kb: int = 64
    allow_unknown_static_fields: bool = False
    strict: bool = False

    def to_json(self) -> Dict[str, Any]:
        """As `command_line_options` of /server_info: Envoy's field names and formats, defaults left out where
        Envoy leaves them out."""
        return {
            "base_id": str(self.base_id),
            "concurrency": self.concurrency,
            "config_path": self.config_path,
            "config_yaml": self.config_yaml,
            "allow_unknown_static_fields": self.allow_unknown_static_fields,
            "admin_address_path": self.admin_address_path,
            "log_level": self.log_level,
            "component_log_level": self.component_log_level,
            "log_format": self.log_format,
            "log_path": self.log_path,
            "service_cluster": self.service_cluster,
            "service_node": self.service_node,
            "service_zone": self.service_zone,
            "mode": self.mode.capitalize(),
            "restart_epoch": self.restart_epoch,
            "file_flush_interval": f"{self.file_flush_interval_msec / 1000:g}s",
            "drain_time": f"{self.drain_time_s}s",
            "drain_strategy": self.drain_strategy.capitalize(),
            "parent_shutdown_time": f"{self.parent_shutdown_time_s}s",
        }
