# METADATA
# title: May this package be asked for?
# description: |
#   Asked by the portal when a researcher wants a package in the kernel image. What is refused here is never put before a
#   person; everything else is, with the flags they should know. Nothing is installed without a person's approval.
# custom:
#   articles: [A6, A10.4]
package sandbox.package

# METADATA
# title: decision
# entrypoint: true
decision := {
	"allow": count(reasons) == 0,
	"reasons": sort(reasons),
	"obligations": {"decided_by": "administrator", "flags": sort(flags)},
}

# What a name and an exact version look like: PyPI by PEP 503 and 440 (no ranges, no addresses), Debian by its policy manual.
forms := {
	"pypi": {"name": `^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`, "version": `^([0-9]+!)?[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?$`},
	"debian": {"name": `^[a-z0-9][a-z0-9+.-]+$`, "version": `^([0-9]+:)?[0-9][A-Za-z0-9.+~-]*$`},
}

# Miners; what scans, tunnels or fetches; compilers and debuggers; other containers and kernels in the kernel (security.md: no compilers, setuid files or fetch tools).
denied := {
	"pypi": {
		"cpuminer", "xmrig", "pymine", "scapy", "impacket", "paramiko", "asyncssh", "python-nmap", "pwntools", "proxychains",
		"shadowsocks", "torpy", "stem", "pyngrok", "sshtunnel", "jupyter-server-proxy", "frida", "frida-tools", "keylogger", "pynput",
	},
	"debian": {
		"nmap", "netcat-openbsd", "netcat-traditional", "ncat", "socat", "tcpdump", "wireshark", "tshark", "tor", "proxychains4",
		"openssh-client", "openssh-server", "curl", "wget", "rsync", "telnet", "aria2", "sudo", "gcc", "g++", "clang", "build-essential",
		"make", "golang", "rustc", "gdb", "strace", "ltrace", "docker.io", "containerd", "podman", "runc", "bubblewrap", "qemu-system",
		"minerd", "hashcat", "john", "hydra", "metasploit-framework", "sqlmap", "aircrack-ng",
	},
}

# What a person should look at twice: clients of networks, loaders of foreign code, programs that write what hides data.
watched := {
	"network": {"requests", "aiohttp", "httpx", "urllib3", "boto3", "websockets", "twisted", "pyzmq", "grpcio", "ftplib", "dnspython", "selenium", "playwright"},
	"native_code": {"cffi", "cython", "numba", "llvmlite", "pybind11", "torch", "tensorflow", "jax", "tcc", "gfortran", "r-cran-rcpp"},
	"hiding": {"steghide", "stegano", "cryptography", "pycryptodome", "pynacl", "gnupg", "python-gnupg", "exiftool", "qrcode"},
}

# METADATA
# description: an ecosystem without rules is one nobody has thought about
reasons contains "package_ecosystem_unknown" if not form

reasons contains "package_name_invalid" if {
	form
	not matches("name")
}

# METADATA
# description: an image is built from exact versions, so that a record names what ran
reasons contains "package_version_invalid" if {
	form
	not matches("version")
}

# METADATA
# description: A6, no tools against the sandbox in the sandbox
reasons contains "package_denied" if input.package.name in denied[input.package.ecosystem]

flags contains flag if {
	some flag, names in watched
	input.package.name in names
}

form := forms[input.package.ecosystem]

matches(part) if {
	is_string(input.package[part])
	regex.match(form[part], input.package[part])
}
