"""The process: everything put together (`server`), its life (`lifecycle`), and what the operator asked for (`options`)."""
