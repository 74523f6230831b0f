// Chromium 91, as old as what many government desktops have (360, 奇安信 and 红莲花 of 2021): the npm package has it.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { chromium } from "playwright-core";

/** Unpacks it once; the folder is of one version. */
function unpacked() {
  const there = join(tmpdir(), "fiscwatch-chromium-91");
  if (existsSync(join(there, "chromium"))) return there;
  const packed = join(dirname(createRequire(import.meta.url).resolve("chrome-aws-lambda")), "../bin");
  const making = mkdtempSync(join(tmpdir(), "fiscwatch-chromium-"));
  const unpack = (name) => brotliDecompressSync(readFileSync(join(packed, `${name}.br`)));
  writeFileSync(join(making, "chromium"), unpack("chromium"));
  chmodSync(join(making, "chromium"), 0o755);
  for (const name of ["swiftshader.tar", "aws.tar"]) {
    writeFileSync(join(making, name), unpack(name));
    execFileSync("tar", ["-xf", name], { cwd: making });
    rmSync(join(making, name));
  }
  renameSync(making, there);
  return there;
}

/** One page in it. It is one process with one context, so there is no second one. */
export async function oldPage({ width = 1440, height = 900 } = {}) {
  const folder = unpacked();
  const profile = mkdtempSync(join(tmpdir(), "fiscwatch-profile-"));
  mkdirSync(profile, { recursive: true });
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: join(folder, "chromium"),
    args: ["--no-sandbox", "--no-zygote", "--single-process", "--disable-dev-shm-usage", "--disable-gpu"],
    env: { ...process.env, LD_LIBRARY_PATH: join(folder, "lib") },
    viewport: { width, height },
  });
  context.setDefaultTimeout(15_000);
  const page = context.pages()[0] ?? (await context.newPage());
  page.said = [];
  page.on("console", (message) => message.type() === "error" && page.said.push(message.text()));
  page.on("pageerror", (error) => page.said.push(error.stack));
  const end = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { page, end };
}
