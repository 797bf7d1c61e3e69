"""The few texts that arise on this side of the door, in both languages; the door's own come in the person's language."""

import os

TEXTS = {
    "door_unavailable": (
        "沙箱服务没有应答。请稍后重试；如持续出现，请在门户关闭并重新打开沙箱。",
        "The sandbox service does not answer. Try again shortly; if it lasts, close and reopen the sandbox in the portal.",
    ),
    "sql_syntax": (
        "SQL 语法有误，查询没有执行：\n{detail}\n请检查 ^ 所指位置附近的拼写、逗号和括号；一次只写一条语句。",
        "The SQL has a syntax error and was not run:\n{detail}\nLook at the spelling, commas and brackets near the ^; write one statement at a time.",
    ),
    "sql_failed": (
        "查询没有成功：\n{detail}\nds.info() 列出数据集和列名；可用的数据集：{datasets}。",
        "The query failed:\n{detail}\nds.info() lists datasets and columns; datasets you may use: {datasets}.",
    ),
    "file_missing": (
        "没有找到文件：{name}。请先保存它，路径相对于当前目录。",
        "No such file: {name}. Save it first; paths are relative to the current directory.",
    ),
    "column_missing": (
        "数据集 {dataset} 没有这些列：{columns}。可用的列：{known}。",
        "Dataset {dataset} has no columns: {columns}. It has: {known}.",
    ),
    "dataset_missing": ("没有数据集 {dataset}。可用的数据集：{known}。", "There is no dataset {dataset}. Datasets you may use: {known}."),
    "nothing_withheld": ("没有被扣下的输出。", "No output was withheld."),
    "still_withheld": (
        "还有约 {kilobytes} KB 没有显示。请在另一个单元格再次运行 ds.show_again()。",
        "About {kilobytes} KB are not shown yet. Run ds.show_again() in another cell.",
    ),
    "check_ok": ("检查通过，没有发现问题。", "The checks found nothing."),
    "recorded": (
        "您运行的单元格、查询、保存的文件和导出申请都会被记录。",
        "Cells you run, queries, files you save and requests to export are recorded.",
    ),
}
language = os.environ.get("DATASANDBOX_LANG", "zh-CN")


def say(code: str, **params: object) -> str:
    """Return a text in the person's language."""
    return TEXTS[code][language.lower().startswith("en")].format(**params)
