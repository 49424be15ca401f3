"""Access loggers."""
