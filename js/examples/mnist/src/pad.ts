// The pad to draw on, and the digit on it as MNIST's digits are made: in a box of 20 x 20, its centre of mass in the middle
// of 28 x 28.
const PEN = 20;

export class Pad {
  private readonly c: CanvasRenderingContext2D;
  private cursor = { x: 140, y: 140, down: false };
  private last?: { x: number; y: number };
  private used = false;
  private made?: Uint8Array | null;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly onChange: () => void,
  ) {
    this.c = canvas.getContext("2d", { willReadFrequently: true })!;
    this.c.lineWidth = PEN;
    this.c.lineCap = this.c.lineJoin = "round";
    this.c.strokeStyle = this.c.fillStyle = "#fff";
    const at = (e: PointerEvent) => {
      const box = canvas.getBoundingClientRect();
      return { x: ((e.clientX - box.left) * canvas.width) / box.width, y: ((e.clientY - box.top) * canvas.height) / box.height };
    };
    canvas.onpointerdown = (e) => {
      if (!this.used) this.erase();
      this.used = true;
      canvas.setPointerCapture(e.pointerId);
      this.last = at(e);
      this.stroke(this.last);
    };
    canvas.onpointermove = (e) => {
      if (this.last) for (const p of e.getCoalescedEvents?.() ?? [e]) this.stroke(at(p));
    };
    canvas.onpointerup = canvas.onpointercancel = () => (this.last = undefined);
    canvas.onkeydown = (e) => this.key(e);
  }

  /** A first digit, so that there is something to recognize. */
  sample(): void {
    this.c.beginPath();
    this.c.moveTo(80, 95);
    this.c.bezierCurveTo(90, 40, 195, 35, 195, 100);
    this.c.bezierCurveTo(195, 150, 110, 190, 78, 228);
    this.c.lineTo(205, 228);
    this.c.stroke();
    this.changed();
  }
  clear(): void {
    this.used = true;
    this.erase();
    this.changed();
  }
  private erase(): void {
    this.c.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }
  private stroke(to: { x: number; y: number }): void {
    this.c.beginPath();
    this.c.moveTo(this.last!.x, this.last!.y);
    this.c.lineTo(to.x, to.y);
    this.c.stroke();
    this.last = to;
    this.changed();
  }
  private key(e: KeyboardEvent): void {
    const step: Record<string, [number, number]> = { ArrowLeft: [-14, 0], ArrowRight: [14, 0], ArrowUp: [0, -14], ArrowDown: [0, 14] };
    if (e.key === "Delete" || e.key === "Backspace") this.clear();
    else if (e.key === " ") this.cursor.down = !this.cursor.down;
    else if (!step[e.key]) return;
    e.preventDefault();
    if (e.key === "Delete" || e.key === "Backspace") return;
    if (!this.used) this.erase();
    this.used = true;
    const from = { ...this.cursor };
    if (step[e.key]) {
      this.cursor.x = Math.min(270, Math.max(10, from.x + step[e.key][0]));
      this.cursor.y = Math.min(270, Math.max(10, from.y + step[e.key][1]));
    }
    if (!this.cursor.down) return;
    this.last = from;
    this.stroke(this.cursor);
    this.last = undefined;
  }

  private changed(): void {
    this.made = undefined;
    this.onChange();
  }

  /** 784 bytes; null of an empty pad. */
  digit(): Uint8Array | null {
    return (this.made ??= this.make());
  }
  private make(): Uint8Array | null {
    const { width: w, height: h } = this.canvas;
    const pixels = this.c.getImageData(0, 0, w, h).data;
    let [left, right, top, bottom] = [w, -1, h, -1];
    for (let y = 0; y < h; ++y) {
      for (let x = 0; x < w; ++x) {
        if (pixels[4 * (y * w + x) + 3] < 32) continue;
        left = Math.min(left, x);
        right = Math.max(right, x);
        top = Math.min(top, y);
        bottom = Math.max(bottom, y);
      }
    }
    if (right < 0) return null;
    const scale = 20 / Math.max(right - left + 1, bottom - top + 1);
    const small = document.createElement("canvas");
    small.width = small.height = 28;
    const c = small.getContext("2d", { willReadFrequently: true })!;
    const put = (dx: number, dy: number) => {
      c.fillStyle = "#000";
      c.fillRect(0, 0, 28, 28);
      c.imageSmoothingQuality = "high";
      const [sw, sh] = [(right - left + 1) * scale, (bottom - top + 1) * scale];
      c.drawImage(this.canvas, left, top, right - left + 1, bottom - top + 1, 14 - sw / 2 + dx, 14 - sh / 2 + dy, sw, sh);
      const p = c.getImageData(0, 0, 28, 28).data;
      return Uint8Array.from({ length: 784 }, (_, i) => p[4 * i]);
    };
    const first = put(0, 0);
    let [mass, mx, my] = [0, 0, 0];
    first.forEach((v, i) => {
      mass += v;
      mx += v * (i % 28);
      my += v * Math.floor(i / 28);
    });
    return put(Math.round(13.5 - mx / mass), Math.round(13.5 - my / mass));
  }
}
