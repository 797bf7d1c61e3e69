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
    # who
    "person_inactive": Message(
        "该账号已停用，不能办理任何事项（第十七条：每项操作可追溯到在岗人员）。请联系管理员。",
        "This account is not active, so it may do nothing (article 17: every act traces to a person in service). Ask an administrator.",
    ),
    "login_missing": Message(
        "没有登录，无法确认是谁在操作（第十七条）。请先登录。",
        "Nobody is logged in, and every act needs a person (article 17). Log in first.",
    ),
    "role_missing": Message(
        "您没有办理此事项所需的角色。如确有需要，请由管理员申请、安全管理员确认后授予。",
        "You do not hold the role this act needs. If you should, an administrator asks for it and the security officer confirms.",
    ),
    "other_body": Message(
        "此事项属于另一数据开放主体，您的角色只对本单位有效（第三条）。请转交该单位的工作人员。",
        "This belongs to another owner body, and your role holds for yours only (article 3). Pass it to that body's staff.",
    ),
    "hold_of_other_side": Message(
        "这项中止由另一方作出，只能由作出的一方或安全管理员解除（第十一条）。请与其联系。",
        "The other side placed this hold: only that side or the security officer lifts it (article 11). Turn to them.",
    ),
    "own_request": Message(
        "不能审批与本人有关或由本人提出的事项（三员分立）。请由另一位有权限的人员办理。",
        "Nobody decides on what they asked for or what concerns themselves (separation of duties). Leave it to another person with the role.",
    ),
    "own_project": Message(
        "您是该项目的成员，不能代表另一方作出决定（职责分离）。请由非项目成员办理。",
        "You are a member of this project, so you cannot decide for the other side (separation of duties). Leave it to someone who is not.",
    ),
    "own_review": Message(
        "成果的作者不能复核自己的成果（职责分离）。请由另外两位复核人员办理。",
        "The author of an export cannot review it (separation of duties). Two other reviewers must.",
    ),
    "not_member": Message(
        "您不是该项目的成员，协议只对项目成员有效（第十条）。请由项目负责人将您加入项目。",
        "You are not a member of this project, and its agreements hold for members only (article 10). Ask the project's author to add you.",
    ),
    "not_author": Message(
        "只有提出人本人可以办理此事项。请由项目或成果的提出人操作。",
        "Only the person who started this may do it. Ask the author of the project or export.",
    ),
    "not_owner": Message(
        "这不是您的沙箱，沙箱只能由其本人使用。请从您自己的项目页面打开沙箱。",
        "This sandbox is not yours; only its own person uses it. Open one from your own project's page.",
    ),
    "author_unknown": Message(
        "无法确认成果的提出人，不予放行（第十七条）。请重新提交。",
        "The author of the export is not known, so it is not let through (article 17). Submit it again.",
    ),
    "act_unknown": Message(
        "策略中没有此类操作，按规定一律不放行。请联系管理员。",
        "Policy does not know this act, so it is not let through. Tell an administrator.",
    ),
    # agreement and sandbox
    "project_not_active": Message(
        "该项目已不在进行中，不能启动沙箱。请新建项目或联系数据开放主体。",
        "This project is not active, so no sandbox starts. Start a new project or ask the owner body.",
    ),
    "no_agreement": Message(
        "该项目还没有生效的数据利用协议（第十条：评估通过并签订协议后方可利用）。请先提交申请并完成签署。",
        "This project has no agreement in force (article 10: data is used after assessment and a signed agreement). Apply and sign first.",
    ),
    "agreement_not_active": Message(
        "数据利用协议未生效、已终止或已被撤销（第十条、第十一条）。请在协议页面查看原因。",
        "The agreement is not in force, has ended or was revoked (articles 10 and 11). Its page says why.",
    ),
    "agreement_expired": Message(
        "数据利用协议的期限已过（第十条）。请与数据开放主体重新签订协议。",
        "The agreement's term is over (article 10). Make a new agreement with the owner body.",
    ),
    "agreement_held": Message(
        "数据利用协议已被中止（第十一条），核实处理后才能恢复。请在协议页面查看依据与联系人。",
        "The agreement is suspended (article 11) until the matter is settled. Its page names the ground and whom to ask.",
    ),
    "server_not_requested": Message(
        "该沙箱没有经门户申请，不予启动。请从项目页面点击“打开沙箱”。",
        "The portal has not ordered this sandbox, so it does not start. Use “Open sandbox” on the project's page.",
    ),
    "too_many_sandboxes": Message(
        "您同时打开的沙箱已达上限（3 个）。请先关闭一个。",
        "You have as many sandboxes open as one person may have (3). Close one first.",
    ),
    # the running sandbox; what the notebook shows as well is in `notebook`
    "message_type_refused": Message(
        "沙箱不接受这种消息（只接受运行、补全、查看等可记录的操作）。请用普通单元格完成。",
        "The sandbox does not take this kind of message (only what can be recorded: run, complete, inspect …). Use an ordinary cell.",
    ),
    "query_mode_unknown": Message(
        "无法识别查询方式，不予执行。请使用 ds.sql 或 ds.load。",
        "The way of this query is not known, so it does not run. Use ds.sql or ds.load.",
    ),
    "query_datasets_unknown": Message(
        "无法确认查询涉及哪些数据集，不予执行。请在 SQL 中直接写数据集名称。",
        "It is not known which data sets the query touches, so it does not run. Name the data sets in the SQL.",
    ),
    "query_too_large": Message(
        "查询文本超过 256 KiB 上限。请简化查询。",
        "The query's text is larger than 256 KiB. Make it simpler.",
    ),
    "dataset_not_agreed": Message(
        "查询涉及协议之外的数据集（第十条）。ds.info() 会列出可用的数据集；其他数据请另行申请。",
        "The query touches a data set outside the agreements (article 10). ds.info() lists yours; apply for others.",
    ),
    "access_mode_other": Message(
        "协议约定了该数据集的另一种使用方式（第十条）。请用 ds.info() 查看约定的方式。",
        "The agreement sets another way of access for this data set (article 10). ds.info() says which.",
    ),
    # export
    "files_missing": Message(
        "导出申请中没有文件。请至少选择一个文件。",
        "The export has no files. Choose at least one.",
    ),
    "checks_missing": Message(
        "有文件没有完成输出检查，不予放行。请重新提交，由检查程序再次检查。",
        "A file was not checked completely, so it is not let through. Submit it again to have it checked.",
    ),
    "reviews_missing": Message(
        "成果需要两位独立复核人员同意后才能放行，目前人数不足。请等待复核。",
        "An export needs the approval of two independent reviewers; they have not all given it. Wait for the reviews.",
    ),
    "body_review_missing": Message(
        "成果涉及多个数据开放主体，其中有主体尚无本单位（或主管部门审核组）的复核人员同意。请等待该主体复核。",
        "The export is bound to several owner bodies, and one of them has no approval of its own reviewer (or of the authority's lent pool). Wait for that body's review.",
    ),
    "review_rejected": Message(
        "有复核人员不同意放行该成果。请查看复核意见，修改后重新提交。",
        "A reviewer did not approve this export. Read the comments, change it and submit it again.",
    ),
    # the hub and what it asks
    "hub_unavailable": Message(
        "登录与启动服务（hub）没有应答。请稍后重试；持续出现请联系管理员。",
        "The service that starts sandboxes (hub) gave no answer. Try again shortly; if it lasts, tell an administrator.",
    ),
    "login_unavailable": Message(
        "门户没有应答，无法确认身份和许可，一律不放行。请稍后重试；持续出现请联系管理员。",
        "The portal gave no answer, so neither identity nor permission is known and nothing goes on. Try again; if it lasts, tell an administrator.",
    ),
    "start_refused": Message(
        "沙箱没有启动：{why}",
        "The sandbox was not started: {why}",
    ),
    "start_failed": Message(
        "沙箱没有启动，已清理干净，可以重试：{why}",
        "The sandbox did not start and was cleaned up; try again: {why}",
    ),
    "session_failed": Message(
        "笔记本会话没有在规定时间内应答，已清理干净。请重试；持续出现请联系管理员。",
        "The notebook session did not answer in time and was cleaned up. Try again; if it lasts, tell an administrator.",
    ),
    "server_busy": Message(
        "沙箱正在启动或关闭中。请稍候几秒再试。",
        "The sandbox is just starting or closing. Try again in a few seconds.",
    ),
}
