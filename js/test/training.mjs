// L5 for Node and browsers: MNIST from scratch through load(), as pages do it.
import { check } from "./levels.mjs";
import { convNet, dataSets, untrained } from "./nets.mjs";

const RATES = [0.002, 0.001, 0.0003]; // by epoch
const EPOCHS = RATES.length;

export async function trainMnist(mge, bytes, options = {}) {
  const { train, test } = dataSets(bytes);
  const engine = await mge.init({ threads: 1 });
  const model = await mge.load(untrained(engine, convNet), options);
  const trainer = await model.trainable({ loss: "crossEntropy", optimizer: new mge.Adam({ lr: RATES[0] }) });
  check(trainer.info.weights.reduce((n, w) => n + w.shape.reduce((a, b) => a * b, 1), 0) === 33194, "33,194 weights");
  let batches = 0;
  const epochs = [];
  const controller = new AbortController();
  const fit = (start) =>
    trainer.fit(train, {
      start,
      epochs: EPOCHS,
      batchSize: 50,
      scale: { data: 1 / 255 },
      validation: test,
      signal: start ? undefined : controller.signal,
      onBatchEnd: () => ++batches === 10 && !start && controller.abort(),
      onEpochEnd: (e) => trainer.setLearningRate(RATES[epochs.push(e)] ?? 1e-6),
    });
  const stopped = await fit();
  check(stopped.epoch === 0 && stopped.batch >= 10 && stopped.batch < 40, `stopped at ${JSON.stringify(stopped)}`);
  await fit(stopped);
  const accuracy = epochs.at(-1).validation.accuracy;
  check(epochs.length === EPOCHS && accuracy > 0.97, `accuracy ${epochs.map((e) => e.validation.accuracy)}`);
  check(batches === EPOCHS * Math.floor(train.target.shape[0] / 50), `${batches} batches`);
  // What is saved is what was trained.
  const again = await mge.load(await trainer.saveMge(), options);
  const some = { data: { data: Float32Array.from(test.inputs.data.data.subarray(0, 7840), (v) => v / 255), shape: [10, 1, 28, 28] } };
  const [a, b] = [await trainer.run(some), await again.run(some)].map((r) => Object.values(r)[0].data);
  check(a.every((v, i) => Math.abs(v - b[i]) < 1e-5), "the saved model gives other numbers");
  for (const o of [again, trainer, model]) await o.dispose();
  return { accuracy, imagesPerSecond: epochs.at(-1).imagesPerSecond };
}
