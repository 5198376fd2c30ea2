// Optimizers: what a Trainer compiles into its step, and, for hand-written loops, update rules of eager tensors.
import type { Engine } from "./engine.js";
import { Tensor } from "./tensor.js";

export interface OptimizerSpec {
  kind: "sgd" | "adam" | "rmsprop";
  lr: number;
  momentum?: number;
  beta1?: number;
  beta2?: number;
  decay?: number;
  eps?: number;
  weightDecay?: number;
}

/** A weight that an optimizer changes: `value` is replaced. */
export interface Parameter {
  value: Tensor;
}

abstract class Optimizer {
  lr: number;
  weightDecay: number;
  private readonly state = new Map<Parameter, Tensor[]>();
  protected t = 0;

  constructor(options: { lr: number; weightDecay?: number }) {
    if (!(options.lr > 0)) throw new Error(`the learning rate has to be above 0, not ${options.lr}`);
    this.lr = options.lr;
    this.weightDecay = options.weightDecay ?? 0;
  }
  abstract spec(): OptimizerSpec;
  protected abstract slots: number;
  /** The new state, and what is subtracted from the weight, for the gradient `g`. */
  protected abstract rule(g: Tensor, state: Tensor[]): { state: Tensor[]; delta: Tensor };

  /** Changes the parameters by one step. */
  step(parameters: Parameter[], grads: (Tensor | null)[]): void {
    ++this.t;
    parameters.forEach((p, i) => {
      const g = grads[i];
      if (!g) return;
      const engine: Engine = p.value.engine;
      const old = this.state.get(p) ?? Array.from({ length: this.slots }, () => engine.zeros(p.value.shape).keep());
      const { value, state } = engine.scope(() => {
        const r = this.rule(this.weightDecay ? g.add(p.value.mul(this.weightDecay)) : g, old);
        return { value: p.value.sub(r.delta).keep(), state: r.state.map((s) => s.keep()) };
      });
      for (const s of [p.value, ...old]) s.dispose();
      p.value = value;
      this.state.set(p, state);
    });
  }
  dispose(): void {
    for (const s of this.state.values()) for (const t of s) t.dispose();
    this.state.clear();
  }
}

/** v = momentum * v + g; w -= lr * v */
export class SGD extends Optimizer {
  momentum: number;
  protected slots: number;
  constructor(options: { lr: number; momentum?: number; weightDecay?: number }) {
    super(options);
    this.momentum = options.momentum ?? 0;
    this.slots = this.momentum ? 1 : 0;
  }
  spec(): OptimizerSpec {
    return { kind: "sgd", lr: this.lr, momentum: this.momentum, weightDecay: this.weightDecay };
  }
  protected rule(g: Tensor, [v]: Tensor[]) {
    if (!this.slots) return { state: [], delta: g.mul(this.lr) };
    const next = v.mul(this.momentum).add(g);
    return { state: [next], delta: next.mul(this.lr) };
  }
}

export class Adam extends Optimizer {
  beta1: number;
  beta2: number;
  eps: number;
  protected slots = 2;
  constructor(options: { lr: number; beta1?: number; beta2?: number; eps?: number; weightDecay?: number }) {
    super(options);
    this.beta1 = options.beta1 ?? 0.9;
    this.beta2 = options.beta2 ?? 0.999;
    this.eps = options.eps ?? 1e-8;
  }
  spec(): OptimizerSpec {
    return { kind: "adam", lr: this.lr, beta1: this.beta1, beta2: this.beta2, eps: this.eps, weightDecay: this.weightDecay };
  }
  protected rule(g: Tensor, [m, v]: Tensor[]) {
    const m1 = m.mul(this.beta1).add(g.mul(1 - this.beta1));
    const v1 = v.mul(this.beta2).add(g.mul(g).mul(1 - this.beta2));
    const root = v1.mul(1 / (1 - this.beta2 ** this.t)).pow(0.5);
    return { state: [m1, v1], delta: m1.mul(this.lr / (1 - this.beta1 ** this.t)).div(root.add(this.eps)) };
  }
}

/** v = decay * v + (1 - decay) * g * g; w -= lr * g / sqrt(v + eps) */
export class RMSProp extends Optimizer {
  decay: number;
  eps: number;
  protected slots = 1;
  constructor(options: { lr: number; decay?: number; eps?: number; weightDecay?: number }) {
    super(options);
    this.decay = options.decay ?? 0.9;
    this.eps = options.eps ?? 1e-7;
  }
  spec(): OptimizerSpec {
    return { kind: "rmsprop", lr: this.lr, decay: this.decay, eps: this.eps, weightDecay: this.weightDecay };
  }
  protected rule(g: Tensor, [v]: Tensor[]) {
    const next = v.mul(this.decay).add(g.mul(g).mul(1 - this.decay));
    return { state: [next], delta: g.mul(this.lr).div(next.add(this.eps).pow(0.5)) };
  }
}
