// The demo site: `node ../../scripts/demo.mjs` makes its data and builds it into dist/.
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
export default {
  root: here("."),
  base: "./",
  resolve: { alias: { "mge.js": here("../../dist/index.js") } },
  worker: { format: "es" },
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    emptyOutDir: true,
    rollupOptions: { input: ["index.html", "regression.html", "model.html"].map(here) },
  },
};
