"""Time, as the engine takes it: given, never asked for behind its back."""
