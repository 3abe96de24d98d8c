"""The question bank: its arrays, its store, and evaluating LLMs on it."""

from smcs.bank.arrays import QuestionBank
from smcs.bank.store import BankStore, load_bank, open_bank

__all__ = ["BankStore", "QuestionBank", "load_bank", "open_bank"]
