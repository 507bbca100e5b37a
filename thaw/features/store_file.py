"""The SQLite file of the feature store: whose it is, who has it open, and what is wrong with it.

It has no write-ahead log, which needs memory that all processes share, and so no network disk. Nor
is it synced: killed processes do it no harm, and what a power cut damages is begun anew.
"""

import fcntl
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

MARK = int.from_bytes(b"thaw")  # SQLite's application_id of our files
TABLE = "features (key BLOB PRIMARY KEY, value BLOB, used REAL)"
FIRST_LOCK = 5  # seconds; some network disks never give one
WAIT = 60  # seconds for a lock, where the first was given
ENDINGS = ("", "-journal", "-wal", "-shm")  # the latter two of earlier versions


class ForeignFile(Exception):
    """There is a file at the store's place that is none of ours."""


UNUSABLE = (sqlite3.Error, OSError, ForeignFile)


class StoreFile:
    """A connection to the file at `path`, which is made where there is none.

    Raises one of UNUSABLE: ForeignFile before anything is written.
    """

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not _is_ours(path):
            raise ForeignFile("this file is no feature store, or its beginning is damaged")
        self.path, self.connection = path, None
        self.folder = os.open(path.parent, os.O_RDONLY)
        try:
            # Never waits: a folder may stay locked alone for long, as a checkout is by its own run.
            # Without this lock the file is used all the same.
            _lock(self.folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
            self.connection = sqlite3.connect(path, timeout=FIRST_LOCK)
            _prepare(self.connection)
        except BaseException as error:
            self.close(is_damage(error))
            raise

    def close(self, damaged: bool = False) -> None:
        """Close the file, and delete it when it is damaged and no other process has it open."""
        if self.connection:
            self.connection.close()
        if damaged and _lock(self.folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            for ending in ENDINGS:
                with suppress(OSError):
                    Path(f"{self.path}{ending}").unlink()
        os.close(self.folder)


def _lock(folder: int, kind: int) -> bool:
    """Lock a folder as one of those that have its store open (LOCK_SH), or alone (LOCK_EX).

    False where that cannot be.
    """
    try:
        fcntl.flock(folder, kind)
    except OSError:  # others have it, or the disk has no such locks
        return False
    return True


def _is_ours(path: Path) -> bool:
    """Tell by the mark in the file, or by its one table, without writing or locking anything."""
    if not path.exists() or not path.stat().st_size:
        return True
    file = f"file:{quote(os.fsencode(path.absolute()))}?mode=ro&immutable=1"
    look = sqlite3.connect(file, uri=True)
    try:
        look.execute("PRAGMA writable_schema = ON")  # reads a file that was cut, too
        [(mark,)] = look.execute("PRAGMA application_id")
        if mark:
            return mark == MARK
        tables = look.execute("SELECT sql FROM sqlite_master WHERE sql <> ''").fetchall()
        return tables == [(f"CREATE TABLE {TABLE}",)]  # as earlier versions made it
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return False
        raise
    finally:
        look.close()


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = TRUNCATE")
    connection.execute("PRAGMA synchronous = OFF")
    marked = connection.execute("PRAGMA application_id").fetchone() == (MARK,)
    if not marked:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("BEGIN IMMEDIATE")
    if not marked:
        connection.execute(f"PRAGMA application_id = {MARK}")
        connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE}")
    connection.commit()
    connection.execute(f"PRAGMA busy_timeout = {1000 * WAIT}")


def is_damage(error: BaseException) -> bool:
    """Tell whether SQLite found the file damaged, and not locked, full or out of reach."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def advice(error: BaseException, path: Path) -> str:
    """Say what to do about one of UNUSABLE, after the file was closed."""
    code = _code(error)
    if is_damage(error):
        stays = "delete it, unless another process has it open"
        return f"it was damaged; {stays if path.exists() else 'it is deleted'}"
    if isinstance(error, ForeignFile):
        return "move it away, or let runtime.store name another folder"
    if code == sqlite3.SQLITE_FULL:
        return "make room on its disk, or let runtime.store name a folder elsewhere"
    if isinstance(error, OSError) or code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return "let runtime.store name a folder that can be written to"
    return "on a network disk, let runtime.store name a folder of this machine"


def _code(error: BaseException) -> int:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
