"""Cluster files for parties that are started one by one on this machine, with keys made for the test."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from veilflow.pipelines.certs.folder import ephemeral
from veilflow.pipelines.cluster.addresses import on_loopback

PARTIES = ["hospital", "insurer"]


@pytest.fixture
def cluster_files(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Each party's cluster file: ``cluster_files(policies={party: [file]}, tls=False, extra=[line])``."""

    def make(
        policies: dict[str, Sequence[Path]] | None = None, tls: bool = False, extra: Sequence[str] = ()
    ) -> dict[str, Path]:
        made, addresses = ephemeral(tmp_path / "certs", PARTIES), on_loopback(PARTIES, {}).base
        rows = [f'  {name}: {{address: "{addresses[name]}", signing_key: "{made[name].pin}"}}' for name in PARTIES]
        files = {}
        for party in PARTIES:
            head = ["version: 1", f"profile: {'production' if tls else 'simulation'}", *extra]
            head.append(f"identity: {made[party].identity}")
            head.append(f"policies: {json.dumps([str(each) for each in (policies or {}).get(party, [])])}")
            if tls:
                head.append(f"tls: {json.dumps(made[party].tls)}")
            files[party] = tmp_path / f"{party}.cluster.yaml"
            files[party].write_text("\n".join([*head, "parties:", *rows, ""]))
        return files

    return make
