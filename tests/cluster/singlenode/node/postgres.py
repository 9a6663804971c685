"""Becomes a PostgreSQL server at the node's address, as the system's user `postgres`.

The role and the database are both called `fairlead`, and so is the password: the network has no way out.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

from ..places import NODE_IP, POD_CIDR, State

ACCOUNT = "postgres"
NAME = "fairlead"
SETTINGS = (
    f"listen_addresses={NODE_IP}",
    "unix_socket_directories=",
    "fsync=off",  # the data dies with the cluster; a killed server still keeps what it had committed
    "max_connections=200",
)


def programs() -> Path:
    """The folder with the newest PostgreSQL's programs; Debian keeps them off the PATH."""
    found = Path("/usr/lib/postgresql").glob("*/bin")
    return max(found, key=lambda folder: int(folder.parent.name))


def create(data: Path) -> None:
    """Make the database cluster in the empty folder *data*."""
    password = data.parent / "password"
    password.write_text(NAME)
    _as_account(programs() / "initdb", f"--username={NAME}", f"--pwfile={password}", "--auth=scram-sha-256",
                "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", f"--pgdata={data}")  # fmt: skip
    _as_account(programs() / "postgres", "--single", "-D", data, "postgres", text=f"create database {NAME}\n")
    clients = "".join(f"host all all {network} scram-sha-256\n" for network in (f"{NODE_IP}/24", POD_CIDR))
    (data / "pg_hba.conf").write_text(clients)
    (data.parent / "created").touch()


def _as_account(*command: str | Path, text: str = "") -> None:
    subprocess.run(
        command, input=text, text=True, check=True, cwd="/", user=ACCOUNT, group=ACCOUNT, extra_groups=[]
    )


def main() -> None:
    """`python -m singlenode.node.postgres STATE`."""
    folder = State(Path(sys.argv[1])).root / "postgres"
    data = folder / "data"
    account = pwd.getpwnam(ACCOUNT)
    if not (folder / "created").exists():
        data.mkdir(parents=True, exist_ok=True)
        for path in (folder, data):
            os.chown(path, account.pw_uid, account.pw_gid)
            path.chmod(0o700)
        create(data)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    os.execv(programs() / "postgres", ["postgres", "-D", str(data), *settings])


if __name__ == "__main__":
    main()
