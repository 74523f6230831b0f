// Around execution: a budget action is proposed on a phone and approved by somebody else, and each work of the year is begun
// from its page and gives what it is there for.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { accessible, browser, fits, judge, officer, touchable } from "./browser.mjs";
import { Daemon, binary, treasury } from "./daemon.mjs";
import { LINE } from "./screens.mjs";

let daemon;
let chrome;

before(async () => {
  daemon = await Daemon.start({
    configure: (text) => text.replace(/^state:\n/m, "state:\n  backups: ../backups\n"),
  });
  chrome = await browser();
  await daemon.feed(treasury());
  mkdirSync(join(daemon.home, "backups"), { recursive: true });
  execFileSync(binary, ["state", "backup", "backups/one"], { cwd: daemon.home, stdio: "pipe" });
});

after(async () => {
  await chrome?.close();
  await daemon?.end();
});

const phone = { width: 360, height: 740, hasTouch: true, isMobile: true };

test("a budget action is proposed by one and approved by another on a phone", async () => {
  const before = Number((await daemon.get(`/budget-lines/${LINE}`)).total);
  const author = await officer(chrome, daemon, { name: "王芳", ...phone });
  await author.goto("/approvals");
  await author.getByRole("button", { name: "提请事项" }).click();
  await author.locator("input[name=line]").fill(LINE);
  await author.locator("input[name=amount]").fill("12.345");
  await author.locator("textarea[name=reason]").fill("县里第 12 号文");
  await accessible(author, "a proposal");
  await fits(author);
  await touchable(author);
  await author.locator(".propose button[type=submit]").click();
  await author.locator(".propose [role=alert]").waitFor();
  await author.locator("input[name=amount]").fill("12.34");
  await author.locator(".propose button[type=submit]").click();
  const card = (page) => page.locator(".approval", { hasText: "县里第 12 号文" });
  await card(author).waitFor();
  await fits(author);
  await author.context().close();

  const approver = await officer(chrome, daemon, { name: "陈静", ...phone });
  await approver.goto("/approvals");
  await card(approver).getByText("待审批").first().waitFor();
  await accessible(approver, "approvals");
  await fits(approver);
  await touchable(approver);
  await card(approver).locator(".is-main", { hasText: "同意" }).click();
  await card(approver).locator(".is-main", { hasText: "确认" }).click();
  await card(approver).waitFor({ state: "detached" });
  for (let tries = 0; ; tries += 1) {
    const { total } = await daemon.get(`/budget-lines/${LINE}`);
    if (Math.round(Number(total) * 100) === Math.round(before * 100) + 1234) break;
    assert.ok(tries < 100, "it is not in force");
    await new Promise((done) => setTimeout(done, 100));
  }
  await approver.goto("/approvals?state=in_force");
  await card(approver).getByText("陈静").waitFor();
  await judge(approver, daemon, /422/);
  await approver.context().close();
});

test("a list of approvals reads on, and shows what happens elsewhere without a reload", async () => {
  const propose = (n, reason) =>
    daemon.post("/approvals", {
      kind: "budget",
      who: "李强",
      reason,
      actions: [{ action: "supplement", budget_line_id: LINE, amount: `${n}.01` }],
    });
  for (let n = 1; n <= 60; n += 1) await propose(n, `第 ${n} 笔`);
  const page = await officer(chrome, daemon, { name: "陈静" });
  await page.goto("/approvals");
  await page.getByText("共 60 项").first().waitFor();
  const badge = page.locator(".nav a[href='/approvals'] .nav-count");
  await badge.filter({ hasText: "60" }).waitFor();
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await page.locator(".approval", { hasText: "第 1 笔" }).waitFor();
  assert.equal(await page.locator(".approval").count(), 60);
  // Somebody proposes, and somebody else approves, while the page is open.
  const fresh = await propose(77, "临时救灾");
  const card = page.locator(".approval", { hasText: "临时救灾" });
  await card.waitFor();
  await badge.filter({ hasText: "61" }).waitFor();
  const judgement = { verdict: "approve", digest: fresh.digest, who: "赵敏" };
  await daemon.post(`/approvals/${fresh.approval_id}/judgement`, judgement);
  await card.waitFor({ state: "detached" });
  await badge.filter({ hasText: "60" }).waitFor();
  // While somebody writes, the list stays as it is.
  await page.locator(".approval input").first().fill("核对");
  await propose(78, "又一笔");
  await page.locator("button.held").waitFor();
  assert.equal(await page.locator(".approval", { hasText: "又一笔" }).count(), 0);
  await page.locator("button.held").click();
  await page.locator(".approval", { hasText: "又一笔" }).waitFor();
  // Narrowed and sorted; the address has it all.
  await page.getByRole("searchbox").fill("李强 42.01");
  await page.getByRole("searchbox").press("Enter");
  await page.getByText("共 1 项").first().waitFor();
  assert.match(decodeURIComponent(page.url()), /q=李强.42\.01/);
  await page.goto("/approvals?sort=amount");
  await page.locator(".approval").first().getByText("78.01").first().waitFor();
  await accessible(page, "a list of approvals");
  await judge(page, daemon);
  await page.context().close();
  const small = await officer(chrome, daemon, { ...phone, language: "en" });
  await small.goto("/approvals");
  await small.locator(".approval").first().waitFor();
  await small.locator(".nav-more .nav-count").waitFor();
  await fits(small);
  await touchable(small);
  await accessible(small, "approvals on a phone");
  await small.context().close();
});

test("a row of a list is proposed where lists are known", async () => {
  const page = await officer(chrome, daemon, { name: "王芳" });
  const { lists } = await daemon.get("/lists");
  const list = lists.find((one) => one.columns.length > 1) ?? lists[0];
  await page.goto(`/approvals?propose=list&list=${list.name}&key=${encodeURIComponent("某甲公司")}`);
  const key = page.locator(`input[name="cell-${list.key}"]`);
  await key.waitFor();
  assert.equal(await key.inputValue(), "某甲公司");
  await page.locator("textarea[name=reason]").fill("法院通报");
  await accessible(page, "a row of a list is proposed");
  await page.locator(".propose button[type=submit]").click();
  await page.locator(".approval", { hasText: "法院通报" }).getByText("某甲公司").waitFor();
  assert.ok(!page.url().includes("propose"));
  await judge(page, daemon);
  await page.context().close();
});

/** Begins the work of a tab and waits for its end. */
async function works(page, tab, end, { fill = {}, upload } = {}) {
  await page.goto(`/works?tab=${tab}`);
  for (const [name, value] of Object.entries(fill)) await page.locator(`[name=${name}]`).first().fill(value);
  if (upload) await page.locator("input[name=against]").setInputFiles(upload);
  const [answer] = await Promise.all([
    page.waitForResponse((one) => one.request().method() === "POST" && one.url().includes("/api/v1/works")),
    page.locator("form button[type=submit]").first().click(),
  ]);
  const { id } = await answer.json();
  const panel = page.locator("section", { has: page.getByRole("heading", { name: `第 ${id} 项`, exact: true }) });
  await panel.locator("[role=status]", { hasText: end }).waitFor({ timeout: 90_000 });
}

test("the works of the year are begun from their page", async () => {
  const page = await officer(chrome, daemon, { name: "王芳" });
  await works(page, "adjustments", "已完成", { fill: { year: "2026" } });
  await page.getByRole("cell", { name: "批复", exact: true }).first().waitFor();
  await accessible(page, "adjustments");
  await works(page, "settlement", "已完成", { fill: { year: "2026" } });
  await page.locator("button", { hasText: "settlement-2026.xlsx" }).waitFor();
  await accessible(page, "settlement");
  const table = { name: "bureau.csv", mimeType: "text/csv", buffer: Buffer.from("unit_code,executed\n1,0.01\n") };
  await works(page, "settlement", "存在差异", { fill: { year: "2026" }, upload: table });
  await page.getByRole("columnheader", { name: "财政局表格" }).waitFor();
  await works(page, "publication", "失败", { fill: { year: "2026" } });
  await page.locator(".trouble", { hasText: "2026" }).waitFor();
  await works(page, "pilot", "已完成");
  await works(page, "drill", "备份可以恢复");
  await page.reload();
  await page.getByText("备份可以恢复").first().waitFor();
  await accessible(page, "drill");
  for (const growth of ["gdp=5%", "gdp=6%"]) {
    await works(page, "proposal", "已完成", { fill: { year: "2027", drivers: growth } });
    await page.locator("button", { hasText: "proposal-2027" }).first().waitFor();
  }
  await page.reload();
  await page.getByRole("button", { name: "比较版本" }).click();
  await page.getByRole("columnheader", { name: "差额" }).waitFor({ timeout: 60_000 });
  await accessible(page, "comparison");
  await judge(page, daemon);
  await page.context().close();

  const small = await officer(chrome, daemon, { ...phone, language: "en" });
  for (const tab of ["adjustments", "proposal", "settlement", "publication", "pilot", "drill"]) {
    await small.goto(`/works?tab=${tab}`);
    await small.waitForLoadState("networkidle");
    await fits(small);
    await touchable(small);
    await accessible(small, `${tab} on a phone`);
  }
  await small.context().close();
});
