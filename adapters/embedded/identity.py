"""Chooses the user for PostgreSQL: the present user. Not root, because PostgreSQL refuses to run as root.

The one rule: it never changes a folder's permissions. Another user may not be able to reach a folder of root's (a home,
or a virtual environment in it). Then the server's process gets the one capability that lets it pass, as root could.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from adapters.embedded.failure import EmbeddedServersFailed

__all__ = ["Identity", "current_user", "identity_that_reaches"]

_INSTEAD_OF_ROOT = "nobody"
# With this security bit, access(2) respects the capability too. PostgreSQL looks for its own programs with access(2).
_MAY_PASS = ("--securebits=+no_setuid_fixup", "--inh-caps=+dac_override", "--ambient-caps=+dac_override")


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """How a command changes its user: `uid` and `gid` for the new process, or a `prefix` command that does it."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None
    owner: tuple[int, int] | None = None

    def own(self, folder: Path) -> None:
        """Make this user the owner of a folder of ours."""
        if self.owner is not None:
            os.chown(folder, *self.owner)


def identity_that_reaches(paths: Iterable[Path]) -> Identity:
    """The identity with which PostgreSQL can run and use `paths`.

    Raises:
        EmbeddedServersFailed: there is no such identity.
    """
    if os.geteuid() != 0:
        return Identity()
    try:
        account = pwd.getpwnam(_INSTEAD_OF_ROOT)
    except KeyError as error:
        raise EmbeddedServersFailed(_refused(f"there is no user {_INSTEAD_OF_ROOT!r} to run it as")) from error
    owner = (account.pw_uid, account.pw_gid)
    closed = [path for path in paths if not _is_open_to_all(path)]
    if not closed:
        return Identity(uid=account.pw_uid, gid=account.pw_gid, owner=owner)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise EmbeddedServersFailed(_refused(f"the user {_INSTEAD_OF_ROOT!r} cannot enter {closed[0]}"))
    ids = (f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups")
    return Identity(prefix=(setpriv, *ids, *_MAY_PASS, "--"), owner=owner)


def current_user() -> str:
    """The name of the user who runs this process.

    Raises:
        EmbeddedServersFailed: the user has no name, as in a container that runs with a bare number.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError as error:
        raise EmbeddedServersFailed(
            f"PostgreSQL needs a user with a name, and user {os.geteuid()} has none in this system. Run as another"
            " user, or set DATABASE_URL and REDIS_URL."
        ) from error


def _is_open_to_all(path: Path) -> bool:
    real = path.resolve()
    return all(place.stat().st_mode & stat.S_IXOTH for place in (real, *real.parents))


def _refused(why: str) -> str:
    return f"PostgreSQL refuses to run as root, and {why}. Run as an ordinary user, or use a folder open to all."
