"""The text both sides sign: a versioned template, filled from the terms, and its digest (A10.3).

A change of wording is a new template name; texts that were signed are kept whole, they are never rendered again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.domain.columns import ColumnClass, treatment
from sandbox.domain.profiles import Profile
from sandbox.domain.states import Access

TEMPLATE = "agreement-2026-1"

_ACCESS = {
    Access.MOUNTED: ("只读挂载于沙箱", "mounted read-only in the sandbox"),
    Access.QUERIED: ("仅可经记录的查询访问，不挂载", "by recorded queries only, not mounted"),
}
_TREATMENT = {"kept": ("保留", "kept"), "pseudonym": ("以本协议专用假名替换", "replaced by this agreement's pseudonym")}
_CLASS = {
    ColumnClass.OPEN: ("无条件开放", "open"),
    ColumnClass.CONDITIONAL: ("有条件开放", "conditional"),
    ColumnClass.PERSONAL: ("涉及个人", "personal"),
    ColumnClass.IDENTIFIER: ("个人标识", "identifier"),
}


@dataclass(frozen=True)
class ItemTerms:
    """One dataset of the agreement; columns with their class at the time of the offer."""

    name: str
    title_zh: str
    title_en: str
    version: int
    access: Access
    min_cell: int
    licence: str
    columns: Sequence[tuple[str, ColumnClass]]
    rows: str
    requirements: Sequence[str]


@dataclass(frozen=True)
class AgreementTerms:
    """Everything the text says."""

    id: str
    owner_zh: str
    owner_en: str
    user: str
    project: str
    purpose: str
    scenario: str
    security_measures: str
    period_days: int
    items: Sequence[ItemTerms]


def digest(text: str) -> str:
    """Return the hex SHA-256 of the text's UTF-8: what a side signs."""
    return hashlib.sha256(text.encode()).hexdigest()


def render(terms: AgreementTerms, profile: Profile) -> str:
    """Return the text of the agreement, Chinese first, each clause with its English."""
    note = profile.continuation
    lines = [
        "公共数据有条件开放利用协议",
        "Agreement on the Use of Conditionally Opened Public Data",
        "",
        f"协议编号 / Agreement: {terms.id}",
        f"模板 / Template: {TEMPLATE}",
        f"依据 / Rules: 《{profile.title_zh}》 / {profile.title_en} ({profile.id})",
        *([f"　{note.note_zh}", f"  {note.note_en}"] if note and not note.confirmed else []),
        f"数据开放主体（甲方） / Owner: {terms.owner_zh} / {terms.owner_en}",
        f"数据使用主体（乙方） / User: {terms.user}",
        f"项目 / Project: {terms.project}",
        "",
        "一、用途 / 1. Purpose",
        terms.purpose,
        "应用场景 / Scenario",
        terms.scenario,
        "安全保障措施 / Security measures",
        terms.security_measures,
        "",
        "二、数据 / 2. Data",
    ]
    for number, item in enumerate(terms.items, start=1):
        lines += _item(number, item)
    lines += [
        "",
        "三、期限 / 3. Term",
        f"自双方均签署之时起 {terms.period_days} 天，期满即止，无需另行通知。",
        f"{terms.period_days} days from the moment both sides have signed; it ends by itself, without notice.",
        "",
        "四、使用规则 / 4. Rules of use",
        "乙方仅在数据沙箱内、为上述用途使用数据；不得识别个人，不得将原始数据以任何方式带出沙箱。",
        "The user works with the data in the data sandbox only and for the purpose above, identifies no person, and takes no raw data out in any way.",
        "进入沙箱的一切操作先记录后执行；结果须经检查和独立审核后方可导出。",
        "Whatever enters the sandbox is recorded before it runs; results leave only after checks and independent review.",
        "",
        "五、监督与终止 / 5. Supervision and end",
        "甲方或主管部门认为必要时，可以限制、中止或者取消乙方的使用权限，即时生效，并说明理由（第十一条）。",
        "The owner or the authority may restrict, suspend or withdraw access where necessary, with effect at once and the ground stated (article 11).",
        "",
    ]
    return "\n".join(lines)


def _item(number: int, item: ItemTerms) -> list[str]:
    access_zh, access_en = _ACCESS[item.access]
    lines = [
        f"2.{number} {item.title_zh} / {item.title_en} ({item.name}, v{item.version}; {item.licence})",
        f"　访问方式 / Access: {access_zh} / {access_en}",
        f"　最小单元计数 / Smallest cell count: {item.min_cell}",
        f"　行 / Rows: {item.rows}",
        "　列 / Columns:",
    ]
    for name, column_class in item.columns:
        class_zh, class_en = _CLASS[column_class]
        treatment_zh, treatment_en = _TREATMENT[treatment(column_class)]
        lines.append(f"　　{name}: {class_zh}，{treatment_zh} / {class_en}, {treatment_en}")
    lines += [f"　要求 / Requirement: {words}" for words in item.requirements]
    return lines
