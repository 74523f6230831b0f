// Debian's Chromium, and what holds for every page whatever a test does: nothing is loaded from elsewhere, every address that
// is asked stands in the OpenAPI document, and nothing is said on the error console.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** What is not the API and is asked all the same. */
const FREE = [
  /^\/$/,
  /^\/(alerts|budget|units|payees|payments|decisions|rules|units)(\/[^/]+)?$/,
  /^\/(payees|approvals|works|rule-sets|routes|silences|notifications|results|quarantine|sources|reports|audit|users|ask|nonsense|sign-in|rules|payments|budget)$/,
  /^\/rules\/[^/]+\/lab$/,
  /^\/sources\/map$/,
  /^\/answer(\.css|\/[0-9a-f]{64})$/,
  /^\/assets\//,
  /^\/(app|worker)\.(js|css)$/,
  /^\/manifest\.webmanifest$/,
  /^\/icon\.svg$/,
  /^\/-\/healthy$/,
  /^\/favicon\.ico$/,
];

export async function browser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
}

/** A page of an officer with a browser of their own. */
export async function officer(
  chrome,
  daemon,
  { name = "", width = 1440, height = 900, language = "zh", ...more } = {},
) {
  const context = await chrome.newContext({
    baseURL: daemon.base,
    viewport: { width, height },
    reducedMotion: "reduce",
    ...more,
  });
  context.setDefaultTimeout(10_000);
  await context.addInitScript(
    ([officer, language]) => {
      if (officer) localStorage.setItem("fiscwatch.officer", officer);
      if (language !== "zh") localStorage.setItem("fiscwatch.language", language);
    },
    [name, language],
  );
  const page = await context.newPage();
  page.seen = { asked: new Set(), elsewhere: [], said: [] };
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol === "data:") return;
    if (url.origin !== new URL(daemon.base).origin) page.seen.elsewhere.push(request.url());
    else page.seen.asked.add(`${request.method()} ${url.pathname}`);
  });
  page.on("console", (message) => message.type() === "error" && page.seen.said.push(message.text()));
  page.on("pageerror", (error) => page.seen.said.push(error.stack));
  return page;
}

/** What must hold of everything that a page did; `expected` are errors of the console that the test made on purpose. */
export async function judge(page, daemon, expected = null) {
  assert.deepEqual(page.seen.elsewhere, [], "something was loaded from elsewhere");
  const { paths } = await daemon.get("/openapi.json");
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => [
      method.toUpperCase(),
      new RegExp(`^${path.replace(/\{[^}]+\}/g, "[^/]+")}$`),
    ]),
  );
  const unknown = [...page.seen.asked].filter((asked) => {
    const [method, path] = asked.split(" ");
    return (
      !FREE.some((free) => free.test(path)) && !described.some(([m, pattern]) => m === method && pattern.test(path))
    );
  });
  assert.deepEqual(unknown, [], "these addresses do not stand in the OpenAPI document");
  const said = page.seen.said.filter((text) => !expected?.test(text));
  assert.deepEqual(said, [], "the page says errors");
}

/** Axe finds nothing. */
export async function accessible(page, where) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.map(
    ({ id, nodes }) =>
      `${id}: ${nodes
        .slice(0, 3)
        .map((node) => `${node.target.join(" ")} (${node.any[0]?.message ?? ""})`)
        .join(" | ")}`,
  );
  assert.deepEqual(found, [], `axe on ${where}`);
}

/** Nothing hangs over the right edge. */
export async function fits(page, where) {
  const [wide, seen] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  assert.ok(wide <= seen, `${where} scrolls sideways: ${wide} px of ${seen}`);
}

/** On a phone everything that is touched is at least 44 px in one direction and not less than 24 in the other. */
export async function touchable(page, where) {
  const small = await page.evaluate(() =>
    [...document.querySelectorAll("button, select, input, nav a, .tabs a")]
      .filter((one) => one.offsetParent !== null && !one.closest(".sr"))
      .map((one) => [one, (one.type === "checkbox" ? (one.closest("label") ?? one) : one).getBoundingClientRect()])
      .filter(([, box]) => box.width > 0 && box.height < 43.5)
      .map(
        ([one, box]) =>
          `${one.tagName} ${one.textContent.slice(0, 20)} ${Math.round(box.width)}×${Math.round(box.height)}`,
      ),
  );
  assert.deepEqual(small, [], `too small to touch on ${where}`);
}
