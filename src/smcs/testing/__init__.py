"""What tests and load measurements of a program that uses smcs need: a simulated endpoint
(`smcs.testing.endpoint`) and a scripted LLM (`smcs.testing.scripted`).
"""
