"""Programs that show what the engine does: ``python -m examples.catalogue``, ``python -m examples.remote_executor``."""
