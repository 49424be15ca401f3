"""Who gets in: listening sockets, limits, and the way of an accepted socket to its filter chain."""
