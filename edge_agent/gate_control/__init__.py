"""Gate control of one site: a process of its own that holds the water with nothing but its devices.

Takes: a configuration of the site, readings of Modbus devices, gate plans signed by keys that the node's owner installed.
Gives: positions written to actuators, a journal, the interlock file, and `gate.sock`.
May import: `shared` (never its messaging), and the libraries of the extra `gate`.
Never: imports the agent, the bus or Kubernetes; waits for a disk or a network before it controls.
"""
