"""Decisions of the first version's loop (`gate.toml`); goes as soon as everything stands on `site.yaml`.

Takes: values of `model` and a GatePlan.
Gives: what the loop of the first version asks for.
May import: `gate_control.model`, `shared.contracts`, data types of the standard library.
Never: grows.
"""
