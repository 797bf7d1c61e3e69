"""Texts of the warden: launch and data specs, containers."""

from sandbox.domain.messages.message import Message

MESSAGES: dict[str, Message] = {
    "spec_invalid": Message(
        "启动说明未通过校验（{field}），没有启动任何容器。请从门户重新打开；再次出现请通知管理员核查。",
        "The launch spec did not pass ({field}), so no container was started. Open it again from the portal; "
        "if it happens again, ask an administrator to look into it.",
    ),
    "spec_expired": Message(
        "启动说明已过期或已被撤回（有效期 60 秒），没有启动任何容器。请从门户重新打开。",
        "The launch spec is past its 60 seconds or was withdrawn, so no container was started. Open it again from the portal.",
    ),
    "spec_used": Message(
        "启动说明只能使用一次，这一份已经用过，没有启动任何容器。请从门户重新打开。",
        "A launch spec works once and this one was used, so no container was started. Open it again from the portal.",
    ),
    "sandbox_running": Message(
        "该沙箱已在运行。请回到已打开的页面，或先关闭它再重新打开。",
        "This sandbox is running already. Go back to its page, or close it first and open it again.",
    ),
    "sandbox_cut": Message(
        "访问权在启动过程中被收回，沙箱已停止。原因见门户中的协议页面。",
        "Access was withdrawn while the sandbox was starting, so it was stopped. The agreement's page in the portal says why.",
    ),
    "kernel_start_failed": Message(
        "分析环境未能启动，已全部撤销，没有留下任何容器。请稍后重试；持续出现请联系管理员（{detail}）。",
        "The analysis environment did not start and everything was undone. Try again shortly; if it lasts, tell an administrator ({detail}).",
    ),
    "workspace_impossible": Message(
        "这台机器无法挂载带容量上限的工作区，按设置没有启动（{detail}）。请联系管理员运行 `sandbox doctor`。",
        "This machine cannot mount a workspace with a limit, so by its settings nothing was started ({detail}). "
        "Ask an administrator to run `sandbox doctor`.",
    ),
    "workspace_no_room": Message(
        "服务器磁盘空间不足，无法为工作区预留 {wanted} MB，没有启动。您的文件没有变化；请联系管理员。",
        "The server's disk has no room to reserve {wanted} MB for the workspace, so nothing was started. "
        "Your files are unchanged; tell an administrator.",
    ),
    "workspace_damaged": Message(
        "工作区的文件系统损坏且无法自动修复，没有启动（{detail}）。请联系管理员检查，请勿重复尝试。",
        "The workspace's file system is damaged beyond automatic repair, so nothing was started ({detail}). Ask an administrator to look at it.",
    ),
    "data_start_failed": Message(
        "数据处理容器未能启动，没有改动任何数据。请稍后重试；持续出现请联系管理员（{detail}）。",
        "The data container did not start; no data was changed. Try again shortly; if it lasts, tell an administrator ({detail}).",
    ),
    "docker_call_refused": Message(
        "容器管理服务只代办会话容器的创建、查看、启动、删除和末尾输出，其余 Docker 调用一律拒绝并记录（{field}）。",
        "The Docker door makes, shows, starts, removes and reads the last words of session containers; any other Docker call is refused "
        "and recorded ({field}).",
    ),
    "docker_container_refused": Message(
        "只能操作本部署的会话容器；该请求已拒绝并记录（{field}）。",
        "The Docker door reaches session containers of this deployment only; this was refused and recorded ({field}).",
    ),
    "docker_body_refused": Message(
        "请求内容过大、过慢或不含会话令牌，已拒绝并记录（{field}）。",
        "The request is too large, too slow or lacks the session's token; it was refused and recorded ({field}).",
    ),
    "docker_session_refused": Message(
        "没有已批准且正在运行的对应沙箱，不创建也不启动会话容器；请从门户打开沙箱（{field}）。",
        "No approved sandbox of that name runs, so its session is neither made nor started; open the sandbox from the portal ({field}).",
    ),
    "docker_refusals_counted": Message(
        "一分钟内被拒绝的 Docker 调用过多，其余只记录次数。",
        "Too many refused Docker calls within a minute: the rest are recorded by their number.",
    ),
    "warden_unavailable": Message(
        "容器管理服务没有应答，按规定不启动任何环境。请稍后重试；持续出现请联系管理员。",
        "The warden, which starts containers, gave no answer, so nothing is started. Try again shortly; if it lasts, tell an administrator.",
    ),
    "warden_unauthorized": Message(
        "容器管理服务不认识这个令牌。请用 `sandbox doctor` 核查 secrets 目录。",
        "The warden does not know this token. Let `sandbox doctor` look at the secrets.",
    ),
    "warden_forbidden": Message(
        "令牌的持有者（{holder}）无权进行这项操作。",
        "The holder of this token ({holder}) may not do this.",
    ),
    "sandbox_id_invalid": Message(
        "沙箱编号应为 12 位小写字母和数字。",
        "A sandbox id is 12 characters of 0-9 and a-z.",
    ),
}
