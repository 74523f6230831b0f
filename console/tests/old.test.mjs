// The same console in a browser of 2021: every screen, and the way of an officer.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fits } from "./browser.mjs";
import { Daemon, applications, cash, indicators, suspicious, treasury } from "./daemon.mjs";
import { oldPage } from "./old.mjs";
import { LINE, screensOf } from "./screens.mjs";

let daemon;
let old;

before(async () => {
  daemon = await Daemon.start();
  await daemon.feed([...treasury(), ...indicators(), ...cash(24), ...suspicious(20)]);
  for (const application of applications()) await daemon.post("/decide", application);
  old = await oldPage();
});

after(async () => {
  await old?.end();
  await daemon?.end();
});

// The driver's own notion of what is visible needs a newer browser, so that the page is asked.
const until = (page, what, arg) => page.waitForFunction(what, arg, { polling: 100 });

test("Chromium 91 shows every screen and says no error", async () => {
  const { page } = old;
  await page.goto(`${daemon.base}/`);
  assert.match(await page.evaluate(() => navigator.userAgent), /Chrome\/91\./);
  for (const [name, path] of Object.entries(await screensOf(daemon))) {
    await page.goto(daemon.base + path);
    await until(page, () => document.querySelector("h1, .empty") && !document.querySelector(".loading"));
    await fits(page, name);
    const text = await page.evaluate(() => document.querySelector("#app").innerText);
    assert.doesNotMatch(text, /undefined|NaN|\[object/, name);
  }
  // Chromium of that year styles a <datalist> by an inline style of its own, and then refuses it.
  const own = /404|sha256-pILX\+5FGCpLRHvNBgtABIdSMmytrYudGxJBUYXY1t0s=/;
  const said = page.said.filter((text) => !own.test(text));
  assert.deepEqual(said, []);
});

test("Chromium 91 draws a curve, and an officer works an alert by keyboard", async () => {
  const { page } = old;
  await page.goto(`${daemon.base}/budget/${LINE}`);
  await until(page, () => document.querySelector(".curve canvas")?.width > 0);
  await page.goto(`${daemon.base}/alerts?state=open&rule=large-cash`);
  await until(page, () => document.querySelector(".row.is-cursor"));
  const id = await page.evaluate(() => document.querySelector(".row.is-cursor").dataset.id);
  await page.keyboard.press("c");
  await until(page, () => document.activeElement?.getAttribute("name") === "who");
  await page.keyboard.type("王芳");
  await page.keyboard.press("Tab");
  await until(page, () => document.activeElement?.tagName === "TEXTAREA");
  await page.keyboard.type("单位已承认");
  await page.keyboard.press("Enter");
  for (let tries = 0; (await daemon.get(`/alerts/${id}`)).alert.state !== "confirmed"; tries += 1) {
    assert.ok(tries < 100, "the verdict does not come");
    await new Promise((done) => setTimeout(done, 100));
  }
});
