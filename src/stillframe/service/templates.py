"""The use cases of templates: what is stored is a snapshot config that a job could have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillframe.catalog.templates import Templates, TemplateView
from stillframe.errors import ConfigError
from stillframe.media import config_json
from stillframe.media.config import SnapshotType

#: where a config stands in a request
_PARAMETER = "TemplateConfig"


class TemplateKeeper:
    """Makes and changes an account's templates; to look at them, ask `catalog.templates`."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def create(
        self, account_id: str, name: str, type: SnapshotType | None, config: Mapping[str, Any]
    ) -> TemplateView:
        """A new template, of the type that is given here or in the config. Raises ConfigError."""
        type = type or config.get("Type") or "Normal"
        return self._templates.create(account_id, name, type, _checked(config, type))

    def update(
        self, account_id: str, template_id: str, *, name: str | None, config: Mapping[str, Any] | None
    ) -> None:
        """Change what is not None; the type stays. Raises ConfigError and NotFound."""
        if config is not None:
            config = _checked(config, self._templates.get(account_id, template_id).type)
        self._templates.update(account_id, template_id, name=name, config=config)


def _checked(config: Mapping[str, Any], type: SnapshotType) -> dict[str, Any]:
    """The config with its type in it. Raises ConfigError for the key that is wrong."""
    if config.get("Type") not in (None, type):
        raise ConfigError(f"{_PARAMETER}.Type", config["Type"], f"{type}, as the template's Subtype has it")
    whole = {**config, "Type": type}
    try:
        config_json.parse(whole)
    except ConfigError as error:
        raise error.__class__(f"{_PARAMETER}.{error.path}", error.value, error.allowed) from error
    return {key: value for key, value in whole.items() if value is not None}
