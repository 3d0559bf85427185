"""`python -m edge_agent.main`."""

from edge_agent.main import main

main()
