"""The private folder that the supervisor and the workers share.

It holds stock's Unix socket, empty marker files and the workers' counts of requests. Only our user may enter it,
which is what keeps everybody else from talking to stock past the door.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tracking_server import metrics

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing NUL among them.
_LONGEST_SOCKET_PATH = 103


class SocketDirectoryError(Exception):
    """The folder cannot be made private, or its name is too long for a socket."""


@dataclass(frozen=True, slots=True)
class SocketDirectory:
    """The names inside the folder.

    ``was_ready``: stock has answered since we started. ``wanted``: a request waits for it. ``jobs_wanted``: from now on
    it must run background jobs. ``with_jobs``: whatever listens on the socket does.
    """

    path: Path

    @property
    def socket(self) -> Path:
        return self.path / "stock.sock"

    @property
    def was_ready(self) -> Path:
        return self.path / "was-ready"

    @property
    def wanted(self) -> Path:
        return self.path / "wanted"

    @property
    def jobs_wanted(self) -> Path:
        return self.path / "jobs-wanted"

    @property
    def with_jobs(self) -> Path:
        return self.path / "with-jobs"

    @classmethod
    def create(cls, configured: Path | None) -> SocketDirectory:
        """The configured folder, made 0700 and cleared of an earlier run's files, or a temporary one.

        Raises SocketDirectoryError where it belongs to another user, is a link, or is too long a name.
        """
        if configured is None:
            return cls(Path(tempfile.mkdtemp(prefix="tracking-server-")))
        directory = cls(configured.absolute())
        if len(os.fsencode(directory.socket)) > _LONGEST_SOCKET_PATH:
            raise SocketDirectoryError(f"{directory.socket} is too long a name for a Unix socket")
        try:
            directory.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = directory.path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                raise SocketDirectoryError(f"{directory.path} must be a folder of our own user")
            directory.path.chmod(0o700)
            directory.clear()
        except OSError as error:
            raise SocketDirectoryError(f"{directory.path}: {error.strerror}") from error
        return directory

    def clear(self) -> None:
        """Removes the socket, the markers and the workers' counts."""
        for name in (self.socket, self.was_ready, self.wanted, self.jobs_wanted, self.with_jobs):
            name.unlink(missing_ok=True)
        metrics.clear(self.path)

    def remove(self, configured: Path | None) -> None:
        """Removes what ``create`` made; a configured folder itself stays."""
        if configured is None:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.clear()
