"""The JSON API at ``/api``: everything the pages do, for programs; what it has is in ``/api/openapi.json``."""
