// A server for work on the console: builds at each request and asks a running daemon for everything else.
//   DAEMON=http://127.0.0.1:9464 PORT=5173 npm run dev
import { context } from "esbuild";
import { createServer, request } from "node:http";
import { readFileSync } from "node:fs";
import { options } from "./build.mjs";

const daemon = new URL(process.env.DAEMON ?? "http://127.0.0.1:9464");
const port = Number(process.env.PORT ?? 5173);
const made = await context({ ...options, minify: false, sourcemap: "inline", write: false });
const TYPES = {
  js: "text/javascript",
  css: "text/css",
  svg: "image/svg+xml",
  webmanifest: "application/manifest+json",
  html: "text/html",
};
// The same as the daemon says, so that nothing works here only.
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

function pass(from, to) {
  const headers = { ...from.headers, host: daemon.host };
  // The daemon refuses what pages of another origin ask.
  if (headers.origin) headers.origin = daemon.origin;
  const asked = request(
    { host: daemon.hostname, port: daemon.port, method: from.method, path: from.url, headers },
    (answer) => {
      to.writeHead(answer.statusCode, answer.headers);
      answer.pipe(to);
    },
  );
  asked.on("error", () => to.destroy());
  to.on("close", () => asked.destroy());
  from.pipe(asked);
}

createServer(async (from, to) => {
  const path = new URL(from.url, "http://x").pathname;
  if (path.startsWith("/api/") || path.startsWith("/-/") || path === "/metrics") return pass(from, to);
  const name = /\.(js|css|svg|webmanifest|png)$/.test(path) ? path.split("/").pop() : "index.html";
  const type = TYPES[name.split(".").pop()];
  try {
    let bytes;
    if (/\.(js|css)$/.test(name)) {
      const { outputFiles } = await made.rebuild();
      bytes = outputFiles.find((file) => file.path.endsWith(`/${name}`)).contents;
    } else {
      bytes = readFileSync(new URL(`../public/${name}`, import.meta.url));
    }
    to.writeHead(200, {
      "content-type": `${type}; charset=utf-8`,
      "content-security-policy": CSP,
      "cache-control": "no-store",
    });
    to.end(bytes);
  } catch (error) {
    to.writeHead(500, { "content-type": "text/plain; charset=utf-8" });
    to.end(String(error.message ?? error));
  }
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port} in front of ${daemon.origin}`));
