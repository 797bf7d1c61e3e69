"""Datasets, versions, columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.services.context import Context
from sandbox.store.tables import Dataset, Version


def datasets(ctx: Context) -> list[Dataset]:
    """Return the datasets the actor may see, by name."""
    raise NotImplementedError


def dataset(ctx: Context, name: str) -> Dataset:
    """Return one dataset; `not_visible`."""
    raise NotImplementedError


def register_dataset(
    ctx: Context,
    *,
    name: str,
    body: str,
    title_zh: str,
    title_en: str,
    description: str,
    source: str,
    licence: str,
    conditions: Mapping[str, Any],
) -> Dataset:
    """Register a dataset with its opening conditions; `name_taken`, `field_required`, `body_unknown`."""
    raise NotImplementedError


def start_version(ctx: Context, name: str, *, upload_path: str, file_name: str, description_name: str | None = None) -> Version:
    """Start a version from files the view has stored under `uploads/<id>` (relative path); enqueues job `import` with subject = version id."""
    raise NotImplementedError


def version(ctx: Context, name: str, number: int) -> Version:
    """Return one version; `not_visible`."""
    raise NotImplementedError


def finish_import(ctx: Context, version_id: str, result: Mapping[str, Any]) -> Version:
    """Take `result.json` of the import job (runner only)."""
    raise NotImplementedError


def set_columns(ctx: Context, name: str, number: int, columns: Sequence[Mapping[str, Any]]) -> Version:
    """Set class, person_key, title of columns; `column_unknown`, `field_invalid`."""
    raise NotImplementedError


def publish(ctx: Context, name: str, number: int) -> Version:
    """Publish a version; `columns_unclassified`."""
    raise NotImplementedError
