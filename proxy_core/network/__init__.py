"""Bytes meet the kernel: addresses, socket calls, the two state machines, transports and the connection."""
