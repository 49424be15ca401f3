"""Transport sockets."""
