"""Texts of requests: more display, a package for the image."""

from sandbox.domain.messages.message import Message

MESSAGES: dict[str, Message] = {
    "display_pending": Message(
        "您在该项目中已有一份等待决定的额度申请。请等待决定，或先撤回。",
        "You have a request for more display in this project that is not decided yet. Wait for it, or withdraw it first.",
    ),
    "package_known": Message(
        "{ecosystem} 软件包 {name} {version} 已有人申请过。请在列表中查看进展。",
        "The {ecosystem} package {name} {version} has been asked for already. The list says how far it is.",
    ),
    "package_ecosystem_unknown": Message(
        "只能申请 PyPI（pypi）或 Debian（debian）的软件包。",
        "Only packages of PyPI (pypi) or Debian (debian) can be asked for.",
    ),
    "package_name_invalid": Message(
        "软件包名称不符合该来源的命名规则（不接受地址或路径）。请填写来源中的准确名称。",
        "The name is not one of that ecosystem (no addresses, no paths). Give the name exactly as it stands there.",
    ),
    "package_version_invalid": Message(
        "必须填写一个确定的版本，例如 1.2.3，不接受范围。镜像按确切版本构建，记录才能说明运行了什么。",
        "One exact version is needed, such as 1.2.3, no range: images are built from exact versions, so that the record names what ran.",
    ),
    "package_denied": Message(
        "按策略，该软件包不得进入沙箱镜像（网络、抓取、编译、挖矿等工具）。如确有需要，请联系系统管理员。",
        "Policy keeps this package out of the sandbox image (tools for networks, fetching, compiling, mining and the like). "
        "If you do need it, talk to an administrator.",
    ),
}
