"""Runs the program on standard input under limits; started by `sandbox.py` in a process of its own, by its path.

Everything is given up before the program is read: processor time, memory, files, the network, root's rights. The
network goes by a namespace of its own where the system allows that to this user, and in any case by refusing sockets;
other programs, forks, signals and changes to files are refused too. Root's rights go where the standard library can be
read without them.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import resource
import sys

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
REFUSED = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.kill", "os.killpg",
           "pty.", "ctypes.")  # fmt: skip
CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.chown",
           "os.truncate", "os.utime", "shutil.")  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
NOBODY = 65534


def leave_network() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)


def leave_root() -> None:
    if os.geteuid() != 0:
        return
    os.seteuid(NOBODY)
    readable = os.access(os.__file__, os.R_OK, effective_ids=True)
    os.seteuid(0)
    if readable:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def limit(seconds: int, memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
    if writes or event.startswith((*REFUSED, *CHANGES)):
        raise PermissionError(f"{event} is not allowed here")


def main() -> None:
    task = json.loads(sys.stdin.read())
    if sys.platform == "linux":
        leave_network()
    leave_root()
    limit(task["seconds"], task["memory_bytes"])
    said, sys.stdout = sys.stdout, io.StringIO()
    sys.addaudithook(refuse)
    # The program gets a namespace of its own: it can neither see nor say the word that stands for its end.
    exec(compile(task["program"], "<program>", "exec"), {"__name__": "__main__"})
    said.write(task["word"])
    said.flush()


if __name__ == "__main__":
    main()
