"""The site's own read-only Modbus TCP map, for SCADA and for neighbours.

Takes: readings, flows and modes of each scan; addresses that may read.
Gives: a Modbus TCP server that answers functions 3 and 4 and refuses all else.
May import: `gate_control.model`, `gate_control.wire`, `shared`.
Never: takes a write, answers a stranger, lets clients cost the scan more than a bounded share, or shows a bad value as a number.
"""
