// load() in Node: the same messages as to a Worker, in this thread.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { test } from "node:test";
import * as mge from "mge.js";

const file = new URL("../../tests/golden/cases/mnist/lenet_u8_28x28/model_v2.mge", import.meta.url);
const zeros = { data: new Uint8Array(784) };

test("from a URL, a path, bytes, an ArrayBuffer and a Blob", async () => {
  const bytes = await readFile(file);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  for (const source of [file, file.pathname, bytes, buffer, new Blob([bytes])]) {
    const model = await mge.load(source);
    assert.deepEqual(model.outputs, ["out_0"]);
    assert.equal((await model.run(zeros)).out_0.data.length, 10);
    await model.dispose();
  }
});

test("errors come back, and later calls work", async () => {
  await assert.rejects(mge.load(new Uint8Array(10)), /model|\.mge/);
  await assert.rejects(mge.load("/no/such/file.mge"), /no\/such\/file/);
  const model = await mge.load(file);
  await assert.rejects(model.run({}), /not fed/);
  await assert.rejects(model.trainable({ loss: "hinge", optimizer: { kind: "sgd", lr: 1 } }), /hinge/);
  assert.equal((await model.run(zeros)).out_0.shape.join(), "1,10");
  await model.dispose();
  await assert.rejects(model.run(zeros), /disposed/);
});

test("info says what runs", async () => {
  const info = await mge.info({ threads: 1 });
  assert.equal(info.isa, "wasm");
  assert.equal(info.where, "thread");
  assert.equal(info.threads, 1);
});

test("require() gives the same functions", async () => {
  const cjs = createRequire(import.meta.url)("mge.js");
  assert.deepEqual(Object.keys(cjs).sort(), Object.keys(mge).sort());
  const model = await cjs.load(file.pathname);
  assert.equal(model.inputs[0].name, "data");
});
