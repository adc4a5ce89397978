"""What is put together, and in which order: :class:`World`, its parts, and how it ends."""

from dynflow_mp.world.world import World

__all__ = ["World"]
