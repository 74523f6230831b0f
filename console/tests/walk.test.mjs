// What people do with the console, in a real browser against a real daemon.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, browser, fits, judge, officer, touchable } from "./browser.mjs";
import { execFileSync, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  Daemon,
  PASSWORD,
  applications,
  binaryPath,
  cash,
  freePort,
  indicators,
  suspicious,
  treasury,
} from "./daemon.mjs";
import { LINE, screensOf } from "./screens.mjs";

const line = LINE;

let daemon;
let chrome;

before(async () => {
  daemon = await Daemon.start();
  chrome = await browser();
  await daemon.feed([...treasury(), ...indicators(), ...cash(24), ...suspicious(60)]);
  for (const application of applications()) await daemon.post("/decide", application);
});

after(async () => {
  await chrome?.close();
  await daemon?.end();
});

const rowsOf = (page) => page.locator(".row[data-id]");
const stateOf = async (id) => (await daemon.get(`/alerts/${id}`)).alert.state;

test("an officer clears twenty alerts with the keyboard only", async () => {
  const page = await officer(chrome, daemon);
  await page.goto("/");
  await page.locator("h1").waitFor();
  await page.keyboard.press("g");
  await page.keyboard.press("i");
  await rowsOf(page).first().waitFor();
  const ids = await rowsOf(page).evaluateAll((rows) => rows.slice(0, 20).map((row) => row.dataset.id));
  for (const [at, id] of ids.entries()) {
    await page.waitForFunction(
      (id) =>
        document.querySelector(".row.is-cursor")?.dataset.id === id && document.activeElement?.tagName !== "TEXTAREA",
      id,
    );
    await page.keyboard.press(at % 2 === 0 ? "d" : "c");
    if (at === 0) {
      await page.waitForFunction(() => document.activeElement?.getAttribute("name") === "who");
      await page.keyboard.type("王芳");
      await page.keyboard.press("Tab");
    }
    await page.waitForFunction(() => document.activeElement?.tagName === "TEXTAREA");
    await page.keyboard.type(at % 2 === 0 ? `已核实 ${at}` : "单位已承认");
    await page.keyboard.press("Enter");
  }
  await page.waitForFunction(
    (id) => document.activeElement?.dataset?.id && document.activeElement.dataset.id !== id,
    ids[19],
  );
  for (const [at, id] of ids.entries()) {
    const { alert, history } = await daemon.get(`/alerts/${id}`);
    // What is critical waits for a second officer.
    const waits = at % 2 === 0 && alert.severity === "critical";
    assert.equal(alert.state, waits ? "acknowledged" : at % 2 === 0 ? "dismissed" : "confirmed");
    assert.deepEqual(
      history.map((change) => change.action),
      ["opened", "acknowledge", waits ? "propose" : at % 2 === 0 ? "dismiss" : "confirm"],
    );
    assert.equal(history[2].who, "王芳");
  }
  await judge(page, daemon);
  await page.context().close();
});

test("after a verdict the next alert opens, and the list is where it was", async () => {
  const page = await officer(chrome, daemon, { name: "李强" });
  await page.goto("/alerts?state=open&severity=critical");
  await rowsOf(page).nth(3).waitFor();
  const ids = await rowsOf(page).evaluateAll((rows) => rows.slice(0, 4).map((row) => row.dataset.id));
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/alerts/${ids[2]}`);
  await page.locator(".act-dismiss").first().waitFor();
  await page.keyboard.press("d");
  await page.waitForFunction(() => document.activeElement?.tagName === "TEXTAREA");
  await page.keyboard.type("合同约定分期支付");
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/alerts/${ids[3]}`);
  assert.equal((await daemon.get(`/alerts/${ids[2]}`)).alert.review.by, "李强");
  await page.keyboard.press("Escape");
  await page.waitForURL("**/alerts?state=open&severity=critical");
  await page.waitForFunction((id) => document.activeElement?.dataset?.id === id, ids[3]);
  await judge(page, daemon);
  await page.context().close();
});

test("a second officer decides what the first proposed, and a case is closed with its outcome", async () => {
  const page = await officer(chrome, daemon, { name: "王芳" });
  await page.goto("/alerts?review=true");
  await rowsOf(page).first().waitFor();
  const { alerts } = await daemon.get("/alerts?review=true");
  const { alert_id: id, review } = alerts.find((alert) => alert.review.by === "李强");
  assert.equal(review.action, "dismiss");
  await page.goto(`/alerts/${id}`);
  await page.getByText("李强 提请复核：误报").first().waitFor();
  await page.locator(".act-approve").click();
  await page.locator(".order").waitFor();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector(".order") === null);
  assert.equal(await stateOf(id), "dismissed");
  // Another one goes to its end: without an outcome it is not closed.
  const open = (await daemon.get("/alerts?state=open&severity=high,medium,low&limit=1")).alerts[0].alert_id;
  for (const action of ["acknowledge", "confirm"])
    await daemon.post(`/alerts/${open}/transitions`, { action, who: "王芳", why: "属实" });
  await page.goto(`/alerts/${open}`);
  await page.locator(".act-close").click();
  await page.locator(".order textarea").fill("已全部退回");
  await page.keyboard.press("Enter");
  await page.getByText("请选择处理结果").waitFor();
  await page.locator(".order select[name=outcome]").selectOption("money_returned");
  await page.locator(".order input[name=amount]").fill("1200.00");
  await page.locator(".order .is-main").click();
  await page.waitForFunction(() => document.querySelector(".order") === null);
  const { alert } = await daemon.get(`/alerts/${open}`);
  assert.deepEqual([alert.state, alert.outcome, alert.outcome_amount], ["closed", "money_returned", "1200.00"]);
  await judge(page, daemon);
  await page.context().close();
});

test("two officers collide: the slower one hears who was faster, and what was typed is kept", async () => {
  const page = await officer(chrome, daemon, { name: "赵敏" });
  await page.goto("/alerts?state=open&rule=large-cash");
  await rowsOf(page).nth(2).waitFor();
  const ids = await rowsOf(page).evaluateAll((rows) => rows.slice(0, 3).map((row) => row.dataset.id));
  for (const id of ids) await page.locator(`.row[data-id="${id}"] input`).click();
  await page.keyboard.press("d");
  await page.locator(".order textarea").fill("备用金已交回，附缴款书");
  // Meanwhile somebody else takes the second one to its end.
  for (const action of ["acknowledge", "confirm"])
    await daemon.post(`/alerts/${ids[1]}/transitions`, { action, who: "孙丽" });
  await page.keyboard.press("Enter");
  await page.locator(".result li").waitFor();
  assert.equal(await page.locator(".result li").count(), 1);
  assert.match(await page.locator(".result li strong").textContent(), /孙丽.*属实/);
  assert.equal(await page.locator(".order textarea").inputValue(), "备用金已交回，附缴款书");
  assert.match(await page.locator(".bulk-count").textContent(), /1/);
  assert.deepEqual(await Promise.all(ids.map(stateOf)), ["dismissed", "confirmed", "dismissed"]);
  await judge(page, daemon, /409|412|Conflict|Precondition/);
  await page.context().close();
});

test("new alerts wait while somebody works, and are shown on a key", async () => {
  const page = await officer(chrome, daemon, { name: "赵敏" });
  await page.goto("/alerts?rule=no-budget");
  await rowsOf(page).first().waitFor();
  await page.keyboard.press("j");
  const before = await rowsOf(page).evaluateAll((rows) => rows.map((row) => row.dataset.id));
  await daemon.feed(suspicious(3, { from: 200, at: "2026-03-28" }));
  // The stream tells of them; nobody asks.
  await page.locator(".held").waitFor({ timeout: 8_000 });
  assert.match(await page.locator(".held").textContent(), /3/);
  assert.deepEqual(await rowsOf(page).evaluateAll((rows) => rows.map((row) => row.dataset.id)), before);
  await page.keyboard.press(".");
  await page.locator(".held").waitFor({ state: "detached" });
  const now = await rowsOf(page).evaluateAll((rows) => rows.map((row) => row.dataset.id));
  assert.equal(now.filter((id) => !before.includes(id)).length, 3);
  assert.equal(new Set(now).size, now.length);
  await judge(page, daemon);
  await page.context().close();
});

test("the daemon dies and comes back: it is said, nothing is lost or shown twice, and nobody reloads", async () => {
  const page = await officer(chrome, daemon, { name: "赵敏" });
  await page.goto("/alerts?state=open");
  await rowsOf(page).first().waitFor();
  const before = await rowsOf(page).evaluateAll((rows) => rows.map((row) => row.dataset.id));
  const first = before[0];
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await daemon.kill();
  await page.keyboard.press("m");
  await page.locator(".order textarea").fill("电话无人接听");
  await page.keyboard.press("Enter");
  await page.locator(".banner.is-down").waitFor();
  assert.equal(await page.locator(".order textarea").inputValue(), "电话无人接听");
  assert.equal(await rowsOf(page).count(), before.length);
  await daemon.run();
  await page.locator(".banner.is-back").waitFor({ timeout: 30_000 });
  await page.locator(".order textarea").press("Enter");
  await page.locator(".order").waitFor({ state: "detached" });
  const { history } = await daemon.get(`/alerts/${first}`);
  assert.equal(history.filter((change) => change.why === "电话无人接听").length, 1);
  const now = await rowsOf(page).evaluateAll((rows) => rows.map((row) => row.dataset.id));
  assert.deepEqual(now, before);
  await judge(page, daemon, /ERR_CONNECTION|Failed to load resource/);
  await page.context().close();
});

test("ten thousand alerts are there, scroll, and stay worked by keys", async () => {
  const page = await officer(chrome, daemon, { name: "赵敏" });
  await daemon.feed(suspicious(10_000, { from: 1_000, at: "2026-03-29" }));
  await page.goto("/alerts?state=open&severity=critical");
  await rowsOf(page).first().waitFor();
  /** How long fifty steps from the top take. */
  const steps = async () => {
    await page.keyboard.press("Home");
    const began = Date.now();
    for (let n = 0; n < 50; n += 1) await page.keyboard.press("j");
    await page.waitForFunction(
      () => [...document.querySelectorAll(".row[data-id]")].indexOf(document.activeElement) === 50,
    );
    return Date.now() - began;
  };
  const few = await steps();
  for (let last = 0; last < 10_000;) {
    const before = last;
    await page.keyboard.press("End");
    await page.waitForFunction((n) => document.querySelectorAll(".row[data-id]").length > n, before, {
      timeout: 20_000,
    });
    last = await rowsOf(page).count();
  }
  // A key costs what it costs among few rows, whatever the machine has to do beside it.
  const many = await steps();
  assert.ok(many < 4 * few + 2_000, `50 steps took ${few} ms among 200 rows and ${many} ms among 10,000`);
  const scrolled = await page.evaluate(async () => {
    let worst = 0;
    let last = performance.now();
    for (let n = 0; n < 60; n += 1) {
      scrollBy(0, 500);
      await new Promise((done) => requestAnimationFrame(done));
      worst = Math.max(worst, performance.now() - last);
      last = performance.now();
    }
    return worst;
  });
  assert.ok(scrolled < 500, `a frame took ${scrolled} ms`);
  await judge(page, daemon);
  await page.context().close();
});

test("region, unit, line: three clicks to what happened on a line, and why a rule fired", async () => {
  const page = await officer(chrome, daemon);
  await page.goto("/budget");
  await page.locator(".budget-table tbody a", { hasText: "380100000" }).click();
  await page.locator(".budget-table tbody a", { hasText: "云州市教育局" }).click();
  await page.locator(".budget-table tbody a", { hasText: line }).click();
  await page.waitForURL(`**/budget/${line}`);
  await page.locator(".curve canvas").waitFor();
  const { total } = await daemon.get(`/budget-lines/${line}`);
  assert.equal((await page.locator(".balances dd").first().textContent()).replace(/,/g, ""), total);
  // The forecast says what it is made of, also where no closed year gives it a range.
  const { methods } = await daemon.get(`/budget-lines/${line}/forecast`);
  const words = { budget: "预算与季节", pace: "匀速", last_year: "同上年" };
  const made = methods.map(({ method, weight }) => `${words[method]} ${weight} %`).join("、");
  assert.match(made, /%$/);
  await page.getByText(made).waitFor();
  await page.goto("/payments/C1?rule=large-cash");
  assert.match(await page.locator(".verdict strong").textContent(), /提示/);
  await page.locator(".explained .conditions").first().waitFor();
  await page.locator("select").last().selectOption("no-budget");
  await page.waitForURL("**/payments/C1?rule=no-budget");
  await page.locator(".verdict", { hasText: /不提示|不在检查范围/ }).waitFor();
  await judge(page, daemon);
  await page.context().close();
});

test("budgets as areas: each leads a step further down, and is as large as its money", async () => {
  const page = await officer(chrome, daemon);
  await page.goto("/budget?view=map");
  await page.locator(".treemap .tile").first().waitFor();
  const areas = await page
    .locator(".treemap .tile")
    .evaluateAll((tiles) => tiles.map((tile) => tile.width.baseVal.value * tile.height.baseVal.value));
  const { groups } = await daemon.get("/budget/totals?group_by=region&sort=-total");
  assert.equal(areas.length, groups.filter((group) => Number(group.sums.total) > 0).length);
  const [largest, smallest] = [Number(groups[0].sums.total), Number(groups[areas.length - 1].sums.total)];
  assert.ok(Math.abs(areas[0] / areas[areas.length - 1] / (largest / smallest) - 1) < 0.05, areas.join(" "));
  await page.locator(".treemap a").first().focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/budget?*region=${groups[0].value[0]}*`);
  await judge(page, daemon);
  await page.context().close();
});

test("at every width each figure stands under its own heading", async () => {
  const page = await officer(chrome, daemon);
  await page.goto("/budget");
  await page.locator(".no-auth", { hasText: "未启用登录" }).waitFor();
  for (const width of [1440, 1200, 1024, 820]) {
    await page.setViewportSize({ width, height: 800 });
    for (const by of ["unit", "line"]) {
      await page.goto(`/budget?by=${by}`);
      await page.locator(".budget-table tbody tr").first().waitFor();
      const seen = await page
        .locator(".budget-table tr")
        .evaluateAll((rows) =>
          rows
            .slice(0, 2)
            .map((row) =>
              [...row.children]
                .filter((cell) => getComputedStyle(cell).display !== "none")
                .map((cell) => Math.round(cell.getBoundingClientRect().right)),
            ),
        );
      assert.deepEqual(seen[0], seen[1], `${by} at ${width}`);
    }
  }
  await judge(page, daemon);
  await page.context().close();
});

test("with the keys shown, no key acts on what lies behind, and Escape closes them", async () => {
  const page = await officer(chrome, daemon);
  await page.goto("/alerts");
  await page.locator(".inbox").waitFor();
  await page.locator("tbody tr, .rows > *").first().waitFor();
  const changes = async () => JSON.stringify(await daemon.get("/alerts/counts?state=open"));
  const before = await changes();
  await page.keyboard.press("?");
  await page.locator("dialog.help[open]").waitFor();
  await page.keyboard.press("a");
  await page.waitForTimeout(500);
  assert.equal(await changes(), before);
  await page.keyboard.press("Escape");
  await page.locator("dialog.help[open]").waitFor({ state: "detached" });
  await judge(page, daemon);
  await page.context().close();
});

test("the groups that rules control stand beside what lines are grouped by", async () => {
  const page = await officer(chrome, daemon);
  await page.goto("/budget");
  await page.locator(".tabs a", { hasText: "控制组" }).click();
  await page.locator("tbody tr").first().waitFor();
  const { groups, total } = await daemon.get("/budget/groups?sort=available");
  assert.equal(await page.locator("tbody tr").count(), Math.min(total, 200));
  const first = await page.locator("tbody tr th").first().textContent();
  assert.equal(first, `${groups[0].key} 单位`);
  await judge(page, daemon);
  await page.context().close();
});

test("what was decided: found by its answer, with its reasons, and released", async () => {
  const page = await officer(chrome, daemon);
  await page.goto("/decisions?decision=block");
  await page.locator("tbody tr", { hasText: "SQ-beyond" }).waitFor();
  const { decisions } = await daemon.get("/decisions?decision=block");
  assert.equal(await page.locator("tbody tr").count(), decisions.length);
  await page.locator("tbody a", { hasText: "SQ-beyond" }).click();
  const blocked = await daemon.get("/decisions/SQ-beyond");
  await page.locator(".finding", { hasText: blocked.reasons[0].title }).first().waitFor();
  const figures = await page.locator(".foot-note .money").textContent();
  assert.equal(figures.replace(/,/g, ""), blocked.largest_amount);
  // The condition in its parts, and somebody who answers for the application.
  const groups = await page.locator(".panel", { hasText: "控制组余额" }).locator("h3").allTextContents();
  assert.deepEqual(groups, [`${blocked.groups[0].key} ${blocked.groups[0].lines} 个指标`]);
  assert.equal(await page.locator(".compares li").count(), blocked.reasons.flatMap((one) => one.conjuncts).length);
  await page.locator("section button, .panel button", { hasText: "特批放行" }).click();
  await page.locator("textarea[name=reason]").fill("防汛急需");
  await page.locator("input[name=who]").fill("李主任");
  await page.locator("form button[type=submit]").click();
  await page.locator(".override").waitFor();
  const { overrides } = await daemon.get("/overrides?application=SQ-beyond");
  assert.deepEqual(
    overrides.map((one) => [one.reason, one.granted.map((act) => act.who), one.amount]),
    [["防汛急需", ["李主任"], blocked.amount]],
  );
  await page.goto("/decisions/SQ-transfer");
  const release = page.locator(".heading button");
  const asked = await release.textContent();
  await release.click();
  // Two clicks faster than the page is drawn are one: what the second one means must be read first.
  await page.waitForFunction((text) => document.querySelector(".heading button").textContent !== text, asked);
  await release.click();
  await page.waitForFunction(() => document.querySelector(".heading button") === null);
  assert.equal((await daemon.get("/decisions/SQ-transfer")).reserves, false);
  await judge(page, daemon);
  await page.context().close();
});

test("findings by week and hour are all findings", async () => {
  const page = await officer(chrome, daemon);
  await page.goto("/results");
  const cells = page.locator(".heat tbody td span");
  await cells.first().waitFor({ state: "attached" });
  const sum = (await cells.allTextContents()).reduce((all, text) => all + Number(text), 0);
  const { weeks } = await daemon.get("/findings/times");
  const { total } = await daemon.get("/findings?totals=true&limit=1");
  assert.equal(sum, total);
  assert.equal(
    weeks.reduce((all, week) => all + week.findings, 0),
    total,
  );
  await judge(page, daemon);
  await page.context().close();
});

test("a rule is tried with another constant: what would stay and what would go is what the findings say", async () => {
  const page = await officer(chrome, daemon, { name: "王芳" });
  await page.goto("/rules/large-cash");
  const { findings } = await daemon.get("/findings?rule=large-cash&limit=1000");
  const amounts = findings.map(({ values }) => Number(values.amount)).sort((a, b) => a - b);
  const limit = Math.floor(amounts[Math.floor(amounts.length / 2)]);
  const stay = amounts.filter((amount) => amount > limit).length;
  assert.ok(stay > 0 && stay < amounts.length, "the findings tell nothing");
  await page.getByLabel("$limit").fill(String(limit));
  await page.getByRole("button", { name: "开始试算" }).click();
  const cells = page.locator(".lab-forms tbody tr").first().locator("td");
  await cells.first().waitFor({ timeout: 30_000 });
  assert.deepEqual(await cells.allInnerTexts(), [String(amounts.length), String(stay)]);
  await page.getByText(`消失 ${amounts.length - stay} 条，不变 ${stay} 条`).waitFor();
  // Who comes later sees what was tried; a value that is no number is not sent.
  await page.reload();
  await cells.first().waitFor();
  assert.equal(await page.getByLabel("$limit").inputValue(), String(limit));
  await page.getByRole("button", { name: "恢复现行参数" }).click();
  assert.ok(await page.getByRole("button", { name: "开始试算" }).isDisabled());
  await judge(page, daemon);
  await page.context().close();
});

test("an address that is none says so: to people in words, to programs by a problem", async () => {
  const page = await officer(chrome, daemon);
  const answer = await page.goto("/nonsense");
  assert.equal(answer.status(), 404);
  await page.locator(".empty h1", { hasText: "没有这个页面" }).waitFor();
  const asked = await fetch(`${daemon.api}/nonsense`);
  assert.equal(asked.status, 404);
  assert.match(asked.headers.get("content-type"), /problem\+json/);
  await judge(page, daemon, /404/);
  await page.context().close();
});

test("an empty list says which filter excludes everything", async () => {
  const page = await officer(chrome, daemon);
  await page.goto("/alerts?severity=low&rule=no-budget");
  await page.locator(".excluding a").first().waitFor();
  const said = await page.locator(".excluding a").allTextContents();
  assert.equal(said.length, 1);
  assert.match(said[0], /级别/);
  await page.locator(".excluding a").click();
  await rowsOf(page).first().waitFor();
  assert.equal(new URL(page.url()).search, "?rule=no-budget");
  await judge(page, daemon);
  await page.context().close();
});

for (const language of ["zh", "en"]) {
  // The screens have the same elements in both languages, and axe takes its time over each: in English it looks at those
  // that have texts of their own length.
  const isLooked = (name) =>
    language === "zh" || ["payees", "payee", "rule-sets", "routes", "quarantine", "ask", "questions"].includes(name);
  test(`every screen in ${language}: axe finds nothing, no text is missing`, async () => {
    const page = await officer(chrome, daemon, { language });
    for (const [name, path] of Object.entries(await screensOf(daemon))) {
      await page.goto(path);
      await page.waitForLoadState("networkidle");
      await page.locator("h1, .empty").first().waitFor();
      if (isLooked(name)) await accessible(page, `${name} (${language})`);
      const text = await page.locator("#app").innerText();
      assert.doesNotMatch(text, /undefined|NaN|\[object/, name);
      if (language === "en") assert.match(text, /Alerts/);
    }
    await judge(page, daemon, /404/);
    await page.context().close();
  });
}

test("a phone of 360 px: nothing scrolls sideways, everything can be touched, an alert can be worked", async () => {
  const page = await officer(chrome, daemon, { name: "王芳", width: 360, height: 740, hasTouch: true, isMobile: true });
  for (const [name, path] of Object.entries(await screensOf(daemon))) {
    await page.goto(path);
    await page.waitForLoadState("networkidle");
    await fits(page, name);
    await touchable(page, name);
  }
  await page.goto("/alerts?state=open");
  await rowsOf(page).first().waitFor();
  const id = await rowsOf(page).first().getAttribute("data-id");
  await page.locator(".row[data-id] .summary-cell a").first().tap();
  await page.waitForURL(`**/alerts/${id}`);
  await page.locator(".detail-actions .act-acknowledge").tap();
  await page.waitForFunction(() => document.querySelector(".detail .state")?.textContent === "已受理");
  assert.equal(await stateOf(id), "acknowledged");
  await judge(page, daemon, /404/);
  await page.context().close();
});

test("200 % zoom is half the width: everything is still there", async () => {
  const page = await officer(chrome, daemon, { width: 720, height: 450, deviceScaleFactor: 2 });
  for (const [name, path] of Object.entries(await screensOf(daemon))) {
    await page.goto(path);
    await page.waitForLoadState("networkidle");
    await fits(page, name);
  }
  await page.context().close();
});

test("a record is corrected and read again, and what is still wrong is said", async () => {
  await fetch(`${daemon.api}/api/v1/events`, {
    method: "POST",
    body: `${JSON.stringify({ ...cash(1)[0], event_id: "M1", amount: "壹万元" })}\n{"event_id":"M2"`,
  });
  const page = await officer(chrome, daemon, { name: "李强" });
  await page.goto("/quarantine");
  const rows = page.locator("tbody tr");
  await rows.nth(1).waitFor();
  await accessible(page, "quarantine");
  await rows.first().locator(".row-tools button").click();
  const field = page.locator(".form textarea");
  const text = await field.inputValue();
  // Sent as it is, it comes back, and what was typed stays.
  await field.fill(text.replace("壹万元", "一万元"));
  await page.locator(".form button[type=submit]").click();
  await page.locator(".failed[role=status]", { hasText: "仍被隔离 1 条" }).waitFor();
  assert.match(await field.inputValue(), /一万元/);
  await accessible(page, "a record that is corrected");
  await field.fill(text.replace("壹万元", "10000.00"));
  await page.locator(".form button[type=submit]").click();
  await page.locator(".banner.is-back[role=status]", { hasText: "入账 1 条" }).waitFor();
  assert.equal((await daemon.get("/events/M1")).event.amount, "10000.00");
  // Several at once, asked twice.
  await page.locator(".row-of-tools input").check();
  await page.locator(".row-of-tools .is-main").click();
  await page.locator(".row-of-tools .is-main", { hasText: "确认" }).click();
  await page.locator(".failed[role=status]", { hasText: "仍被隔离" }).waitFor();
  await judge(page, daemon);
  await page.context().close();
});

test("from a payment to its payee, and who would be told of an alert", async () => {
  const page = await officer(chrome, daemon);
  await page.goto("/payments/P0-0");
  await page.locator(".heading a", { hasText: "查看收款人" }).click();
  await page.waitForURL("**/payees/P0-0");
  await page.locator("h1", { hasText: "有限公司" }).waitFor();
  const [first] = (await daemon.get("/payees?limit=1")).payees;
  await page.goto("/payees");
  await page.locator("tbody tr").first().waitFor();
  assert.match(await page.locator("tbody tr").first().textContent(), new RegExp(first.names[0]));
  // Where nobody signs in, events show accounts masked all the same.
  assert.doesNotMatch(await page.locator("tbody").textContent(), /62228000/);
  await page.goto("/routes");
  await page.locator("textarea").fill("rule=large-cash severity=high");
  await page.locator(".form button[type=submit]").click();
  await page.locator(".route-answer", { hasText: "journal" }).waitFor();
  await page.locator(".routes .is-taken").first().waitFor();
  await judge(page, daemon);
  await page.context().close();
});

test("a map for a file that none reads: guessed, corrected, tried, and taken away", async () => {
  let drop;
  const own = await Daemon.start({
    configure: (text, home) => {
      drop = join(home, "drop");
      mkdirSync(drop);
      const source = `sources:\n  - name: vouchers\n    directory: { path: ${drop}, pattern: "*.jsonl", settle: 0s }\n`;
      return text.replace(/^sources: \[\]$/m, source);
    },
  });
  try {
    const rows = [
      "V1,2026/03/05,一号公司,6222000000000001,1200.00,甲",
      "V2,2026/03/06,二号公司,6222000000000002,壹元,乙",
    ];
    const text = ["凭证号,支付日期,收款人,收款人账号,支付金额,备注", ...rows].join("\n");
    writeFileSync(join(drop, "支付凭证三月.csv"), text);
    // The page asks for the state of sources when it is opened, and then now and then.
    for (let tries = 0; ; tries += 1) {
      const { sources } = await own.get("/status");
      if (sources.vouchers?.left?.names?.length > 0) break;
      assert.ok(tries < 300, "the file is not told of");
      await new Promise((done) => setTimeout(done, 50));
    }
    const page = await officer(chrome, own);
    await page.goto("/sources");
    await page.locator(".files a", { hasText: "编写映射" }).waitFor();
    await page.locator(".files a", { hasText: "编写映射" }).click();
    await page.waitForURL("**/sources/map?source=vouchers&file=*");
    const field = (column) => page.locator("tr", { hasText: column }).locator("select");
    await field("支付金额").waitFor();
    assert.equal(await field("支付金额").inputValue(), "amount");
    // Names and accounts of a file that waits are not shown to everybody.
    assert.doesNotMatch(await page.locator(".examples").allTextContents().then(String), /一号公司|62220000/);
    await field("备注").selectOption("purpose");
    const missing = page.locator(".form label", { hasText: "必填" });
    await missing.first().waitFor();
    const values = { fiscal_year: "2026", region_code: "380100000", unit_code: "380100105001", purpose: "货款" };
    for (;;) {
      const open = await missing.locator("input").evaluateAll((fields) => fields.map((one) => one.name));
      if (open.length === 0) break;
      await page.locator(`input[name=${open[0]}]`).fill(values[open[0]] ?? "30201");
      await page.keyboard.press("Tab");
      await page.waitForFunction(
        (name) =>
          ![...document.querySelectorAll(".form label .trouble")].some(
            (one) => one.closest("label").querySelector("input").name === name,
          ),
        open[0],
      );
    }
    await page.getByText("1 行读为业务，1 行不能读").waitFor();
    await page.locator(".trouble", { hasText: "amount" }).waitFor();
    await accessible(page, "map editor");
    const [saved] = await Promise.all([
      page.waitForEvent("download"),
      page.locator(".is-main", { hasText: "下载" }).click(),
    ]);
    const map = readFileSync(await saved.path(), "utf8");
    assert.match(map, /支付金额: amount/);
    assert.match(map, /备注: purpose/);
    // Whoever has a sample chooses it, and sees what is in it. What is said of it is what the command says.
    await page.goto("/sources/map");
    await page.setInputFiles("input[type=file]", { name: "三月.csv", mimeType: "text/csv", buffer: Buffer.from(text) });
    await page.locator(".examples", { hasText: "一号公司" }).waitFor();
    assert.equal(await field("收款人账号").inputValue(), "payee_account");
    await judge(page, own);
    await page.context().close();
  } finally {
    await own.end();
  }
});

test("a question in plain words: completed while it is typed, answered with its query, asked back when it is not clear", async () => {
  const page = await officer(chrome, daemon);
  await page.goto("/ask");
  const field = page.locator(".ask-field input");
  await field.fill("最大的支付");
  await page.locator('[role="option"]').first().waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(/question=payments-largest/);
  await page.locator(".ask-answer tbody tr").first().waitFor();
  const { sql, rows } = await daemon.post("/ask", { question: "payments-largest" });
  assert.equal(await page.locator(".ask-answer tbody tr").count(), rows.length);
  await page.locator(".ask-query summary").click();
  assert.equal(await page.locator(".ask-query code").innerText(), sql);
  await field.fill("各单位的执行率");
  await field.press("Enter");
  await page.waitForURL(/\?q=/);
  await page.locator(".ask-bar").first().waitFor();
  assert.match(await page.locator("tbody").innerText(), /%/);
  await page.goto(`/ask?q=${encodeURIComponent("今天天气怎么样")}`);
  await page.locator(".ask-list a").first().waitFor();
  assert.equal(await page.locator(".ask-list li").count(), 3);
  // A browser that cannot listen has no button for it.
  const hears = await page.evaluate("!!(window.SpeechRecognition || window.webkitSpeechRecognition)");
  assert.equal(await page.locator(".ask-box [aria-pressed]").count(), hears ? 1 : 0);
  await judge(page, daemon);
  await page.context().close();
});

test("on paper there are rows and no tools", async () => {
  const page = await officer(chrome, daemon);
  await page.goto("/alerts?state=all");
  await rowsOf(page).first().waitFor();
  await page.emulateMedia({ media: "print" });
  assert.ok(await rowsOf(page).first().isVisible());
  for (const tool of [".top", ".nav", ".filters", ".tabs"])
    assert.equal(await page.locator(tool).isVisible(), false, tool);
  await page.context().close();
});

test("money is exact in yuan and rounded in ten thousands", async () => {
  const page = await officer(chrome, daemon);
  await page.goto(`/budget/${line}`);
  const { total } = await daemon.get(`/budget-lines/${line}`);
  const yuan = total.replace(/\B(?=(\d{3})+\.)/g, ",");
  await page.locator(".balances dd").first().waitFor();
  assert.equal(await page.locator(".balances dd").first().textContent(), yuan);
  await page.locator(".top .segments button").nth(1).click();
  assert.equal(await page.locator(".balances dd").first().textContent(), (Number(total) / 10_000).toFixed(2));
  await page.context().close();
});

test("who has to sign in sees nothing before, acts in their own name, and signs out", async () => {
  const closed = await Daemon.start({ auth: true });
  try {
    const page = await officer(chrome, closed);
    await page.goto("/silences?new=rule%3D%22no-budget%22");
    await page.locator(".sign-in").waitFor();
    await accessible(page, "sign-in");
    assert.equal(await page.locator(".nav").count(), 0);
    await page.keyboard.type("wangfang");
    await page.keyboard.press("Tab");
    await page.keyboard.type("wrong");
    await page.keyboard.press("Enter");
    await page.locator(".sign-in .trouble").waitFor();
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press("Enter");
    await page.locator(".who", { hasText: "wangfang" }).waitFor();
    await page.locator(".form label.is-wide input").fill("盘点");
    await page.locator(".form button[type=submit]").click();
    await page.locator(".table tbody tr", { hasText: "wangfang" }).waitFor();
    await page.reload();
    await page.locator(".who button").click();
    await page.locator(".sign-in").waitFor();
    await page.context().close();
    await approves(closed);
    await secondFactor(closed);
    await manages(closed);
    await audits(closed);
  } finally {
    await closed.end();
  }
});

async function signIn(closed, name, path) {
  const page = await officer(chrome, closed);
  await page.goto(path);
  await page.locator("input[name=user]").fill(name);
  await page.locator("input[name=password]").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.locator(".who", { hasText: name }).waitFor();
  return page;
}

/** One tries another constant and proposes it, another approves it; it is in force without a restart. */
async function approves(closed) {
  const author = await signIn(closed, "zhaomin", "/rules/large-cash");
  await author.locator("#lab-limit").fill("12345");
  await author.locator(".lab button[type=submit]").click();
  await author.locator("button", { hasText: "提请启用这组参数" }).click();
  await author.locator("textarea[name=reason]").fill("按五月通知下调");
  await accessible(author, "a proposal");
  await author.locator(".propose button[type=submit]").click();
  await author.locator("[role=status] a[href='/rule-sets']").click();
  const own = author.locator(".rule-set", { hasText: "按五月通知下调" });
  await own.getByText("须由他人批准").waitFor();
  assert.equal(await own.locator("button").count(), 0);
  await author.context().close();

  const approver = await signIn(closed, "huanglei", "/rule-sets");
  const set = approver.locator(".rule-set", { hasText: "按五月通知下调" });
  await set.getByText("12345").waitFor();
  await accessible(approver, "rule sets");
  for (const act of ["批准", "启用"]) {
    await set.locator(".is-main", { hasText: act }).click();
    await set.locator(".is-main", { hasText: "确认" }).click();
    await set.locator(".is-main", { hasText: "确认" }).waitFor({ state: "detached" });
  }
  await set.locator(".tag", { hasText: "生效中" }).waitFor();
  await approver.goto("/rules/large-cash");
  await approver.getByText("$limit = 12345").first().waitFor();
  await judge(approver, daemon);
  await approver.context().close();
}

/** The code of a secret at this minute (RFC 6238). */
function codeOf(secret) {
  const bits = [...secret].map((sign) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(sign).toString(2).padStart(5, "0"));
  const key = Buffer.from(
    bits
      .join("")
      .match(/.{8}/g)
      .map((byte) => parseInt(byte, 2)),
  );
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac("sha1", key).update(step).digest();
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

/** Who must have a second factor sets it up before anything is shown, and needs its code from then on. */
async function secondFactor(closed) {
  execFileSync(binaryPath, ["user", "totp", "--require", "wangfang"], { cwd: closed.home, stdio: "pipe" });
  const page = await officer(chrome, closed);
  await page.goto("/");
  await page.locator("input[name=user]").fill("wangfang");
  await page.locator("input[name=password]").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.locator("h1", { hasText: "设置动态口令" }).waitFor();
  assert.equal(await page.locator(".nav").count(), 0);
  await page.locator("input").fill(PASSWORD);
  await page.keyboard.press("Enter");
  const secret = await page.locator(".made code").textContent();
  await accessible(page, "second factor");
  await page.locator("input").fill(codeOf(secret));
  await page.keyboard.press("Enter");
  await page.locator(".who button").click();
  await page.locator("input[name=user]").fill("wangfang");
  await page.locator("input[name=password]").fill(PASSWORD);
  await page.keyboard.press("Enter");
  // A code is taken once; a wrong one is refused in words.
  await page.locator("input[name=totp]").fill("000000");
  await page.keyboard.press("Enter");
  await page.locator(".sign-in .trouble").waitFor();
  assert.equal(await page.locator(".nav").count(), 0);
  await page.context().close();
}

/** Whoever manages users adds one, takes their role away, and makes a token; payments are not offered. */
async function manages(closed) {
  // The first screen is not theirs: they begin with the first that is.
  const page = await signIn(closed, "sunwei", "/");
  await page.waitForURL("**/users");
  assert.equal(await page.locator(".no-auth").count(), 0);
  assert.equal(await page.locator('.nav a[href="/alerts"]').count(), 0);
  await page.locator(".row-of-tools button").click();
  await page.locator(".form input").first().fill("liqiang");
  await page.locator(".form input[type=password]").fill("short");
  await page.locator(".form button[type=submit]").click();
  // What is wrong is said, and what was typed is kept.
  await page.locator(".form .trouble").waitFor();
  assert.equal(await page.locator(".form input").first().inputValue(), "liqiang");
  await page.locator(".form input[type=password]").fill(`${PASSWORD}-2`);
  await accessible(page, "a user to be added");
  await page.locator(".form button[type=submit]").click();
  const row = page.locator("tbody tr", { hasText: "liqiang" });
  await row.locator("button").click();
  await page.locator(".form-foot button", { hasText: "停用" }).click();
  await row.locator(".trouble", { hasText: "已停用" }).waitFor();
  await page.goto("/users?tab=tokens");
  await page.locator(".form input").first().fill("prometheus");
  await page.locator(".form button[type=submit]").click();
  const token = await page.locator(".made code").textContent();
  assert.match(token, /^fw_/);
  const sends = { headers: { authorization: `Bearer ${token}` } };
  assert.equal((await fetch(`${closed.api}/api/v1/users`, sends)).status, 403);
  await page.context().close();
}

/** The auditor finds who did that, and that the log is whole. */
async function audits(closed) {
  const page = await signIn(closed, "chenjing", "/audit?action=users.*");
  await page.locator("tbody tr", { hasText: "liqiang" }).first().waitFor();
  const rows = await page.locator("tbody tr").allTextContents();
  assert.ok(
    rows.some((text) => text.includes("sunwei") && text.includes("停用用户")),
    rows.join("\n"),
  );
  await page.locator(".panel-head button").click();
  await page.locator("[role=status] strong", { hasText: "未见改动" }).waitFor();
  await page.locator("tbody a", { hasText: "sunwei" }).first().click();
  await page.waitForURL("**/audit?*who=sunwei*");
  await accessible(page, "audit");
  await page.context().close();
}

test("the demo: anybody is somebody by one click, and a tour leads through", async () => {
  const port = await freePort();
  const demo = spawn(binaryPath, ["demo", "--lang", "zh", "--listen", `127.0.0.1:${port}`, "--pace", "2"], {
    stdio: "ignore",
  });
  process.once("exit", () => demo.kill("SIGKILL"));
  try {
    const base = `http://127.0.0.1:${port}`;
    for (let tries = 0; !(await fetch(`${base}/-/ready`).catch(() => null))?.ok; tries += 1) {
      assert.ok(tries < 200 && demo.exitCode === null, "the demo does not start");
      await new Promise((done) => setTimeout(done, 100));
    }
    const page = await officer(chrome, { base });
    await page.goto("/");
    await page.locator(".offers button", { hasText: "安全管理员" }).click();
    await page.locator(".who", { hasText: "孙伟" }).waitFor();
    assert.equal(await page.locator('.nav a[href="/payments"]').count(), 0);
    await page.locator(".offers button", { hasText: "监控人员" }).click();
    await page.locator(".who", { hasText: "王芳" }).waitFor();
    await page.locator('.nav a[href="/payments"]').waitFor();
    await accessible(page, "demo");
    await page.locator(".panel-head button", { hasText: "导览" }).click();
    for (const path of [
      "/",
      "/alerts",
      "/alerts?state=open&sort=severity",
      "/budget?view=map",
      "/payments?type=payment",
    ]) {
      await page.waitForURL(`${base}${path}`);
      await page.locator(".tour .is-main").click();
    }
    assert.equal(await page.locator(".tour").count(), 0);
    await page.context().close();
  } finally {
    demo.kill("SIGKILL");
  }
});
