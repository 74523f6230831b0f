#!/usr/bin/env python3
"""How long events take from when they are due to the answer after their commit, with the shipped rules, at a steady rate and
beside what else a daemon does: bursts, a backup, sealing days, a query over all payments, readers that take their time.

    scripts/measure/beside.py [BINARY] [EVENTS_A_SECOND] [SECONDS]

Latency counts from when a body was due, so a daemon that falls behind is not excused. The client shares the machine.
"""

import contextlib, http.client, json, os, pathlib, socket, subprocess, sys, tempfile, threading, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "target/release/fiscwatch")
RATE, SECONDS = (int(arg) for arg in (sys.argv[2:4] + ["2000", "15"])[:2]) if len(sys.argv) > 3 else (2000, 15)
BODIES_A_SECOND = 20


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Daemon:
    def __init__(self, work):
        self.work, self.port = work, free_port()
        self.environment = {**os.environ, "FISCWATCH_HTTP__LISTEN": f"127.0.0.1:{self.port}", "FISCWATCH_LOG__LEVEL": "warn",
                            "FISCWATCH_RULES__PATHS": json.dumps([str(ROOT / "rules")]), "FISCWATCH_STATE__DIR": f"{work}/state"}
        self.process = subprocess.Popen([BINARY, "run", "--config", f"{work}/fiscwatch.yaml"], env=self.environment)
        while self.get("/-/ready") != 200:
            if self.process.poll() is not None:
                sys.exit("beside: the daemon did not start")
            time.sleep(0.1)

    def get(self, path):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None

    def command(self, *words):
        subprocess.run([BINARY, *words, "--config", f"{self.work}/fiscwatch.yaml"], env=self.environment, check=True, stdout=subprocess.DEVNULL)


def read(work):
    with open(f"{work}/events.jsonl", "rb") as file:
        events = [json.loads(line) for line in file]
    budgets = [event for event in events if event["type"] == "budget"]
    return budgets, iter([event for event in events if event["type"] != "budget"])


def body_of(events, began, days_a_second):
    """The next events, as of a clock that goes with the wall's, or so many days a second."""
    lines = []
    passed = (time.monotonic() - began) * (days_a_second * 86400 if days_a_second else 1)
    at = time.strftime("%Y-%m-%dT%H:%M:%S+08:00", time.gmtime(body_of.clock + passed))
    for _ in range(RATE // BODIES_A_SECOND):
        event = {key: value for key, value in next(events).items() if key != "recorded_at"}
        lines.append(json.dumps({**event, "occurred_at": at}))
    return "\n".join(lines).encode()


body_of.clock = 1767578400  # 5 January 2026: later than what is generated, and past


def posted(daemon, events, days_a_second=0, burst=1, seconds=SECONDS):
    """Latencies of so many seconds of bodies; `burst` bodies are due at once, as many in all."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port)
    took, began = [], time.monotonic() + 0.2
    for number in range(seconds * BODIES_A_SECOND):
        due = began + number // burst * burst / BODIES_A_SECOND
        body = body_of(events, began, days_a_second)
        time.sleep(max(0, due - time.monotonic()))
        connection.request("POST", "/api/v1/events", body)
        answer = connection.getresponse()
        told = answer.read()
        assert answer.status == 200 and b'"rejected":0' in told.replace(b" ", b""), told
        took.append(time.monotonic() - due)
    body_of.clock += seconds * (days_a_second * 86400 if days_a_second else 1) + 1
    return sorted(took)


@contextlib.contextmanager
def again_and_again(work):
    """Does something over and over on another thread; counts how often."""
    stop, count = threading.Event(), [0]

    def loop():
        while not stop.is_set():
            work(stop)
            count[0] += 1

    thread = threading.Thread(target=loop)
    thread.start()
    yield count
    stop.set()
    thread.join()


def slow_reader(daemon):
    """Takes a kilobyte a second of a long answer."""

    def take(stop):
        with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
            head = f"GET /api/v1/events?limit=1000 HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode())
            while not stop.wait(1) and connection.recv(1024):
                pass

    return take


def fdatasync(work):
    times = []
    with open(f"{work}/sync", "wb") as file:
        for _ in range(100):
            file.write(b"x" * 16384)
            file.flush()
            began = time.monotonic()
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - began)
    return sorted(times)[50] * 1000


def row(what, took, more=""):
    at = lambda share: f"{took[min(len(took) - 1, int(share * len(took)))] * 1000:.1f} ms"
    print(f"| {what} | " + " | ".join(at(share) for share in (0.5, 0.9, 0.99, 0.999)) + f" | {more} |", flush=True)


def main():
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([BINARY, "generate", "--payments", str(RATE * SECONDS * 7 + RATE * 3), "--units", "300", "--seed", "3", "--out", work],
                       check=True, stdout=subprocess.DEVNULL)
        budgets, events = read(work)
        daemon = Daemon(work)
        try:
            connection = http.client.HTTPConnection("127.0.0.1", daemon.port)
            for start in range(0, len(budgets), 5000):
                connection.request("POST", "/api/v1/events", "\n".join(map(json.dumps, budgets[start:start + 5000])).encode())
                answer = connection.getresponse()
                assert answer.read() and answer.status == 200
            # Time has passed since the budget: schedules that were due in it run first.
            posted(daemon, events, seconds=2)
            sync = fdatasync(work)
            print(f"{RATE} events/s in {BODIES_A_SECOND} bodies a second for {SECONDS} s each; an fdatasync takes {sync:.1f} ms (median)")
            print("| beside | p50 | p90 | p99 | p99.9 | |\n| --- | --- | --- | --- | --- | --- |")
            row("nothing else", posted(daemon, events))
            row("bursts, a second's events at once", posted(daemon, events, burst=BODIES_A_SECOND))
            backup = lambda stop: daemon.command("state", "backup", f"{work}/backup-{time.monotonic_ns()}")
            with again_and_again(backup) as count:
                took = posted(daemon, events)
            row("backups", took, f"{count[0]} backups")
            query = "SELECT unit_code, payee_account, count(*), sum(amount) FROM payments GROUP BY unit_code, payee_account ORDER BY 4 DESC LIMIT 10"
            with again_and_again(lambda stop: daemon.command("state", "query", query)) as count:
                took = posted(daemon, events)
            row("queries over all payments", took, f"{count[0]} queries")
            with contextlib.ExitStack() as readers:
                for _ in range(8):
                    readers.enter_context(again_and_again(slow_reader(daemon)))
                took = posted(daemon, events)
            row("eight slow readers", took)
            row("sealing, schedules and closing windows, a day a second", posted(daemon, events, days_a_second=1))
        finally:
            daemon.process.terminate()
            daemon.process.wait()


if __name__ == "__main__":
    main()
