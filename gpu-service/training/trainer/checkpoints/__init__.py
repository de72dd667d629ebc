"""Llama-family checkpoints: read GGUF files and Hugging Face folders, write target folders for the verifier.

Free of torch and transformers on purpose: the first start of an installation runs it in a small
environment (`requirements-convert.txt`).
"""
