"""Classes of columns and what each may become (A7.1): `non_open` data can be released by no path."""

from enum import StrEnum

from sandbox.domain.states import Access


class ColumnClass(StrEnum):
    """How open a column is; `identifier` is a person's key, replaced by the agreement's pseudonym in every release."""

    OPEN = "open"
    CONDITIONAL = "conditional"
    PERSONAL = "personal"
    IDENTIFIER = "identifier"
    NON_OPEN = "non_open"


ABOUT_PERSONS = frozenset({ColumnClass.PERSONAL, ColumnClass.IDENTIFIER})


def may_be_offered(column_class: ColumnClass | None) -> bool:
    """Say whether a column may be part of an offer at all; an unclassified one may not (deny by default)."""
    return column_class is not None and column_class is not ColumnClass.NON_OPEN


def may_be_accessed(column_class: ColumnClass | None, access: Access) -> bool:
    """Say whether a column may be reached that way: data about persons answers recorded queries only, it is never mounted."""
    if column_class is None or not may_be_offered(column_class):
        return False
    return access is Access.QUERIED or column_class not in ABOUT_PERSONS


def treatment(column_class: ColumnClass) -> str:
    """Return what a release does to a column: `kept`, `pseudonym` or `left_out`."""
    if column_class is ColumnClass.IDENTIFIER:
        return "pseudonym"
    return "kept" if may_be_offered(column_class) else "left_out"
