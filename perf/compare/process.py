"""What the kernel knows about a running process: its CPU time, memory and wake-ups, read from /proc."""

from __future__ import annotations

import os
from typing import NamedTuple

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Cpu(NamedTuple):
    """CPU time used so far, in seconds. `total` is exact to the nanosecond, the two parts to a clock tick."""

    total: float
    user: float
    system: float

    def since(self, earlier: Cpu) -> Cpu:
        """The time used between the two samples, the split scaled so that it adds up to the exact total."""
        total = self.total - earlier.total
        user, system = self.user - earlier.user, self.system - earlier.system
        scale = total / (user + system) if user + system > 0 else 0.0
        return Cpu(total, user * scale, system * scale)


def _read(pid: int, name: str) -> str:
    with open(f"/proc/{pid}/{name}") as file:
        return file.read()


def cpu(pid: int) -> Cpu:
    """CPU time of all threads of the process."""
    nanoseconds = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            nanoseconds += int(_read(pid, f"task/{task}/schedstat").split()[0])
        except FileNotFoundError:
            continue  # a thread that has just ended
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return Cpu(nanoseconds / 1e9, int(fields[11]) / _TICKS_PER_SECOND, int(fields[12]) / _TICKS_PER_SECOND)


def resident_kib(pid: int) -> int:
    """Resident memory in KiB, from the page tables: VmRSS lags behind by up to some pages per thread."""
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1])
    raise OSError(f"no Rss in /proc/{pid}/smaps_rollup")


def wake_ups(pid: int) -> int:
    """How often threads of the process went to sleep by themselves, that is, how often they were woken."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        for line in _read(pid, f"task/{task}/status").splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total
