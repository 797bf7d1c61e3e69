"""What an entry of the log says, in words. An unknown kind is shown as it is; nothing is left out."""

from collections.abc import Mapping
from typing import Any

from sandbox.domain.messages import MESSAGES, text
from sandbox.web import labels
from sandbox.web.i18n import N_, translator

SAID: dict[str, str] = {
    "source.started": N_("记录来源开始记录"),
    "source.resumed": N_("记录来源恢复记录"),
    "log.tail_cut": N_("启动时丢弃日志末尾未写完的部分"),
    "record.refused": N_("日志未接受的记录，以摘要代替"),
    "data.started": N_("数据容器开始处理"),
    "data.ended": N_("数据容器处理结束"),
    "display.background": N_("内核在后台输出"),
    "display.exhausted": N_("显示额度用完"),
    "display.shown_again": N_("补看未显示的输出"),
    "kernel.launch": N_("内核进程启动"),
    "kernel.started": N_("内核容器启动"),
    "kernel.ended": N_("内核容器结束"),
    "kernel.cut": N_("内核容器被冻结并终止"),
    "docker.refused": N_("Docker 门拒绝了中枢的请求"),
    "session.created": N_("创建会话容器"),
    "kernel.container_lost": N_("内核容器失去联系"),
    "cell.denied": N_("代码单元被拒绝执行"),
    "file.asked": N_("请求工作区文件"),
    "file.listed": N_("列出目录"),
    "file.checkpoint": N_("建立文件检查点"),
    "file.denied": N_("文件操作被拒绝"),
    "role.ended": N_("终止角色"),
    "person.deactivated": N_("停用账号（立即生效）"),
    "act.refused": N_("操作被拒绝"),
    "login.succeeded": N_("登录成功"),
    "login.accepted": N_("登录成功"),
    "login.failed": N_("登录失败"),
    "login.refused": N_("登录被拒绝"),
    "web_session.started": N_("进入门户"),
    "web_session.ended": N_("退出门户"),
    "person.created": N_("账号已建立"),
    "person.founded": N_("初始化时建立账号"),
    "body.created": N_("登记机构"),
    "role.requested": N_("申请角色"),
    "role.confirmed": N_("确认角色"),
    "dataset.registered": N_("登记数据集"),
    "version.started": N_("上传数据，开始导入"),
    "version.imported": N_("数据导入完成"),
    "version.failed": N_("数据导入失败"),
    "version.classified": N_("确认字段分类"),
    "version.published": N_("发布数据版本"),
    "project.created": N_("项目已建立"),
    "project.member_added": N_("加入项目成员"),
    "application.drafted": N_("起草申请"),
    "application.changed": N_("修改申请"),
    "application.submitted": N_("申请已提交"),
    "application.assessed": N_("申请已评估"),
    "agreement.offered": N_("发出协议"),
    "agreement.signed": N_("签署协议"),
    "agreement.activated": N_("协议生效"),
    "agreement.held": N_("中止协议"),
    "agreement.hold_lifted": N_("解除中止"),
    "agreement.revoked": N_("协议已取消"),
    "release.started": N_("开始制备放行数据"),
    "release.ready": N_("放行数据就绪"),
    "release.failed": N_("放行数据制备失败"),
    "release.destroyed": N_("放行数据已销毁"),
    "sandbox.requested": N_("请求打开沙箱"),
    "sandbox.close_requested": N_("请求停止沙箱"),
    "sandbox.cut_wanted": N_("要求切断沙箱"),
    "sandbox.cut": N_("沙箱已切断"),
    "session.authorised": N_("批准启动会话"),
    "session.refused": N_("拒绝启动会话"),
    "session.failed": N_("会话启动失败"),
    "session.running": N_("会话开始运行"),
    "session.stopped": N_("会话停止"),
    "session.cut": N_("会话连接被切断"),
    "session.lapsed": N_("会话租约到期"),
    "session.restarted": N_("会话重新启动，内核继续"),
    "session.logged_out": N_("退出登录，关闭浏览器与会话的连接"),
    "lease.granted": N_("发放会话租约"),
    "kernel.start": N_("启动内核"),
    "kernel.restart": N_("重启内核"),
    "kernel.interrupt": N_("中断内核"),
    "kernel.shutdown": N_("关闭内核"),
    "connection.unread": N_("浏览器不接收输出，连接已关闭"),
    "session.signed_out": N_("登录已失效，关闭浏览器与会话的连接"),
    "file.uploading": N_("上传文件的一部分"),
    "kernel.died": N_("内核意外退出"),
    "cell.sent": N_("执行代码单元"),
    "cell.closed": N_("代码单元执行结束"),
    "message.sent": N_("向内核发送消息"),
    "message.denied": N_("消息被拒绝"),
    "message.closed": N_("消息处理结束"),
    "query.sent": N_("查询数据"),
    "query.denied": N_("查询被拒绝"),
    "query.closed": N_("查询结束"),
    "request.refused": N_("会话请求被拒绝"),
    "file.read": N_("读取文件"),
    "file.saved": N_("保存文件"),
    "file.deleted": N_("删除文件"),
    "file.renamed": N_("重命名文件"),
    "file.mkdir": N_("新建目录"),
    "file.restored": N_("恢复文件"),
    "display.asked": N_("申请增加显示额度"),
    "display.decided": N_("对显示额度申请作出决定"),
    "display.withdrawn": N_("撤回显示额度申请"),
    "display.revoked": N_("收回增加的显示额度"),
    "package.asked": N_("申请软件包"),
    "package.decided": N_("对软件包申请作出决定"),
    "package.built": N_("软件包已进入镜像"),
    "export.requested": N_("请求导出"),
    "export.created": N_("建立导出包"),
    "export.received": N_("收到导出文件"),
    "export.submitted": N_("提交导出检查"),
    "export.checked": N_("导出检查完成"),
    "export.denied": N_("导出未通过"),
    "export.reviewed": N_("审核导出"),
    "export.approved": N_("导出审核通过"),
    "export.rejected": N_("导出审核否决"),
    "export.released": N_("放行导出"),
    "export.download": N_("开始下载导出"),
    "export.downloaded": N_("导出下载完成"),
}
# Facts of `data` that are worth a word in the sentence, with the vocabulary of their values, if they have one.
_FACTS: tuple[tuple[str, str, str | None], ...] = (
    ("login", N_("账号"), None),
    ("role", N_("角色"), "role"),
    ("name", N_("名称"), None),
    ("decision", N_("意见"), "decision"),
    ("answer", N_("决定"), "answer"),
    ("version", N_("版本"), None),
    ("image", N_("镜像"), None),
    ("side", N_("签署方"), "side"),
    ("verdict", N_("审核意见"), "vote"),
    ("act", N_("操作"), None),
    ("type", N_("消息"), None),
    ("status", N_("状态"), None),
    ("environment", N_("计算环境"), "environment"),
    ("rows", N_("行数"), None),
    ("frozen_ms", N_("冻结用时（毫秒）"), None),
    ("killed_ms", N_("终止用时（毫秒）"), None),
)


def sentence(leaf: Mapping[str, Any], lang: str) -> str:
    """Return what the entry says in `lang`: the act, then the facts that matter, then the reason of a refusal."""
    _ = translator(lang)
    kind, data = str(leaf["kind"]), leaf.get("data", {})
    colon, comma, stop = (": ", ", ", ". ") if lang == "en" else ("：", "，", "。")
    said = _(SAID[kind]) if kind in SAID else kind
    facts = [
        f"{_(word)} {_value(data[name], kinds, lang)}" for name, word, kinds in _FACTS if isinstance(data.get(name), str | int | float)
    ]
    reason = data.get("code")
    if isinstance(reason, str):
        shown = text(reason, lang, **{k: v for k, v in data.items() if k != "code"}) if reason in MESSAGES else reason
        return said + (f"{comma}{comma.join(facts)}" if facts else "") + f"{stop}{_('原因')}{colon}{shown}"
    return said + (f"{colon}{comma.join(facts)}" if facts else "")


def _value(value: Any, kinds: str | None, lang: str) -> str:
    return translator(lang)(labels.label(kinds, str(value))) if kinds else str(value)


def actor(leaf: Mapping[str, Any], lang: str) -> str:
    """Return who acted: the login, or the name of our process; a session acts for the person of its sandbox."""
    _ = translator(lang)
    who = leaf["actor"]
    if who["type"] == "anonymous":
        return _("未登录者")
    return str(who.get("login") or who["id"])
