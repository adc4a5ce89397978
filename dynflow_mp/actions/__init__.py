"""What users write: :class:`~dynflow_mp.actions.action.Action`, and what a worker does with it."""
