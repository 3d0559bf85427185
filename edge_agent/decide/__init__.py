"""What should be in the cluster, and what to do next about it: the state machine of one app.

Takes: what central wants, what is known of the app, what the cluster and the gate process say, the time.
Gives: one step with its reason; the record of the app after a step, with the events to report; the status of the app.
May import: `edge_agent.model` and `shared.contracts`, for it is pure.
Never: reads, waits, or keeps anything between two calls.
"""
