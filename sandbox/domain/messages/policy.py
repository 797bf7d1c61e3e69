"""Texts of policy reasons and of parts that are down."""

from sandbox.domain.messages.message import Message

MESSAGES: dict[str, Message] = {
    "policy_unavailable": Message(
        "策略服务没有应答，按规定一律不放行。请稍后重试；持续出现请联系管理员。",
        "The policy service gave no answer, so nothing is let through. Try again shortly; if it lasts, tell an administrator.",
    ),
    "log_unavailable": Message(
        "审计日志暂时无法写入，未记录的操作不予执行。您的内容没有丢失，请稍后重试。",
        "The audit log cannot be written, and nothing runs unrecorded. Nothing of yours is lost; try again shortly.",
    ),
}
