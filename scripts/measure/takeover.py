#!/usr/bin/env python3
"""How long another machine takes to go on with a state that is replicated, and what a commit waits for the store.

Two daemons with nothing in common but a store: Versity's gateway (S3's protocol) over a folder, or the folder itself. The
first takes EVENTS payments over HTTP and is killed with SIGKILL; the time until the second one answers `/-/ready` is told,
without and with the time of silence (state.replicate.takeover_after).

scripts/measure/takeover.py BINARY [--events 20000] [--rounds 5] [--s3 VERSITYGW]
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

SILENCE = 5


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""


def payment(n: int) -> str:
    return json.dumps(
        {
            "event_id": f"P{n:08}",
            "type": "payment",
            "occurred_at": f"2026-03-{1 + n // 1000 % 28:02}T10:{n % 60:02}:00+08:00",
            "unit_code": f"1010{n % 50:02}",
            "amount": f"{n % 9000 + 1}.00",
            "budget_line_id": f"L{n % 200}",
            "economic_code": "30201",
            "function_code": "2010301",
            "settlement": "transfer",
            "fiscal_year": 2026,
            "region_code": "330100000",
            "payment_mode": "direct",
            "payee_type": "entity",
            "payee_name": f"Supplier {n % 300} Ltd",
            "payee_account": f"62{n % 300:014}",
        }
    )


class Machine:
    def __init__(self, args, folder: str, replicate: str):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(f"{folder}/rules")
        with open(f"{folder}/rules/r.yaml", "w") as f:
            f.write(
                "rules: [{ id: large, title: large, severity: low, trigger: payment, when: amount > 8000, key: [unit_code] }]\n"
            )
        self.port = free_port()
        with open(f"{folder}/fiscwatch.yaml", "w") as f:
            f.write(
                f"http: {{ listen: '127.0.0.1:{self.port}' }}\nlog: {{ level: warn }}\n"
                f"state: {{ dir: state, standby: true, replicate: {{ {replicate}, when_away: wait, takeover_after: {SILENCE}s }} }}\n"
            )
        self.process = subprocess.Popen([args.binary, "run", "--config", "fiscwatch.yaml"], cwd=folder)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def wait(self, path: str) -> None:
        while get(self.url(path))[0] != 200:
            if self.process.poll() is not None:
                raise SystemExit("a daemon has ended")
            time.sleep(0.02)

    def metric(self, name: str) -> float:
        lines = get(self.url("/metrics"))[1].splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"fiscwatch_{name} "))

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--events", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--s3")
    args = parser.parse_args()
    args.binary = os.path.abspath(args.binary)
    work = tempfile.mkdtemp(prefix="takeover-")
    server = None
    os.makedirs(f"{work}/store/treasury")
    replicate = f"to: 'file://{work}/store/treasury'"
    if args.s3:
        port = free_port()
        command = [args.s3, "--access", "a", "--secret", "b", "--port", f"127.0.0.1:{port}", "posix", f"{work}/store"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        replicate = f"to: 's3://treasury/x', endpoint: 'http://127.0.0.1:{port}', key_id: a, secret: b"
    try:
        machine, sent, times = Machine(args, f"{work}/m0", replicate), 0, []
        machine.wait("/-/ready")
        for n in range(args.rounds):
            other = Machine(args, f"{work}/m{n + 1}", replicate)
            other.wait("/-/healthy")
            began = time.time()
            for _ in range(args.events // args.rounds // 100):
                body = "\n".join(payment(sent + i) for i in range(100)).encode()
                urllib.request.urlopen(urllib.request.Request(machine.url("/api/v1/events"), body), timeout=60).read()
                sent += 100
            took = time.time() - began
            commits, waited = machine.metric("replica_commits_total"), machine.metric("replica_waited_seconds")
            machine.kill()
            began = time.time()
            other.wait("/-/ready")
            times.append(time.time() - began)
            print(
                f"round {n + 1}: {sent} events; 100 a request, {sent / (n + 1) / took:.0f} a second; a commit waited "
                f"{1000 * waited / commits:.1f} ms for the store ({commits:.0f} commits); ready {times[-1]:.2f} s after the kill"
            )
            machine = other
        machine.kill()
        times.sort()
        print(
            f"takeover: {times[len(times) // 2]:.2f} s in the middle, {times[-1]:.2f} s at most, of which {SILENCE} s are silence"
        )
    finally:
        if server:
            server.kill()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
