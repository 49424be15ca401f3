"""The filters themselves: one module each, with its configuration, behaviour, stats and registration.

Start with `network.echo`, the smallest one.
"""
