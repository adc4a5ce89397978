"""Every setting in force, with the place that says it: what ``config show`` and ``doctor`` tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from dynflow_mp.cli.opening import config_of
from dynflow_mp.config import Config
from dynflow_mp.redaction import redacted


class Setting(NamedTuple):
    """One setting as it may be shown; ``origin``: ``--option``, a variable, a file, or ``default``."""

    name: str
    value: Any
    origin: str


def settings_in_force(given: Mapping[str, Any]) -> list[Setting]:
    """All settings, in the order of :class:`Config`. Raises :class:`ConfigError` for one that cannot work."""
    config = config_of(dict(given))
    origins = {**Config.origins(), **dict.fromkeys(given, "option")}
    return [
        Setting(
            setting.name,
            _shown(setting.name, getattr(config, setting.name)),
            origins.get(setting.name, "default"),
        )
        for setting in fields(config)
    ]


def in_words(value: Any) -> str:
    """As a file of settings has it, near enough."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items()) or "{}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "[]"
    return str(value)


def _shown(name: str, value: Any) -> Any:
    if name == "database_url":
        from dynflow_mp.persistence.opening import parsed_url, shown

        return shown(parsed_url(value))
    if name == "sensitive_keys":
        return list(value)  # names of secrets are none themselves
    plain = redacted({name: _plain(value)})[name]
    return plain if isinstance(plain, (str, int, float, bool, list, dict, type(None))) else repr(plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, (tuple, list)) else value
