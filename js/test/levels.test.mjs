// The levels in Node, with the build without threads and the one with them.
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as mge from "mge.js";
import { levels } from "./levels.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const read = (path) => readFile(join(root, path));

for (const threads of [1, 2]) {
  describe(`${threads} thread(s)`, async () => {
    const engine = await mge.init({ threads });
    for (const [name, run] of Object.entries(levels)) {
      test(name, async (t) => {
        const said = await run({ mge, engine, read });
        if (said) t.diagnostic(said);
      });
    }
  });
}
