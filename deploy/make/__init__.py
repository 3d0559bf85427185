"""Helpers of the Makefile, on the standard library alone: they run before anything is installed.

Takes: the checkout, the machine's interpreters and programs.
Gives: `.venv`, the lock files, one door to all checks, and plain words about what this machine cannot run.
May import: the standard library and its own modules.
Never: calls sudo or a package manager of the system, or is imported by the product.
"""
