"""The other end of the admin: `connections`, `why` and `top` ask a running proxy and show its answer in a terminal.

    ask       a request to an admin over TCP or a Unix socket
    commands  the command lines
    snapshot  what `top` knows of one moment, and what moved between two
    top_view  a snapshot as lines, and what keys do: no terminal needed
    screen    the terminal
"""
