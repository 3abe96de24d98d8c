"""Whether a sandbox holds here: a program that tries to get out, and what it managed.

Cheap enough (one run) to be done at every start. The long list of attacks is in the project's tests.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from smcs.programs import Limits, Program, Sandbox

_PROGRAM = """
import os, sys

def attempt(name, act):
    try:
        act()
    except (OSError, ImportError):
        return
    print(name, flush=True)

def connect(kind, address, send=False):
    import socket
    end = socket.socket(*kind)
    end.sendto(b"out", address) if send else end.connect(address)

def fork_on():
    import time
    for _ in range({processes} + 2):
        if not os.fork():
            time.sleep(60)
            os._exit(0)
    time.sleep(1)  # where no limit holds them back, the supervisor sees them

attempt("read a file", lambda: open({secret!r}).read())
attempt("list a folder", lambda: os.listdir({folder!r}))
attempt("write a file", lambda: open({folder!r} + "/written", "w"))
attempt("write into the interpreter's folder", lambda: open(os.__file__, "r+"))
attempt("connect by TCP", lambda: connect((2, 1), ("127.0.0.1", {tcp})))
attempt("send by UDP", lambda: connect((2, 2), ("127.0.0.1", {udp}), True))
attempt("connect to a socket file", lambda: connect((1, 1), {path!r}))
attempt("connect to an abstract socket", lambda: connect((1, 1), {abstract!r}))
attempt("signal its parent", lambda: os.getppid() and os.kill({pid}, 0))
import json
open("scratch", "w").write("x")
open("/dev/null", "w").write("x")
print("done", flush=True)
attempt("start more processes than allowed", fork_on)
os._exit(0)
"""
_LIMITS = Limits(seconds=20, cpu_seconds=10, memory_mb=256, processes=8)


def breaches(sandbox: Sandbox) -> list[str]:
    """What a program in this sandbox managed to do that it must not; empty where it holds.

    Where the sandbox does not even start, that is the one entry.
    """
    with _bait() as bait:
        outcome = sandbox.execute(Program(_PROGRAM.format(processes=_LIMITS.processes, **bait), limits=_LIMITS))
    said = outcome.stdout.splitlines()
    if "done" in said:
        return [line for line in said if line != "done"]
    if outcome.detail:
        return [outcome.detail]
    return [(outcome.stderr.strip().splitlines() or [f"exit status {outcome.exit_code}"])[-1]]


@contextlib.contextmanager
def _bait() -> Iterator[dict[str, object]]:
    """Things that a program outside any sandbox could reach: a readable file, listening sockets."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o777)
        secret = folder / "secret"
        secret.write_text("secret")
        path = str(folder / "socket")
        abstract = b"\0smcs-" + secrets.token_hex(8).encode()
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        for address in (path, abstract) if os.name == "posix" else ():
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            with contextlib.suppress(OSError):  # abstract ones are Linux's
                listener.bind(address)
                listener.listen()
        yield {
            "secret": str(secret),
            "folder": name,
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "path": path,
            "abstract": abstract,
            "pid": os.getpid(),
        }
