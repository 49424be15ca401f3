"""Bytes meet policy: what a filter is, how a chain runs, and which filters exist."""
