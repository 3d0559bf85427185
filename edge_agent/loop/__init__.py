"""The pass: read the world, decide, do, look, report; for each app on its own, again and again.

Takes: the accepted Desired, the shelf of releases, the cluster's engine, the interlock file, the clock.
Gives: each app brought to its target, its record and events saved, the picture of the node.
May import: all of the agent but `main`.
Never: stores a plan, or lets one app's trouble stop another.
"""
