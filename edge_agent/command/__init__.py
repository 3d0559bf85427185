"""Commands: ask now, answer now. A task of their own, so that no release, hold or dead K3s is in their way.

Takes: signed commands from a session.
Gives: answers; gate plans and gate commands carried to the gate process, which verifies them itself.
May import: `edge_agent.store`, `edge_agent.model`, `shared`.
Never: obeys what is unsigned, expired, for another node or seen before; makes or changes a gate plan or a gate command.
"""
