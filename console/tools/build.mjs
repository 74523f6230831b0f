// Builds `dist`: the same source gives the same bytes. `--check` refuses a `dist` that differs from what the source gives.
import { build } from "esbuild";
import { readFileSync, readdirSync, writeFileSync, mkdirSync, rmSync } from "node:fs";
import { brotliCompressSync, brotliDecompressSync, gzipSync } from "node:zlib";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
/** What the script and the texts of one language may weigh as they travel. */
const SCRIPT_MAX = 100 * 1024;

export const options = {
  absWorkingDir: root,
  entryPoints: { app: "src/main.tsx", worker: "src/worker.ts", curves: "src/ui/curves.ts" },
  // What draws curves is loaded by the screens that have some, texts in the language that is set.
  splitting: true,
  chunkNames: "[name]",
  outdir: "dist",
  bundle: true,
  minify: true,
  format: "esm",
  target: "chrome90",
  charset: "utf8",
  legalComments: "none",
  jsx: "automatic",
  jsxImportSource: "preact",
};

/** What is packed by brotli here, so that the daemon needs no packer; what it packs by gzip it packs itself. */
const PACKED = ["app.css", "app.js", "curves.js", "en.js", "zh.js"];

/** What Chrome 90 does not know, and esbuild does not write otherwise. */
const TOO_NEW = [
  ...[
    "\\.at\\(",
    "structuredClone",
    "Object\\.hasOwn",
    "\\.findLast",
    "\\.toSorted",
    "\\.toReversed",
    "checkVisibility",
  ],
  ...["Array\\.fromAsync", "Object\\.groupBy", ":has\\(", "@container", "@layer", "[0-9]dvh"],
].map((name) => new RegExp(name));

/** What is built; `src/http/console.rs` has the same names. */
const BUILT = [...PACKED, "worker.js"];

/** The files of `dist` by name. */
async function files() {
  const { outputFiles } = await build({ ...options, write: false });
  const unexpected = outputFiles
    .map((file) => file.path.slice(dist.length + 1))
    .filter((name) => !BUILT.includes(name));
  if (unexpected.length > 0) throw new Error(`the daemon does not serve ${unexpected.join(", ")}`);
  const made = outputFiles.map((file) => [file.path.slice(dist.length + 1), Buffer.from(file.contents)]);
  const kept = readdirSync(join(root, "public")).map((name) => [name, readFileSync(join(root, "public", name))]);
  const files = new Map([...made, ...kept]);
  for (const name of PACKED) files.set(`${name}.br`, brotliCompressSync(files.get(name)));
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Whether a file of `dist` is the one that was built. Another Node may pack otherwise; what comes out must be the same. */
function isSame(name, bytes) {
  const there = readFileSync(join(dist, name));
  if (!name.endsWith(".br")) return there.equals(bytes);
  try {
    return brotliDecompressSync(there).equals(brotliDecompressSync(bytes));
  } catch {
    return false;
  }
}

async function main() {
  const built = await files();
  for (const [name, bytes] of built) {
    const found = /\.(js|css)$/.test(name) ? TOO_NEW.filter((one) => one.test(bytes.toString("utf8"))) : [];
    if (found.length > 0) {
      console.error(`${name} has ${found.join(", ")}, which Chrome 90 does not know`);
      process.exit(1);
    }
  }
  const packed = (name) => gzipSync(built.get(name), { level: 9 }).length;
  const script = packed("app.js") + Math.max(packed("en.js"), packed("zh.js"));
  if (script > SCRIPT_MAX) {
    console.error(`app.js with its texts is ${script} bytes compressed; at most ${SCRIPT_MAX} are allowed`);
    process.exit(1);
  }
  if (process.argv.includes("--check")) {
    const there = readdirSync(dist);
    const wrong = [...new Set([...there, ...built.keys()])].filter(
      (name) => !built.has(name) || !there.includes(name) || !isSame(name, built.get(name)),
    );
    if (wrong.length > 0) {
      console.error(
        `console/dist is not what the source gives (${wrong.join(", ")}): run \`npm run build\` in console/ and commit it`,
      );
      process.exit(1);
    }
  } else {
    rmSync(dist, { recursive: true, force: true });
    mkdirSync(dist);
    for (const [name, bytes] of built) writeFileSync(join(dist, name), bytes);
  }
  for (const [name, bytes] of built) {
    if (name.endsWith(".br")) continue;
    console.log(
      `${name.padEnd(24)} ${String(bytes.length).padStart(7)}  ${String(gzipSync(bytes, { level: 9 }).length).padStart(6)} compressed`,
    );
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
