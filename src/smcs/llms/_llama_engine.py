"""One GGUF file loaded in this process: llama.cpp's server, reached over a private socket.

llama.cpp runs in threads of its own that never hold Python's interpreter lock. We talk HTTP to it over a Unix socket
in a folder only this user can read: no port is opened, and closing a connection stops its generation, which the
binding's Python calls cannot do.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smcs.errors import ConfigError, WeightsError
from smcs.llms import _llama_gguf

_BATCH = 128  # prompt tokens computed at a time: as fast as more on a CPU, and a cancelled call ends within one batch
_LONGEST_SOCKET_PATH = 100  # the system's limit is 104 (macOS) or 108 (Linux)
_OVERHEAD = 160 << 20  # bytes of one loaded model beside its weights and its key-value cache, as measured


@dataclass(frozen=True, slots=True)
class Spec:
    """What distinguishes one loaded model from another: LLMs of equal spec share one.

    Attributes:
        path: the GGUF file.
        context_length: tokens of one sequence.
        parallel: sequences generated at once.
        threads: computing threads.
        chat_template: Jinja template instead of the file's own; None for that.
    """

    path: Path
    context_length: int
    parallel: int
    threads: int
    chat_template: str | None = None

    def memory(self) -> int:
        """Estimated bytes that it takes once loaded.

        Raises:
            WeightsError: the file cannot be read.
        """
        file = _llama_gguf.read(self.path)
        return file.size + file.kv_bytes_per_token * self.context_length * self.parallel + _OVERHEAD


class Engine:
    """A loaded model.

    Attributes:
        spec: what it was loaded from.
        socket: where its server listens.
        folder: where that server keeps files; nobody else can read it.
    """

    def __init__(self, spec: Spec) -> None:
        """Load it. Takes seconds: call it in a thread.

        Raises:
            WeightsError: the file is no model that llama.cpp can load.
            ConfigError: llama.cpp itself cannot be loaded on this system.
        """
        _llama_gguf.read(spec.path)
        self.spec = spec
        self.folder = _private_folder()
        self._remove_folder = weakref.finalize(self, shutil.rmtree, self.folder, True)
        self.socket = str(self.folder / "llama.sock")  # the ending is what tells llama.cpp that it is one
        try:
            self._server: Any = _load(spec, self.socket, self.folder)
        except BaseException:
            self._remove_folder()
            raise

    def close(self) -> None:
        """Free the memory. Blocks until running computation has stopped: call it in a thread."""
        self._server = None
        self._remove_folder()


def _private_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="smcs-"))
    if len(str(folder)) < _LONGEST_SOCKET_PATH:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="smcs-", dir="/tmp"))


def _load(spec: Spec, socket: str, folder: Path) -> Any:
    xllamacpp = _binding()
    params = xllamacpp.CommonParams()
    params.model.path = str(spec.path)
    params.n_ctx = spec.context_length * spec.parallel
    params.n_parallel = spec.parallel
    params.n_batch = params.n_ubatch = _BATCH
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = spec.threads
    params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE  # mapped weights stay beside repacked ones
    params.cache_ram_mib = 0
    params.cache_idle_slots = False
    params.slot_save_path = f"{folder}/"
    params.warmup = False
    params.hostnames = [socket]
    params.port = 1  # any: a socket has none, but zero means "no server"
    params.n_threads_http = spec.parallel + 4
    params.ui = False
    params.verbosity = -1
    if spec.chat_template is not None:
        params.chat_template = spec.chat_template
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise WeightsError(
            f"llama.cpp cannot load {spec.path}: it is damaged, of a kind that this version does not know, or there is "
            f"too little memory for a context of {spec.context_length} x {spec.parallel}"
        ) from error


_import_lock = threading.Lock()


def _binding() -> Any:
    """The xllamacpp module, imported on first use."""
    with _import_lock, _waiting_threads_sleep():
        try:
            import xllamacpp  # noqa: PLC0415 - 100 MB of native code
        except ImportError as error:
            raise ConfigError(
                f"llama.cpp cannot be loaded: {error}; on Debian and Ubuntu, `apt install libgomp1` may be missing"
            ) from error
        return xllamacpp


@contextlib.contextmanager
def _waiting_threads_sleep() -> Iterator[None]:
    """Let OpenMP, which reads this when it is first loaded, put waiting threads to sleep.

    By default they spin. Where any other process wants a core, or two models compute at once, that makes a model
    several times slower; alone, sleeping costs next to nothing.
    """
    before = os.environ.get("OMP_WAIT_POLICY")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_WAIT_POLICY"]
