// Functions of tensors, with MegEngine's names for the ops and their parameters underneath.
import type { Engine } from "./engine.js";
import { Tensor, type Operand } from "./tensor.js";

const pair = (v: number | [number, number]): [number, number] => (typeof v === "number" ? [v, v] : v);

export interface ConvOptions {
  stride?: number | [number, number];
  padding?: number | [number, number];
  dilation?: number | [number, number];
}
export interface PoolOptions {
  stride?: number | [number, number];
  padding?: number | [number, number];
}

export class Functions {
  constructor(private readonly engine: Engine) {}

  elemwise(mode: string, ...args: Operand[]): Tensor {
    const tensors = args.map((a) => (a instanceof Tensor ? a : this.engine.tensor([a], [1])));
    const r = this.engine.op("Elemwise", { mode }, ...tensors);
    args.forEach((a, i) => a instanceof Tensor || tensors[i].dispose());
    return r;
  }
  /** 2-d matrices, or batches of them. */
  matmul(a: Tensor, b: Tensor, options: { transposeA?: boolean; transposeB?: boolean } = {}): Tensor {
    const batched = a.shape.length > 2 || b.shape.length > 2;
    return this.engine.op(batched ? "BatchedMatrixMul" : "MatrixMul", { ...options }, a, b);
  }
  /** x (N,C,H,W), weight (O,C,KH,KW), bias (1,O,1,1). */
  conv2d(x: Tensor, weight: Tensor, bias?: Tensor, options: ConvOptions = {}): Tensor {
    const [stride_h, stride_w] = pair(options.stride ?? 1);
    const [pad_h, pad_w] = pair(options.padding ?? 0);
    const [dilate_h, dilate_w] = pair(options.dilation ?? 1);
    const y = this.engine.op("Convolution", { stride_h, stride_w, pad_h, pad_w, dilate_h, dilate_w }, x, weight);
    return bias ? y.add(bias) : y;
  }
  pool2d(mode: "MAX" | "AVERAGE", x: Tensor, size: number | [number, number], options: PoolOptions = {}): Tensor {
    const [window_h, window_w] = pair(size);
    const [stride_h, stride_w] = pair(options.stride ?? size);
    const [pad_h, pad_w] = pair(options.padding ?? 0);
    return this.engine.op("Pooling", { mode, window_h, window_w, stride_h, stride_w, pad_h, pad_w }, x);
  }
  maxPool2d(x: Tensor, size: number | [number, number], options?: PoolOptions): Tensor {
    return this.pool2d("MAX", x, size, options);
  }
  avgPool2d(x: Tensor, size: number | [number, number], options?: PoolOptions): Tensor {
    return this.pool2d("AVERAGE", x, size, options);
  }
  /** One dimension may be -1. */
  reshape(x: Tensor, shape: number[]): Tensor {
    const to = this.engine.tensor(Int32Array.from(shape), [shape.length]);
    const axis = shape.indexOf(-1);
    return this.engine.op("Reshape", axis >= 0 ? { axis } : {}, x, to);
  }
  /** All axes behind the first become one. */
  flatten(x: Tensor): Tensor {
    return this.reshape(x, [-1, x.shape.slice(1).reduce((a, b) => a * b, 1)]);
  }
  transpose(x: Tensor, order: number[]): Tensor {
    return this.engine.op("Dimshuffle", { pattern: order, ndim: x.shape.length }, x);
  }
  /** Along one axis, which stays with length 1; without an axis, of everything. */
  reduce(mode: string, x: Tensor, axis?: number): Tensor {
    if (axis === undefined) return this.engine.op("Reduce", { mode, axis: 0 }, this.reshape(x, [-1]));
    return this.engine.op("Reduce", { mode, axis: axis < 0 ? axis + x.shape.length : axis }, x);
  }
  concat(axis: number, ...tensors: Tensor[]): Tensor {
    return this.engine.op("Concat", { axis }, ...tensors);
  }
  softmax(x: Tensor, axis = -1): Tensor {
    return this.engine.op("Softmax", { axis: axis < 0 ? axis + x.shape.length : axis }, x);
  }
  /** The mean over all rows of -log(softmax(x)[label]). */
  crossEntropy(x: Tensor, labels: Tensor): Tensor {
    const shifted = x.sub(x.max(1));
    const right = this.engine.op("IndexingOneHot", { axis: 1 }, shifted, labels);
    return shifted.exp().sum(1).log().sub(right).mean();
  }
  meanSquaredError(x: Tensor, target: Tensor): Tensor {
    const d = x.sub(target);
    return d.mul(d).mean();
  }
  dropout(x: Tensor, probability: number): Tensor {
    return this.engine.op("Dropout", { drop_prob: probability }, x);
  }
}
