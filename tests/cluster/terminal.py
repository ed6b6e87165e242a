#!/usr/bin/env python3
"""Drives a program on a terminal: terminal.py STEP... -- PROGRAM ARGUMENT...

Steps: expect=TEXT waits for text, send=TEXT types a line, size=COLUMNSxROWS resizes, key=HEX types bytes.
Prints what came last, and ends with the program's exit code; 99 when a text did not come.
"""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

cut = sys.argv.index("--")
steps, command = sys.argv[1:cut], sys.argv[cut + 1:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)


def size(columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.kill(pid, signal.SIGWINCH)


def more(seconds):
    ready, _, _ = select.select([fd], [], [], seconds)
    try:
        return os.read(fd, 65536) if ready else None
    except OSError:
        return b""


seen = b""
size(80, 24)
for step in steps:
    kind, _, text = step.partition("=")
    if kind == "send":
        os.write(fd, text.encode() + b"\n")
    elif kind == "key":
        os.write(fd, bytes.fromhex(text))
    elif kind == "size":
        size(*map(int, text.split("x")))
    elif kind == "expect":
        end = time.monotonic() + 15
        while text.encode() not in seen:
            data = more(max(0, end - time.monotonic()))
            if not data:
                print(f"{text!r} did not come, but {seen!r}")
                os.kill(pid, signal.SIGKILL)
                sys.exit(99)
            seen += data
        seen = seen[seen.index(text.encode()) + len(text):]
while data := more(15):
    seen += data
print(seen.decode(errors="replace"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
