"""Other proxies in Python, as good as their libraries allow, to compare the engine with; and filters for the engine."""
