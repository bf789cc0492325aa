"""Python, as a process that may open no socket: python tests/helpers/no_sockets.py ARGUMENT..."""

import ctypes
import os
import platform
import struct
import sys

SOCKET = {"x86_64": 41, "aarch64": 198}  # the system call that opens one
IS_THERE = sys.platform == "linux" and platform.machine() in SOCKET
KILL, ALLOW = 0x80000000, 0x7FFF0000


def forbid():
    """From now on the kernel ends this process, and those that it starts, where one opens a socket, in whatever language."""
    load_number, is_equal, answer = 0x20, 0x15, 0x06  # seccomp's filter, in BPF
    rules = [(load_number, 0, 0, 0), (is_equal, 0, 1, SOCKET[platform.machine()]), (answer, 0, 0, KILL), (answer, 0, 0, ALLOW)]
    rules = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(rules)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program):
        raise OSError(ctypes.get_errno(), "no seccomp")


if __name__ == "__main__":
    forbid()
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
