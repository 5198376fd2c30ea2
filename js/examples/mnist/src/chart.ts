// A line chart of a series that grows, and points of a second one.
import { context, redrawn } from "./page.js";

/** The least of `factors` times a power of ten that is not below v. */
function ceiling(v: number, factors: number[]): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(v, 1e-6)));
  return power * (factors.find((k) => k * power >= v) ?? 10);
}

export class Chart {
  private readonly line: [number, number][] = [];
  private readonly points: [number, number][] = [];
  private readonly later: () => void;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly options: { max?: number; format?: (v: number) => string; after?: Promise<void> } = {},
  ) {
    this.later = redrawn(canvas, () => this.draw(), options.after);
  }
  add(x: number, y: number): void {
    this.line.push([x, y]);
    this.later();
  }
  mark(x: number, y: number): void {
    this.points.push([x, y]);
    this.later();
  }
  clear(): void {
    this.line.length = this.points.length = 0;
    this.later();
  }

  private draw(): void {
    const { c, w, h, color } = context(this.canvas);
    c.font = "12px system-ui, sans-serif";
    // No more vertices than pixels.
    const skip = Math.max(1, Math.floor(this.line.length / (2 * w)));
    const line = this.line.filter((_, i) => i % skip === 0);
    const most = Math.max(1, this.line.at(-1)?.[0] ?? 0, this.points.at(-1)?.[0] ?? 0);
    const sorted = Float64Array.from([...line, ...this.points].map(([, y]) => y).filter(Number.isFinite)).sort();
    // A quarter of the axis is short to write.
    const max = this.options.max ?? ceiling(sorted[Math.ceil(0.995 * (sorted.length - 1))] ?? 1, [1, 1.2, 2, 4, 6, 8]);
    const format = this.options.format ?? ((v: number) => String(Number(v.toPrecision(3))));
    const ticks = Array.from({ length: 5 }, (_, i) => (max * i) / 4);
    const [right, top, bottom] = [w - 10, 10, h - 24];
    const left = 16 + Math.max(...ticks.map((y) => c.measureText(format(y)).width));
    const px = (x: number) => left + ((right - left) * x) / most;
    const py = (y: number) => bottom - (bottom - top) * Math.min(1, y / max);
    c.fillStyle = color("soft");
    c.strokeStyle = color("line");
    c.lineWidth = 1;
    for (const y of ticks) {
      c.beginPath();
      c.moveTo(left, py(y));
      c.lineTo(right, py(y));
      c.stroke();
      c.textAlign = "right";
      c.textBaseline = "middle";
      c.fillText(format(y), left - 6, py(y));
    }
    c.textBaseline = "top";
    const step = ceiling(most / 5, [1, 2, 5]);
    for (let x = 0; step >= 1 && x <= most; x += step) {
      c.textAlign = px(x) + 16 > w ? "right" : "center";
      c.fillText(String(x), px(x), bottom + 6);
    }
    c.strokeStyle = color("train");
    c.lineWidth = 1.5;
    c.beginPath();
    for (const [x, y] of line) c.lineTo(px(x), py(y));
    c.stroke();
    c.fillStyle = c.strokeStyle = color("validation");
    c.lineWidth = 2;
    c.beginPath();
    for (const [x, y] of this.points) c.lineTo(px(x), py(y));
    c.stroke();
    for (const [x, y] of this.points) {
      c.beginPath();
      c.arc(px(x), py(y), 4, 0, 7);
      c.fill();
    }
  }
}
