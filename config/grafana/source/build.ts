// Writes the dashboards as JSON into the folder that is given.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { budget } from './budget.js';
import { daemon } from './daemon.js';
import { monitoring } from './monitoring.js';

const out = process.argv[2] ?? '.';
for (const [name, dashboard] of Object.entries({ budget, monitoring, daemon })) {
  writeFileSync(join(out, `${name}.json`), `${JSON.stringify(dashboard, null, 1)}\n`);
}
