// The pictures of the documentation: every screen in three widths, as WebP, small.
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { browser, officer } from "./browser.mjs";
import { Daemon, applications, cash, indicators, suspicious, treasury } from "./daemon.mjs";

const out = fileURLToPath(new URL("../../docs/pictures/console/", import.meta.url));
/** Width, height, and how much smaller the picture is: a page shows three beside each other. */
const WIDTHS = [
  [1440, 900, 0.66],
  [1024, 768, 0.72],
  [360, 740, 1],
];
/** A file as another system writes it. */
const SAMPLE = {
  name: "支付凭证三月.csv",
  mimeType: "text/csv",
  buffer: Buffer.from(
    [
      "凭证号,支付日期,指标编号,年度,区划,预算单位编码,功能分类,经济分类,收款人全称,收款人账号,用途,支付金额(元)",
      "V1,2026/03/05,ZB2026-380100105001-001,2026,380100000,380100105001,2050101,30201,宁山市天宏信息技术有限公司,6222800000000002,办公设备维护费,1200.00",
      "V2,2026/03/06,ZB2026-380100105001-002,2026,380100000,380100105001,2050101,30206,南浦市龙凯物业服务有限公司,6222800000000003,物业费,18500.00",
    ].join("\n"),
  ),
};
const TOGETHER_MAX = 1_800_000;

/** `SPEAK=en PNG=folder` takes pictures to be looked at by hand, and leaves those of the documentation. */
const language = process.env.SPEAK ?? "zh";
const daemon = await Daemon.start({ language });
const chrome = await browser();
try {
  await daemon.feed([...treasury(), ...indicators(), ...cash(24), ...suspicious(40)]);
  for (const application of applications()) await daemon.post("/decide", application);
  await fetch(`${daemon.api}/api/v1/events`, {
    method: "POST",
    body: '{"event_id":"K1","type":"payment","amount":"壹万元"}\n{"event_id":"K2"',
  });
  const { alerts } = await daemon.get("/alerts?state=active&limit=40&rule=large-cash");
  const [first] = alerts;
  for (const { alert_id } of alerts.slice(0, 6))
    await daemon.post(`/alerts/${alert_id}/transitions`, { action: "acknowledge", who: "王芳", why: "已联系单位" });
  await daemon.post(`/alerts/${first.alert_id}/transitions`, {
    action: "confirm",
    who: "王芳",
    why: "备用金超过限额，单位已承认",
  });
  await daemon.post(`/alerts/${alerts[1].alert_id}/transitions`, {
    action: "dismiss",
    who: "李强",
    why: "经批准的抢险备用金",
  });
  await daemon.post("/silences", {
    matchers: ['rule="large-cash"', 'unit_code=~"3801.*"'],
    duration: "2h",
    author: "王芳",
    reason: "盘点期间",
  });
  // A rule that was tried, for whoever comes later to its lab.
  await daemon.post("/backtests", { rule: "large-cash", params: { limit: "12000" } });
  // One set of rules in force, one that waits for another person.
  const proposed = [];
  for (const [limit, reason] of [
    ["15000", "按五月通知下调现金限额"],
    ["12000", "试点单位反映误报偏多，先下调观察一个月"],
  ])
    proposed.push(await daemon.post("/rule-sets", { reason, who: "赵敏", params: { "large-cash": { limit } } }));
  for (const step of ["approval", "force"])
    await daemon.post(`/rule-sets/${proposed[0].digest}/${step}?who=${encodeURIComponent("黄磊")}`, {});
  const line = "ZB2026-380100105001-001";
  for (const [amount, reason] of [
    ["120000.00", "县里第 12 号文：追加防汛经费"],
    ["2500000.00", "人大批准的年中调整"],
  ])
    await daemon.post("/approvals", {
      kind: "budget",
      reason,
      who: "王芳",
      actions: [{ action: "supplement", budget_line_id: line, amount }],
    });
  // What the rules of today say of it is what they said then.
  const grave = (await daemon.get("/alerts?state=active&limit=1&rule=large-cash-critical")).alerts[0].alert_id;
  const event = (await daemon.get(`/alerts/${grave}`)).findings[0].event_id;
  const month = new Date().toISOString().slice(0, 7);
  const screens = {
    today: "/",
    inbox: "/alerts",
    alert: `/alerts/${grave}`,
    budget: "/budget",
    unit: "/units/380100105001",
    line: `/budget/${line}`,
    payments: "/payments?type=payment",
    payment: `/payments/${event}?rule=large-cash-critical`,
    payees: "/payees",
    payee: "/payees/P0-0",
    map: "/budget?view=map&by=unit",
    decisions: "/decisions",
    decision: "/decisions/SQ-beyond",
    audit: "/audit",
    users: "/users?tab=tokens",
    rules: "/rules",
    rule: "/rules/large-cash",
    "rule-sets": "/rule-sets",
    approvals: "/approvals",
    works: "/works",
    lab: "/rules/large-cash/lab",
    results: "/results",
    reports: `/reports?month=${month}`,
    ask: `/ask?q=${encodeURIComponent("各单位今年的执行率")}`,
    questions: "/ask",
    silences: '/silences?new=rule%3D"no-budget"',
    notifications: "/notifications",
    routes: "/routes?labels=rule%3Dlarge-cash%0Aseverity%3Dhigh",
    quarantine: "/quarantine",
    sources: "/sources",
    "map-editor": "/sources/map",
  };
  // `ONLY=payees,routes` takes some and leaves the others.
  const only = process.env.ONLY?.split(",");
  for (const name of Object.keys(screens)) if (only && !only.includes(name)) delete screens[name];
  if (!only && language === "zh") rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  let together = 0;
  for (const [width, height, scale] of WIDTHS) {
    const page = await officer(chrome, daemon, { name: "王芳", width, height, language });
    const protocol = await page.context().newCDPSession(page);
    for (const [name, path] of Object.entries(screens)) {
      await page.goto(path);
      if (name === "map-editor") await page.setInputFiles("input[type=file]", SAMPLE);
      await page.waitForTimeout(1_200);
      const { data } = await protocol.send("Page.captureScreenshot", {
        format: "webp",
        quality: 28,
        clip: { x: 0, y: 0, width, height, scale },
      });
      const file = `${out}${name}-${width}.webp`;
      if (language === "zh") writeFileSync(file, Buffer.from(data, "base64"));
      // What is looked at by hand.
      if (process.env.PNG) await page.screenshot({ path: `${process.env.PNG}/${name}-${width}.png` });
    }
    await page.context().close();
  }
  for (const file of readdirSync(out)) together += statSync(out + file).size;
  console.log(`${Object.keys(screens).length * WIDTHS.length} pictures, ${together} bytes`);
  if (together > TOGETHER_MAX)
    throw new Error(`the pictures are ${together} bytes together; at most ${TOGETHER_MAX} are wanted`);
} finally {
  await chrome.close();
  await daemon.end();
}
