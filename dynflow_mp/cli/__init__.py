"""``dynflow-mp``: what an operator does from a terminal. Never imported by a worker."""
