"""Checks of the machine: processor, memory, ports, temporary files."""

import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from veilflow.pipelines.cli.doctor_finding import Finding
from veilflow.pipelines.cluster.addresses import AddressError, on_loopback

_X86 = ("sse4_1", "pclmulqdq", "aes", "avx")
"""SPU's and yacl's x86 builds use AES-NI, carry-less multiplication and AVX without asking; jaxlib's uses AVX."""
_ARM = ("aes",)
_GIB = 2**30
_MEMORY = 4 * _GIB
"""Three parties of a simulation, each with SecretFlow and JAX loaded, and room for data."""
_DISK = 1 * _GIB
_FILES = 1024


def findings() -> Iterator[Finding]:
    """Processor, cores, memory, ports, temporary files, open files."""
    yield processor(Path("/proc/cpuinfo"))
    yield cores()
    yield memory()
    yield ports()
    yield temporary(Path(tempfile.gettempdir()))
    yield open_files()


def processor(cpuinfo: Path) -> Finding:
    """Instructions that SPU cannot do without; without them a party dies with SIGILL and no message."""
    machine = platform.machine().lower()
    wanted = _X86 if machine in ("x86_64", "amd64") else _ARM if machine in ("aarch64", "arm64") else None
    if wanted is None:
        fix = "use an x86-64 or 64-bit ARM machine"
        return Finding("processor", "wrong", f"{machine}: SPU has no build for it", fix)
    if not cpuinfo.exists():  # macOS: every processor that SPU's macOS builds run on has them
        return Finding("processor", "ok", machine)
    flags = _flags(cpuinfo.read_text(encoding="utf-8", errors="replace"))
    missing = [flag for flag in wanted if flag not in flags]
    if missing:
        fix = "use a newer machine; in a virtual machine, pass the host's CPU features through"
        return Finding("processor", "wrong", f"{machine} without {', '.join(missing)}, which SPU needs", fix)
    return Finding("processor", "ok", f"{machine} with {', '.join(wanted)}")


def _flags(cpuinfo: str) -> set[str]:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            return set(value.split())
    return set()


def cores() -> Finding:
    """A simulation runs one process per party."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count < 2:
        return Finding("cores", "note", "1 core: simulations are slow", "use at least 2 cores")
    return Finding("cores", "ok", str(count))


def memory() -> Finding:
    """What is available now, with the limit of a container taken into account."""
    free = available_memory(Path("/proc/meminfo"), Path("/sys/fs/cgroup"))
    if free is None:
        return Finding("memory", "note", "unknown", "make sure that 4 GiB are free")
    shown = f"{free / _GIB:.1f} GiB available"
    if free < _MEMORY:
        detail = f"{shown}; a simulation of three parties wants {_MEMORY // _GIB} GiB"
        return Finding("memory", "note", detail, "close other programs, or raise the container's limit")
    return Finding("memory", "ok", shown)


def available_memory(meminfo: Path, cgroup: Path) -> int | None:
    """Bytes; None where the system does not say."""
    figures = []
    if meminfo.exists():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                figures.append(int(line.split()[1]) * 1024)
    limit, used = cgroup / "memory.max", cgroup / "memory.current"
    if limit.exists() and used.exists() and (text := limit.read_text(encoding="ascii").strip()) != "max":
        figures.append(int(text) - int(used.read_text(encoding="ascii")))
    return min(figures, default=None)


def ports() -> Finding:
    """Parties of a simulation meet on 127.0.0.1."""
    parties = ["one", "two", "three"]
    try:
        found = on_loopback(parties, {"spu": parties})
    except AddressError as error:
        return Finding("ports", "wrong", str(error), "close the programs that hold these ports, or wait a minute")
    numbers = sorted(port for party in parties for port in found.own_ports(party))
    try:
        with socket.create_server(("127.0.0.1", numbers[0])) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
    except OSError as error:
        fix = "allow connections to 127.0.0.1 in the firewall or sandbox"
        return Finding("ports", "wrong", f"127.0.0.1 cannot be reached: {error.strerror or error}", fix)
    return Finding("ports", "ok", f"127.0.0.1, {numbers[0]} to {numbers[-1]} are free")


def temporary(folder: Path) -> Finding:
    """The parties' processes meet through a socket in the temporary folder."""
    fix = "set TMPDIR to a short path on a disk with room that you can write to"
    try:
        with (
            tempfile.TemporaryDirectory(dir=folder, prefix="pymp-") as private,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe,
        ):
            probe.bind(str(Path(private, "listener-12345678")))  # as multiprocessing names it
    except OSError as error:
        return Finding("temporary files", "wrong", f"{folder} cannot be used: {error.strerror or error}", fix)
    free = shutil.disk_usage(folder).free
    if free < _DISK:
        return Finding("temporary files", "wrong", f"{folder} has {free / _GIB:.1f} GiB left", fix)
    return Finding("temporary files", "ok", f"{folder}, {free / _GIB:.0f} GiB free")


def open_files() -> Finding:
    """Links, storage and JAX together hold some hundred files open per party."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _FILES:
        return Finding("open files", "note", f"at most {soft} per process", f"run `ulimit -n {_FILES}`")
    return Finding("open files", "ok", "no limit" if soft < 0 else f"up to {soft} per process")
