"""The attacks of scripts/measure/attacks.sh: each starts a daemon in an empty folder, does its worst, and gives one line."""
import concurrent.futures as futures
import http.client, json, multiprocessing, os, shutil, socket, sqlite3, subprocess, sys, tempfile, threading, time

BINARY, GROUPS = sys.argv[1], int(sys.argv[2])
RULES = """
rules:
  - {id: any, title: any, severity: low, trigger: payment, when: amount > 0, key: [budget_line_id], summary: "{{ amount }}"}
"""
WINDOWS = """
rules:
  - {id: often, title: often, severity: low, trigger: payment, over: {by: [payee_account], last: 30d}, measure: {n: count(*)}, when: n > 1000000, key: [payee_account], summary: often}
"""


def payment(n, line="L1"):
    return {"event_id": f"p{n}", "type": "payment", "occurred_at": "2026-03-04T10:00:00+08:00", "budget_line_id": line,
            "fiscal_year": 2026, "region_code": "330100000", "unit_code": "101001", "function_code": "2050201",
            "economic_code": "30201", "payment_mode": "direct", "settlement": "transfer", "payee_name": "杭州某公司",
            "payee_account": f"6222{n:012}"[:60], "payee_type": "entity", "amount": "1.00"}


def body(events):
    return "".join(json.dumps(e, ensure_ascii=False) + "\n" for e in events).encode()


def at(values, share):
    values = sorted(values)
    return f"{values[min(len(values) - 1, int(share * len(values)))] * 1000:.0f} ms"


class Daemon:
    def __init__(self, rules=RULES, config=""):
        self.dir = tempfile.mkdtemp()
        os.mkdir(f"{self.dir}/rules")
        self.write("rules/rules.yaml", rules)
        self.write("secret", "0123456789abcdef0123456789abcdef")
        os.chmod(f"{self.dir}/secret", 0o600)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.write("fiscwatch.yaml", f"state: {{dir: state}}\nrules: {{paths: [rules]}}\n{config}")
        self.log = open(f"{self.dir}/log", "w")
        environment = {**os.environ, "FISCWATCH_HTTP__LISTEN": f"127.0.0.1:{self.port}",
                       "FISCWATCH_HTTP__ACCEPT_EVENTS": "true", "FISCWATCH_LOG__LEVEL": "warn", "FISCWATCH_LANG": "en"}
        self.process = subprocess.Popen([BINARY, "run", "--config", "fiscwatch.yaml"], cwd=self.dir, env=environment,
                                        stdout=self.log, stderr=self.log)
        until = time.monotonic() + 120
        while self.ready()[0] != 200:
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"the daemon did not start:\n{open(f'{self.dir}/log').read()}")
            time.sleep(0.05)

    def write(self, name, text):
        with open(f"{self.dir}/{name}", "w") as file:
            file.write(text)

    def ask(self, method, path, content=None, timeout=300):
        began = time.monotonic()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
            connection.request(method, path, content)
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
            return answer.status, text, time.monotonic() - began
        except OSError as error:
            return 0, str(error), time.monotonic() - began

    def ready(self):
        return self.ask("GET", "/-/ready", timeout=30)

    def post(self, events):
        status, text, took = self.ask("POST", "/api/v1/events", events if isinstance(events, bytes) else body(events))
        if status == 200 and '"rejected":0' not in text:
            raise SystemExit(f"payments were rejected: {text}")
        return status, text, took

    def metric(self, name):
        text = self.ask("GET", "/metrics")[1]
        return next((float(l.rsplit(" ", 1)[1]) for l in text.splitlines() if l.startswith(name + " ")), 0.0)

    def memory(self, which="VmHWM"):
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(l.split()[1]) // 1024 for l in file if l.startswith(which))

    def stop(self):
        began = time.monotonic()
        self.process.terminate()
        code = self.process.wait(300)
        took = time.monotonic() - began
        self.log.close()
        shutil.rmtree(self.dir)
        return code, took


class Asking:
    """Asks again and again meanwhile, and keeps how long each answer took."""

    def __init__(self, ask):
        self.times, self.failed, self.stop = [], 0, False
        self.thread = threading.Thread(target=self.run, args=[ask])

    def run(self, ask):
        while not self.stop:
            status, _, took = ask()
            self.times.append(took)
            self.failed += status != 200
            time.sleep(0.05)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop = True
        self.thread.join()


def bodies():
    d = Daemon()
    before, large = d.memory(), b" " * (63 << 20)
    with Asking(lambda: d.ask("GET", "/-/healthy")) as health, futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: d.post(large)[0], range(40)))
    told = ", ".join(f"{answers.count(code)} × {code or 'broken off'}" for code in sorted(set(answers)))
    line = f"{d.memory()} MiB at the peak, {before} MiB before; answers: {told}; health within {at(health.times, 1)}"
    d.stop()
    return "40 bodies of 63 MiB at once", line


def heads():
    d = Daemon()
    before, held, until, n = d.memory(), [], time.monotonic() + 20, 0
    with Asking(d.ready) as ready, Asking(lambda: d.post([payment(time.monotonic_ns())])) as posted:
        while time.monotonic() < until:
            try:
                s = socket.create_connection(("127.0.0.1", d.port), timeout=5)
                s.sendall(b"GET /api/v1/alerts HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
                held.append(s)
                n += 1
            except OSError:
                time.sleep(0.01)
            if len(held) > 3000:
                held.pop(0).close()
    closed = d.metric('fiscwatch_http_refused_total{cause="connections"}')
    line = (f"{n} connections, memory from {before} to {d.memory()} MiB; {closed:.0f} were closed for others; ready "
            f"{at(ready.times, .5)} in the middle, {at(ready.times, 1)} at worst, {ready.failed} failed; a posted payment "
            f"{at(posted.times, .5)} and {at(posted.times, 1)}, {posted.failed} failed")
    d.stop()
    return "3,000 connections with half a head for 20 s, and new ones without a pause", line


def readers():
    d = Daemon(RULES.replace("{{ amount }}", "x" * 4000))
    for part in range(10):
        d.post([payment(n, f"L{n}") for n in range(part * 200, part * 200 + 200)])
    before = d.memory("VmRSS")
    with Asking(lambda: d.post([payment(time.monotonic_ns())])) as posted, futures.ThreadPoolExecutor(100) as pool:
        asked = lambda _: d.ask("GET", "/api/v1/findings?limit=1000")
        answers = list(pool.map(asked, range(300)))
    codes = [a[0] for a in answers]
    told = ", ".join(f"{codes.count(code)} × {code}" for code in sorted(set(codes)))
    longest = max(len(a[1]) for a in answers) / (1 << 20)
    line = (f"{d.memory()} MiB at the peak, {before} MiB before; answers: {told}, up to {longest:.1f} MiB; a posted payment "
            f"{at(posted.times, .5)} and {at(posted.times, 1)}")
    d.stop()
    return "100 readers at once, 300 times the largest page", line


def windows():
    d = Daemon(WINDOWS, "engine: {window_memory_mib: 8}\n")
    sent, code, why = 0, 200, ""
    while code == 200 and sent < 1_000_000:
        code, why, _ = d.post([payment(n) for n in range(sent, sent + 2000)])
        sent += 2000 * (code == 200)
    held = d.metric('fiscwatch_window_bytes{kind="sliding"}') / (1 << 20)
    ready, read = d.ready()[0], d.ask("GET", "/api/v1/alerts")[0]
    d.write("rules/rules.yaml", RULES)
    reload = d.ask("POST", "/-/reload", "")[0]
    began = time.monotonic()
    while d.ready()[0] != 200 and time.monotonic() - began < 60:
        time.sleep(0.05)
    line = (f"{sent} payments were taken ({held:.1f} MiB of 8), the next was answered {code}; ready {ready}, reading {read}; "
            f"a reload without the rule {reload}, ready again after {time.monotonic() - began:.1f} s; {d.memory()} MiB")
    d.stop()
    return "windows that grow beyond their limit", line


def database():
    d = Daemon()
    other = sqlite3.connect(f"{d.dir}/state/fiscwatch.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with futures.ThreadPoolExecutor(1) as pool:
        posted = pool.submit(d.post, [payment(1)])
        began = time.monotonic()
        while d.ready()[0] == 200:
            time.sleep(0.05)
        told = time.monotonic() - began
        reads = d.ask("GET", "/api/v1/alerts")[0]
        time.sleep(5)
        waits = not posted.done()
        other.execute("ROLLBACK")
        code = posted.result()[0]
    d.stop()
    return ("sqlite3 holds `BEGIN IMMEDIATE`",
            f"ready says why after {told:.1f} s, reading {reads}; the commit {'waits' if waits else 'DID NOT WAIT'} and is then answered {code}")


def receiver():
    d = Daemon(RULES, """
sinks: [{ name: dead, webhook: { url: 'http://127.0.0.1:9/', secret_file: secret } }]
alerts: { storm: { notifications: 10000000, window: 1m }, escalate_after: {} }
routes: { sinks: [dead], group_by: [alert], group_wait: 30s }
""")
    times, failed, n = [], 0, 0
    for part in range(0, GROUPS, 2000):
        code, why, _ = d.post([payment(m, f"L{m}") for m in range(part, min(part + 2000, GROUPS))])
        if code != 200:
            raise SystemExit(f"a post was answered {code}: {why}")
    until = time.monotonic() + 120
    with Asking(d.ready) as ready:
        while time.monotonic() < until:
            code, _, took = d.post([payment(10_000_000 + n)])
            times.append(took)
            failed += code != 200
            n += 1
            time.sleep(0.1)
    pending = d.metric('fiscwatch_outbox_pending{sink="dead"}')
    peak = d.memory()
    code, took = d.stop()
    return (f"a receiver that is gone, {GROUPS} alerts that are each a group",
            f"{n} commits of one payment in two minutes: {at(times, .5)} in the middle, {at(times, .99)} for 99 of 100, {at(times, 1)} "
            f"at worst, {failed} failed; ready failed {ready.failed} of {len(ready.times)} times; {pending:.0f} waiting, {peak} MiB; "
            f"SIGTERM ended it with {code} after {took:.1f} s")


def hammer(port, token, seconds):
    """Asks as fast as it can for the largest page, with a good token and without one, and leaves heads half sent."""
    until, held, n = time.monotonic() + seconds, [], 0
    while time.monotonic() < until:
        for authorization in (f"Bearer {token}", f"Bearer fw_{n:08x}_{'0' * 64}"):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("GET", "/api/v1/alerts?limit=1000", headers={"Authorization": authorization})
                connection.getresponse().read()
                connection.close()
            except OSError:
                pass
        try:
            held.append(socket.create_connection(("127.0.0.1", port), timeout=5))
            held[-1].sendall(b"GET /api/v1/alerts HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        except OSError:
            pass
        n += 1
        if len(held) > 500:
            held.pop(0).close()


def flood(seconds=20):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        ingest = s.getsockname()[1]
    d = Daemon(config=f"http: {{auth: true, rate: 20, ingest: '127.0.0.1:{ingest}'}}\n")

    def make(*words):
        command = [BINARY, *words, "--config", "fiscwatch.yaml"]
        return subprocess.run(command, cwd=d.dir, check=True, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL).stdout.split()

    make("user", "add", "officer", "--role", "officer")
    reader = next(w for w in make("token", "add", "screen", "--user", "officer") if w.startswith("fw_"))
    sender = next(w for w in make("token", "add", "feed", "--role", "ingest") if w.startswith("fw_"))
    scraper = next(w for w in make("token", "add", "scrape", "--role", "metrics") if w.startswith("fw_"))

    def post():
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", ingest, timeout=300)
        connection.request("POST", "/api/v1/events", body([payment(time.monotonic_ns())]), {"Authorization": f"Bearer {sender}"})
        status = connection.getresponse().status
        connection.close()
        return status, "", time.monotonic() - began

    with Asking(post) as calm:
        time.sleep(seconds)
    attackers = [multiprocessing.Process(target=hammer, args=(d.port, reader, seconds)) for _ in range(3)]
    for attacker in attackers:
        attacker.start()
    with Asking(post) as attacked:
        for attacker in attackers:
            attacker.join()
    connection = http.client.HTTPConnection("127.0.0.1", d.port)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {scraper}"})
    metrics = connection.getresponse().read().decode()
    refused = {c: next((int(float(l.rsplit(" ", 1)[1])) for l in metrics.splitlines() if l.startswith(f'fiscwatch_http_refused_total{{cause="{c}"}} ')), 0)
               for c in ("rate", "identity", "connections")}
    peak = d.memory()
    d.stop()
    told = ", ".join(f"{n} × {cause}" for cause, n in refused.items())
    return ("three processes that read, guess and leave heads half sent, at the address beside that of events",
            f"a posted payment {at(calm.times, .5)} in the middle and {at(calm.times, .99)} for 99 of 100 before, {at(attacked.times, .5)} and "
            f"{at(attacked.times, .99)} meanwhile; {calm.failed + attacked.failed} of {len(calm.times) + len(attacked.times)} failed; refused {told}; {peak} MiB")


print("| attack | held |\n| --- | --- |", flush=True)
for name in sys.argv[3:]:
    what, held = globals()[name]()
    print(f"| {what} | {held} |", flush=True)
