"""What the command line asked for. Envoy's names; `flags` fills it, `/server_info` prints it."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List

SERVE = "serve"
VALIDATE = "validate"

GRADUAL = "gradual"
IMMEDIATE = "immediate"


@dataclasses.dataclass
class Options:
    """One field per flag that has an effect or is shown. Times in the unit of the flag's name."""

    config_path: str = ""
    config_yaml: str = ""
    mode: str = SERVE
    allow_unknown_static_fields: bool = False
    strict: bool = False
    skip_deprecated_logs: bool = False
    filter_path: List[str] = dataclasses.field(default_factory=list)
    log_level: str = "info"
    component_log_level: str = ""
    log_format: str = ""
    log_path: str = ""
    admin_address_path: str = ""
    drain_time_s: int = 600
    drain_strategy: str = GRADUAL
    drain_on_exit_s: int = 0
    parent_shutdown_time_s: int = 900
    concurrency: int = 1
    service_cluster: str = ""
    service_node: str = ""
    service_zone: str = ""
    base_id: int = 0
    base_id_path: str = ""
    use_dynamic_base_id: bool = False
    restart_epoch: int = 0
    disable_hot_restart: bool = False
    file_flush_interval_msec: int = 1000
    file_flush_min_size_kb: int = 64

    def to_json(self) -> Dict[str, Any]:
        """As `command_line_options` of /server_info: Envoy's field names, order and formats; then ours."""
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
            "file_flush_interval": f"{self.file_flush_interval_msec / 1000:g}s",
            "drain_time": f"{self.drain_time_s}s",
            "parent_shutdown_time": f"{self.parent_shutdown_time_s}s",
            "mode": self.mode.capitalize(),
            "disable_hot_restart": self.disable_hot_restart,
            "restart_epoch": self.restart_epoch,
            "use_dynamic_base_id": self.use_dynamic_base_id,
            "base_id_path": self.base_id_path,
            "drain_strategy": self.drain_strategy.capitalize(),
            "skip_deprecated_logs": self.skip_deprecated_logs,
            "file_flush_min_size": self.file_flush_min_size_kb,
            "strict": self.strict,
            "filter_path": list(self.filter_path),
            "drain_on_exit": f"{self.drain_on_exit_s}s",
        }
