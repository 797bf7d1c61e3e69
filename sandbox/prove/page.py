"""The page an auditor keeps: one file, no script, nothing fetched."""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape

from sandbox.prove.catalogue import TITLES
from sandbox.prove.verdicts import BREACHED, HELD, NOT_APPLICABLE, Verdict

WORDS = {HELD: "守住 held", BREACHED: "被攻破 breached", NOT_APPLICABLE: "未作判断 not applicable"}
STYLE = """body{font:15px/1.5 system-ui,"Noto Sans CJK SC",sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}
table{border-collapse:collapse;width:100%}th,td{border:1px solid #bbb;padding:.35rem .5rem;text-align:left;vertical-align:top}
td:last-child{overflow-wrap:anywhere;font-size:.85em}.breached{background:#fbd5d5;font-weight:bold}.na{color:#595959}"""
SAYS = (
    "对正在运行的部署实施威胁模型中的攻击，逐项记录所见证据。未实施的攻击一律记为“未作判断”，绝不记为“守住”。",
    "The attacks of the threat model, made against the running deployment, with what was seen. An attack that was not made is never “held”.",
)


def page(verdicts: Sequence[Verdict], facts: Mapping[str, str]) -> str:
    """Return the page; `facts` says when, where and of what version, in order."""
    counts = Counter(one.verdict for one in verdicts)
    summary = "，".join(f"{words}: {counts[word]}" for word, words in WORDS.items())
    about = "".join(f"<tr><th scope=row>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
    rows = "".join(_row(one) for one in verdicts)
    return (
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>数据沙箱攻击验证 · Data Sandbox, proof</title><style>{STYLE}</style>"
        f"<h1>数据沙箱攻击验证 <span lang=en>· Data Sandbox, proof</span></h1><p>{SAYS[0]}</p><p lang=en>{SAYS[1]}</p>"
        f"<p><strong>{escape(summary)}</strong></p><table>{about}</table><h2>逐项结果 <span lang=en>· each attack</span></h2>"
        "<table><thead><tr><th scope=col>编号 id<th scope=col>攻击 attack<th scope=col>运行时 runtime<th scope=col>结论 verdict"
        f"<th scope=col>证据 evidence</tr></thead><tbody>{rows}</tbody></table></html>\n"
    )


def _row(one: Verdict) -> str:
    zh, en = TITLES.get(one.id, (one.title, ""))
    look = {BREACHED: "breached", NOT_APPLICABLE: "na"}.get(one.verdict, "")
    return (
        f"<tr><th scope=row>{escape(one.id)}</th><td>{escape(zh)}<br><span lang=en>{escape(en)}</span></td><td>{escape(one.runtime)}</td>"
        f'<td class="{look}">{WORDS[one.verdict]}</td><td>{escape(one.evidence)}</td></tr>'
    )
