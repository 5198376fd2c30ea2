// The demo site: `node ../../scripts/demo.mjs` makes its data and builds it into dist/.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Puts a page into layout.html. Its first line names its script; its heading is its title. */
function inLayout(page, { path }) {
  const script = /^<!-- (\S+),/.exec(page)[1];
  const [, key, title] = /<h1 data-t="(\w+)">(.*?)<\/h1>/.exec(page);
  const holes = { script, key, title, main: page.slice(page.indexOf("\n") + 1).trimEnd() };
  return readFileSync(here("layout.html"), "utf8")
    .replace(/\{\{(\w+)\}\}/g, (_, name) => holes[name])
    .replace(`href=".${path}"`, `$& aria-current="page"`);
}

/** The module and the model that the first prediction needs, asked for before any script runs. */
function early(page, { path, bundle }) {
  if (!bundle) return;
  const module = Object.keys(bundle).find((name) => /mge\.simd-(?!threads).*\.wasm$/.test(name));
  const lines = [`./${module}`, "./lenet.mge"].map((href) => `<link rel="preload" as="fetch" crossorigin href="${href}" />`);
  return page.replace("<!-- early -->", path === "/index.html" ? lines.join("\n    ") : "");
}

export default {
  root: here("."),
  base: "./",
  resolve: { alias: { "mge.js": here("../../dist/index.js") } },
  plugins: [
    { name: "layout", transformIndexHtml: { order: "pre", handler: inLayout } },
    { name: "early", transformIndexHtml: { order: "post", handler: early } },
  ],
  worker: { format: "es" },
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    emptyOutDir: true,
    rolldownOptions: {
      input: ["index.html", "regression.html", "model.html"].map(here),
      // One for what pages share, one for each page.
      output: { codeSplitting: { groups: [{ name: "shared", test: /js.dist.(?!mge\.simd)|src.(page|i18n|chart)\.ts$/ }] } },
    },
  },
};
