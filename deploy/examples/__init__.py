"""Sites to copy from, on the geometry of ASCE test canal 1, and a plant of somebody else's with a site of one gate.

Takes: the canal's published figures, from `edge_agent.gate_control.simulation.asce`.
Gives: `canal-8-pools/site.yaml`, `canal-8-sites/1..8/site.yaml`; `python -m deploy.examples` writes them anew;
`one-gate/site.yaml`, and `python -m deploy.examples.plant_of_your_own`, which plays it.
May import: `edge_agent.gate_control`.
Never: holds a figure that `munbon-gate check` does not find good.
"""
