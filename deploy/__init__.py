"""What stands beside the product: the local cluster, the demo, and helpers of the Makefile. Never imported by it."""
