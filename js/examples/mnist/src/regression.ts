// Linear regression: the fitted line moves as it trains.
import { init, SGD, type Engine, type Trainer } from "mge.js";
import { Chart } from "./chart.js";
import { onLanguage, t } from "./i18n.js";
import { $, context, parsed, redrawn, setText, startPage, words } from "./page.js";

await parsed;
startPage();
const chart = new Chart($("#loss-chart"));
const canvas = $<HTMLCanvasElement>("#plot");
const redraw = redrawn(canvas, draw);
let points: [number, number][] = [];
let line = { slope: 0, intercept: 0 };
let engine: Engine | undefined;
let trainer: Trainer | undefined;
let running = false;
let steps = 0;
let status = "";

const edge = 28;
const toX = (w: number, x: number) => edge + ((x + 1.1) / 2.2) * (w - 2 * edge);
const toY = (h: number, y: number) => h - edge - ((y + 2.2) / 4.4) * (h - 2 * edge);

function scatter(): void {
  const [a, b] = [3 * Math.random() - 1.5, Math.random() - 0.5];
  points = Array.from({ length: 40 }, () => {
    const x = 2 * Math.random() - 1;
    return [x, a * x + b + 0.5 * (Math.random() - 0.5)];
  });
  restart();
}

function best(): { slope: number; intercept: number } {
  const n = points.length;
  const mean = (f: (p: [number, number]) => number) => points.reduce((s, p) => s + f(p), 0) / n;
  const [mx, my] = [mean(([x]) => x), mean(([, y]) => y)];
  const slope = mean(([x, y]) => (x - mx) * (y - my)) / Math.max(1e-12, mean(([x]) => (x - mx) ** 2));
  return { slope, intercept: my - slope * mx };
}

function draw(): void {
  const { c, w, h, color } = context(canvas);
  c.strokeStyle = color("line");
  c.lineWidth = 1;
  c.beginPath();
  for (const [x0, y0, x1, y1] of [[-1.1, 0, 1.1, 0], [0, -2.2, 0, 2.2]]) {
    c.moveTo(toX(w, x0), toY(h, y0));
    c.lineTo(toX(w, x1), toY(h, y1));
  }
  c.stroke();
  c.fillStyle = color("validation");
  for (const [x, y] of points) {
    c.beginPath();
    c.arc(toX(w, x), toY(h, y), 4, 0, 7);
    c.fill();
  }
  const drawLine = (l: typeof line, name: string, dash: number[], width: number) => {
    c.strokeStyle = color(name);
    c.setLineDash(dash);
    c.lineWidth = width;
    c.beginPath();
    c.moveTo(toX(w, -1.1), toY(h, l.intercept - 1.1 * l.slope));
    c.lineTo(toX(w, 1.1), toY(h, l.intercept + 1.1 * l.slope));
    c.stroke();
    c.setLineDash([]);
  };
  drawLine(best(), "soft", [5, 5], 1.5);
  drawLine(line, "train", [], 3);
}

function show(): void {
  for (const [id, { slope, intercept }] of [["", line], ["best-", best()]] as const) {
    $(`#${id}slope`).textContent = slope.toFixed(3).replace("-", "−");
    $(`#${id}sign`).textContent = intercept < 0 ? "−" : "+";
    $(`#${id}intercept`).textContent = Math.abs(intercept).toFixed(3);
  }
  $("#steps").textContent = String(steps);
  redraw();
}

function restart(): void {
  running = false;
  trainer?.dispose();
  trainer = undefined;
  line = { slope: 0, intercept: 0 };
  steps = 0;
  status = "";
  chart.clear();
  setText("#status", "");
  $("#loss").textContent = "–";
  show();
}

function makeTrainer(e: Engine): Trainer {
  return e.scope(() => {
    const [slope, intercept] = [e.tensor([0], [1, 1]), e.tensor([0], [1, 1])];
    const model = e.trace(({ x }) => ({ y: x.mul(slope).add(intercept) }), { x: { shape: [points.length, 1] } }, { slope, intercept });
    const made = model.trainable({ loss: "meanSquaredError", optimizer: new SGD({ lr: 0.1 }), weights: ["slope", "intercept"] });
    model.dispose();
    return made;
  });
}

function frame(): void {
  if (!running || !trainer) return;
  const x = Float32Array.from(points, ([v]) => v);
  const y = Float32Array.from(points, ([, v]) => v);
  trainer.setLearningRate(10 ** Number($<HTMLInputElement>("#rate").value));
  const before = { ...line };
  const { loss } = trainer.step({ x }, y);
  const w = trainer.weights();
  line = { slope: w.slope.data[0], intercept: w.intercept.data[0] };
  ++steps;
  chart.add(steps, loss);
  $("#loss").textContent = loss.toFixed(5);
  const moved = Math.abs(line.slope - before.slope) + Math.abs(line.intercept - before.intercept);
  if (moved < 1e-5 || !Number.isFinite(loss)) {
    running = false;
    status = "converged";
    setText("#status", t(status));
  } else {
    requestAnimationFrame(frame);
  }
  show();
}

$("#start").onclick = async () => {
  try {
    engine ??= await init({ threads: 1 });
    trainer ??= makeTrainer(engine);
    running = true;
    status = "running";
    setText("#status", t(status));
    requestAnimationFrame(frame);
  } catch (e) {
    setText("#status", words(e), true);
  }
};
$("#reset").onclick = restart;
$("#points").onclick = scatter;
canvas.onclick = (e) => {
  const box = canvas.getBoundingClientRect();
  const x = (((e.clientX - box.left) - edge) / (box.width - 2 * edge)) * 2.2 - 1.1;
  const y = ((box.height - (e.clientY - box.top) - edge) / (box.height - 2 * edge)) * 4.4 - 2.2;
  points.push([x, y]);
  if (!running && steps > 0) $("#start").click(); // the weights stay: feeds may have any number of rows
  show();
};
onLanguage(() => setText("#status", status && t(status)));
scatter();
