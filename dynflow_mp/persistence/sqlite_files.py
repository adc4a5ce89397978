"""Whether a path is one where SQLite can keep a database that several processes write to."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from sqlalchemy import URL

from dynflow_mp.errors import ConfigError, DatabaseReplaced, PersistenceError

_MOUNTS = Path("/proc/self/mountinfo")

_NETWORK = (
    "nfs nfs4 cifs smb2 smb3 smbfs ncpfs 9p afs coda ceph glusterfs lustre gpfs beegfs orangefs pvfs2 "
    "davfs vboxsf prl_fs vmhgfs"
)
_NETWORK_FUSE = (
    "sshfs glusterfs ceph ceph-fuse davfs davfs2 s3fs goofys geesefs rclone gcsfuse blobfuse blobfuse2 juicefs "
    "moosefs mfs smbnetfs curlftpfs httpdirfs vmhgfs-fuse hdfs_fuse cvmfs2 beegfs gvfsd-fuse"
)
"""Of FUSE file systems only those known to be remote: others (ntfs-3g, gocryptfs, mergerfs) are on this
machine, and their locks are this kernel's."""


def absolute(url: URL, url_text: str, *, look_only: bool = False) -> URL:
    """The same file whatever directory the process goes to later; ``look_only``: it need not be one that can be written to.

    Raises :class:`ConfigError` for what is no file, :class:`PersistenceError` for one that cannot be used.
    """
    name = url.database
    if not name or name == ":memory:" or name.startswith("file:"):
        raise ConfigError(
            f"{url_text}: a database in memory belongs to one connection, "
            "but several threads and processes must see it; name a file"
        )
    if "\0" in name:
        raise ConfigError("database_url: a file's name cannot hold a NUL character")
    path = Path(name).absolute()
    try:
        problem = _problem(path, look_only)
    except OSError as error:
        problem = (f"{error.strerror}: {path}", "other")
    if problem is not None:
        raise PersistenceError(f"cannot open {url_text}: {problem[0]}", problem[1])
    return url.set(database=str(path))


class OpenedFile:
    """The file that was opened, so that another one in its place is noticed."""

    def __init__(self, path: str) -> None:
        self._path = path
        found = os.stat(path)
        self._identity = found.st_dev, found.st_ino

    def check(self) -> None:
        """Raises :class:`DatabaseReplaced`; costs a microsecond."""
        try:
            found = os.stat(self._path)
            happened = "replaced"
        except FileNotFoundError:
            happened = "removed"
        else:
            if (found.st_dev, found.st_ino) == self._identity:
                return
        raise DatabaseReplaced(f"the database file {self._path} was {happened} while it was open")


def network_file_system(path: Path, mounts: Path | None = None) -> str | None:
    """The type of the network file system this directory is on; None for a local one, or where nobody tells."""
    try:
        lines = (mounts or _MOUNTS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    found, depth = None, -1
    for line in lines:
        point, kind = _mounted(line)
        # What was mounted later on the same place covers what was there.
        if point is not None and path.is_relative_to(point) and len(point.parts) >= depth:
            found, depth = kind, len(point.parts)
    if found is None:
        return None
    subtype = found.partition("fuse.")[2]
    return found if found in _NETWORK.split() or subtype in _NETWORK_FUSE.split() else None


def _mounted(line: str) -> tuple[Path | None, str]:
    # 36 35 98:0 /root /mount/point options [more…] - type source options
    before, separator, after = line.partition(" - ")
    fields = before.split(" ")
    if not separator or len(fields) < 6:
        return None, ""
    return Path(_unescaped(fields[4])), after.split(" ")[0]


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)


def _problem(path: Path, look_only: bool) -> tuple[str, str] | None:
    """What keeps a database from being here, and of which kind that is."""
    directory = path.parent
    if not directory.is_dir():
        return f"there is no directory {directory}", "other"
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        return f"{path} is {'a directory' if path.is_dir() else 'no ordinary file'}", "other"
    home = Path(os.path.realpath(path)).parent
    unfit = _unreadable(path) if look_only else _unwritable(path, home)
    if unfit is not None:
        return unfit, "readonly"
    remote = network_file_system(home)
    if remote is not None:
        return (
            f"{home} is on a network file system ({remote}), where SQLite's locks and shared memory do not "
            "hold; use a local disk, or PostgreSQL or MariaDB",
            "unsuitable",
        )
    return None


def _unreadable(path: Path) -> str | None:
    return None if os.access(path, os.R_OK) else f"{path} cannot be read by this user"


def _unwritable(path: Path, home: Path) -> str | None:
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return f"{path} cannot be read and written by this user, or is on a read-only file system"
    if not os.access(home, os.W_OK | os.X_OK):
        return f"{home} cannot be written to, but SQLite keeps its log and its locks beside the file"
    return None
