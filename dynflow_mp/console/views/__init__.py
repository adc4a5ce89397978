"""What a page shows, computed from what was read: pure functions and frozen values, no request and no database."""
