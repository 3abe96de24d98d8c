"""Programs that attack, in every strong sandbox that holds here. What they try is real; the limits are small.

As root, the whole file is run a second time by a user without rights (the last test).
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smcs.programs import Limits, Outcome, Program
from smcs.sandbox import SandboxUnavailableError, choose
from smcs.sandbox._base import ProcessSandbox
from smcs.sandbox._interpreter import own
from smcs.sandbox._selftest import breaches
from smcs.sandbox.landlock import LandlockSandbox

SMALL = Limits(seconds=20, cpu_seconds=10, memory_mb=96, processes=6, output_bytes=50_000, file_bytes=2_000_000)
PRELUDE = """
import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def attempt(act):
    try:
        result = act()
    except OSError as error:
        print("refused:", type(error).__name__)
    else:
        print("DONE:", result)

def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
    return name
"""


def make(name: str, packages: Path) -> ProcessSandbox:
    """A sandbox that holds; the third is what an old kernel's Landlock leaves to the other means."""
    if name != "landlock-1":
        chosen = choose(name, packages=[packages])
        assert isinstance(chosen, ProcessSandbox)
        return chosen
    try:
        old = LandlockSandbox(own([packages]), 1, version=1)
    except (OSError, KeyError) as error:
        raise SandboxUnavailableError(str(error)) from error
    assert breaches(old) == []
    return old


@pytest.fixture(scope="module", params=["bubblewrap", "landlock", "landlock-1"])
def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessSandbox]:
    packages = tmp_path_factory.mktemp("packages")
    packages.parent.chmod(0o755)
    packages.chmod(0o755)
    (packages / "helpful.py").write_text("answer = 42\n")
    scratch = Path(tempfile.mkdtemp(prefix="smcs-attacks-"))
    scratch.chmod(0o755)
    before, tempfile.tempdir = tempfile.tempdir, str(scratch)
    try:
        chosen = make(request.param, packages)
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    else:
        yield chosen
        assert list(scratch.iterdir()) == [], "a scratch folder was left behind"
    finally:
        tempfile.tempdir = before
        shutil.rmtree(scratch)


@pytest.fixture
def users_files(tmp_path: Path) -> Path:
    """A folder of the user's, as open as a careless user could leave it."""
    for folder in (tmp_path, tmp_path.parent):
        folder.chmod(0o777)
    (tmp_path / "secret").write_text("the user's secret")
    (tmp_path / "secret").chmod(0o666)
    return tmp_path


def run(sandbox: ProcessSandbox, source: str, limits: Limits = SMALL, stdin: str = "") -> Outcome:
    outcome = sandbox.execute(Program(PRELUDE + source, stdin, limits=limits))
    assert outcome.status != "sandbox_error", outcome
    return outcome


def assert_refused(outcome: Outcome, attempts: int = 1) -> None:
    """Every attempt was made, and none succeeded."""
    assert outcome.status == "ok", outcome
    lines = outcome.stdout.splitlines()
    assert len(lines) == attempts, outcome
    assert all(line.startswith("refused:") for line in lines), outcome


def alive(mark: str) -> list[int]:
    """Processes that carry this name, anywhere on the machine."""
    found = []
    for place in Path("/proc").glob("[0-9]*/comm"):
        try:
            if place.read_text().strip() == mark:
                found.append(int(place.parent.name))
        except OSError:
            continue
    return found


def gone(mark: str) -> bool:
    """Whether they are all gone, given the moment that the kernel takes to end a process namespace."""
    for _ in range(200):
        if not alive(mark):
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def mark() -> str:
    return f"smcs{secrets.token_hex(4)}"


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """Another process of the same user."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        assert process.poll() is None, "the victim was harmed"
        process.kill()


# ---- what an honest program can do


def test_an_honest_program_runs_undisturbed(sandbox: ProcessSandbox) -> None:
    source = """
import asyncio, concurrent.futures, decimal, json, random, re, sqlite3
import statistics, subprocess, tempfile, threading, zlib
import helpful
print(helpful.answer, input())
async def later(): await asyncio.sleep(0.001); return "async"
print(asyncio.run(later()))
with concurrent.futures.ThreadPoolExecutor(2) as pool: print(list(pool.map(abs, [-1, -2])))
open("note.txt", "w").write("kept"); os.mkdir("folder"); print(open("note.txt").read(), sorted(os.listdir(".")))
print(open("given/data.txt").read())
child = os.fork()
if not child: os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(isinstance(random.SystemRandom().random(), float), os.path.exists("/dev/null"))
"""
    program = Program(PRELUDE + source, "from stdin\n", {"given/data.txt": "data"}, SMALL)
    outcome = sandbox.execute(program)
    assert outcome.status == "ok", outcome
    assert outcome.stdout.splitlines() == [
        "42 from stdin",
        "async",
        "[1, 2]",
        "kept ['folder', 'given', 'note.txt', 'program.py']",
        "data",
        "7",
        "True True",
    ]


def test_each_run_starts_afresh(sandbox: ProcessSandbox) -> None:
    run(sandbox, "open('left', 'w').write('x')")
    assert (
        run(sandbox, "print(os.listdir('.'), hash('a'))").stdout
        == run(sandbox, "print(os.listdir('.'), hash('a'))").stdout
    )
    assert "left" not in run(sandbox, "print(os.listdir('.'))").stdout


# ---- network


def test_no_tcp_and_no_name_service(sandbox: ProcessSandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        outcome = run(
            sandbox,
            f"""
attempt(lambda: socket.create_connection(("127.0.0.1", {port}), 2))
attempt(lambda: socket.create_server(("127.0.0.1", 0)))
attempt(lambda: socket.getaddrinfo("localhost", 80))
attempt(lambda: call("socket", 2, 1, 0))
""",
        )
        assert_refused(outcome, 4)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_no_udp_and_no_other_families(sandbox: ProcessSandbox) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        outcome = run(
            sandbox,
            f"""
address = ("127.0.0.1", {receiver.getsockname()[1]})
attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", address))
attempt(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt(lambda: socket.socket(40, socket.SOCK_STREAM))  # vsock: to the machine that this one runs on
""",
        )
        assert_refused(outcome, 5)
        with pytest.raises(BlockingIOError):
            receiver.recv(1)


def test_no_unix_sockets_of_others(sandbox: ProcessSandbox, users_files: Path) -> None:
    path, abstract = str(users_files / "s"), b"\0" + secrets.token_hex(8).encode()
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as named,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other,
    ):
        named.bind(path)
        Path(path).chmod(0o777)
        other.bind(abstract)
        for receiver in (named, other):
            receiver.setblocking(False)
        outcome = run(
            sandbox,
            f"""
addresses = [{path!r}, {abstract!r}]
for address in addresses:
    attempt(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", address))
    attempt(lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", address))
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    attempt(lambda: pair[0].sendto(b"x", address))
    attempt(lambda: pair[0].sendmsg([b"x"], [], 0, address))
    attempt(lambda: pair[0].connect(address))
""",
        )
        assert_refused(outcome, 10)
        for receiver in (named, other):
            with pytest.raises(BlockingIOError):
                receiver.recv(1)


# ---- files and environment


def test_no_reading_of_the_users_files(sandbox: ProcessSandbox, users_files: Path) -> None:
    home = str(Path.home())
    outcome = run(
        sandbox,
        f"""
folder = {str(users_files)!r}
import helpful
def others_in(place):
    # what is there besides the way to the interpreter and its libraries
    way = set(os.__file__.split("/") + helpful.__file__.split("/") + ["ld.so.cache"])
    names = set(os.listdir(place)) - way
    if not names: raise FileNotFoundError
    return names
attempt(lambda: open(folder + "/secret").read())
attempt(lambda: os.listdir(folder))
attempt(lambda: others_in({home!r}))
attempt(lambda: open("/etc/passwd").read())
attempt(lambda: others_in("/etc"))
attempt(lambda: open("/proc/self/environ").read())
attempt(lambda: open("/proc/1/cmdline").read())
attempt(lambda: open("/proc/" + str(os.getppid()) + "/mem", "rb").read(1))
attempt(lambda: os.listdir("/proc"))
attempt(lambda: os.listdir("/sys"))
attempt(lambda: others_in("/tmp"))
attempt(lambda: others_in("/var"))
attempt(lambda: os.symlink(folder + "/secret", "link"))
attempt(lambda: os.link(folder + "/secret", "link"))
attempt(lambda: open("../" * 20 + folder + "/secret").read())
""",
    )
    assert_refused(outcome, 15)
    assert "secret" not in outcome.stdout


def test_no_change_to_the_users_files(sandbox: ProcessSandbox, users_files: Path) -> None:
    secret = users_files / "secret"
    before = secret.stat()
    outcome = run(
        sandbox,
        f"""
folder = {str(users_files)!r}
secret = folder + "/secret"
attempt(lambda: open(secret, "w"))
attempt(lambda: open(secret, "a"))
attempt(lambda: os.open(secret, os.O_RDONLY | os.O_TRUNC))
attempt(lambda: os.truncate(secret, 0))
attempt(lambda: os.remove(secret))
attempt(lambda: os.rename(secret, "here"))
attempt(lambda: os.rename("program.py", secret))
attempt(lambda: os.chmod(secret, 0))
attempt(lambda: os.chown(secret, os.getuid(), os.getgid()))
attempt(lambda: os.utime(secret, (0, 0)))
attempt(lambda: os.setxattr(secret, "user.x", b"x"))
attempt(lambda: open(folder + "/new", "w"))
attempt(lambda: os.mkdir(folder + "/new"))
attempt(lambda: os.mkfifo(folder + "/new"))
attempt(lambda: open("/tmp/smcs-attack", "w"))
attempt(lambda: open("/smcs-attack", "w"))
attempt(lambda: open("/dev/shm/smcs-attack", "w"))
""",
    )
    assert_refused(outcome, 17)
    assert [path.name for path in users_files.iterdir()] == ["secret"]
    after = secret.stat()
    assert (after.st_mode, after.st_uid, after.st_size, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_mode,
        before.st_uid,
        before.st_size,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_what_it_may_read_it_may_not_change(sandbox: ProcessSandbox) -> None:
    """The folder of packages belongs to the user who runs us, like an interpreter in the user's home."""
    source = """
import helpful
path = helpful.__file__
attempt(lambda: open(path, "w"))
attempt(lambda: open(path, "r+"))
attempt(lambda: os.open(path, os.O_RDONLY | os.O_TRUNC))
attempt(lambda: os.truncate(path, 0))
attempt(lambda: os.chmod(path, 0))
attempt(lambda: os.remove(path))
attempt(lambda: os.rename(path, path + "2"))
attempt(lambda: os.rename("program.py", path))
attempt(lambda: os.utime(path))
attempt(lambda: open(os.path.dirname(path) + "/new.py", "w"))
attempt(lambda: open(os.path.dirname(os.__file__) + "/new.py", "w"))
"""
    assert_refused(run(sandbox, source), 11)
    assert run(sandbox, "import helpful; print(helpful.answer)").stdout == "42\n"


def test_no_secrets_in_the_environment(sandbox: ProcessSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    outcome = run(sandbox, "print(dict(os.environ)); print(open('/proc/self/environ').read())")
    assert "very-secret" not in outcome.stdout
    assert "OPENAI" not in outcome.stdout


def test_no_descriptors_of_ours(sandbox: ProcessSandbox, tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        source = """
for number in range(64):
    try: print(number, os.fstat(number).st_mode & 0o170000 == 0o010000)
    except OSError: pass
"""
        assert run(sandbox, source).stdout.splitlines() == ["0 True", "1 True", "2 True"]


# ---- other processes, and the kernel


def test_no_harm_to_other_processes(sandbox: ProcessSandbox, victim: subprocess.Popen[bytes]) -> None:
    outcome = run(
        sandbox,
        f"""
pid = {victim.pid}
attempt(lambda: os.kill(pid, 9))
attempt(lambda: os.kill(pid, 0))
attempt(lambda: call("ptrace", 16, pid, 0, 0))
attempt(lambda: open(f"/proc/{{pid}}/mem", "rb").read(1))
attempt(lambda: call("process_vm_readv", pid, None, 0, None, 0, 0))
attempt(lambda: os.sched_setaffinity(pid, [0]))
attempt(lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))
attempt(lambda: call("prlimit", pid, 7, ctypes.create_string_buffer(16), None))
attempt(lambda: os.pidfd_open(pid))
import fcntl
reader, writer = os.pipe()
attempt(lambda: fcntl.fcntl(reader, 8, pid))    # its owner, to whom the kernel sends signals
attempt(lambda: fcntl.fcntl(reader, 10, 9))     # the signal that it sends
attempt(lambda: os.killpg({os.getpgrp()}, 9))
""",
    )
    assert_refused(outcome, 12)


def test_killing_everybody_hits_only_itself(sandbox: ProcessSandbox, victim: subprocess.Popen[bytes]) -> None:
    outcome = run(
        sandbox, "attempt(lambda: os.kill(-1, 9)); attempt(lambda: os.kill(os.getppid(), 9)); time.sleep(0.2)"
    )
    assert outcome.status in ("ok", "killed")
    assert victim.poll() is None
    assert run(sandbox, "print(1)").stdout == "1\n"


def test_no_new_privileges(sandbox: ProcessSandbox) -> None:
    source = """
attempt(lambda: os.setuid(0))
attempt(lambda: os.setresuid(0, 0, 0))
attempt(lambda: os.setgroups([0]))
attempt(lambda: call("unshare", 0x10000000))
attempt(lambda: call("unshare", 0x40000000))
attempt(lambda: call("mount", b"none", b"/", b"tmpfs", 0, None))
attempt(lambda: call("chroot", b"."))
attempt(lambda: call("prctl", 4, 1, 0, 0, 0))
attempt(lambda: call("personality", 0x0040000))
attempt(lambda: os.execv(sys.executable, [sys.executable, "-c", "print('DONE')"]) if os.path.exists("/etc/passwd")
        else os.execv("/bin/sh", ["/bin/sh"]))
attempt(lambda: call("memfd_create", b"x", 0))
attempt(lambda: call("shmget", 0, 1 << 20, 0o1600))
attempt(lambda: call("syscall", ctypes.c_long(425), 8, ctypes.create_string_buffer(120)))   # io_uring
attempt(lambda: call("syscall", ctypes.c_long(323), 0))                                     # userfaultfd
attempt(lambda: call("syscall", ctypes.c_long(321), 0, None, 0))                            # bpf
"""
    outcome = run(sandbox, source)
    assert_refused(outcome, 15)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="another set of system calls that only x86-64 has")
def test_the_other_set_of_system_calls_is_closed(sandbox: ProcessSandbox) -> None:
    outcome = run(sandbox, "libc.syscall(ctypes.c_long(0x40000000 + 41), 2, 1, 0); print('survived')")
    assert (outcome.status, outcome.stdout) == ("killed", "")


def test_the_limits_cannot_be_raised(sandbox: ProcessSandbox) -> None:
    source = """
import resource
for name in ("AS", "NPROC", "CPU", "FSIZE", "NOFILE"):
    which = getattr(resource, "RLIMIT_" + name)
    hard = resource.getrlimit(which)[1]
    try: resource.setrlimit(which, (hard * 2, hard * 2)); print("DONE")
    except (ValueError, OSError): print("refused:")
"""
    assert_refused(run(sandbox, source), 5)


# ---- memory


def test_memory_of_one_process(sandbox: ProcessSandbox) -> None:
    outcome = run(sandbox, "data = bytearray(1 << 30)")
    assert outcome.status == "memory"
    outcome = run(sandbox, "data = []\nwhile True: data.append(bytearray(b'x') * 1_000_000)")
    assert outcome.status == "memory"


def test_memory_of_the_whole_tree(sandbox: ProcessSandbox) -> None:
    """Each of them stays below what one process may have."""
    source = """
for _ in range(4):
    if not os.fork():
        data = bytearray(b"x") * 40_000_000
        time.sleep(60)
time.sleep(60)
"""
    assert run(sandbox, source).status == "memory"


def test_shared_memory_counts(sandbox: ProcessSandbox) -> None:
    source = """
import mmap
shared = mmap.mmap(-1, 150_000_000)
shared.write(b"x" * 150_000_000)
time.sleep(60)
"""
    assert run(sandbox, source).status == "memory"


def test_memory_that_is_caught_and_tried_again(sandbox: ProcessSandbox) -> None:
    source = """
data = []
while True:
    try: data.append(bytearray(b"x") * 1_000_000)
    except MemoryError: pass
"""
    assert run(sandbox, source, Limits(seconds=20, cpu_seconds=3, memory_mb=64)).status in ("memory", "timeout")


# ---- disk


def test_one_large_file(sandbox: ProcessSandbox) -> None:
    source = """
file = open("large", "wb")
attempt(lambda: [file.write(b"x" * 1_000_000) for _ in range(100)])
"""
    outcome = run(sandbox, source)
    assert "DONE" not in outcome.stdout
    assert outcome.status in ("ok", "nonzero", "killed")


def test_many_files(sandbox: ProcessSandbox) -> None:
    source = """
for number in range(1_000):
    with open(f"file{number}", "wb") as file: file.write(b"x" * 1_000_000)
time.sleep(60)
"""
    outcome = run(sandbox, source)
    assert outcome.status in ("nonzero", "killed"), outcome
    assert "No space left" in outcome.stderr or "bytes of files" in outcome.detail


def test_many_empty_files(sandbox: ProcessSandbox) -> None:
    outcome = run(sandbox, "for number in range(10**7): open(f'file{number}', 'w').close()\nprint('DONE')")
    assert (outcome.status, outcome.detail) == ("killed", "more than 1000 files")


def test_folders_without_bottom(sandbox: ProcessSandbox) -> None:
    outcome = run(sandbox, "while True:\n    os.mkdir('deep')\n    os.chdir('deep')")
    assert (outcome.status, outcome.detail) == ("killed", "more than 1000 files")


def test_deleted_files_that_stay_open(sandbox: ProcessSandbox) -> None:
    source = """
files = []
def hide(number):
    files.append(open(f"file{number}", "wb"))
    os.remove(f"file{number}")
    files[-1].write(b"x" * 1_900_000)
    files[-1].flush()
attempt(lambda: [hide(number) for number in range(40)])
attempt(lambda: os.open(".", os.O_TMPFILE | os.O_RDWR))
"""
    assert_refused(run(sandbox, source), 2)


def test_a_folder_that_locks_itself(sandbox: ProcessSandbox) -> None:
    """Removing it afterwards must succeed all the same; the fixture looks."""
    assert run(sandbox, "os.mkdir('locked', 0); os.umask(0o777); os.mkdir('other'); open('file', 'w')").status == "ok"


# ---- processes and time


def test_a_mild_fork_bomb(sandbox: ProcessSandbox, mark: str) -> None:
    source = f"""
libc.prctl(15, {mark.encode()!r}, 0, 0, 0)
made = 0
for _ in range(40):
    try:
        if not os.fork(): time.sleep(60); os._exit(0)
        made += 1
    except OSError: break
time.sleep(0.3)
print(made)
"""
    outcome = run(sandbox, source)
    # Where the system does not refuse the seventh, the supervisor ends all: for their number, or their memory.
    assert outcome.status in ("killed", "memory") or 1 <= int(outcome.stdout) < SMALL.processes, outcome
    assert gone(mark)


def test_a_real_fork_bomb(sandbox: ProcessSandbox, mark: str) -> None:
    source = f"""
libc.prctl(15, {mark.encode()!r}, 0, 0, 0)
while True:
    try: os.fork()
    except OSError: pass
"""
    outcome = run(sandbox, source, Limits(seconds=1, processes=6, memory_mb=96))
    assert outcome.status in ("timeout", "killed", "memory")
    assert gone(mark)


def test_a_chain_that_flees(sandbox: ProcessSandbox, mark: str) -> None:
    """Each process lives for an instant: it forks, and its child goes on in a new session."""
    source = f"""
libc.prctl(15, {mark.encode()!r}, 0, 0, 0)
while True:
    try:
        if os.fork(): os._exit(0)
        os.setsid()
    except OSError: pass
"""
    run(sandbox, source, Limits(seconds=1, processes=6, memory_mb=96))
    assert gone(mark)


def test_threads_without_end(sandbox: ProcessSandbox) -> None:
    source = """
import threading
threading.stack_size(32768)
made = 0
while made < 100:
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    made += 1
print("DONE")
time.sleep(60)
"""
    outcome = run(sandbox, source)
    assert "can't start new thread" in outcome.stderr or "processes and threads" in outcome.detail


def test_no_daemon_survives(sandbox: ProcessSandbox, mark: str) -> None:
    source = f"""
if not os.fork():
    os.setsid()
    if not os.fork():
        libc.prctl(15, {mark.encode()!r}, 0, 0, 0)
        for number in range(3): os.close(number)
        time.sleep(600)
    os._exit(0)
time.sleep(0.1)
print("parent leaves")
"""
    outcome = run(sandbox, source)
    assert (outcome.status, outcome.stdout) == ("ok", "parent leaves\n")
    assert gone(mark)


def test_it_ends_when_we_are_killed(sandbox: ProcessSandbox, mark: str, tmp_path: Path) -> None:
    """Not ended by us, but by our sudden absence."""
    program = (
        PRELUDE
        + f"""
libc.prctl(15, {mark.encode()!r}, 0, 0, 0)
os.fork()
time.sleep(600)
"""
    )
    ours = f"""
import tempfile
from smcs.programs import Limits, Program
from smcs.sandbox import choose
tempfile.tempdir = {str(tmp_path)!r}
choose({sandbox.name!r}).execute(Program({program!r}, limits=Limits(seconds=600)))
"""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    with subprocess.Popen([sys.executable, "-c", ours]) as process:
        for _ in range(3_000):
            if len(alive(mark)) == 2:
                break
            time.sleep(0.01)
        assert len(alive(mark)) == 2
        process.kill()
    assert gone(mark)


def test_ignored_signals_do_not_help(sandbox: ProcessSandbox, mark: str) -> None:
    source = f"""
import signal
libc.prctl(15, {mark.encode()!r}, 0, 0, 0)
for number in signal.valid_signals():
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
while True: pass
"""
    by_the_clock = run(sandbox, source, Limits(seconds=0.5))
    assert (by_the_clock.status, by_the_clock.detail) == ("timeout", "longer than 0.5 s")
    assert gone(mark)


def test_sleeping_and_stopping(sandbox: ProcessSandbox) -> None:
    assert run(sandbox, "time.sleep(600)", Limits(seconds=0.3)).status == "timeout"
    assert (
        run(sandbox, "os.close(0); os.close(1); os.close(2); time.sleep(600)", Limits(seconds=0.3)).status == "timeout"
    )
    stopped = run(sandbox, "attempt(lambda: os.kill(os.getpid(), 19)); time.sleep(600)", Limits(seconds=0.3))
    assert stopped.status == "timeout"


def test_processor_time(sandbox: ProcessSandbox) -> None:
    outcome = run(sandbox, "while True: pass", Limits(seconds=60, cpu_seconds=1))
    assert (outcome.status, outcome.detail) == ("timeout", "more than 1 s of processor time")


def test_processor_time_when_the_signal_is_ignored(sandbox: ProcessSandbox) -> None:
    outcome = run(sandbox, "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
                  Limits(seconds=60, cpu_seconds=1))  # fmt: skip
    assert (outcome.status, outcome.detail) == ("killed", "signal 9")


# ---- output and exit


@pytest.mark.parametrize("descriptor", [1, 2])
def test_output_without_end(sandbox: ProcessSandbox, descriptor: int) -> None:
    outcome = run(sandbox, f"while True: os.write({descriptor}, b'no line ends here ' * 1000)")
    assert outcome.status == "output"
    assert len((outcome.stdout, outcome.stderr)[descriptor - 1]) == SMALL.output_bytes


def test_output_that_is_no_text(sandbox: ProcessSandbox) -> None:
    assert run(sandbox, "os.write(1, bytes(range(128, 256)))").stdout == "\ufffd" * 128


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("sys.exit(0)", "ok", 0),
        ("sys.exit(3)", "nonzero", 3),
        ("exit()", "ok", 0),
        ("os._exit(0)", "ok", 0),
        ("raise ValueError", "nonzero", 1),
        ("def broken(", "nonzero", 1),
        ("def f(): f()\nf()", "nonzero", 1),
        ("os.abort()", "killed", 134),
        ("ctypes.string_at(0)", "killed", 139),
        ("print('\\0')", "ok", 0),
        ("\0", "nonzero", 1),
        ("x = '\ud800'", "nonzero", 1),
    ],
)
def test_every_way_to_end(sandbox: ProcessSandbox, source: str, status: str, code: int) -> None:
    outcome = run(sandbox, source)
    assert outcome.status == status, outcome
    # Where a program may not send signals, not even to itself, the C library aborts by an invalid instruction.
    assert outcome.exit_code in ({134, 132, 139} if source == "os.abort()" else {code})


def test_unread_input(sandbox: ProcessSandbox) -> None:
    assert run(sandbox, "print(1)", stdin="x" * 5_000_000).status == "ok"
    echoed = run(sandbox, "print(len(sys.stdin.read()))", Limits(), stdin="x" * 5_000_000)
    assert echoed.stdout == "5000000\n"


# ---- once more, without any rights


@pytest.mark.timeout(900)
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become somebody else")
def test_again_as_a_user_without_rights() -> None:
    python = Path(f"/usr/bin/python3.{sys.version_info.minor}")
    here = Path(__file__)
    if not python.exists() or here.stat().st_mode & 0o004 == 0:
        pytest.skip("another user needs an interpreter of this version outside of root's home, and to read this file")
    packages = [path for path in sys.path if path.endswith("site-packages")]
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([str(here.parents[2] / "src"), *packages]),
        "SMCS_TESTED_AGAIN": "1",
    }
    ran = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not landlock-1", str(here)],
        env=environment, cwd=here.parents[2], user=65534, group=65534, extra_groups=[],
        capture_output=True, text=True, timeout=800, check=False,
    )  # fmt: skip
    said = ran.stdout + ran.stderr
    if "No module named" in said:
        pytest.skip(f"another user cannot read what the tests need: {said[-200:]}")
    assert ran.returncode == 0, said[-6000:]
    assert " passed" in said
