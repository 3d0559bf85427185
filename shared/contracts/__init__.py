"""All that crosses a wire or a process border, versioned; pure.

Takes: bytes or plain data.
Gives: frozen pydantic models, subjects, limits, and `codec.decode` which refuses what this version does not know.
May import: pydantic, `shared.errors`, the standard library's data types.
Never: reads a file, a socket or a clock.
"""
