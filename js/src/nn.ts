// Layers. A Sequential of them can be called on tensors, differentiated, and turned into a Model.
import type { ConvOptions, PoolOptions } from "./functional.js";
import type { Engine } from "./engine.js";
import type { Model } from "./model.js";
import type { Parameter } from "./optim.js";
import { Tensor } from "./tensor.js";

export interface Layer {
  forward(x: Tensor): Tensor;
  /** Weights by name. */
  parameters(): Record<string, Parameter>;
}

export interface InitOptions {
  /** Of the random numbers; default 1. */
  seed?: number;
  bias?: boolean;
}

// Numbers for weights, from mulberry32.
export function randomNumbers(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export class Sequential implements Layer {
  constructor(
    private readonly engine: Engine,
    readonly layers: Layer[],
  ) {}
  forward(x: Tensor): Tensor {
    return this.layers.reduce((v, layer) => layer.forward(v), x);
  }
  parameters(): Record<string, Parameter> {
    const named = this.layers.flatMap((layer, i) =>
      Object.entries(layer.parameters()).map(([name, p]) => [`${i}.${name}`, p] as const),
    );
    return Object.fromEntries(named);
  }
  /** A model with an input "data" of this shape and an output "out". The weights are copied. */
  toModel(shape: number[]): Model {
    const parameters = Object.fromEntries(Object.entries(this.parameters()).map(([k, p]) => [k, p.value]));
    return this.engine.trace(({ data }) => ({ out: this.forward(data) }), { data: { shape } }, parameters);
  }
  dispose(): void {
    for (const p of Object.values(this.parameters())) p.value.dispose();
  }
}

export function nnOf(engine: Engine) {
  let seeds = 0;
  const plain = (forward: (x: Tensor) => Tensor): Layer => ({ forward, parameters: () => ({}) });
  // Uniform within sqrt(6 / fan-in), as MegEngine's msra_uniform_ for ReLU.
  const uniform = (shape: number[], fanIn: number, seed?: number): Parameter => {
    const random = randomNumbers(seed ?? ++seeds);
    const limit = Math.sqrt(6 / fanIn);
    const n = shape.reduce((a, b) => a * b, 1);
    return { value: engine.tensor(Float32Array.from({ length: n }, () => (2 * random() - 1) * limit), shape).keep() };
  };
  const weighted = (weight: Parameter, biasShape: number[] | null, forward: (x: Tensor, w: Tensor, b?: Tensor) => Tensor): Layer => {
    const bias: Parameter | null = biasShape && { value: engine.zeros(biasShape).keep() };
    return {
      forward: (x) => forward(x, weight.value, bias?.value),
      parameters: (): Record<string, Parameter> => (bias ? { weight, bias } : { weight }),
    };
  };
  return {
    sequential: (...layers: Layer[]) => new Sequential(engine, layers),
    /** Weight (outputs, inputs), bias (outputs). */
    linear: (inputs: number, outputs: number, o: InitOptions = {}): Layer =>
      weighted(uniform([outputs, inputs], inputs, o.seed), o.bias === false ? null : [outputs], (x, w, b) => {
        const y = x.matmul(w, { transposeB: true });
        return b ? y.add(b) : y;
      }),
    conv2d: (inputs: number, outputs: number, size: number, o: ConvOptions & InitOptions = {}): Layer =>
      weighted(uniform([outputs, inputs, size, size], inputs * size * size, o.seed), o.bias === false ? null : [1, outputs, 1, 1],
        (x, w, b) => engine.f.conv2d(x, w, b, o)),
    maxPool2d: (size: number, o?: PoolOptions) => plain((x) => engine.f.maxPool2d(x, size, o)),
    avgPool2d: (size: number, o?: PoolOptions) => plain((x) => engine.f.avgPool2d(x, size, o)),
    relu: () => plain((x) => x.relu()),
    sigmoid: () => plain((x) => x.sigmoid()),
    tanh: () => plain((x) => x.tanh()),
    flatten: () => plain((x) => engine.f.flatten(x)),
    softmax: (axis = -1) => plain((x) => engine.f.softmax(x, axis)),
    dropout: (probability: number) => plain((x) => engine.f.dropout(x, probability)),
    layer: plain,
  };
}
