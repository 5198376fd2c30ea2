// English and Chinese. Elements name their text with data-t, their label with data-t-label.
const zh: Record<string, string> = {
  skip: "跳到正文", pages: "页面", navMnist: "数字", navLine: "直线", navModel: "任意模型",
  titleMnist: "在本页训练手写数字网络", titleLine: "一条直线学会拟合数据点", titleModel: "运行任意 .mge 模型",
  intro: "一切都在你的设备上运行：MegEngine 模型、梯度和数据。不会发送任何内容。",
  draw: "写一个数字", pad: "绘图区", padHelp: "用手指或鼠标书写。键盘：方向键移动，空格落笔或抬笔，Delete 清除。", clear: "清除",
  looksLike: "看起来是", probabilities: "各数字的概率", train: "训练", model: "模型", convnet: "ConvNet，新权重", densenet: "DenseNet，新权重",
  lenet: "LeNet，已训练", fromFile: "已加载的文件", optimizer: "优化器", sgd: "SGD，动量 0.9", rate: "学习率", batch: "批大小", epochs: "轮数", data: "数据",
  some: "10,000 个数字（2 MB）", all: "70,000 个数字（11 MB）", start: "加载数据并训练", resume: "继续", stop: "停止", reset: "重置",
  progress: "进度", loss: "损失", accuracy: "准确率", lossChart: "损失曲线", lossSteps: "每步损失", accuracyChart: "准确率曲线", keyTrain: "训练，每批", keyValidation: "验证，每轮",
  test: "测试数字", testHelp: "加载数据后，这里显示测试集的前 100 个数字。", confusion: "混淆矩阵", confusionCaption: "行：实际数字。列：模型的回答。", file: "模型文件",
  fileHelp: "加载识别数字的 .mge 文件（也可拖放到页面上）；导出训练后的模型。MegEngine 可以加载导出的文件。",
  load: "加载 .mge", save: "导出 .mge", lineIntro: "一个权重和一个偏置，用梯度下降在下面的点上训练。点击图中可添加点。", plot: "数据点和拟合直线",
  best: "最小二乘", steps: "步数", start2: "训练", newPoints: "新数据点",
  modelIntro: "拖入一个 MegEngine 模型：查看输入，用随机数或零运行，并为每个算子计时。文件不会离开你的设备。", sample: "使用本站的 LeNet",
  inputs: "输入", runs: "次数", run: "运行并计时", outputs: "输出", operators: "算子",
  thread: "线程", threads: "线程", predicted: "预测", loading: "正在加载 {0}", training: "第 {0}/{1} 轮，第 {2}/{3} 批（{4}%）", stopped: "已停止。", done: "训练完成。",
  validating: "正在测试…", finalAccuracy: "测试准确率：{0}（{1} 个数字）", speed: "{0} 张图片/秒", tookMs: "{0} 毫秒", ready: "就绪。",
  badFile: "这个模型的输入不是数字图片", zeros: "零", random: "随机数", shape: "形状", kind: "内容", facts: "格式 {0}，{1} 个算子，{2} 个参数",
  timed: "平均 {0} 毫秒，最快 {1} 毫秒，{2}", op: "算子", kernel: "内核", milliseconds: "毫秒", gflops: "GFLOP/s", output: "输出",
  converged: "已收敛。", running: "正在训练…", lossIs: "损失 {0}，准确率 {1}",
};
const en: Record<string, string> = {
  resume: "Resume", thread: "thread", threads: "threads", predicted: "pred", loading: "Loading {0}",
  training: "Epoch {0} of {1}, batch {2} of {3} ({4}%)", stopped: "Stopped.", done: "Training is done.", validating: "Testing…",
  finalAccuracy: "Test accuracy: {0} ({1} digits)", speed: "{0} images per second", tookMs: "{0} ms", ready: "Ready.",
  badFile: "the inputs of this model are no pictures of digits", zeros: "zeros", random: "random numbers", shape: "shape", kind: "values",
  facts: "Format {0}, {1} operators, {2} parameters", timed: "{0} ms on average, {1} ms at best, {2}", op: "Operator", kernel: "Kernel",
  milliseconds: "ms", gflops: "GFLOP/s", output: "Output", converged: "Converged.", running: "Training…", lossIs: "loss {0}, accuracy {1}",
};

let chinese = (localStorage.getItem("language") ?? navigator.language).startsWith("zh");
const changed: (() => void)[] = [];

/** A text with its holes filled. */
export function t(key: string, ...values: (string | number)[]): string {
  const text = (chinese ? zh[key] : en[key]) ?? key;
  return text.replace(/\{(\d)\}/g, (_, i) => String(values[Number(i)]));
}
export function onLanguage(fn: () => void): void {
  changed.push(fn);
  fn();
}

export function startLanguage(): void {
  // What the page says in English is in its HTML.
  for (const e of document.querySelectorAll<HTMLElement>("[data-t]")) en[e.dataset.t!] ??= e.textContent!;
  for (const e of document.querySelectorAll<HTMLElement>("[data-t-label]")) en[e.dataset.tLabel!] ??= e.getAttribute("aria-label") ?? e.dataset.tLabel!;
  const button = document.querySelector<HTMLButtonElement>("#language")!;
  const apply = () => {
    document.documentElement.lang = chinese ? "zh" : "en";
    for (const e of document.querySelectorAll<HTMLElement>("[data-t]")) e.textContent = t(e.dataset.t!);
    for (const e of document.querySelectorAll<HTMLElement>("[data-t-label]")) e.setAttribute("aria-label", t(e.dataset.tLabel!));
    button.textContent = chinese ? "English" : "中文";
    button.lang = chinese ? "en" : "zh";
    for (const fn of changed) fn();
  };
  button.onclick = () => {
    chinese = !chinese;
    localStorage.setItem("language", chinese ? "zh" : "en");
    apply();
  };
  if (chinese) apply(); // the page is in English
}
