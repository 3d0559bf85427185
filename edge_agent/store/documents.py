"""Documents that were accepted or refused, and commands that were obeyed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from edge_agent.store.database import Database
from shared.contracts.desired import Desired
from shared.contracts.envelope import parse_envelope
from shared.signing.digests import sha256_hex

REFUSALS_KEPT = 500
NONCES_KEPT = 10_000


@dataclass(frozen=True)
class Refusal:
    """A document that was refused, for good."""

    digest: str
    code: str
    reason: str


class DesiredSlot:
    """The one accepted Desired. It was verified before it was saved."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._parsed: tuple[str, Desired] | None = None

    @property
    def current(self) -> Desired | None:
        """What central wants, as far as it was accepted."""
        found = self._database.rows("SELECT digest FROM desired")
        if not found:
            return None
        if self._parsed is None or self._parsed[0] != found[0][0]:
            envelope = bytes(self._database.rows("SELECT envelope FROM desired")[0][0])
            self._parsed = (str(found[0][0]), Desired.model_validate_json(parse_envelope(envelope).payload_bytes()))
        return self._parsed[1]

    @property
    def order(self) -> tuple[int, int]:
        """(epoch, generation) of it; (0, 0) where there is none."""
        current = self.current
        return current.order if current is not None else (0, 0)

    def holds(self, envelope: bytes) -> bool:
        """Whether it is this very document."""
        return bool(self._database.rows("SELECT 1 FROM desired WHERE digest = ?", (sha256_hex(envelope),)))

    def save(self, envelope: bytes) -> None:
        """Replace it by a document that was verified.

        Raises:
            DiskFull, StoreUnavailable: the old one stays.
        """
        with self._database.transaction():
            self._database.write(
                "INSERT INTO desired VALUES (1, ?, ?)"
                " ON CONFLICT (slot) DO UPDATE SET digest = excluded.digest, envelope = excluded.envelope",
                (sha256_hex(envelope), envelope),
            )


class RefusalTable:
    """Documents that were refused, by digest, so that each is reported once and not fetched again."""

    def __init__(self, database: Database, agent_version: str) -> None:
        self._database = database
        if database.get_meta("refused_by") != agent_version:
            # another version of the agent may understand what this one could not
            with database.transaction():
                database.write("DELETE FROM documents")
                database.set_meta("refused_by", agent_version)

    def get(self, digest: str) -> Refusal | None:
        """The refusal of a document."""
        found = self._database.rows("SELECT digest, code, reason FROM documents WHERE digest = ?", (digest,))
        return Refusal(*found[0]) if found else None

    def add(self, digest: str, subject: str, code: str, reason: str) -> bool:
        """Keep a refusal; False where it is known already."""
        if self.get(digest) is not None:
            return False
        with self._database.transaction():
            self._database.write("INSERT INTO documents VALUES (?, ?, ?, ?)", (digest, subject, code, reason[:2_000]))
            self._database.write(
                "DELETE FROM documents WHERE digest NOT IN (SELECT digest FROM documents WHERE digest = ?"
                " UNION SELECT digest FROM (SELECT digest FROM documents LIMIT ?))",
                (digest, REFUSALS_KEPT),
            )
        return True


class NonceTable:
    """Ids of commands that were obeyed, until they expire: none is obeyed twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def use(self, nonce: str, expires_at: datetime, now: datetime | None) -> bool:
        """Use up an id; False where it was used before.

        Args:
            nonce: the id.
            expires_at: until when the command could be sent again.
            now: to forget ids by; None where the clock is not to be trusted, and so nothing is forgotten.

        Raises:
            DiskFull, StoreUnavailable: it could not be noted, so it must not be obeyed.
        """
        with self._database.transaction():
            if now is not None:
                self._database.write("DELETE FROM nonces WHERE expires_at < ?", (now.timestamp() - 3_600.0,))
            count = int(self._database.rows("SELECT COUNT(*) FROM nonces")[0][0])
            if self._database.rows("SELECT 1 FROM nonces WHERE id = ?", (nonce,)):
                return False
            if count >= NONCES_KEPT:
                self._database.write("DELETE FROM nonces WHERE id = (SELECT id FROM nonces ORDER BY expires_at LIMIT 1)")
            self._database.write("INSERT INTO nonces VALUES (?, ?)", (nonce, expires_at.timestamp()))
        return True
