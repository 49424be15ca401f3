"""What every test may rely on: nothing is left to chance by the surroundings of the run."""

from __future__ import annotations

import os


# Service managers and terminals speak to programs through the environment; tests must not hear them.
for _name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "FORCE_COLOR"):
    os.environ.pop(_name, None)


def pytest_report_header() -> str:
    engine = os.environ.get("PROXY_CORE_TEST_ENGINE")
    return f"engine of the live tests: {engine or 'proxy_core of this checkout'}"
