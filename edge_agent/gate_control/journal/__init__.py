"""What is written to disk, away from control: the journal, the interlock file, and a thread for the slow rest.

Takes: records and small files.
Gives: `gate.sqlite`, read by cursor; `interlock.json`; a count of what was lost where the disk failed.
May import: sqlite3, `gate_control.model`, `shared`.
Never: makes the caller wait for a disk.
"""
