"""The controllers of an in-memory cluster.

Takes: changes of the store, and the time. Gives: objects and statuses, as kube-controller-manager and the scheduler write them.
May import: the store, the verbs and the data types of the in-memory cluster.
Never does: poll, sleep, or run while nothing changes; decisions are functions of objects and time.
"""
