// The first prediction is made in the page: the engine starts sooner than a Worker does, and before the page is parsed.
import { init, type Model } from "mge.js";

const bytes = fetch("./lenet.mge").then((reply) => reply.arrayBuffer());
let model: Promise<Model> | undefined = init({ threads: 1 }).then(async (engine) => engine.load(await bytes));
model.catch(() => {}); // told to who asks

/** The trained model in this thread; the caller's to keep. */
export function takeFirst(): Promise<Model> {
  const taken = model!;
  model = undefined;
  return taken;
}
