"""The ids of the threat model that a live deployment can be asked about, in both languages (zh-CN, en); ids are fixed."""

TITLES: dict[str, tuple[str, str]] = {
    "N1": ("TCP 连接", "TCP"), "N2": ("UDP", "UDP"), "N3": ("ICMP 与原始套接字", "ICMP and raw sockets"), "N4": ("域名解析", "DNS"),
    "N5": ("IPv6", "IPv6"), "N6": ("链路层套接字", "packet sockets"), "N7": ("其他套接字族", "other socket families"),
    "N8": ("平台服务、网关与元数据地址", "services, gateway, metadata route"), "N9": ("抽象套接字", "abstract sockets"),
    "F1": ("写入 /data", "write under /data"), "F2": ("挂载", "remount, mount"), "F3": ("链接出 /data 或工作区", "links out of /data or workspace"),
    "F4": ("读取其他进程", "other processes through /proc"), "F5": ("sysfs、cgroup、内核参数", "sysfs, cgroup, core_pattern, sysrq"),
    "F6": ("设备", "devices"), "F7": ("Docker 套接字与主机路径", "Docker socket, host paths"), "F8": ("他人的沙箱", "another sandbox's files"),
    "F9": ("以链接替换套接字", "a socket replaced by a link"),
    "K1": ("权能与提权", "capabilities, setuid"), "K2": ("命名空间", "namespaces, clone3"), "K3": ("ptrace、他人内存", "ptrace, process_vm"),
    "K4": ("bpf、perf、userfaultfd", "bpf, perf, userfaultfd"), "K5": ("内核密钥", "keyctl, add_key"), "K6": ("io_uring", "io_uring"),
    "K7": ("挂载接口", "mount calls, pivot_root"), "K8": ("模块、kexec、重启等", "modules, kexec, reboot, file handles"),
    "D1": ("进程炸弹", "fork bomb"), "D2": ("内存炸弹", "memory bomb"), "D3": ("写满磁盘", "disk fill"), "D4": ("耗尽索引节点", "inode fill"),
    "D5": ("文件描述符", "descriptors"), "D6": ("占满处理器", "CPU spin"), "D7": ("输出洪水", "output flood"), "D8": ("超大帧", "giant frame"),
    "D9": ("畸形内核消息", "malformed kernel messages"), "D10": ("填满 /sock", "filling /sock"),
    "W1": ("终端", "terminals"), "W2": ("文件下载", "/files/, downloads"), "W3": ("nbconvert", "nbconvert"),
    "W4": ("写配置、设置、扩展", "writes to config, settings, workspaces, extensions"), "W5": ("内核规格", "kernelspec tricks"),
    "W6": ("路径花招", "path tricks"), "W7": ("两种 WebSocket 编码", "WebSocket encodings, fragments, compression"),
    "W8": ("调试请求", "debug_request"), "W9": ("静默执行与 user_expressions", "silent execute, user_expressions"),
    "W10": ("comm 与输入", "comm_msg, input_reply"), "W11": ("经内容接口批量读取", "bulk reads through contents"),
    "W12": ("说谎的内核", "a kernel that lies"), "W13": ("输出中的脚本", "scripts in outputs"), "W14": ("Service worker、跳转、父域 Cookie", "service workers, navigation, cookies"),
    "W15": ("来源缺失或跨站", "missing or foreign Origin"), "W16": ("监督进程的应答", "the supervisor's answers"), "W17": ("一个沙箱驱动另一个", "one sandbox driving another"),
    "X1": ("他人的沙箱", "another person's sandbox"), "X2": ("过期的 Cookie", "stale or invented cookie"), "X3": ("网址中的令牌", "token in the URL"),
    "X4": ("已注销的会话", "a session that was logged out"), "X5": ("未获批准的服务器", "a server nobody approved"),
}  # fmt: skip

_TESTED = "prove does not make it yet"
# What is not tried here, and why: never `held`.
NOT_TRIED = {
    "D2": "not safe on a machine that others use",
    "D3": "not safe: where workspaces have no hard limit it would fill the disk",
    "D4": "not safe: where workspaces have no hard limit it would use up the file system",
    "D6": "not safe: it would slow the work of others",
    **dict.fromkeys(("D9", "W7", "W10", "W12", "W16"), _TESTED),
    **dict.fromkeys(("W13", "W14"), "needs a browser, which prove does not drive"),
    "W17": "needs a second sandbox of the same person; prove does not make it yet",
}
