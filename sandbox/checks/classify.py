"""Proposes a class for each column of an import; a steward decides (regulation A7.1).

Pure: looks at the column's name, its title and a few of its values. It errs towards the stricter class.
"""

import re

# (class, reason, pattern on name and title); the first that fits wins, so the strictest stand first.
_WORDS: tuple[tuple[str, str, str], ...] = (
    ("identifier", "id_card", r"身份证|证件号|护照|id[_ ]?card|passport|\bssn\b|national[_ ]?id|公民身份"),
    ("identifier", "phone", r"手机|电话|联系方式|phone|mobile|\btel\b|telephone"),
    ("identifier", "email", r"邮箱|电子邮件|e-?mail"),
    ("identifier", "account", r"银行卡|卡号|社保号|医保号|账号|bank[_ ]?account|card[_ ]?(no|number)"),
    (
        "identifier",
        "person_key",
        r"^(pid|uid|zper)$|(人员|患者|用户|客户|居民|学生|职工|参保人?|个人)(编号|编码|号|标识|id)|(person|people|patient|user|member|customer|student|employee|citizen|resident|insured|subject|respondent|participant)[_ ]?(id|key|no|number|code)\b",
    ),
    ("identifier", "person_name", r"姓名|联系人|户主|(full|first|last|person|patient|given|family|user)[_ ]?name|surname"),
    ("personal", "address", r"住址|家庭地址|户籍|home[_ ]?address|street"),
    ("personal", "birth", r"出生|生日|年龄|birth|\bdob\b|\bx?age\b"),
    ("personal", "income", r"收入|工资|薪|存款|income|salary|wage|earnings"),
    (
        "personal",
        "health",
        r"健康|疾病|诊断|病|症|药|手术|住院|health|disease|diagnos|chronic|medical|physical|mental|psycho|hosp|drug|patient",
    ),
    ("personal", "demography", r"性别|民族|婚姻|宗教|学历|\bsex\b|gender|female|\bmale\b|\brace\b|\bblack\b|ethnic|religion|marital"),
    ("personal", "person", r"家庭|个人|person|famil|child"),
    ("personal", "name", r"^name$|^名称?$|^名字$"),
)
# (class, reason, pattern that whole values fit): for names that say nothing.
_VALUES: tuple[tuple[str, str, str], ...] = (
    ("identifier", "id_card", r"[1-9]\d{5}(19|20)\d{2}(0[1-9]|1[0-2])([0-2]\d|3[01])\d{3}[\dXx]"),
    ("identifier", "phone", r"(\+?86)?1[3-9]\d{9}"),
    ("identifier", "email", r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"),
)


def propose(column: str, title: str, samples: list[str]) -> tuple[str, str]:
    """Return the proposed class and the reason's code, from name, title and up to some hundred non-empty values."""
    text = f"{column}\n{title}".lower()
    for proposed, reason, pattern in _WORDS:
        if re.search(pattern, text, re.MULTILINE):
            return proposed, reason
    for proposed, reason, pattern in _VALUES:
        if samples and sum(bool(re.fullmatch(pattern, value.strip())) for value in samples) * 2 >= len(samples):
            return proposed, reason
    return "conditional", "nothing_personal_seen"


def read_titles(description: str) -> dict[str, str]:
    """Return column titles from a Stata-like `describe` listing (name, storage type, format, label).

    Lines that do not look so are skipped: a description is a help, never a condition.
    """
    titles = {}
    for line in description.splitlines():
        found = re.match(r"^(\w+)\s+(?:byte|int|long|float|double|str\w*)\s+%\S+\s*(.*)$", line)
        if found and found[2].strip():
            titles[found[1]] = found[2].strip()
    return titles
