"""A Slurm cluster of one node on this machine, all of it in one folder and under this user."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

#: Debian's packages, and the programs of theirs that are needed.
PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
#: Jobs of the partition `high` take the place of those of `low`, which go back into the queue.
CONF = """
ClusterName=trial
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=6
CryptoType=crypto/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=2,batch_sched_delay=1
KillWait=10
MailProg=/bin/true
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high Nodes={host} State=UP PriorityTier=9 PreemptMode=OFF
"""


def install() -> str | None:
    """Install what is missing, where this may; return what is missing still, or None."""
    if not _missing():
        return None
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-qq"]  # starts no service
    apt += ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=20"]
    if os.getuid() != 0:
        apt = ["sudo", "-n", *apt]
    for command in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        try:
            subprocess.run([*apt, *command], check=True, stdout=subprocess.DEVNULL, timeout=200)
        except (OSError, subprocess.SubprocessError):
            break
    missing = _missing()
    return f"{', '.join(missing)}; of Debian's packages {' '.join(PACKAGES)}" if missing else None


def _missing() -> list[str]:
    return [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]


def _free_ports() -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """Start the daemons; at the end, or on an error, stop each.

    Args:
        folder: an empty one, that this user alone may write to.
    """
    host, user = socket.gethostname().partition(".")[0], pwd.getpwuid(os.getuid()).pw_name
    for name in ("state", "spool", "log"):
        (folder / name).mkdir()
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(host=host, user=user, folder=folder, ports=_free_ports()))
    (folder / "key").write_bytes(os.urandom(1024))
    (folder / "key").chmod(0o400)
    os.environ |= {"PATH": PATH, "SLURM_CONF": str(conf)}
    munge = ["munged", "--foreground", "--force", f"--key-file={folder}/key"]
    munge += [
        f"--socket={folder}/munge.socket",
        f"--pid-file={folder}/munge.pid",
        f"--seed-file={folder}/seed",
    ]
    daemons = [munge, ["slurmctld", "-D", "-f", str(conf)], ["slurmd", "-D", "-f", str(conf), "-N", host]]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in daemons:
            with (folder / "log" / command[0]).open("wb") as log:
                started.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
            time.sleep(1)
        _wait_for_the_node(folder, started)
        yield
    finally:
        subprocess.run(["scancel", f"--user={user}"], check=False)
        time.sleep(1)
        for daemon in reversed(started):
            daemon.terminate()
        for daemon in started:
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _wait_for_the_node(folder: Path, daemons: list[subprocess.Popen[bytes]]) -> None:
    """Wait until the node takes jobs.

    Raises:
        RuntimeError: it does not, with what the daemons say.
    """
    for _ in range(60):
        state = subprocess.run(["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True).stdout
        if "idle" in state.split():
            return
        if any(daemon.poll() is not None for daemon in daemons):
            break
        time.sleep(0.5)
    logs = [f"{log.name}: {log.read_text()[-2000:]}" for log in (folder / "log").iterdir()]
    raise RuntimeError("\n".join(["the cluster does not start", *logs]))
