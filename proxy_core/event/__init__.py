"""Something is ready: the reactor, its timers, and how signals and other threads wake it."""
