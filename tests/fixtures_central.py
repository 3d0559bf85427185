"""The real `munbon-central` as a child process; see `deploy/harness`, which the demo uses as well."""

from deploy.harness.central import CentralHandle, init_central, reaper, running_central

__all__ = ["CentralHandle", "init_central", "reaper", "running_central"]
