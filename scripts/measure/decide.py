"""Asks a daemon for decisions at a steady rate (scripts/measure/decide.sh starts it)."""

import collections
import http.client
import itertools
import json
import multiprocessing
import os
import sys
import threading
import time

port, rate, seconds, ingest, clients = map(int, sys.argv[1:6])
work = sys.argv[6]
with open(f"{work}/events.jsonl", "rb") as file:
    lines = file.readlines()
events = [json.loads(line) for line in lines]
budgets = [line for line, event in zip(lines, events) if event["type"] == "budget"]
others = [event for event in events if event["type"] != "budget"]
# Events happen as fast as they are posted, as they do while payments run; PACE=history leaves them the pace of the file, in
# which windows close and schedules are due thousands of times as often.
LIVE = os.environ.get("PACE", "live") == "live"
DAY = max(event["occurred_at"][:10] for event in others)
BEGAN = time.monotonic()


def happens_at(event, seconds):
    """The event as of so many seconds after ten o'clock on the last day of the file."""
    if not LIVE:
        return event
    minutes, seconds = divmod(seconds, 60)
    event = {key: value for key, value in event.items() if key != "recorded_at"}
    return {**event, "occurred_at": f"{DAY}T10:{int(minutes):02}:{seconds:09.6f}+08:00"}


applications = [event for event in events if event["type"] == "payment"]
NOT_ASKED = ("application_id", "recorded_at", "voucher_no", "status")


def post(connection, path, body):
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def connect():
    return http.client.HTTPConnection("127.0.0.1", port)


def at(times, share):
    times = sorted(times)
    return times[min(len(times) - 1, int(share * len(times)))] * 1000


def syncing(stop, times):
    """What an fdatasync of a page at the end of a file takes on the disk of the state."""
    file = os.open(f"{work}/sync", os.O_CREAT | os.O_WRONLY)
    while not stop.is_set():
        os.write(file, b"x" * 16384)
        began = time.monotonic()
        os.fdatasync(file)
        times.append(time.monotonic() - began)
        time.sleep(0.02)
    os.close(file)


def bodies():
    """What is posted while questions are asked, written before: the processors are the daemon's then."""
    body, since = max(1, ingest // 20), time.monotonic() - BEGAN + 1
    for start in range(0, ingest * (seconds + 1), body):
        part = others[start:start + body]
        part = [happens_at(event, since + (start + place) / ingest) for place, event in enumerate(part)]
        yield "\n".join(map(json.dumps, part)).encode(), len(part)


def loading(bodies, stop, posted):
    connection, began = connect(), time.monotonic()
    for body, events in bodies:
        if stop.wait(max(0, began + posted.value / ingest - time.monotonic())):
            return
        status, text = post(connection, "/api/v1/events", body)
        assert status == 200, text
        posted.value += events


# A request that asks nothing: what clients, daemon and machine take for it beside the same load is no decision's time.
NOTHING = "a request that asks nothing"
# What is blocked takes longer: the largest amount that would pass is looked for.
BLOCKED = "what_if, all blocked"
# MODES="what_if blocked commit" LOADS=beside measures only these.
ASKED = os.environ.get("MODES", "").split()
MODES = [BLOCKED if mode == "blocked" else mode for mode in ASKED] or (NOTHING, "what_if", BLOCKED, "commit")
LOADS = [load == "beside" for load in os.environ.get("LOADS", "alone beside").split()]
names = itertools.count()


def application(number, due, **more):
    event = {k: v for k, v in applications[number % len(applications)].items() if k not in NOT_ASKED}
    event = happens_at(event, due - BEGAN)
    return json.dumps({**event, "event_id": f"ask-{number}", "type": "application", **more})


def client(mode, questions, told):
    """Asks when each question is due, and writes it before: a process of its own, so that no client waits for another."""
    connection, took, answers = connect(), [], collections.Counter()
    for due, number in questions:
        body = application(number, due, **({"amount": "9000000000.00"} if mode == BLOCKED else {}))
        time.sleep(max(0, due - time.monotonic()))
        if mode == NOTHING:
            connection.request("GET", "/-/healthy")
            answer = connection.getresponse()
            answer.read()
            status, text = answer.status, '{"decision": "answered"}'
        else:
            status, text = post(connection, f"/api/v1/decide?mode={mode.partition(',')[0]}", body)
        took.append(time.monotonic() - due)
        answers[json.loads(text)["decision"] if status == 200 else status] += 1
    told.put((took, answers))


def asking(mode, took, answers):
    """`clients` share the rate."""
    began, told = time.monotonic() + 0.5, multiprocessing.Queue()
    questions = [(began + number / rate, next(names)) for number in range(rate * seconds)]
    asks = [multiprocessing.Process(target=client, args=(mode, questions[own::clients], told)) for own in range(clients)]
    [process.start() for process in asks]
    for _ in asks:
        times, counts = told.get()
        took.extend(times)
        answers.update(counts)
    [process.join() for process in asks]


connection = connect()
for start in range(0, len(budgets), 5000):
    status, text = post(connection, "/api/v1/events", b"".join(budgets[start:start + 5000]))
    assert status == 200, text
print(f"{rate} questions/s from {clients} clients for {seconds} s each; {ingest} events/s where there is ingest")
for load in LOADS:
    for mode in MODES:
        stop, syncs, took, answers = multiprocessing.Event(), [], [], collections.Counter()
        posted = multiprocessing.Value("q", 0)
        beside = [threading.Thread(target=syncing, args=(stop, syncs))]
        if load:
            # A process of its own: who asks does not wait for what is posted here.
            beside.append(multiprocessing.Process(target=loading, args=(list(bodies()), stop, posted)))
        [thread.start() for thread in beside]
        asking(mode, took, answers)
        stop.set()
        [thread.join() for thread in beside]
        sync = at(syncs, 0.5)
        told = ", ".join(f"{count} {answer}" for answer, count in sorted(answers.items(), key=str))
        print(
            f"{mode}{f' beside {posted.value / seconds:.0f} events/s' if load else ' alone'}: "
            f"p50 {at(took, 0.5):.1f} ms, p99 {at(took, 0.99):.1f} ms, most {max(took) * 1000:.1f} ms; "
            f"fdatasync p50 {sync:.2f} ms, p99 {at(syncs, 0.99):.2f} ms: "
            f"p99 is {at(took, 0.99) / sync:.1f} times an fdatasync; {told}"
        )
        others[:] = others[posted.value:]
