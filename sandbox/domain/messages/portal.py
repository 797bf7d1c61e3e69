"""Texts of the portal and its services: what happened, why (article), what to do."""

from sandbox.domain.messages.message import Message

MESSAGES: dict[str, Message] = {
    # fields
    "field_required": Message(
        "「{field}」必须填写。请补充后重新提交；已填写的其他内容没有丢失。",
        "“{field}” is required. Fill it in and send again; nothing else you entered is lost.",
    ),
    "field_invalid": Message(
        "「{field}」的格式不符合要求（可能含有不允许的字符或类型）。请修改后重试。",
        "“{field}” does not have the form asked for (perhaps a sign or type that is not allowed). Correct it and try again.",
    ),
    "field_too_long": Message(
        "「{field}」过长，最多 {longest} 个字符。请缩短后重试。",
        "“{field}” is too long: at most {longest} characters. Shorten it and try again.",
    ),
    "choice_unknown": Message(
        "「{field}」不是可选项，可选：{choices}。",
        "“{field}” is not one of the choices, which are: {choices}.",
    ),
    "number_out_of_range": Message(
        "「{field}」应为 {low} 至 {high} 之间的整数。",
        "“{field}” must be a whole number from {low} to {high}.",
    ),
    "time_not_ahead": Message(
        "「{field}」必须是晚于现在、带时区的时间。",
        "“{field}” must be a time ahead of now, with its zone.",
    ),
    # everywhere
    "not_visible": Message(
        "没有找到，或者您无权查看。请核对地址或编号。",
        "There is no such thing, or none that you may see. Check the address or the id.",
    ),
    "state_conflict": Message(
        "当前状态为「{state}」，不能执行此操作（目标：{wanted}）。请刷新页面，查看最新状态。",
        "The state is “{state}”, so this cannot be done now (wanted: {wanted}). Reload to see where things stand.",
    ),
    "internal_error": Message(
        "系统出现内部错误，操作没有生效。请稍后重试；持续出现请联系管理员。",
        "Something went wrong inside; nothing was changed. Try again shortly; if it lasts, tell an administrator.",
    ),
    # accounts
    "login_failed": Message(
        "登录失败：用户名、密码或动态口令不正确。请核对后重试；多次失败后须等待。",
        "Log-in failed: name, password or one-time code is not right. Check them and try again; after several failures you have to wait.",
    ),
    "login_locked": Message(
        "登录失败次数过多，暂时不能登录。请在 {seconds} 秒后重试；如果不是您本人在尝试，请联系管理员。",
        "Too many failed log-ins: wait {seconds} seconds and try again. If it was not you who tried, tell an administrator.",
    ),
    "login_needed": Message(
        "请先登录。",
        "Log in first.",
    ),
    "login_taken": Message(
        "登录名「{login}」已被使用。请另选一个。",
        "The login “{login}” is taken. Choose another one.",
    ),
    "login_reserved": Message(
        "登录名「{login}」为平台保留。请另选一个。",
        "The login “{login}” belongs to the platform. Choose another one.",
    ),
    "password_weak": Message(
        "密码长度应为 {shortest} 至 {longest} 个字符。",
        "A password has {shortest} to {longest} characters.",
    ),
    "person_unknown": Message(
        "没有登录名为「{login}」的在用账号。请核对，或请管理员先建立账号。",
        "There is no active account “{login}”. Check the login, or ask an administrator to make it first.",
    ),
    "already_set_up": Message(
        "系统已经初始化，首批人员不能再次建立。请由管理员按程序办理。",
        "The deployment is set up already; its first people cannot be made again. Ask an administrator.",
    ),
    # bodies and roles
    "body_unknown": Message(
        "没有代码为「{body}」的单位。请先登记该单位。",
        "There is no body with the code “{body}”. Register it first.",
    ),
    "body_code_taken": Message(
        "单位代码「{body}」已被使用。",
        "The code “{body}” is taken by another body.",
    ),
    "body_not_wanted": Message(
        "角色「{role}」属于平台，不属于某个单位，请不要填写单位。",
        "The role “{role}” is the platform's, not a body's: leave the body out.",
    ),
    "role_held": Message(
        "「{login}」已有或已申请角色「{role}」。",
        "“{login}” holds the role “{role}” already, or has asked for it.",
    ),
    "roles_incompatible": Message(
        "角色「{role}」与已有角色（{held}）不相容：系统管理员、安全管理员、审计员必须由不同人员担任（三员分立）。",
        "The role “{role}” cannot be held beside {held}: administrator, security officer and auditor are different people.",
    ),
    # data
    "name_taken": Message(
        "数据集名称「{name}」已被使用。请另选一个。",
        "The name “{name}” is taken by another dataset. Choose another one.",
    ),
    "column_unknown": Message(
        "数据集「{dataset}」没有列「{column}」。可用的列：{known}。",
        "The dataset “{dataset}” has no column “{column}”. Its columns: {known}.",
    ),
    "columns_unclassified": Message(
        "以下列尚未确定开放类别，不能发布（第七条）：{columns}。请逐列确定。",
        "These columns have no class yet, so the version cannot be published (article 7): {columns}. Decide each of them.",
    ),
    "person_key_class": Message(
        "列「{column}」是个人标识，类别必须为「个人标识」或「非开放」（第七条）。",
        "The column “{column}” is a person's key: its class must be identifier or non_open (article 7).",
    ),
    "column_not_offered": Message(
        "数据集「{dataset}」的列「{column}」属于非开放数据或尚未确定类别，任何途径都不能提供（第七条）。请将其移除。",
        "The column “{column}” of “{dataset}” is not open or has no class, so it can be offered by no path (article 7). Leave it out.",
    ),
    "column_not_mountable": Message(
        "数据集「{dataset}」的列「{column}」涉及个人，不能挂载，只能通过经记录的查询访问。请改用查询方式或移除该列。",
        "The column “{column}” of “{dataset}” is about persons: it cannot be mounted, only queried. Choose queried access or leave it out.",
    ),
    "dataset_unknown": Message(
        "没有名为「{dataset}」的数据集，或者您无权查看。请从目录中选择。",
        "There is no dataset “{dataset}” that you may see. Choose one from the catalogue.",
    ),
    "dataset_twice": Message(
        "数据集「{dataset}」重复出现。请合并为一项。",
        "The dataset “{dataset}” is there twice. Make one item of it.",
    ),
    "version_not_published": Message(
        "数据集「{dataset}」尚未发布版本，暂时不能申请。请联系数据开放主体。",
        "The dataset “{dataset}” has no published version yet, so it cannot be applied for. Ask its owner body.",
    ),
    "access_not_offered": Message(
        "数据集「{dataset}」不提供访问方式「{access}」，可选：{offered}（第七条开放条件）。",
        "The dataset “{dataset}” is not offered with access “{access}”; offered: {offered} (conditions, article 7).",
    ),
    # projects and applications
    "already_member": Message(
        "「{login}」已是项目成员。",
        "“{login}” is a member already.",
    ),
    "application_open": Message(
        "该项目已有一份进行中的申请。请在那份申请上继续。",
        "This project has an open application already. Go on with that one.",
    ),
    "already_decided": Message(
        "「{body}」已对本申请作出决定，不能再次决定或更改（第十条）。",
        "“{body}” has decided on this application; that stands and cannot be said twice (article 10).",
    ),
    "condition_unknown": Message(
        "开放条件「{condition}」不属于本单位在此申请中的数据集。请刷新页面。",
        "The condition “{condition}” is not one of your body's datasets here. Reload the page.",
    ),
    "ticks_missing": Message(
        "开放条件「{condition}」尚未勾选，或没有写明依据，不能同意（第十条）。请逐条评估。",
        "The condition “{condition}” is not ticked with its evidence, so this cannot be approved (article 10). Assess each one.",
    ),
    # agreements
    "already_signed": Message(
        "这一方（{side}）已经签署，不需要再次签署。",
        "This side ({side}) has signed already; nothing more is needed.",
    ),
    "text_digest_mismatch": Message(
        "您签署的文本与当前协议文本不一致。请重新阅读协议后再签署。",
        "What you signed is not the text of this agreement as it stands. Read it again and sign then.",
    ),
    "already_lifted": Message(
        "该中止措施已经解除。",
        "This hold is lifted already.",
    ),
    "agreement_revoked": Message(
        "协议已被取消，使用权限立即终止（第十一条）。理由见协议页面；如有异议请联系数据开放主体。",
        "The agreement was revoked, and access ended at once (article 11). The ground is on the agreement's page; ask the owner body if you object.",
    ),
    # sandboxes
    "release_not_ready": Message(
        "以下数据仍在准备：{datasets}。通常需要几分钟，请稍后再打开沙箱。",
        "These data are still being prepared: {datasets}. It usually takes minutes; open the sandbox then.",
    ),
    "start_pending": Message(
        "沙箱正在启动，请等待当前启动完成。",
        "The sandbox is being started already; wait for that start.",
    ),
    "start_not_requested": Message(
        "没有人在门户中请求启动此沙箱，拒绝启动。请从门户打开。",
        "Nobody asked the portal to start this sandbox, so it does not start. Open it from the portal.",
    ),
    "sandbox_being_cut": Message(
        "该沙箱的使用权限已被收回，正在切断。稍后可以重新打开新的沙箱。",
        "Access to this sandbox was withdrawn and it is being cut. A new one can be opened shortly.",
    ),
    "session_ended": Message(
        "该会话已经结束。请从门户重新打开沙箱。",
        "This session has ended. Open the sandbox from the portal again.",
    ),
    "access_withdrawn": Message(
        "使用权限已被收回，会话已切断（第十一条）。请在门户查看协议状态。",
        "Access was withdrawn and the session cut (article 11). See the agreement in the portal.",
    ),
}
