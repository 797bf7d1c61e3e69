"""Regulation profiles: which rules a case is made under, as data (A18). What nobody has confirmed says so."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Continuation:
    """The decision by which an ended profile still serves new cases; empty fields are not confirmed by anyone yet."""

    number: str | None
    decided: date | None
    file: str | None
    note_zh: str
    note_en: str

    @property
    def confirmed(self) -> bool:
        """Whether number and date are known."""
        return self.number is not None and self.decided is not None


@dataclass(frozen=True)
class Profile:
    """One set of rules with its validity; dates are days in Asia/Shanghai, the last one included."""

    id: str
    title_zh: str
    title_en: str
    source: str
    valid_from: date
    valid_until: date | None
    successor: str | None
    continuation: Continuation | None

    def ended(self, today: date) -> bool:
        """Say whether the rules are out of force on `today`."""
        return self.valid_until is not None and today > self.valid_until


QINGDAO_2020 = Profile(
    id="qingdao-2020",
    title_zh="青岛市公共数据开放管理办法",
    title_en="Qingdao Measures for the Administration of Public Data Opening",
    source="青岛市公共数据开放管理办法（2020年10月1日起施行，有效期至2025年9月30日），第十八条",
    valid_from=date(2020, 10, 1),
    valid_until=date(2025, 9, 30),
    successor=None,
    continuation=Continuation(
        number=None,
        decided=None,
        file=None,
        note_zh="该办法有效期已满；继续适用的决定（文号、日期、文件）及后续规定尚待主管部门确认。",
        note_en="These measures have expired; the decision to continue under them (number, date, file) and their successor await confirmation by the authority.",
    ),
)
PROFILES = {profile.id: profile for profile in (QINGDAO_2020,)}
DEFAULT = QINGDAO_2020.id
