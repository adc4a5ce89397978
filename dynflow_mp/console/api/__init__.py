"""The JSON API: everything the pages do, for programs."""
