"""Weights of local LLMs and embedders: fetched on first use, checked, kept in the user's cache folder."""

from __future__ import annotations

from smcs.weights._cache import cache_dir, destination, is_checked
from smcs.weights._fetch import fetch
from smcs.weights._settings import Mirror, WeightsFile

__all__ = ["Mirror", "WeightsFile", "cache_dir", "destination", "fetch", "is_checked"]
