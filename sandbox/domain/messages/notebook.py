"""Texts of the guard, the door and the client in the notebook."""

from sandbox.domain.messages.message import Message

MESSAGES: dict[str, Message] = {
    "lease_ended": Message(
        "沙箱的访问授权已到期且未能续期，操作未执行。请在门户查看沙箱状态；授权恢复后可以继续，您的文件没有丢失。",
        "The sandbox's access was not renewed in time, so nothing was run. See its state in the portal; once renewed you can go on, and no file of yours is lost.",
    ),
    "lease_cut": Message(
        "您对数据的访问已被终止，沙箱已停止。原因见门户中的协议页面；如有异议，请联系数据提供单位。",
        "Your access to the data was ended and the sandbox was stopped. The agreement's page in the portal gives the ground; to object, contact the data's owner.",
    ),
    "message_malformed": Message(
        "收到的消息格式不正确，未送达内核。请刷新页面后重试。",
        "The message was not well formed and was not delivered to the kernel. Reload the page and try again.",
    ),
    "message_too_large": Message(
        "单元格过大，未运行。请拆分代码；大段数据请存成文件后读取。",
        "The cell is too large and was not run. Split the code; put large data into a file and read it.",
    ),
    "record_refused": Message(
        "审计日志没有接受这条记录，未记录的操作不予执行。请缩短内容后重试；仍不成功请联系管理员。",
        "The audit log did not take this entry, and nothing runs unrecorded. Make it shorter and try again; if that fails tell an administrator.",
    ),
    "display_cap": Message(
        "本单元格的输出超过 {limit} KB 的显示上限，其余部分没有显示，但没有丢失：变量仍在内核中；在另一个单元格运行 ds.show_again()，可以接着看没有显示的部分（不重新计算）。也可以汇总、抽样或只取需要的部分再显示；要带出结果请用 ds.export。",
        "This cell's output passed the display limit of {limit} KB and the rest is not shown. It is not lost: the variables are in the kernel, and ds.show_again() in another cell shows what was withheld, without computing it again. Or aggregate, sample or show a part; to take results out use ds.export.",
    ),
    "display_hour": Message(
        "本小时的显示额度（{hour} MB）已用完，这部分输出没有显示，但没有丢失：代码可以继续运行，变量仍在内核中。额度随时间逐步恢复，届时运行 ds.show_again() 即可查看（不重新计算）。急需时可在门户申请更多额度：{link}",
        "The display budget of this hour ({hour} MB) is used up and this output is not shown. It is not lost: code goes on running and the variables are in the kernel. Budget comes back as the hour passes; then ds.show_again() shows it, without computing it again. If it is urgent, ask for more in the portal: {link}",
    ),
    "display_day": Message(
        "今天的显示额度（{day} MB）已用完，这部分输出没有显示，但没有丢失：代码可以继续运行，变量仍在内核中。额度随时间逐步恢复，届时运行 ds.show_again() 即可查看（不重新计算）。急需时可在门户申请更多额度：{link}",
        "The display budget of the day ({day} MB) is used up and this output is not shown. It is not lost: code goes on running and the variables are in the kernel. Budget comes back as the day passes; then ds.show_again() shows it, without computing it again. If it is urgent, ask for more in the portal: {link}",
    ),
    "display_unavailable": Message(
        "暂时无法核对显示额度，这部分输出没有显示，但没有丢失：变量仍在内核中。请稍候运行 ds.show_again() 查看；如持续出现，请联系管理员。",
        "The display budget cannot be checked at the moment and this output is not shown. It is not lost: the variables are in the kernel. Run ds.show_again() shortly; if this lasts, tell an administrator.",
    ),
    "show_again_nowhere": Message(
        "ds.show_again() 只能在笔记本的单元格里运行：没有显示的输出会接在那个单元格后面。",
        "ds.show_again() works in a notebook's cell: the output that was withheld appears under it.",
    ),
    "kernel_container_down": Message(
        "运行代码的容器没有应答。请稍候重试；如持续出现，请在门户关闭并重新打开沙箱。",
        "The container that runs the code does not answer. Try again shortly; if it lasts, close and reopen the sandbox in the portal.",
    ),
    "session_restarted": Message(
        "会话服务意外结束，已自动重新启动；内核和变量都还在。这个单元格当时正在运行，它是否执行完无法确认，请检查变量后决定是否再运行。",
        "The session's server ended unexpectedly and was started again; the kernel and its variables are still there. This cell was running at that moment and nobody can tell whether it finished: look at your variables before you run it again.",
    ),
    "kernel_unknown": Message(
        "这个沙箱没有这种内核，没有启动。请选择启动页列出的内核；如需 R，请关闭沙箱，并在打开时选择“Python 与 R”。",
        "This sandbox has no such kernel; none was started. Choose one that the launcher lists. For R, close the sandbox and choose Python and R when you open it.",
    ),
    "logged_out": Message(
        "您已退出登录，这个页面已断开；内核仍在运行。请重新登录后打开沙箱。",
        "You have logged out and this page was disconnected; the kernel still runs. Log in again and open the sandbox.",
    ),
    "file_not_text": Message(
        "浏览器中只能打开文本文件和笔记本，其他格式不予显示。请在代码里读取它；要带出结果请用 ds.export。",
        "Only text files and notebooks open in the browser. Read it in code; to take results out use ds.export.",
    ),
    "file_over_budget": Message(
        "剩余的显示额度不够打开这个文件，请稍后再打开，或在门户申请更多额度。文件仍在工作区，代码可以读取；要带出结果请用 ds.export。",
        "What is left of the display budget is too little to open this. Open it later, or ask for more budget in the portal. The file is in the workspace and code can read it; to take results out use ds.export.",
    ),
    "upload_out_of_order": Message(
        "上传的分块次序不对，没有写入。请重新上传这个文件。",
        "The parts of the upload came out of order and were not written. Upload the file again.",
    ),
    "kernel_gone": Message("内核已经结束，请重新启动内核。", "The kernel has ended. Restart it."),
    "path_refused": Message(
        "沙箱没有开放这个地址（如终端、文件下载、扩展管理）。要带出结果请用 ds.export 提交审核。",
        "The sandbox does not offer this address (terminals, file downloads, extensions). To take results out use ds.export.",
    ),
    "not_allowed": Message("您没有进行这项操作的权限。", "You are not allowed to do this."),
    "not_signed_in": Message("您没有登录，或者这不是您的沙箱。", "You are not signed in, or this is not your sandbox."),
    "workspace_changed": Message(
        "上传期间文件被改动，上传已中断。请重新上传。",
        "The file was changed while it was uploaded, and the upload was stopped. Upload it again.",
    ),
    "workspace_not_found": Message("工作区里没有这个文件或目录。", "There is no such file or directory in the workspace."),
    "workspace_exists": Message(
        "同名的文件或目录已经存在，请换一个名字。", "A file or directory of that name exists. Choose another name."
    ),
    "workspace_too_large": Message(
        "文件太大，不能在浏览器中打开。请在代码里读取它；要带出结果请用 ds.export。",
        "The file is too large to open in the browser. Read it in code; to take results out use ds.export.",
    ),
    "workspace_disk_full": Message(
        "工作区已满，文件没有保存。请删除不需要的文件后重试。",
        "The workspace is full and the file was not saved. Delete what you do not need and try again.",
    ),
    "workspace_is_directory": Message("这是一个目录，不能按文件写入。", "This is a directory and cannot be written as a file."),
    "workspace_not_a_file": Message("这不是一个普通文件。", "This is not a regular file."),
    "workspace_bad_path": Message(
        "文件名不可用。请使用不超过 255 字节、不含 .. 和控制字符的名字。",
        "The name cannot be used. Use at most 255 bytes, without .. and control characters.",
    ),
    "workspace_failed": Message("工作区没有完成这项操作，请重试。", "The workspace did not do this. Try again."),
    "upload_too_large": Message(
        "文件超过 {limit} MB 的上传上限，没有上传。请拆分或压缩后再试。",
        "The file is over the upload limit of {limit} MB and was not uploaded. Split or shrink it.",
    ),
    "notebook_unreadable": Message(
        "笔记本文件已损坏，无法打开。可以在代码里按文本读取它。",
        "The notebook file is damaged and cannot be opened. You can read it as text in code.",
    ),
    "door_bad_request": Message(
        "请求不完整或格式不对。请通过 datasandbox 的函数使用沙箱。",
        "The request is incomplete or malformed. Use the functions of datasandbox.",
    ),
    "query_empty": Message("查询是空的。请写出一条 SELECT 语句。", "The query is empty. Write a SELECT statement."),
    "queried_not_available": Message(
        "{datasets} 按协议只能以“查询”方式访问（涉及个人的数据默认如此），本版本尚未提供查询服务，因此暂时不能使用。",
        "By the agreement {datasets} may only be accessed in queried mode (the default for data about persons); this version has no query service yet, so it cannot be used for now.",
    ),
    "export_text_missing": Message(
        "请填写导出的{field}（title 标题、context 说明），且不要过长（上限 {limit} 字）：审核人要据此判断结果从何而来、作何用途。",
        "Give the export a title and a context of at most {limit} characters: reviewers judge by them where the result comes from and what it is for.",
    ),
    "export_files": Message("请给出 1 到 {limit} 个文件。", "Give 1 to {limit} files."),
    "export_file_too_large": Message(
        "{name} 超过导出上限 {limit} MB，没有提交。请只导出汇总结果。",
        "{name} is over the export limit of {limit} MB and was not submitted. Export aggregated results only.",
    ),
    "export_file_changed": Message(
        "文件 {name} 在提交过程中发生了变化，没有提交。请保存好后重试。",
        "File {name} changed while it was submitted. Save it and try again.",
    ),
    "portal_unavailable": Message(
        "门户暂时没有应答，导出没有提交。文件没有丢失，请稍后重试。",
        "The portal does not answer and the export was not submitted. Your files are still there; try again shortly.",
    ),
}
