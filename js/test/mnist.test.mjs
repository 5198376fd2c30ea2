import { test } from "node:test";
import * as mge from "mge.js";
import { digits } from "../scripts/mnist.mjs";
import { trainMnist } from "./training.mjs";

test("L5: MNIST from scratch to over 97 %", async (t) => {
  const { accuracy, imagesPerSecond } = await trainMnist(mge, digits(20000, 2000));
  t.diagnostic(`accuracy ${accuracy}, ${imagesPerSecond.toFixed(0)} images per second`);
});
