// A case from its finding to the register, with a real mail server: the letter goes out, the unit answers from a phone with a
// file, a second officer decides, and the case stands in the register.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { accessible, browser, fits, judge, officer, touchable } from "./browser.mjs";
import { Daemon, binary, freePort, suspicious, treasury } from "./daemon.mjs";

const python = fileURLToPath(new URL("../../target/services/venv/bin/python", import.meta.url));
const missing = existsSync(python) ? false : "aiosmtpd is not there: scripts/setup/services.sh aiosmtpd";
if (missing && process.env.SERVICES_REQUIRED) throw new Error(missing);

let daemon;
let chrome;
let mails;
let server;

before(async () => {
  if (missing) return;
  const [smtp, port] = [await freePort(), await freePort()];
  daemon = await Daemon.start({
    port,
    configure: (text, home) => {
      mails = join(home, "mails");
      writeFileSync(join(home, "config/contacts.csv"), contacts());
      return text
        .replace(
          /^sinks:.*$/m,
          `sinks:\n  - name: mail\n    email: { servers: ["127.0.0.1:${smtp}"], security: plain, from: a@x.cn, to: [b@x.cn] }`,
        )
        .replace(
          /^alerts:$/m,
          `alerts:\n  review: { dismiss: [critical], close: [critical, high, medium, low] }\n` +
            `  explain: { sink: mail, list: contacts, column: email, answer_url: "http://127.0.0.1:${port}" }`,
        )
        .replace(/^lists:$/m, "lists:\n  contacts: { path: contacts.csv }");
    },
  });
  for (const folder of ["new", "cur", "tmp"]) mkdirSync(join(mails, folder), { recursive: true });
  const handler = ["--class", "aiosmtpd.handlers.Mailbox", mails];
  server = spawn(python, ["-m", "aiosmtpd", "--nosetuid", "--listen", `127.0.0.1:${smtp}`, ...handler], {
    stdio: "inherit",
  });
  process.once("exit", () => server.kill("SIGKILL"));
  chrome = await browser();
  await daemon.feed([...treasury(), ...suspicious(4)]);
});

after(async () => {
  await chrome?.close();
  server?.kill("SIGKILL");
  await daemon?.end();
});

function contacts() {
  const units = ["380100", "380200", "380300"].flatMap((region) =>
    ["105001", "123001", "119001", "112001"].map((unit) => `${region}${unit},unit@example.cn`),
  );
  return ["unit_code,email", ...units].join("\n") + "\n";
}

/** The link of the letter, as soon as the mail is there. */
async function linkOf(id) {
  for (let tries = 0; tries < 300; tries += 1) {
    for (const name of existsSync(join(mails, "new")) ? readdirSync(join(mails, "new")) : []) {
      const mail = readFileSync(join(mails, "new", name), "utf8");
      // The text of a mail is written in base64 where it is Chinese.
      const parts = mail
        .split(/\r?\n\r?\n/)
        .map((part) => Buffer.from(part.replace(/\s/g, ""), "base64").toString("utf8"));
      const text = [mail.replace(/=\r?\n/g, ""), ...parts].find((one) => one.includes("/answer/") && one.includes(id));
      const found = text && /https?:\/\/[^\s"<]+\/answer\/[0-9a-f]{64}/.exec(text);
      if (found) return found[0];
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("no letter came");
}

test("a case goes from its finding to the register", { skip: missing }, async () => {
  const alerts = (await daemon.get("/alerts?limit=50")).alerts.filter((one) => one.labels.unit_code?.length === 1);
  const id = alerts[0].alert_id;
  const page = await officer(chrome, daemon, { name: "王芳" });
  await page.goto(`/alerts/${id}`);
  await page.getByRole("heading", { name: alerts[0].title }).waitFor();
  const sent = await fetch(`${daemon.api}/api/v1/alerts/${id}/inquire`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ who: "王芳", note: "请附合同。" }),
  });
  assert.equal(sent.status, 200, await sent.text());
  const link = await linkOf(id);

  // The unit has a phone and no account.
  const phone = await officer(chrome, daemon, { width: 360, height: 740, hasTouch: true, locale: "zh-CN" });
  await phone.goto(new URL(link).pathname);
  await phone.getByText("请附合同。").waitFor();
  await fits(phone);
  await touchable(phone);
  await accessible(phone, "the page of the answer");
  await phone.getByLabel("情况说明").fill("合同约定分两期支付，见附件。");
  await phone.getByLabel("填写人（选填）").fill("李会计");
  await phone.getByLabel("附件（选填，可多选）").setInputFiles({
    name: "合同.pdf",
    mimeType: "application/pdf",
    buffer: Buffer.from("%PDF-1.7\n合同"),
  });
  await phone.getByRole("button", { name: "提交" }).click();
  await phone.getByText("已收到").waitFor();
  await phone.getByText("合同.pdf").waitFor();
  await fits(phone);
  await phone.getByRole("link", { name: "English" }).click();
  await phone.getByText("Written explanation").first().waitFor();
  // A wrong file is refused with a page that says why.
  await phone.getByLabel("Files (optional, several at once)").setInputFiles({
    name: "invoice.pdf",
    mimeType: "application/pdf",
    buffer: Buffer.from("MZ\u0001\u0002"),
  });
  await phone.getByRole("button", { name: "Send" }).click();
  await phone.getByText("by their content and not their name").waitFor();
  const style = /Failed to load resource.*415/;
  assert.deepEqual(phone.seen.elsewhere, []);
  assert.deepEqual(
    phone.seen.said.filter((text) => !style.test(text)),
    [],
  );

  // The officer sees it, confirms, and proposes to close.
  await page.reload();
  await page.getByText("合同约定分两期支付，见附件。").waitFor();
  const link2 = page.getByRole("link", { name: "合同.pdf" });
  const [download] = await Promise.all([page.waitForEvent("download"), link2.click()]);
  assert.equal(readFileSync(await download.path(), "utf8"), "%PDF-1.7\n合同");
  const act = async (body) => {
    const answer = await fetch(`${daemon.api}/api/v1/alerts/${id}/${body.decision ? "review" : "transitions"}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    assert.equal(answer.status, 200, await answer.text());
  };
  await act({ action: "confirm", who: "王芳" });
  await act({ action: "close", who: "王芳", why: "已追回", outcome: "money_returned", amount: "1200.00" });
  await act({ decision: "approve", who: "李强" });
  await page.reload();
  await page.getByText("追回资金").first().waitFor();
  await judge(page, daemon);

  // The case stands in the register, and in the month.
  const register = await fetch(`${daemon.api}/api/v1/alerts/register.xlsx?state=closed`);
  assert.equal(register.status, 200);
  assert.equal(
    Buffer.from(await register.arrayBuffer())
      .subarray(0, 2)
      .toString(),
    "PK",
  );
  await page.goto("/alerts?state=closed");
  const [saved] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "台账 Excel" }).click(),
  ]);
  assert.match(saved.suggestedFilename(), /^register-.*\.xlsx$/);

  // The pack of the case proves itself in another folder; one byte more or less does not.
  await page.goto(`/alerts/${id}`);
  const [pack] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "下载取证包" }).click(),
  ]);
  const elsewhere = mkdtempSync(join(tmpdir(), "fiscwatch-pack-"));
  writeFileSync(join(elsewhere, "case.zip"), readFileSync(await pack.path()));
  const verify = () =>
    spawnSync(binary, ["evidence", "verify", "case.zip", "--json"], { cwd: elsewhere, encoding: "utf8" });
  const report = JSON.parse(verify().stdout);
  assert.deepEqual(report.problems, []);
  assert.equal(report.facts.alert_id, id);
  assert.ok(report.same.length > 0, JSON.stringify(report));
  const bytes = readFileSync(join(elsewhere, "case.zip"));
  bytes[bytes.length >> 1] ^= 1;
  writeFileSync(join(elsewhere, "case.zip"), bytes);
  assert.equal(verify().status, 1);

  const now = new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 7);
  await page.goto(`/reports?month=${now}`);
  await page.getByText("1,200.00").first().waitFor();
  await accessible(page, "the reports");
  assert.equal((await daemon.get(`/reports/month?month=${now}`)).total.returned, "1200.00");
  // The link is of no use any more.
  const gone = await fetch(link);
  assert.equal(gone.status, 410);
});
