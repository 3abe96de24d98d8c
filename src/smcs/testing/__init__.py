"""What tests and load measurements of a program that uses smcs need: a simulated endpoint
(`smcs.testing.endpoint`, run by `smcs.testing.running`) and a scripted LLM (`smcs.testing.scripted`).
"""
