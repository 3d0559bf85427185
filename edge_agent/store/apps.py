"""What is known of each app, and which objects it has in which cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pydantic import TypeAdapter

from edge_agent.model import AppRecord, InventoryEntry
from edge_agent.store.database import Database
from shared.contracts.status import AppStatus

_CLUSTER = "cluster_uid"


class AppTable:
    """Records and last statuses of apps, by name.

    `current` and the apply in hand belong to one cluster: entering another one forgets them, and keeps what is known of
    releases.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records: TypeAdapter[AppRecord] = TypeAdapter(AppRecord)

    def names(self) -> tuple[str, ...]:
        """All apps that are known."""
        return tuple(str(row[0]) for row in self._database.rows("SELECT app FROM apps ORDER BY app"))

    def get(self, app: str) -> AppRecord:
        """The record; an empty one for an app that is not known."""
        found = self._database.rows("SELECT record FROM apps WHERE app = ?", (app,))
        return self._records.validate_json(found[0][0]) if found else AppRecord(app)

    def last_status(self, app: str) -> AppStatus | None:
        """The status that was saved last."""
        found = self._database.rows("SELECT status FROM apps WHERE app = ?", (app,))
        return AppStatus.model_validate_json(found[0][0]) if found and found[0][0] else None

    def save(self, record: AppRecord, status: AppStatus | None) -> None:
        """Replace what is known of an app.

        Raises:
            DiskFull, StoreUnavailable: the old one stays.
        """
        text = self._records.dump_json(record).decode()
        with self._database.transaction():
            self._database.write(
                "INSERT INTO apps VALUES (?, ?, ?) ON CONFLICT (app) DO UPDATE SET record = excluded.record, status = excluded.status",
                (record.app, text, status.model_dump_json() if status is not None else ""),
            )

    def forget(self, app: str) -> None:
        """Drop an app."""
        with self._database.transaction():
            self._database.write("DELETE FROM apps WHERE app = ?", (app,))
            self._database.write("DELETE FROM inventory WHERE app = ?", (app,))

    def knows_cluster(self) -> bool:
        """Whether any cluster was entered before."""
        return bool(self._database.get_meta(_CLUSTER))

    def enter_cluster(self, uid: str, on_change: Callable[[str], None]) -> bool:
        """Take note of which cluster this is; True where it is another one than before, which `on_change` is told in the transaction."""
        before = self._database.get_meta(_CLUSTER)
        if before == uid:
            return False
        with self._database.transaction():
            self._database.set_meta(_CLUSTER, uid)
            if before:
                self._database.write("DELETE FROM inventory WHERE cluster <> ?", (uid,))
                for app in self.names():
                    record = replace(self.get(app), current=None, hand=None, waits=None, prune_due=False)
                    self.save(record, self.last_status(app))
                on_change(before)
        return bool(before)


class InventoryTable:
    """Objects of apps in the cluster of the moment; keeps to `edge_agent.model.InventoryPort`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._entries: TypeAdapter[tuple[InventoryEntry, ...]] = TypeAdapter(tuple[InventoryEntry, ...])

    def load(self, app: str) -> tuple[InventoryEntry, ...]:
        """The app's inventory; empty where there is none."""
        found = self._database.rows("SELECT entries FROM inventory WHERE cluster = ? AND app = ?", (self._cluster(), app))
        return self._entries.validate_json(found[0][0]) if found else ()

    def save(self, app: str, entries: Sequence[InventoryEntry]) -> None:
        """Replace the app's inventory; on disk when this returns."""
        if tuple(entries) == self.load(app):
            return
        text = self._entries.dump_json(tuple(entries)).decode()
        with self._database.transaction():
            self._database.write(
                "INSERT INTO inventory VALUES (?, ?, ?) ON CONFLICT (cluster, app) DO UPDATE SET entries = excluded.entries",
                (self._cluster(), app, text),
            )

    def save_all(self, found: Mapping[str, Sequence[InventoryEntry]]) -> None:
        """Take over inventories that were rebuilt from the cluster, where there is none yet."""
        with self._database.transaction():
            for app, entries in found.items():
                if not self.load(app):
                    self.save(app, entries)

    def apps(self) -> tuple[str, ...]:
        """Apps that have objects in this cluster."""
        query = "SELECT app FROM inventory WHERE cluster = ? AND entries <> '[]' ORDER BY app"
        return tuple(str(row[0]) for row in self._database.rows(query, (self._cluster(),)))

    def _cluster(self) -> str:
        return self._database.get_meta(_CLUSTER)
