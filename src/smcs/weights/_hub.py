"""A file from the hub, at a pinned revision."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smcs.weights._download import SourceError, download
from smcs.weights._settings import WeightsFile

if TYPE_CHECKING:
    import requests

_PATIENCE = 4.0  # seconds until the hub counts as unreachable: the mirrors are waiting


@dataclass(frozen=True, slots=True)
class HubFile:
    """What the hub says of a file.

    Attributes:
        url: its address on the hub.
        size: in bytes; None where the hub does not say.
        sha256: of its content; None where the hub does not say.
        headers: what a request for it is sent with, the user's hub token included.
    """

    url: str
    size: int | None
    sha256: str | None
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"HubFile({self.url!r}, size={self.size})"  # the headers hold a secret


def hub_name() -> str:
    """What messages call the hub: its host."""
    from huggingface_hub import constants  # noqa: PLC0415 - slow to import, and most starts fetch nothing

    return str(constants.ENDPOINT).split("://")[-1].split("@")[-1]


def in_hub_cache(file: WeightsFile) -> Path | None:
    """The file in the hub client's own cache, where some other program has put it."""
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415

    found = try_to_load_from_cache(str(file.repo), str(file.file), revision=file.revision)
    return Path(found) if isinstance(found, str) else None


def look_up(file: WeightsFile) -> HubFile:
    """Ask the hub for the file's address, size and checksum; gives up after a few seconds.

    Raises:
        SourceError: the hub cannot be reached, or does not give the file.
    """
    answers: queue.SimpleQueue[HubFile | SourceError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_ask(file))
        except SourceError as error:
            answers.put(error)

    # In a thread, because looking up a host name may take longer than any time limit on the connection.
    threading.Thread(target=ask, name="smcs-hub", daemon=True).start()
    try:
        answer = answers.get(timeout=2 * _PATIENCE)
    except queue.Empty:
        raise SourceError(f"the hub ({hub_name()}) does not answer") from None
    if isinstance(answer, SourceError):
        raise answer
    return answer


def fetch_from_hub(
    found: HubFile, target: Path, session: requests.Session, advance: Callable[[int], None], stop: threading.Event
) -> None:
    """Download it, going on after what `target` already holds.

    Raises:
        SourceError: it broke off for good.
        DiskFullError: no room.
        Stopped: the caller gave up.
    """
    download(session, found.url, target, size=found.size, advance=advance, stop=stop, headers=found.headers)


def _ask(file: WeightsFile) -> HubFile:
    from huggingface_hub import constants, get_hf_file_metadata, get_token, hf_hub_url  # noqa: PLC0415
    from huggingface_hub.errors import (  # noqa: PLC0415
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if constants.HF_HUB_OFFLINE:
        raise SourceError("the hub is not asked, since HF_HUB_OFFLINE is set")
    where = f"{file.repo} at {file.revision}"
    url = hf_hub_url(str(file.repo), str(file.file), revision=file.revision, endpoint=constants.ENDPOINT)
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        known = get_hf_file_metadata(url, timeout=_PATIENCE, headers=headers)
    except GatedRepoError as error:
        raise SourceError(f"the hub gives {file.repo} only to users who accepted its terms (set HF_TOKEN)") from error
    except RepositoryNotFoundError as error:
        raise SourceError(f"the hub has no repository {file.repo}, or not for this user") from error
    except (RevisionNotFoundError, EntryNotFoundError) as error:
        raise SourceError(f"the hub has no {file.file} in {where}") from error
    except HfHubHTTPError as error:
        raise SourceError(f"the hub ({hub_name()}) answers HTTP {error.response.status_code} for {where}") from error
    except Exception as error:  # whatever its HTTP library raises, which changes between versions
        raise SourceError(f"the hub ({hub_name()}) cannot be reached") from error
    etag = (known.etag or "").strip('"')
    sha256 = etag if re.fullmatch(r"[0-9a-f]{64}", etag) else None
    return HubFile(url, known.size, sha256, headers)
