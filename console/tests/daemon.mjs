// A daemon with a state of its own and a small simulated treasury, whose every alert is known.
import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createServer } from "node:net";

export const binary = process.env.BINARY ?? fileURLToPath(new URL("../../target/debug/fiscwatch", import.meta.url));
/** Rules that judge each event by itself: nothing depends on the hour of the test. */
const RULES = ["budget.yaml", "cash.yaml", "payee.yaml"];

/** A group of lines that finds nothing, so that there is one to look at. */
const GROUPS = `groups:
  - { id: unit, title: { zh: 单位, en: Unit }, by: [unit_code] }
rules:
  - { id: unit-below-nothing, title: t, severity: low, trigger: payment, group: unit, when: group.total < 0, key: [group.key] }
`;

/** The shipped configuration with a sink that is always there, and one that never answers. */
function configured(text, auth) {
  const sinks =
    "sinks:\n  - name: journal\n    log: {}\n  - name: oversight\n    webhook: { url: 'http://127.0.0.1:9/' }\n";
  const told = text.replace(/^sinks: \[\]$/m, sinks);
  return auth ? told.replace(/^  auth: false$/m, "  auth: true") : told;
}

/** Who there is where somebody has to sign in; they all have the same password. */
const USERS = {
  wangfang: "officer",
  zhaomin: "author",
  huanglei: "approver",
  chenjing: "auditor",
  sunwei: "security",
};
export const PASSWORD = "Kuai-Ji-Ju-2026!";

export const binaryPath = binary;

export const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

export class Daemon {
  static async start({
    language = "zh",
    port = process.env.DAEMON_PORT,
    auth = false,
    configure = (text) => text,
  } = {}) {
    const daemon = new Daemon();
    daemon.folder = mkdtempSync(join(tmpdir(), "fiscwatch-console-"));
    daemon.port = port ?? (await freePort());
    daemon.base = process.env.CONSOLE ?? `http://127.0.0.1:${daemon.port}`;
    daemon.api = `http://127.0.0.1:${daemon.port}`;
    daemon.language = language;
    execFileSync(binary, ["init", "treasury"], { cwd: daemon.folder, stdio: "pipe" });
    const rules = join(daemon.folder, "treasury/rules");
    for (const name of readdirSync(rules)) if (!RULES.includes(name)) rmSync(join(rules, name), { recursive: true });
    writeFileSync(join(rules, "groups.yaml"), GROUPS);
    const config = join(daemon.folder, "treasury/config/fiscwatch.yaml");
    writeFileSync(config, configured(configure(readFileSync(config, "utf8"), join(daemon.folder, "treasury")), auth));
    // The first users are made on the machine, before the daemon runs.
    if (auth) {
      const files = { cwd: join(daemon.folder, "treasury"), stdio: "pipe", input: PASSWORD };
      for (const [name, role] of Object.entries(USERS))
        execFileSync(binary, ["user", "add", "--role", role, "--password-file", "-", name], files);
    }
    await daemon.run();
    return daemon;
  }

  /** Where its configuration is. */
  get home() {
    return join(this.folder, "treasury");
  }

  /** Starts the process, and waits until it takes events. */
  async run() {
    const settings = {
      FISCWATCH_HTTP__LISTEN: `127.0.0.1:${this.port}`,
      FISCWATCH_LANGUAGE: this.language,
      FISCWATCH_LOG__LEVEL: "error",
      FISCWATCH_ENGINE__MAX_FUTURE: "3660d",
    };
    this.process = spawn(binary, ["run"], {
      cwd: join(this.folder, "treasury"),
      env: { ...process.env, ...settings },
      stdio: ["ignore", "inherit", "inherit"],
    });
    // Whatever ends the test ends the daemon.
    const child = this.process;
    process.once("exit", () => child.kill("SIGKILL"));
    for (let tries = 0; ; tries += 1) {
      const answer = await fetch(`${this.api}/-/ready`).catch(() => null);
      if (tries > 300 || this.process.exitCode !== null) throw new Error("the daemon does not start");
      if (answer?.ok) return;
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  /** Ends the process as a power failure does. */
  async kill() {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = new Promise((done) => this.process.once("exit", done));
    this.process.kill("SIGKILL");
    await ended;
  }

  async end() {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Sends events and waits for their commit. */
  async feed(events) {
    const body = events.map((event) => JSON.stringify(event)).join("\n");
    const answer = await fetch(`${this.api}/api/v1/events`, { method: "POST", body });
    if (!answer.ok) throw new Error(await answer.text());
    const told = await answer.json();
    if (told.rejected > 0) throw new Error(JSON.stringify(told));
  }

  async get(path) {
    const answer = await fetch(`${this.api}/api/v1${path}`);
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }

  async post(path, body) {
    const answer = await fetch(`${this.api}/api/v1${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }
}

/** What programmes were to reach and have reached. */
export function indicators() {
  const names = ["服务对象满意度（%）", "按期完成率（%）", "平均办结时间（天）"];
  return Array.from({ length: 30 }, (_, n) => {
    const [region, city] = REGIONS[n % 3];
    const [unit, name] = UNITS[n % 4];
    const target = n % 3 === 2 ? 15 : 90;
    return {
      event_id: `JX${n}`,
      type: "indicator",
      occurred_at: `2026-03-2${n % 7}T09:00:00+08:00`,
      indicator_id: `JX-${String(n).padStart(3, "0")}`,
      indicator_name: names[n % 3],
      fiscal_year: "2026",
      project_code: `${region.slice(0, 6)}${unit}2026${String(n).padStart(5, "0")}`,
      region_code: region,
      unit_code: `${region.slice(0, 6)}${unit}`,
      unit_name: `${city}${name}`,
      budget_line_id: `ZB2026-${region.slice(0, 6)}${unit}-${String((n % 4) + 1).padStart(3, "0")}`,
      direction: n % 3 === 2 ? "at_most" : "at_least",
      target: String(target),
      actual: String(Math.round(target * (0.55 + ((n * 37) % 60) / 100) * 100) / 100),
    };
  });
}

const REGIONS = [
  ["380100000", "云州市"],
  ["380200000", "清源市"],
  ["380300000", "临泽市"],
];
const UNITS = [
  ["105001", "教育局", "2050101"],
  ["123001", "卫生健康委员会", "2100101"],
  ["119001", "水利局", "2130301"],
  ["112001", "公安局", "2040201"],
];
const CLASSES = ["30201", "30206", "30227", "30239"];
const PAYEES = [
  "云州市盛华办公用品有限公司",
  "长汀市东兴维修工程有限责任公司",
  "南浦市龙凯物业服务有限公司",
  "宁山市天宏信息技术有限公司",
];

const day = (n) => `2026-${String(1 + Math.floor(n / 28)).padStart(2, "0")}-${String(1 + (n % 28)).padStart(2, "0")}`;

/** The lines of every unit with their money, and a quarter of payments. */
export function treasury() {
  const events = [];
  let n = 0;
  for (const [region, city] of REGIONS) {
    for (const [unit, name, funct] of UNITS) {
      for (const [at, economic] of CLASSES.entries()) {
        const id = `ZB2026-${region.slice(0, 6)}${unit}-${String(at + 1).padStart(3, "0")}`;
        const of = {
          budget_line_id: id,
          fiscal_year: "2026",
          region_code: region,
          unit_code: `${region.slice(0, 6)}${unit}`,
          unit_name: `${city}${name}`,
          function_code: funct,
          economic_code: economic,
          fund_type: "111",
        };
        const total = 400_000 + ((n * 37_517) % 600_000);
        events.push({
          event_id: `B${n}`,
          type: "budget",
          action: "approve",
          occurred_at: "2026-01-04T08:00:00+08:00",
          ...of,
          amount: `${total}.00`,
        });
        events.push({
          event_id: `BP${n}`,
          type: "budget",
          action: "plan",
          occurred_at: "2026-01-04T09:00:00+08:00",
          budget_line_id: id,
          amount: `${Math.floor(total * 0.4)}.00`,
        });
        for (let month = 0; month < 3; month += 1) {
          events.push(
            payment(`P${n}-${month}`, {
              ...of,
              occurred_at: `${day(month * 28 + 9 + (n % 12))}T10:${String(n % 60).padStart(2, "0")}:00+08:00`,
              amount: `${Math.floor(total * (0.04 + (n % 5) * 0.012))}.${String(n % 100).padStart(2, "0")}`,
            }),
          );
        }
        n += 1;
      }
    }
  }
  return events.sort((a, b) => a.occurred_at.localeCompare(b.occurred_at));
}

export function payment(event_id, of) {
  const payee = PAYEES[event_id.length % PAYEES.length];
  return {
    event_id,
    type: "payment",
    payment_mode: "direct",
    settlement: "transfer",
    payee_name: payee,
    payee_account: `62228000${String(PAYEES.indexOf(payee)).padStart(8, "0")}`,
    payee_type: "entity",
    purpose: "办公设备维护费",
    ...of,
  };
}

/** Applications, asked before money moves: one is allowed, one needs an explanation, one is blocked. */
export function applications() {
  const of = { transfer: "18500.00", cash: "52000.00", beyond: "9000000.00" };
  return Object.entries(of).map(([name, amount], n) =>
    payment(`SQ-${name}`, {
      type: "application",
      budget_line_id: "ZB2026-380100105001-002",
      fiscal_year: "2026",
      region_code: "380100000",
      unit_code: "380100105001",
      unit_name: "云州市教育局",
      function_code: "2050101",
      economic_code: "30206",
      settlement: name === "cash" ? "cash" : "transfer",
      occurred_at: `2026-03-28T1${n}:05:00+08:00`,
      amount,
    }),
  );
}

/** So many payments on lines that nobody approved: each is an alert of its own, critical. */
export function suspicious(count, { from = 0, at = "2026-03-27" } = {}) {
  return Array.from({ length: count }, (_, i) => {
    const n = from + i;
    const [region, city] = REGIONS[n % 3];
    const [unit, name, funct] = UNITS[n % 4];
    return payment(`X${n}`, {
      budget_line_id: `ZB2026-WZ-${String(n).padStart(4, "0")}`,
      fiscal_year: "2026",
      region_code: region,
      unit_code: `${region.slice(0, 6)}${unit}`,
      unit_name: `${city}${name}`,
      function_code: funct,
      economic_code: CLASSES[n % 4],
      occurred_at: `${at}T${String(9 + (Math.floor(i / 60) % 8)).padStart(2, "0")}:${String(i % 60).padStart(2, "0")}:00+08:00`,
      amount: `${12_000 + n * 731}.${String((n * 7) % 100).padStart(2, "0")}`,
    });
  });
}

/** Cash payments of several sizes: orange and red alerts with a letter to the unit. */
export function cash(count) {
  return Array.from({ length: count }, (_, i) =>
    payment(`C${i}`, {
      budget_line_id: `ZB2026-${REGIONS[i % 3][0].slice(0, 6)}${UNITS[i % 4][0]}-001`,
      fiscal_year: "2026",
      region_code: REGIONS[i % 3][0],
      unit_code: `${REGIONS[i % 3][0].slice(0, 6)}${UNITS[i % 4][0]}`,
      unit_name: `${REGIONS[i % 3][1]}${UNITS[i % 4][1]}`,
      function_code: UNITS[i % 4][2],
      economic_code: "30201",
      settlement: "cash",
      occurred_at: `2026-03-26T09:${String(i % 60).padStart(2, "0")}:00+08:00`,
      amount: `${i % 2 === 0 ? 10_500 + i * 10 : 52_000 + i * 10}.00`,
      purpose: "零星采购备用金",
    }),
  );
}
