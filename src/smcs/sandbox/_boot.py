"""Runs inside the sandbox: takes the job from standard input, gives up what it may not keep, runs the program.

The text of this module is handed to a bare interpreter (``-c``), so it imports nothing of ours, and as little as it
can: its start-up is paid for at every run. A step that fails ends the process before the program starts, and before
the ready byte is written, which the supervisor takes for a `sandbox_error`.

The job is 8 bytes of length and a marshalled dict, followed by the program's own standard input.
"""

from __future__ import annotations

import marshal
import os
import sys

TYPE_CHECKING = False  # typing itself takes longer to import than all else here
if TYPE_CHECKING:
    from typing import Any

TEMPORARY_NAME = "program.py"


def receive() -> dict[str, Any]:
    """The job, from standard input; what follows it there is left for the program."""
    size = int.from_bytes(_exactly(8), "little")
    job: dict[str, Any] = marshal.loads(_exactly(size))  # noqa: S302  from our own parent
    return job


def _exactly(size: int) -> bytes:
    parts = []
    while size:
        part = os.read(0, size)
        if not part:
            raise EOFError("the job is incomplete")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def limit(job: dict[str, Any]) -> None:
    """Set the limits of one process. Those of the whole tree are the supervisor's."""
    import resource  # noqa: PLC0415

    for name, soft, hard in job["rlimits"]:
        which = getattr(resource, name, None)
        if which is None:
            continue
        most = resource.getrlimit(which)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)  # noqa: PLW2901
        try:
            resource.setrlimit(which, (soft, hard))
        except (OSError, ValueError):
            if job["strict"]:
                raise


def become(user: int) -> None:
    """Give up root: from here on a user of our own that nobody else is."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def put_files(job: dict[str, Any]) -> None:
    """Fill the scratch folder, which is the working folder."""
    for path, content in job["files"].items():
        folder = os.path.dirname(path)  # noqa: PTH120  pathlib takes longer to import than all else here
        if folder:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(content)


def run(source: str) -> None:
    """Run the program as the main module, with a traceback that does not show us."""
    import builtins  # noqa: PLC0415

    main = type(sys)("__main__")
    main.__dict__.update(__builtins__=builtins, __file__=TEMPORARY_NAME)
    # The interpreter is started without `site`, which is where these two come from.
    builtins.__dict__.update(exit=sys.exit, quit=sys.exit)
    sys.modules["__main__"] = main
    sys.argv = [TEMPORARY_NAME]
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        code = compile(source, TEMPORARY_NAME, "exec", dont_inherit=True)
        exec(code, main.__dict__)  # noqa: S102
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001
        trace = error.__traceback__ and error.__traceback__.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        sys.exit(1)


def main() -> None:
    """Do the job."""
    job = receive()
    sys.path += job["packages"]
    if job["keeper"]:
        keep(job)
    os.chdir(job["scratch"])
    limit(job)
    confine(job)
    put_files(job)
    source = job.pop("source")
    ready = job["ready"]
    os.write(ready, b"+")
    os.close(ready)
    run(source)


def keep(job: dict[str, Any]) -> None:
    """Replaced where a keeper process is needed (see `smcs.sandbox._boot_keeper`)."""
    raise RuntimeError("this job needs a keeper")


def confine(job: dict[str, Any]) -> None:
    """Give up privileges. Replaced where the process has to confine itself as well."""
    if job["user"]:
        become(job["user"])
