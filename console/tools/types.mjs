// Writes src/api/schema.ts from the daemon's OpenAPI document: a field that is renamed there breaks the build here.
// DAEMON is the daemon's address, or the first argument is a file with the document.
import openapi, { astToString } from "openapi-typescript";
import { readFileSync, writeFileSync } from "node:fs";

const daemon = process.env.DAEMON ?? "http://127.0.0.1:9464";
const file = process.argv[2];
const text = file ? readFileSync(file, "utf8") : await (await fetch(`${daemon}/api/v1/openapi.json`)).text();
const target = new URL("../src/api/schema.ts", import.meta.url);
writeFileSync(target, astToString(await openapi(text)));
