"""What may be published; pure.

Takes: a release document whose signature held, its objects, sizes, and what is stored under the same version.
Gives: findings, each with object, reason and remedy.
May import: `central.model`, `shared.contracts`, the standard library's data types.
Never: changes a release, reads a store, or judges a signature.
"""

from central.policy.publish import PolicyRefused, check_publish, refusal

__all__ = ["PolicyRefused", "check_publish", "refusal"]
