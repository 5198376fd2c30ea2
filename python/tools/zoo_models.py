"""The models of a checkout of MegEngine/Models that zoo_check.py compares: how each is built, its inputs, results, loss.

Nothing of the checkout is kept here. A network's random weights are those of the side that records.
"""

import importlib

import numpy as np

import megengine as mge
import megengine.functional as F
import megengine.module as M

REAL = (
    mge.__name__ == "megengine"
)  # the real one cannot run all of today's checkout: what it lacks is put in its place below


class Case:
    """A network, its arrays, what it computes of them and the loss of one training step."""

    def __init__(self, net, inputs, infer, loss, features=None):
        self.net, self.inputs, self.infer, self.loss = net, inputs, infer, loss
        self.features = features or infer  # passes every normalization
        self.quantized = False
        self.in_order = lambda outputs: outputs  # for results whose order hangs on the last bit
        self.without = ()  # parameters whose gradients the real one cannot give
        self.finish = None  # what happens to the network once it has its weights

    def tensors(self):
        return [mge.Tensor(x) for x in self.inputs]

    def settle(self):
        """Statistics of one pass stand for those of training: values keep their size through a deep random network."""
        norms = [m for m in self.net.modules() if hasattr(m, "running_mean")]
        kept = [(m.momentum, m.freeze) for m in norms]
        for m in norms:
            m.momentum, m.freeze = 0.0, False
        self.net.train()
        self.features(self.net, *self.tensors())
        for m, (momentum, freeze) in zip(norms, kept):
            m.momentum, m.freeze = momentum, freeze


def images(*shape):
    return np.random.RandomState(0).randn(*shape).astype("float32")


def classifier(module, function, shape, **arguments):
    def build():
        net = getattr(importlib.import_module(module), function)(**arguments)
        labels = np.arange(shape[0], dtype="int32")

        def loss(net, x):
            return F.nn.cross_entropy(net(x), mge.Tensor(labels), label_smooth=0.1)

        return Case(net, [images(*shape)], lambda net, x: [net(x)], loss)

    return build


def detector(model, config, **settings):
    """A detector of official.vision.detection, with nothing left to chance: no label is drawn, all are kept."""

    def build():
        models = importlib.import_module("official.vision.detection.models")
        if REAL:  # it takes no np.float64 beside a Tensor
            pooler = importlib.import_module("official.vision.detection.layers.det.pooler")
            pooler.np = type("np", (), {"log": staticmethod(lambda x: float(np.log(x)))})
        cfg = getattr(models, config)()
        cfg.backbone_pretrained = False
        for k, v in settings.items():
            setattr(cfg, k, v)
        net = getattr(models, model)(cfg)
        random = np.random.RandomState(1)
        image = random.uniform(0, 255, (1, 3, 128, 160)).astype("float32")
        info = np.array([[128, 160, 256, 320, 3]], "float32")
        boxes = np.array(
            [[[8, 10, 70, 90, 3], [50, 20, 150, 120, 17], [90, 60, 130, 110, 80], [0, 0, 0, 0, 0]]], "float32"
        )

        def infer(net, image, info):
            return list(net(image, info))

        def loss(net, image, info):
            return net(image, info, mge.Tensor(boxes))["total_loss"]

        def features(net, image, info):
            return net.backbone(net.preprocess_image(image))

        case = Case(net, [image, info], infer, loss, features)
        if model == "FasterRCNN":  # proposals are in the order of scores that hardly differ before training
            case.in_order = lambda outputs: [x[outputs[1].reshape(len(x), -1).sum(1).argsort()] for x in outputs]
            case.without = ("backbone",)  # on CPUs, 1.13.0 returns memory that nothing was written to for ROIAlign
        return case

    return build


def segmenter():
    module = importlib.import_module("official.vision.segmentation.models.deeplabv3plus")
    cfg = type("Cfg", (), dict(num_classes=21, backbone="resnet50", backbone_pretrained=False))()
    net = module.DeepLabV3Plus(cfg)
    labels = np.random.RandomState(3).randint(0, 21, (2, 97, 129)).astype("int32")
    labels[:, :9] = 255

    def loss(net, x):
        logits, target = net(x), mge.Tensor(labels)
        mask = target != 255
        logits = logits.transpose(0, 2, 3, 1)
        return F.nn.cross_entropy(logits[mask], target[mask])

    return Case(net, [images(2, 3, 97, 129)], lambda net, x: [net(x)], loss)


def keypoints(module, function):
    def build():
        module_ = importlib.import_module("official.vision.keypoints.models." + module)
        if hasattr(module_, "cfg"):
            module_.cfg.backbone_pretrained = False
        net = getattr(module_, function)()
        for name, m in net.named_modules():  # their weights of 0.001 leave nothing of an image after so many layers
            if isinstance(m, (M.Conv2d, M.ConvTranspose2d)):
                M.init.msra_normal_(m.weight, mode="fan_in")
            elif name.endswith(("bn2", "bn3")):  # residuals as small as those of trained networks
                M.init.fill_(m.weight, 0.3)
        random = np.random.RandomState(2)
        heat = random.uniform(0, 1, (2, 4, 17, 32, 24)).astype("float32")
        valid = random.randint(0, 3, (2, 17)).astype("float32")

        def infer(net, x):
            return [net.predict(x)]

        def loss(net, x):
            return net.calc_loss(x, mge.Tensor(heat), mge.Tensor(valid))

        return Case(net, [images(2, 3, 128, 96)], infer, loss)

    return build


def bert():
    module = importlib.import_module("official.nlp.bert.model")
    if REAL:  # its concat wants Tensors alone
        concat = staticmethod(lambda inps, axis=0: F.concat([F.flatten(mge.Tensor(x)) for x in inps], axis))
        module.F = type("F", (), dict(vars(F), concat=concat))
    config = module.BertConfig(1000, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128)
    net = module.BertForSequenceClassification(config, 3)
    random = np.random.RandomState(4)
    ids = random.randint(0, 1000, (2, 12)).astype("int32")
    types = (np.arange(12) > 5).astype("int32")[None].repeat(2, 0)
    mask = np.array([[1] * 12, [1] * 9 + [0] * 3], "int32")
    labels = np.array([1, 2], "int32")

    def loss(net, *args):
        return net(*args, labels=mge.Tensor(labels))[1]

    return Case(net, [ids, types, mask], lambda net, *args: [net(*args)[0]], loss)


def quantized(module, function, integers=False, **arguments):
    """A network in quantization-aware training, or (integers) converted."""

    def build():
        from megengine.quantization import ema_fakequant_qconfig, quantize, quantize_qat

        case = classifier("official.quantization.models." + module, function, (2, 3, 224, 224), **arguments)()
        case.settle()
        quantize_qat(case.net, qconfig=ema_fakequant_qconfig)
        case.settle()
        case.quantized = True
        if integers:
            case.finish = quantize
        return case

    return build


RESNET, SHUFFLENET = ("official.vision.classification.%s.model" % name for name in ("resnet", "shufflenet"))
TOP = dict(num_sample_anchors=100000, num_rois=100000)  # more than there are: none is drawn by chance

MODELS = {
    "resnet18": classifier(RESNET, "resnet18", (2, 3, 224, 224)),
    "resnet50": classifier(RESNET, "resnet50", (2, 3, 224, 224)),
    "resnext50": classifier(RESNET, "resnext50_32x4d", (2, 3, 224, 224)),
    "shufflenet": classifier(SHUFFLENET, "shufflenet_v2_x1_0", (2, 3, 224, 224)),
    "retinanet": detector("RetinaNet", "RetinaNetConfig"),
    "fasterrcnn": detector("FasterRCNN", "FasterRCNNConfig", **TOP),
    "fcos": detector("FCOS", "FCOSConfig"),
    "atss": detector("ATSS", "ATSSConfig"),
    "freeanchor": detector("FreeAnchor", "FreeAnchorConfig"),
    "deeplabv3plus": segmenter,
    "simplebaseline": keypoints("simplebaseline", "simplebaseline_res50"),
    "mspn": keypoints("mspn", "mspn_4stage"),
    "hrnet": keypoints("hrnet", "hrnet_w32"),
    "bert": bert,
    "qat_resnet18": quantized("resnet", "resnet18"),
    "qat_shufflenet": quantized("shufflenet", "shufflenet_v1_x0_5_g3"),
    "qat_mobilenet": quantized("mobilenet_v2", "mobilenet_v2"),
    "int8_resnet18": quantized("resnet", "resnet18", integers=True),
    "int8_shufflenet": quantized("shufflenet", "shufflenet_v1_x0_5_g3", integers=True),
    "int8_mobilenet": quantized("mobilenet_v2", "mobilenet_v2", integers=True),
}
