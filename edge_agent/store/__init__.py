"""What the agent keeps over a restart and a power cut: one SQLite file and a folder of blobs.

Takes: records, events and documents that were checked.
Gives: them back, each change whole or not at all, durable before the call returns; a damaged file is put aside and begun anew.
May import: `edge_agent.model`, `shared`, sqlite3 (nobody else in the agent does).
Never: decides what to keep or send, or waits for the network.
"""
