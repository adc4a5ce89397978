"""What a page shows, computed from what was read: pure, and so tested without a browser."""
