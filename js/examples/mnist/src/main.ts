// Training and recognizing digits.
import { load, type EpochEnd, type Model, type Progress, type RemoteModel, type RemoteTrainer } from "mge.js";
import { Chart } from "./chart.js";
import { drawDigit, feed, fit, loadDigits, pictureInput, probabilities, type Digits } from "./digits.js";
import { takeFirst } from "./first.js";
import { onLanguage, t } from "./i18n.js";
import { $, onFile, parsed, setText, startPage, words } from "./page.js";
import { Pad } from "./pad.js";

type Picture = NonNullable<ReturnType<typeof pictureInput>>;
interface Session {
  bytes: () => Promise<Uint8Array>;
  input: Picture;
  /** In this thread: the first model, until it is in the Worker as well. */
  here?: Model;
  far?: Promise<RemoteModel>;
  trainer?: RemoteTrainer;
  /** Where fit() stopped. */
  at?: { epoch: number; batch: number };
}

const EXAMPLES = 100;
const value = (id: string) => $<HTMLInputElement | HTMLSelectElement>(id).value;
const files: Record<string, () => Promise<Uint8Array>> = {};
for (const name of ["lenet", "convnet", "densenet"]) {
  files[name] = async () => new Uint8Array(await (await fetch(`./${name}.mge`)).arrayBuffer());
}

let answered!: () => void;
/** After the first prediction: what can wait for it. */
const later = new Promise<void>((done) => (answered = done));
await parsed;
startPage(later);
const lossChart = new Chart($("#loss-chart"), { after: later });
const accuracyChart = new Chart($("#accuracy-chart"), { after: later, max: 1, format: (v) => `${Math.round(100 * v)}%` });
const pad = new Pad($("#pad"), () => void recognize());
let session: Session | undefined;
let data: { train: Digits; test: Digits } | undefined;
let dataFile = "";
let stop: AbortController | undefined;
let status: () => string = () => "";
let results: { labels: Uint8Array; rows: number[][]; total: number; right: number; matrix: number[][] } | undefined;

function say(text: () => string, error = false): void {
  status = text;
  setText("#status", text(), error);
}
const percent = (v: number) => `${(100 * v).toFixed(2)}%`;

// --- recognizing

const bars = Array.from({ length: 10 }, (_, i) => {
  const li = document.createElement("li");
  const [digit, meter, number] = [document.createElement("span"), document.createElement("meter"), document.createElement("span")];
  digit.textContent = String(i);
  meter.max = 1;
  meter.setAttribute("aria-label", String(i));
  li.append(digit, meter, number);
  $("#bars").append(li);
  return { li, meter, number };
});

/** The outputs of the model as it is now: rows of ten. */
async function predict(s: Session, images: Uint8Array): Promise<number[][]> {
  const feeds = { [s.input.name]: feed(images, s.input) };
  const out = Object.values(await (s.trainer ?? s.here ?? (await inWorker(s))).run(feeds))[0];
  const n = images.length / 784;
  const classes = out.data.length / n;
  return Array.from({ length: n }, (_, i) => probabilities(out.data.subarray(i * classes, (i + 1) * classes)));
}

let busy = false;
let again = false;
async function recognize(): Promise<void> {
  if (busy || !session) {
    again = true;
    if (!session) pad.digit(); // while the model is on its way
    return;
  }
  busy = true;
  again = false;
  const digit = pad.digit();
  try {
    const began = performance.now();
    const p = digit ? (await predict(session, digit))[0] : new Array<number>(10).fill(0);
    const best = digit ? p.indexOf(Math.max(...p)) : -1;
    $("#answer").textContent = best < 0 ? "–" : String(best);
    bars.forEach((b, i) => {
      b.meter.value = p[i] ?? 0;
      b.number.textContent = `${(100 * (p[i] ?? 0)).toFixed(1)}%`;
      b.li.classList.toggle("best", i === best);
    });
    if (digit) {
      $("#latency").textContent = t("tookMs", (performance.now() - began).toFixed(1));
      document.documentElement.dataset.firstPrediction ??= performance.now().toFixed(0);
    }
  } catch (e) {
    say(() => words(e), true);
  } finally {
    busy = false;
    answered();
    if (again) requestAnimationFrame(() => void recognize());
  }
}

// --- models

function inWorker(s: Session): Promise<RemoteModel> {
  return (s.far ??= s.bytes().then(async (bytes) => {
    const model = await load(bytes);
    s.here?.dispose();
    delete s.here;
    return model;
  }));
}

async function open(bytes: Session["bytes"]): Promise<Session> {
  const model = await load(await bytes());
  const input = pictureInput(model.inputs);
  if (input) return { bytes, input, far: Promise.resolve(model) };
  await model.dispose();
  throw new Error(t("badFile"));
}

async function openFirst(): Promise<Session> {
  const here = await takeFirst();
  return { bytes: files.lenet, input: pictureInput(here.inputs)!, here };
}

async function use(next: Promise<Session>): Promise<void> {
  stop?.abort();
  const s = await next;
  await session?.trainer?.dispose();
  session?.here?.dispose();
  await (await session?.far)?.dispose();
  session = s;
  lossChart.clear();
  accuracyChart.clear();
  for (const id of ["#last-loss", "#last-accuracy"]) $(id).textContent = "–";
  $<HTMLProgressElement>("#progress").value = 0;
  $("#speed").textContent = "";
  $("#start").dataset.state = "";
  showStart();
  void recognize();
  if (data) await showExamples(true);
}

function showStart(): void {
  $("#start").textContent = t(session?.at ? "resume" : "start");
}

// --- test digits

const makeExample = () => {
  const li = document.createElement("li");
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 28;
  canvas.setAttribute("aria-hidden", "true");
  const caption = document.createElement("span");
  li.append(canvas, caption);
  $("#examples").append(li);
  return { canvas, caption, index: -1 };
};
const examples: ReturnType<typeof makeExample>[] = [];

async function showExamples(everything: boolean): Promise<void> {
  const s = session;
  const test = data?.test;
  if (!s || !test) return;
  // Rounds of 100, and between them whatever else the page wants.
  const n = everything ? test.count : EXAMPLES;
  const matrix = Array.from({ length: 10 }, () => new Array<number>(10).fill(0));
  let right = 0;
  let first: number[][] = [];
  for (let from = 0; from < n; from += EXAMPLES) {
    const rows = await predict(s, test.images.subarray(784 * from, 784 * Math.min(n, from + EXAMPLES)));
    if (session !== s) return;
    if (from === 0) first = rows;
    rows.forEach((p, i) => {
      const best = p.indexOf(Math.max(...p));
      const label = test.labels[from + i];
      if (matrix[label]?.[best] !== undefined) ++matrix[label][best];
      right += best === label ? 1 : 0;
    });
  }
  results = { labels: test.labels, rows: first, total: everything ? n : 0, right, matrix };
  showResults();
}

function showResults(): void {
  if (!results || !data) return;
  const { labels, rows, total, right, matrix } = results;
  $("#examples").classList.add("shown");
  while (examples.length < EXAMPLES) examples.push(makeExample());
  examples.forEach((e, i) => {
    if (!rows[i]) return;
    const best = rows[i].indexOf(Math.max(...rows[i]));
    e.caption.textContent = `${t("predicted")}: ${best}`;
    e.caption.className = best === labels[i] ? "right" : "wrong";
    if (e.index === i && e.canvas.dataset.file === dataFile) return;
    e.index = i;
    e.canvas.dataset.file = dataFile;
    drawDigit(e.canvas, data!.test.images.subarray(784 * i, 784 * (i + 1)));
  });
  if (total === 0) return;
  delete $("#final").dataset.t;
  $("#final").textContent = t("finalAccuracy", percent(right / total), total);
  const table = $<HTMLTableElement>("#confusion");
  for (const part of [...table.querySelectorAll("thead, tbody")]) part.remove();
  const row = (to: HTMLElement, head: string, cells: (string | number)[], cell: "td" | "th", diagonal = -1) => {
    const tr = document.createElement("tr");
    const th = document.createElement(head === "" ? "td" : "th");
    if (head !== "") th.setAttribute("scope", "row");
    th.textContent = head;
    tr.append(th);
    cells.forEach((v, i) => {
      const td = document.createElement(cell);
      if (cell === "th") td.setAttribute("scope", "col");
      td.textContent = String(v);
      if (i === diagonal) td.className = "diagonal";
      tr.append(td);
    });
    to.append(tr);
  };
  row(table.createTHead(), "", [...matrix.keys()], "th");
  const body = table.createTBody();
  matrix.forEach((cells, i) => row(body, String(i), cells, "td", i));
}

// --- training

function settings() {
  const form = $<HTMLFormElement>("#settings");
  if (!form.reportValidity()) return null;
  const lr = Number(value("#rate"));
  const kind = value("#optimizer") as "sgd" | "adam" | "rmsprop";
  return { epochs: Number(value("#epochs")), batchSize: Number(value("#batch")), optimizer: { kind, lr, momentum: kind === "sgd" ? 0.9 : 0 } };
}

function setTraining(on: boolean): void {
  for (const id of ["#model", "#optimizer", "#batch", "#data", "#start"]) $<HTMLButtonElement>(id).disabled = on;
  $<HTMLButtonElement>("#stop").disabled = !on;
  document.documentElement.dataset.training = String(on);
}

async function ensureData(): Promise<{ train: Digits; test: Digits }> {
  const file = value("#data");
  if (data && dataFile === file) return data;
  say(() => t("loading", file));
  const loaded = await loadDigits(`./${file}`, (part) => ($<HTMLProgressElement>("#progress").value = part));
  dataFile = file;
  return (data = loaded);
}

function onBatch(p: Progress, epochs: number): void {
  const step = p.epoch * p.batches + p.batch + 1;
  lossChart.add(step, p.loss);
  $("#last-loss").textContent = p.loss.toFixed(4);
  if (p.accuracy !== undefined) {
    accuracyChart.add(step, p.accuracy);
    $("#last-accuracy").textContent = percent(p.accuracy);
  }
  const part = step / (p.batches * epochs);
  $<HTMLProgressElement>("#progress").value = part;
  say(() => t("training", p.epoch + 1, epochs, p.batch + 1, p.batches, (100 * part).toFixed(1)));
  $("#speed").textContent = `· ${t("speed", Math.round(p.imagesPerSecond))}`;
}

function onEpoch(p: EpochEnd): void {
  const step = (p.epoch + 1) * p.batches;
  if (!p.validation) return;
  lossChart.mark(step, p.validation.loss);
  if (p.validation.accuracy !== undefined) accuracyChart.mark(step, p.validation.accuracy);
}

async function train(): Promise<void> {
  const s = session;
  const o = settings();
  if (!s || !o) return;
  setTraining(true);
  stop = new AbortController();
  const { signal } = stop;
  try {
    const { train: digits } = await ensureData();
    s.trainer ??= await (await inWorker(s)).trainable({ loss: "crossEntropy", optimizer: o.optimizer });
    await s.trainer.setLearningRate(o.optimizer.lr);
    // The last 15 % are for validation.
    const n = Math.floor(0.85 * digits.count);
    const set = (from: number, to: number) => ({
      inputs: { [s.input.name]: fit(digits.images.subarray(784 * from, 784 * to), s.input.side) },
      target: { data: digits.labels.subarray(from, to), shape: [to - from], dtype: "uint8" as const },
    });
    let shown: Promise<void> | undefined;
    const epochs = o.epochs + (s.at && s.at.epoch >= o.epochs ? s.at.epoch : 0);
    s.at = await s.trainer.fit(set(0, n), {
      ...(s.at ? { start: s.at } : {}),
      epochs,
      batchSize: o.batchSize,
      scale: s.input.float ? { [s.input.name]: 1 / 255 } : {},
      validation: set(n, digits.count),
      signal,
      onBatchEnd: (p) => {
        if (session !== s) return;
        onBatch(p, epochs);
        if (p.batch % 10 === 9) {
          shown ??= showExamples(false).finally(() => (shown = undefined));
          void recognize();
        }
      },
      onEpochEnd: onEpoch,
    });
    if (session !== s) return;
    say(() => t("validating"));
    await showExamples(true);
    say(() => t(signal.aborted ? "stopped" : "done"));
    void recognize();
  } catch (e) {
    say(() => words(e), true);
  } finally {
    setTraining(false);
    showStart();
  }
}

async function exportModel(): Promise<void> {
  if (!session) return;
  const bytes = await (session.trainer ?? (await inWorker(session))).saveMge();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes as BlobPart]));
  link.download = "digits.mge";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// --- the page

const guarded = (fn: () => Promise<void>) => () => void fn().catch((e) => say(() => words(e), true));
$("#start").onclick = () => void train();
$("#stop").onclick = () => stop?.abort();
$("#reset").onclick = guarded(async () => {
  if (session) await use(open(session.bytes));
  say(() => t("ready"));
});
$("#clear").onclick = () => pad.clear();
$("#save").onclick = guarded(exportModel);
$("#model").onchange = guarded(() => use(open(files[value("#model")])));
onFile((f) =>
  guarded(async () => {
    const bytes = new Uint8Array(await f.arrayBuffer());
    await use(open(async () => bytes));
    files.file = async () => bytes;
    const option = $<HTMLOptionElement>("#model option[value=file]");
    option.disabled = false;
    $<HTMLSelectElement>("#model").value = "file";
    say(() => `${f.name}: ${t("ready")}`);
  })(),
);
onLanguage(() => {
  setText("#status", status(), $("#status").classList.contains("error"));
  showStart();
  showResults();
});
pad.sample();
guarded(() => use(openFirst()).finally(answered))();
void later.then(() => session && inWorker(session)).catch(() => {}); // told to who asks again
