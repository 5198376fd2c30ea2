// Any model: its inputs, a run, and where the time goes.
import { load, type DType, type HostTensor, type InputInfo, type Profile, type RemoteModel } from "mge.js";
import { onLanguage, t } from "./i18n.js";
import { $, onFile, parsed, setText, startPage, words } from "./page.js";

await parsed;
startPage();
let model: RemoteModel | undefined;
let profile: Profile | undefined;
let times: number[] = [];

const typeName = (d: DType) => (typeof d === "string" ? d : `${d.name}(scale=${d.scale})`);

async function open(source: File | string): Promise<void> {
  const name = typeof source === "string" ? source.replace(/.*\//, "") : source.name;
  setText("#status", t("loading", name));
  const next = await load(typeof source === "string" ? new URL(source, location.href) : source);
  await model?.dispose();
  model = next;
  profile = undefined;
  times = [];
  setText("#status", name);
  $("#about").hidden = false;
  show();
}

function fields(i: InputInfo): HTMLElement[] {
  const label = (text: string, control: HTMLElement) => {
    const l = document.createElement("label");
    const s = document.createElement("span");
    s.textContent = text;
    l.append(s, control);
    return l;
  };
  const shape = document.createElement("input");
  shape.value = i.shape.join(", ");
  shape.dataset.shapeOf = i.name;
  shape.pattern = "\\s*\\d+(\\s*,\\s*\\d+)*\\s*";
  const kind = document.createElement("select");
  kind.dataset.kindOf = i.name;
  for (const k of ["random", "zeros"]) kind.append(new Option(t(k), k));
  return [label(`${i.name} · ${typeName(i.dtype)} · ${t("shape")}`, shape), label(`${i.name} · ${t("kind")}`, kind)];
}

function show(): void {
  if (!model) return;
  const { format, operators, elements } = model.info;
  $("#inputs").replaceChildren(...model.inputs.flatMap(fields));
  $("#facts").textContent = t("facts", format, operators.length, elements.toLocaleString());
  showRun();
}

function values(i: InputInfo): HostTensor {
  const shape = document.querySelector<HTMLInputElement>(`[data-shape-of="${CSS.escape(i.name)}"]`)!.value.split(",").map(Number);
  const random = document.querySelector<HTMLSelectElement>(`[data-kind-of="${CSS.escape(i.name)}"]`)!.value === "random";
  const n = shape.reduce((a, b) => a * b, 1);
  const type = typeof i.dtype === "string" ? i.dtype : i.dtype.name.toLowerCase();
  const make = <A extends { [k: number]: number }>(a: A, v: () => number): A => {
    if (random) for (let k = 0; k < n; ++k) a[k] = v();
    return a;
  };
  const whole = (most: number) => () => Math.floor(Math.random() * most);
  switch (type) {
    case "float32": return { data: make(new Float32Array(n), Math.random), shape, dtype: "float32" };
    case "float16": return { data: make(new Uint16Array(n), () => 0x3000 + whole(0xc00)()), shape, dtype: "float16" };
    case "bfloat16": return { data: make(new Uint16Array(n), () => 0x3e00 + whole(0x180)()), shape, dtype: "bfloat16" };
    case "int32": case "quantizeds32": return { data: make(new Int32Array(n), whole(2)), shape, dtype: "int32" };
    case "int16": case "quantizeds16": return { data: make(new Int16Array(n), whole(2)), shape, dtype: "int16" };
    case "uint16": return { data: make(new Uint16Array(n), whole(256)), shape, dtype: "uint16" };
    case "int8": case "quantizeds8": return { data: make(new Int8Array(n), whole(128)), shape, dtype: "int8" };
    case "bool": return { data: make(new Uint8Array(n), whole(2)), shape, dtype: "bool" };
    default: return { data: make(new Uint8Array(n), whole(256)), shape, dtype: "uint8" };
  }
}

async function run(): Promise<void> {
  if (!model || !$<HTMLFormElement>("#inputs").reportValidity()) return;
  const feeds = Object.fromEntries(model.inputs.map((i) => [i.name, values(i)]));
  const button = $<HTMLButtonElement>("#run");
  button.disabled = true;
  try {
    await model.run(feeds); // plans
    times = [];
    const runs = Math.max(1, Math.min(1000, Number($<HTMLInputElement>("#runs").value) || 1));
    for (let k = 0; k < runs; ++k) {
      const began = performance.now();
      await model.run(feeds);
      times.push(performance.now() - began);
    }
    profile = await model.profile(feeds, runs);
    showRun();
  } catch (e) {
    setText("#timing", words(e), true);
  } finally {
    button.disabled = false;
  }
}

function showRun(): void {
  $("#outputs").replaceChildren();
  $("#ops").replaceChildren();
  setText("#timing", "");
  $("#results").hidden = !profile;
  if (!profile) return;
  const mean = times.reduce((a, b) => a + b, 0) / times.length;
  setText("#timing", t("timed", mean.toFixed(2), Math.min(...times).toFixed(2), `${profile.threads} ${t(profile.threads > 1 ? "threads" : "thread")}`));
  for (const [name, o] of Object.entries(profile.outputs)) {
    const li = document.createElement("li");
    const some = Array.from(o.data.subarray(0, 10), (v) => Number(v.toPrecision(5))).join(", ");
    li.textContent = `${name} · ${typeName(o.dtype)} (${o.shape.join(", ")}): ${some}${o.data.length > 10 ? ", …" : ""}`;
    $("#outputs").append(li);
  }
  const table = $<HTMLTableElement>("#ops");
  const row = (to: HTMLTableSectionElement, cells: string[], tag: "td" | "th") => {
    const tr = to.insertRow();
    cells.forEach((text, i) => {
      const cell = document.createElement(tag);
      if (tag === "th") cell.setAttribute("scope", "col");
      if (i < 2 || i === 4) cell.className = "text";
      // Long names may be cut between their words.
      cell.append(...text.split(/(?<=_)|(?<=[a-z])(?=[A-Z])/).flatMap((part) => [part, document.createElement("wbr")]));
      tr.append(cell);
    });
  };
  row(table.createTHead(), [t("op"), t("kernel"), t("milliseconds"), t("gflops"), t("output")], "th");
  const body = table.createTBody();
  for (const o of [...profile.ops].sort((a, b) => b.milliseconds - a.milliseconds)) {
    // What the clock of a page that is not isolated can't tell from nothing, ten ticks to a millisecond, is not a time.
    const least = (crossOriginIsolated ? 0.005 : 0.1) / times.length;
    const rate = o.flops && o.milliseconds >= least ? (o.flops / o.milliseconds / 1e6).toFixed(2) : "";
    const time = o.milliseconds < least ? `< ${least.toFixed(3)}` : o.milliseconds.toFixed(3);
    row(body, [o.op, o.kernel, time, rate, o.outputs.map((s) => `(${s.join(", ")})`).join(" ")], "td");
  }
}

const opened = (source: File | string) => void open(source).catch((e) => setText("#status", words(e), true));
onFile(opened);
$("#sample").onclick = () => opened("./lenet.mge");
$("#run").onclick = () => void run();
$("#inputs").onsubmit = (e) => e.preventDefault();
onLanguage(show);
