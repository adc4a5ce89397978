"""Execution plans as people see them."""
