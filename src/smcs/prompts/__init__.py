"""Prompt texts as data files, overridable by the user."""
