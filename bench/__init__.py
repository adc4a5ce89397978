"""How fast the engine is, measured against what ran seconds before it on the same machine."""
