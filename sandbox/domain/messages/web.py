"""Texts of the portal's frame: log-in, forms, requests that are not let in."""

from sandbox.domain.messages.message import Message

MESSAGES: dict[str, Message] = {
    "csrf_refused": Message(
        "这个请求没有带本次登录的校验码，未予执行。您填写的内容还在，请核对后再提交一次。",
        "The request did not carry the token of this log-in, so nothing was done. What you typed is still here; check it and send it again.",
    ),
    "origin_refused": Message(
        "这个请求不是从本站页面发出的，未予执行。请打开门户页面再操作。",
        "The request did not come from a page of this site, so nothing was done. Open the portal and try there.",
    ),
    "login_state": Message(
        "登录没有完成：登录请求已过期，或者不是从这个浏览器发起的。请重新登录。",
        "The log-in was not completed: it expired or was begun in another browser. Log in again.",
    ),
    "length_needed": Message(
        "请求没有说明长度，未予接收。请带上 Content-Length 再发送。", "The request did not state its length. Send it with Content-Length."
    ),
    "body_too_large": Message(
        "发送的内容超过允许的大小，未予接收。请缩小后再发送。", "What was sent is larger than allowed and was not taken. Make it smaller."
    ),
    "field_unknown": Message(
        "请求中有不认识的字段，整个请求未予执行。请对照 API 说明去掉它。",
        "The request has a field that is not known, so none of it was done. Compare with the API description and leave it out.",
    ),
    "method_refused": Message(
        "这个地址不接受这种请求方法。请对照 API 说明。", "This address does not take that method. See the API description."
    ),
    "agreement_not_read": Message(
        "签署前请先阅读协议全文，并勾选确认。", "Read the whole agreement before you sign it, and tick the box that says so."
    ),
    "check_pending": Message(
        "检查还没有完成。请稍后再查询结果；内容没有丢失。", "The checks are not done yet. Ask again shortly; nothing is lost."
    ),
    "log_refused": Message(
        "审计日志拒绝了这次读取。请联系管理员，并附上出错的时间。",
        "The audit log refused this reading. Tell an administrator, with the time it happened.",
    ),
    "token_invalid": Message(
        "服务之间的凭证无效，请求未予执行。请管理员运行 sandbox doctor 检查。",
        "The token between services is not valid, so nothing was done. An administrator should run sandbox doctor.",
    ),
}
