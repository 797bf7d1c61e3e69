"""Texts of import, preparation and output checks, and of exports. `<code>_passed` is what a kept rule says."""

from sandbox.domain.messages.message import Message

_IMPORT: dict[str, Message] = {
    "csv_row_broken": Message(
        "第 {line} 行有 {found} 列，应为 {expected} 列。整个文件没有导入。请修正该行（多余的逗号或缺少的列）后重新上传。",
        "Line {line} has {found} columns, {expected} are expected. Nothing was imported. Mend the line (a comma too many, a column missing) and upload again.",
    ),
    "csv_row_quotes": Message(
        '第 {line} 行的引号没有成对。请把单元格内的引号写成两个引号（""），并检查是否有未闭合的引号。',
        'The quotes in line {line} do not pair. Write a quote inside a cell as two ("") and look for one that is never closed.',
    ),
    "csv_not_utf8": Message(
        "第 {line} 行不是 UTF-8 编码。请在表格软件中另存为“CSV UTF-8（逗号分隔）”后重新上传。",
        "Line {line} is not UTF-8. Save the file as “CSV UTF-8 (comma separated)” and try again.",
    ),
    "csv_not_text": Message(
        "第 {line} 行含有空字节，这不是文本文件。请导出为 CSV 文本。",
        "Line {line} holds a NUL byte: this is no text file. Export it as CSV text.",
    ),
    "csv_no_header": Message(
        "第 1 行不是列名。请在第一行写上每一列的名称，名称不能为空，也不能全是数字。",
        "Line 1 is no header. Put a name for each column into the first line; none may be empty, and not all may be numbers.",
    ),
    "csv_duplicate_column": Message(
        "列名“{column}”出现了两次（不区分大小写）。请改成不同的名称。",
        "The column name “{column}” occurs twice (case does not count). Rename one.",
    ),
    "csv_bad_column_name": Message(
        "列名“{column}”太长或含有不可见字符。请改为 100 字以内的普通文字。",
        "The column name “{column}” is too long or holds invisible characters. Use at most 100 plain characters.",
    ),
    "csv_too_many_columns": Message("文件有 {count} 列，最多 {limit} 列。", "The file has {count} columns, at most {limit} are allowed."),
    "csv_too_many_rows": Message(
        "文件有 {rows} 行，最多 {limit} 行。请拆分后上传。", "The file has {rows} rows, at most {limit} are allowed. Split it."
    ),
    "csv_empty": Message("文件里没有数据行。请检查是否选错了文件。", "The file has no rows of data. Check that it is the right one."),
    "csv_too_large": Message(
        "文件有 {size} 字节，上限为 {limit} 字节。请拆分后上传。", "The file has {size} bytes, the limit is {limit}. Split it."
    ),
    "csv_newlines_mixed": Message(
        "文件混用了两种换行符。请用文本编辑器统一换行符后重新上传。",
        "The file mixes two kinds of line ends. Make them one kind with an editor and upload again.",
    ),
    "csv_unreadable": Message(
        "文件无法作为 CSV 读取。请确认以逗号分隔、以引号括起含逗号的单元格。",
        "The file cannot be read as CSV. Separate by commas and quote cells that hold one.",
    ),
    "zip_not_one_csv": Message(
        "压缩包内应恰好有一个 .csv 文件，现有 {count} 个文件。", "The archive must hold exactly one .csv file; it holds {count} files."
    ),
    "zip_refused": Message(
        "压缩包已损坏、加密或含有链接，无法打开。请重新压缩，或直接上传 CSV。",
        "The archive is damaged, encrypted or holds a link. Pack it again, or upload the CSV itself.",
    ),
    "zip_bomb": Message(
        "压缩包展开后超过 {limit} 字节，已停止。请直接上传 CSV。",
        "Unpacked, the archive is more than {limit} bytes; it was stopped. Upload the CSV itself.",
    ),
    "data_task_failed": Message(
        "处理数据的隔离容器出错，结果一律按不通过处理。请重试；持续出现请联系管理员。",
        "The isolated container that handles the data broke, which never counts as a pass. Try again; if it lasts, tell an administrator.",
    ),
}

_PREPARE: dict[str, Message] = {
    "column_not_in_dataset": Message(
        "数据集中没有“{column}”这一列。请核对列名。", "The data set has no column “{column}”. Check the name."
    ),
    "column_not_releasable": Message(
        "“{column}”属于非开放数据或尚未分类，任何途径都不得开放（第七条）。请从协议中去掉该列。",
        "“{column}” is not open data or not classified yet; no path can release it (article 7). Take it out of the agreement.",
    ),
    "release_without_columns": Message("协议没有批准任何列。", "The agreement approves no column."),
    "release_empty": Message("按协议的行条件筛选后没有数据。请核对行条件。", "The agreement's row conditions leave no row. Check them."),
    "row_filter_invalid": Message("“{column}”上的行条件“{op}”无法识别。", "The row condition “{op}” on “{column}” is not known."),
    "pseudonym_key_missing": Message(
        "缺少本协议的化名密钥，未制作数据。请联系管理员。",
        "The agreement's key for pseudonyms is missing; nothing was prepared. Tell an administrator.",
    ),
}

_CHECK: dict[str, Message] = {
    "export_type_refused": Message(
        "只能导出 CSV 表格，文件名用普通文字并以 .csv 结尾；这个文件的名称或内容不是。",
        "Only CSV tables leave, with a plain name ending in .csv; this file's name or content is something else.",
    ),
    "export_type_refused_passed": Message("文件类型符合要求。", "The type of the file is allowed."),
    "export_too_large": Message(
        "文件有 {size} 字节，上限为 {limit} 字节。请导出汇总后的结果。",
        "The file has {size} bytes, the limit is {limit}. Export an aggregated result.",
    ),
    "export_too_large_passed": Message("文件大小在限额内。", "The size is within the limit."),
    "export_too_many_rows": Message(
        "表格超过 {limit} 行。请导出汇总后的结果。", "The table has more than {limit} rows. Export an aggregated result."
    ),
    "hidden_characters": Message(
        "第 {line} 行“{column}”含有不可见字符 {char}。请删除后再导出。",
        "Line {line}, “{column}” holds an invisible character {char}. Remove it.",
    ),
    "hidden_characters_passed": Message("没有不可见字符。", "No invisible characters."),
    "formula_cells": Message(
        "第 {line} 行“{column}”的文字以 =、+、-、@ 或 | 开头，表格软件会当作公式，需人工审核。",
        "Line {line}, “{column}”: text beginning with =, +, -, @ or | would run in a spreadsheet; a person must look.",
    ),
    "formula_cells_passed": Message("没有公式。", "No formulas."),
    "count_column_missing": Message(
        "缺少计数列（如 n、count、人数、数量），无法证明每个数字至少来自 {min_cell} 条记录。请加上每组的记录数。",
        "There is no count column (such as n, count, 人数), so nothing shows that {min_cell} records stand behind each figure. Add the number of records of each group.",
    ),
    "count_column_missing_passed": Message("有计数列。", "There is a count column."),
    "count_not_whole": Message(
        "第 {line} 行的计数“{column}”不是整数。请填写记录数；不足的组请删除整行。",
        "Line {line}: the count “{column}” is no whole number. Give the number of records; leave out groups that are too small.",
    ),
    "small_cell": Message(
        "“{column}”有 {cells} 个值小于 {min_cell}（首个在第 {line} 行），可能暴露个体。请合并或删除这些组。",
        "“{column}” has {cells} values below {min_cell} (first in line {line}); they could give persons away. Merge or leave out these groups.",
    ),
    "small_cell_passed": Message("每组至少 {min_cell} 条记录。", "Each group has at least {min_cell} records."),
    "count_not_true": Message(
        "按 {columns} 重新统计：{total} 行中有 {rows} 行声明的计数多于实际记录数（如第 {lines} 行）。请填写真实的记录数，删除不足 {min_cell} 条的组；若某列是分段，请改用与原列不同的名称。",
        "Counted again by {columns}: {rows} of {total} rows claim more records than there are (such as lines {lines}). Give the true counts, leave out groups below {min_cell}; if a column holds bands, name it otherwise than the original.",
    ),
    "count_not_true_passed": Message("没有发现多于实际记录数的计数。", "No count above the truth was found."),
    "counts_unverified": Message(
        "{rows} 行的分组在开放的数据中找不到，或无法判断列 {columns} 是分组还是数值，计数未能全部核对，需人工审核。",
        "The groups of {rows} rows are not in the released data, or it is unclear whether {columns} are keys or values: not all counts could be compared, a person must look.",
    ),
    "looks_like_rows": Message(
        "表格有 {rows} 行，其中 {distinct} 行的数值各不相同，且无法核对为分组，可能是逐条记录，需人工审核。",
        "The table has {rows} rows, {distinct} of them with figures of their own, and they could not be counted as groups: they may be single records, a person must look.",
    ),
    "looks_like_rows_passed": Message("表格不像逐条记录。", "The table does not look like single records."),
    "column_title_refused": Message(
        "第 {column} 列的列名不符合要求：最多 {longest} 个字符、最多 {digits} 个数字，只用文字、数字、下划线、空格和括号。请改短列名，数据放在单元格里。",
        "The title of column {column} is refused: at most {longest} characters and {digits} digits; letters, digits, underscores, blanks and brackets only. Shorten it; data belong into cells.",
    ),
    "column_title_refused_passed": Message("列名符合要求。", "The titles are plain."),
    "too_many_columns": Message(
        "表格有 {count} 列，最多 {limit} 列。请改为一行一组的长表。",
        "The table has {count} columns, at most {limit} leave. Make it one row a group.",
    ),
    "identifier_values": Message(
        "第 {line} 行“{column}”含有数据集 {dataset} 的个人化名，不得导出。请删除该列。",
        "Line {line}, “{column}” holds a person's pseudonym of {dataset}; it cannot leave. Remove the column.",
    ),
    "identifier_values_passed": Message("没有个人化名。", "No pseudonyms of persons."),
    "unknown_column": Message(
        "{count} 列无法从开放的数据推出（{columns}），需人工审核。",
        "{count} columns cannot be derived from the released data ({columns}); a person must look.",
    ),
    "unknown_column_passed": Message("各列都可由开放的数据推出。", "All columns derive from the released data."),
    "raw_rows": Message(
        "{total} 行中有 {rows} 行与数据集 {dataset} 的原始记录一致（列 {columns} 共同指向不足 10 条的记录）。原始数据不得导出，请先汇总。",
        "{rows} of {total} rows are records of {dataset}: taken together, {columns} point to fewer records than allowed. Raw data cannot leave; aggregate first.",
    ),
    "raw_rows_passed": Message("没有发现原始记录。", "No raw records found."),
    "single_record_values": Message(
        "列 {columns} 的值来自单条记录（如最大、最小、中位数），需人工审核。",
        "The values of {columns} come from single records (a maximum, minimum or median); a person must look.",
    ),
    "export_empty": Message("导出包是空的。", "The package is empty."),
    "export_changed": Message(
        "文件“{file}”与申报的大小或摘要不一致，已拒绝。请重新导出。",
        "The file “{file}” is not what was announced (size or digest). Export it again.",
    ),
}

_EXPORT: dict[str, Message] = {
    "context_is_data": Message(
        "标题或说明里多半是数字，像是数据而不是文字。请用几句话说明表格是什么、怎样得到；数字放在要审核的文件里。",
        "The title or context is mostly digits: it looks like data, not words. Say in a sentence or two what the table is; figures belong into the file, which is reviewed.",
    ),
    "export_session_ended": Message("沙箱会话已结束，不能再提交导出。", "The session has ended; it cannot export."),
    "export_one_file": Message(
        "一次导出一个文件，现有 {count} 个。请分开提交。", "One file at a time; this package has {count}. Submit them apart."
    ),
    "export_file_invalid": Message("文件的名称、大小或摘要不完整。", "The file's name, size or digest is not complete."),
    "export_incomplete": Message("文件还没有全部收到，请重新导出。", "Not all of the file has arrived; export it again."),
    "export_epoch_changed": Message(
        "协议在导出申请之后已收紧或中止，此导出作废。请在现行条件下重新导出。",
        "The agreement was tightened or suspended after this export was made, which voids it. Export again under the present terms.",
    ),
    "already_reviewed": Message(
        "您已经对此导出投过票，每人一票，不能更改。", "You have voted on this export already; one vote each, and it stands."
    ),
    "export_not_released": Message(
        "此导出尚未放行。需全部审核同意并由申请人放行后才能下载。",
        "This export is not released. All reviewers must agree and its author must release it first.",
    ),
    "already_downloaded": Message(
        "此导出已完整下载过一次，不能再次下载。需要时请重新申请导出。",
        "This export was downloaded whole once and cannot be again. Export anew if you need it.",
    ),
}

MESSAGES: dict[str, Message] = _IMPORT | _PREPARE | _CHECK | _EXPORT
