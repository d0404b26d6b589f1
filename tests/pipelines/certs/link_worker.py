"""Tries many yacl links at once: scenarios come from stdin, their waves from argv, what was received goes to stdout.

Every side of every link is a forked process of its own, because yacl ends the process (code 255) when a message cannot
be sent. Forked before any link exists, from a process that has loaded SecretFlow once.
"""

import json
import os
import secrets
import signal
import sys

import spu.libspu.link as link

from veilflow.components.devices.link import fill_tls
from veilflow.pipelines.cluster.addresses import is_free

_SECONDS = 40


def _describe(addresses, tls):
    desc = link.Desc()
    desc.id = "test"
    desc.recv_timeout_ms = desc.http_timeout_ms = 8000
    desc.connect_retry_times, desc.connect_retry_interval_ms = 14, 200
    desc.retry_opts.max_retry, desc.retry_opts.retry_interval_ms = 2, 100
    desc.retry_opts.retry_interval_incr_ms = 100
    for index, address in enumerate(addresses):
        desc.add_party(f"party-{index}", address)
    if tls is not None:
        fill_tls(desc, tls)
    return desc


def _side(rank, addresses, tls, answer):
    signal.alarm(_SECONDS)  # a side that hangs gives no answer, and "hangs" is told apart from "refused"
    try:
        made = link.create_brpc(_describe(addresses, tls), rank)
        os.write(answer, json.dumps(made.all_gather(f"hello from {rank}")).encode())
    except RuntimeError:
        os.write(answer, b'"refused"')
    signal.pause()  # until both sides have answered: the other may still be sending to us


def _try(scenarios, addresses):
    """Start every side of every scenario, and wait for what each says."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    running = {}
    for name, sides in scenarios.items():
        for rank, tls in enumerate(sides):
            mine, theirs = os.pipe()
            child = os.fork()
            if child == 0:
                os.dup2(quiet, 1)
                os.dup2(quiet, 2)
                try:
                    _side(rank, addresses[name], tls, theirs)
                finally:
                    os._exit(1)
            os.close(theirs)
            running[name, rank] = (child, mine)
    answers = {name: [None] * len(sides) for name, sides in scenarios.items()}
    for (name, rank), (_, pipe) in running.items():
        raw = os.read(pipe, 4096)
        answers[name][rank] = json.loads(raw) if raw else "ended"
    for child, _ in running.values():
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return answers


def main():
    scenarios = json.load(sys.stdin)
    free = (port for port in range(15000 + secrets.randbelow(8000), 32000) if is_free("127.0.0.1", port))
    addresses = {name: [f"127.0.0.1:{next(free)}" for _ in scenarios[name]] for name in scenarios}
    answers = {}
    for wave in json.loads(sys.argv[1]):  # all of them at once would starve each other
        answers |= _try({name: scenarios[name] for name in wave}, addresses)
    json.dump(answers, sys.stdout)


main()
