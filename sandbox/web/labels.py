"""The words for states, roles and classes, in the regulation's terms; their colour; and what is said after an act."""

from datetime import datetime

from sandbox.domain.agreements import why_not
from sandbox.domain.errors import Refusal
from sandbox.domain.messages import text
from sandbox.domain.states import AgreementState
from sandbox.store.tables import Agreement
from sandbox.web.i18n import N_, translator

LABELS: dict[str, dict[str, str]] = {
    "role": {
        "steward": N_("数据管理员"),
        "reviewer": N_("导出审核员"),
        "researcher": N_("研究人员"),
        "auditor": N_("安全审计员"),
        "administrator": N_("系统管理员"),
        "officer": N_("安全保密管理员"),
    },
    "body": {"government": N_("数据开放主体（政府部门）"), "authority": N_("主管部门"), "enterprise": N_("企业、行业协会")},
    "grant": {"requested": N_("待确认"), "active": N_("有效"), "ended": N_("已终止")},
    "version": {"importing": N_("导入中"), "imported": N_("已导入"), "failed": N_("导入失败"), "published": N_("已发布")},
    "class": {
        "open": N_("无条件开放"),
        "conditional": N_("有条件开放"),
        "personal": N_("个人信息"),
        "identifier": N_("个人标识（假名化）"),
        "non_open": N_("非开放"),
    },
    "access": {"mounted": N_("挂载"), "queried": N_("查询")},
    "environment": {"python": "Python", "python_r": N_("Python 与 R")},
    "treatment": {"kept": N_("保留原值"), "pseudonym": N_("替换为假名"), "left_out": N_("不放行")},
    "project": {"active": N_("进行中"), "closed": N_("已关闭")},
    "application": {
        "draft": N_("草稿"),
        "submitted": N_("评估中"),
        "changes_requested": N_("待补正"),
        "assessed": N_("评估完成"),
    },
    "decision": {"approve": N_("同意，发出协议"), "changes": N_("退回补正"), "reject": N_("不同意")},
    "agreement": {
        "draft": N_("草稿"),
        "offered": N_("待签署"),
        "active": N_("生效"),
        "suspended": N_("已中止"),
        "revoked": N_("已取消"),
        "expired": N_("已到期"),
        "ended": N_("已终止"),
    },
    "answer": {"approve": N_("同意"), "reject": N_("不同意")},
    "display": {
        "requested": N_("待决定"),
        "approved": N_("已同意"),
        "over": N_("已到期"),
        "rejected": N_("未同意"),
        "withdrawn": N_("已撤回"),
        "revoked": N_("已收回"),
    },
    "package": {"requested": N_("待批准"), "approved": N_("已批准，等待构建"), "rejected": N_("未批准"), "built": N_("已在镜像中")},
    "ecosystem": {"pypi": "Python (PyPI)", "debian": "Debian"},
    "flag": {"network": N_("网络客户端"), "native_code": N_("加载本地代码"), "hiding": N_("可用于隐藏数据")},
    "side": {"owner": N_("数据开放主体"), "user": N_("数据使用主体")},
    "release": {"preparing": N_("制备中"), "ready": N_("就绪"), "failed": N_("制备失败"), "destroyed": N_("已销毁"), "none": N_("未制备")},
    "sandbox": {
        "stopped": N_("已停止"),
        "requested": N_("已请求"),
        "starting": N_("启动中"),
        "running": N_("运行中"),
        "refused": N_("已拒绝"),
        "cut": N_("已切断"),
    },
    "export": {
        "checking": N_("检查中"),
        "checked": N_("试检查通过"),
        "denied": N_("未通过"),
        "in_review": N_("审核中"),
        "approved": N_("待放行"),
        "rejected": N_("审核否决"),
        "released": N_("已放行"),
    },
    "verdict": {"pass": N_("通过"), "deny": N_("不通过"), "review": N_("需人工审核")},
    "vote": {"approve": N_("同意放行"), "reject": N_("不同意放行")},
    # Kept with the agreement as the text itself; a person may also write another one by the API.
    "ground": {
        words: words
        for words in (
            N_("第十一条：使用行为违反协议或安全要求"),
            N_("第十一条：举报经核实"),
            N_("第七条：开放类型或条件调整"),
            N_("安全事件处置"),
            N_("数据使用主体申请终止"),
        )
    },
    "ref": {"agreement": N_("协议编号"), "project": N_("项目编号"), "sandbox": N_("沙箱编号")},
    "lang": {"zh-CN": "中文", "en": "English"},
}
FIELDS: dict[str, str] = {
    "purpose": N_("用途"),
    "scenario": N_("应用场景"),
    "security_measures": N_("安全保障措施"),
    "period_days": N_("使用期限（天）"),
    "items": N_("数据"),
    "title": N_("名称"),
    "login": N_("登录名"),
    "name": N_("名称"),
    "email": N_("电子邮件"),
    "password": N_("初始密码"),
    "role": N_("角色"),
    "body": N_("机构"),
    "code": N_("代码"),
    "name_zh": N_("中文名称"),
    "name_en": N_("英文名称"),
    "title_zh": N_("中文标题"),
    "title_en": N_("英文标题"),
    "description": N_("说明"),
    "source": N_("来源"),
    "licence": N_("许可"),
    "file": N_("数据文件"),
    "ground": N_("依据"),
    "reason": N_("理由"),
    "until": N_("至（北京时间）"),
    "decision": N_("意见"),
    "ticks": N_("开放条件核对"),
    "verdict": N_("审核意见"),
    "comment": N_("意见"),
    "answer": N_("决定"),
    "cell_bytes": N_("每个单元（字节）"),
    "hour_bytes": N_("每小时（字节）"),
    "day_bytes": N_("每天（字节）"),
    "cell_kib": N_("每个单元（KiB）"),
    "hour_mib": N_("每小时（MiB）"),
    "day_mib": N_("每天（MiB）"),
    "ecosystem": N_("来源"),
    "version": N_("版本"),
}
TONES = {
    "good": frozenset({"active", "published", "ready", "running", "approved", "released", "checked", "pass", "approve", "assessed", "built"}),
    "warn": frozenset({
        "requested", "importing", "imported", "submitted", "changes_requested", "offered", "preparing", "starting", "checking", "in_review",
        "review", "changes", "conditional", "personal", "identifier",
    }),
    "bad": frozenset({"failed", "revoked", "suspended", "refused", "cut", "denied", "rejected", "deny", "reject", "non_open"}),
}  # fmt: skip
DONE = {
    "saved": N_("已保存。"),
    "created": N_("已建立。"),
    "requested": N_("已提交角色申请，等待安全保密管理员确认。"),
    "confirmed": N_("已确认。"),
    "ended": N_("已终止，立即生效。"),
    "uploaded": N_("文件已收到，正在导入；本页会显示结果。"),
    "published": N_("已发布，数据目录中可见。"),
    "submitted": N_("已提交，等待各数据开放主体评估。"),
    "assessed": N_("评估意见已记录。"),
    "signed": N_("已签署。"),
    "revoked": N_("协议已取消，相关沙箱正在切断。"),
    "held": N_("协议已中止，相关沙箱正在切断。"),
    "lifted": N_("中止已解除。"),
    "closed": N_("沙箱正在停止。"),
    "reviewed": N_("审核意见已记录，全部意见提交后公布。"),
    "released": N_("已放行，可以下载。"),
    "member": N_("已加入项目。"),
    "asked": N_("已提交，等待决定。"),
    "decided": N_("决定已记录。"),
    "withdrawn": N_("已撤回。"),
    "display_revoked": N_("已收回，立即生效。"),
}


def label(kind: str, value: str) -> str:
    """Return the Chinese word of a value, or the value itself."""
    return LABELS[kind].get(value, value)


def tone(value: object) -> str:
    """Return the colour of a state: good, warn, bad or none."""
    return next((name for name, values in TONES.items() if str(value) in values), "")


def agreement_state(row: Agreement, now: datetime) -> str:
    """Return the state a person sees: suspended while a hold is live, expired once the term is over."""
    if row.state is not AgreementState.ACTIVE:
        return row.state.value
    return {"agreement_held": "suspended", "agreement_expired": "expired"}.get(why_not(row, row.holds, now) or "", row.state.value)


def refusal_text(refusal: Refusal, lang: str) -> str:
    """Return what a refusal says to a person; a field is named as its form names it."""
    named = {"field": refusal.field or ""} | refusal.params
    if named["field"] in FIELDS:
        named["field"] = translator(lang)(FIELDS[named["field"]])
    return text(refusal.code, lang, **named)
