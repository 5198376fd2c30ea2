// local_sweep COUNT [SEED]: Local, GroupLocal, LocalShare and their gradients on COUNT random shapes: every kernel has
// to give the reference's bits, on one thread and on two (NaNs only have to be where the reference has them).
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "megalith/kernels/simd.h"
#include "megalith/plan.h"
#include "megalith/platform/thread_pool.h"

using namespace megalith;

namespace {

class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  int64_t upto(int64_t most) { return static_cast<int64_t>(engine_() % static_cast<uint32_t>(most + 1)); }
  int64_t in(int64_t least, int64_t most) { return least + upto(most - least); }
  bool one_in(int64_t n) { return upto(n - 1) == 0; }
  float unit() { return static_cast<float>(engine_()) * 0x1p-31f - 1; }  // [-1, 1]

  // Numbers of ordinary size, or with many that rounding, overflow and comparison treat in a special way.
  float number(bool extreme) {
    if (!extreme || !one_in(6)) return unit();
    constexpr float kInf = std::numeric_limits<float>::infinity(), kMax = std::numeric_limits<float>::max();
    switch (upto(11)) {
      case 0: return 0;
      case 1: return -0.f;
      case 2: return unit() * 0x1p-126f;  // a denormal
      case 3: return unit() * 0x1p-64f;   // products are denormals
      case 4: return unit() * kMax;
      case 5: return unit() * 0x1p64f;
      case 6: return one_in(8) ? kInf : -1;
      case 7: return one_in(8) ? -kInf : 1;
      case 8: return one_in(8) ? std::numeric_limits<float>::quiet_NaN() : 1 + 0x1p-23f;
      case 9: return unit() * 0x1p-12f;  // of half: products are denormals
      case 10: return unit() * 0x1p10f;  // of half: sums overflow
      default: return unit() * 0x1p-149f * 100;
    }
  }

 private:
  std::mt19937 engine_;
};

struct Case {
  const char* op = nullptr;
  Params params;
  Shape src, filter, dst;
  std::string text() const { return cat(op, " src ", src, " filter ", filter, " {", params.str(), "}"); }
};

enum Kind { kLocal, kGroupLocal, kLocalShare };

Case draw(Dice& dice, Kind kind) {
  for (;;) {
    const int64_t widths[] = {1, 2, 3, 5, 7, 8, 15, 16, 17, 24, 31, 32, 33, 64, 70, 130};
    int64_t ocpg = dice.one_in(2) ? dice.in(1, 9) : widths[dice.upto(15)];
    int64_t icpg = dice.one_in(3) ? dice.in(1, 24) : dice.in(1, 5);
    int64_t group = kind == kLocal || dice.one_in(2) ? 1 : dice.in(1, 4);
    int64_t fh = dice.in(1, dice.one_in(4) ? 7 : 3), fw = dice.in(1, dice.one_in(4) ? 7 : 3);
    int64_t sh = dice.one_in(2) ? 1 : dice.in(1, 3), sw = dice.one_in(2) ? 1 : dice.in(1, 4);
    // now and then wider than the window: outputs without a single tap
    int64_t ph = dice.one_in(3) ? 0 : dice.in(0, dice.one_in(4) ? fh + 2 : fh / 2);
    int64_t pw = dice.one_in(3) ? 0 : dice.in(0, dice.one_in(4) ? fw + 3 : fw / 2);
    if (kind == kGroupLocal && dice.one_in(4)) {  // as MobileNet has them
      group = dice.in(1, 9), icpg = ocpg = 1;
      fh = fw = 3, sh = sw = 1, pw = 1, ph = dice.in(0, 2);
    }
    const bool deep = kind == kLocal && dice.one_in(50);  // weights of one output that no first cache holds
    if (deep) icpg = dice.in(228, 235), ocpg = dice.in(9, 16), fh = fw = 3, ph = pw = 0;
    int64_t oh = deep ? 1 : dice.in(1, 6),
            ow = deep             ? 1
                 : dice.one_in(4) ? dice.in(1, 40)
                                  : dice.in(1, 8),
            sgh = oh, sgw = ow;
    if (kind == kLocalShare) {
      sgh = dice.in(1, 3), sgw = dice.in(1, 3);
      oh = sgh * dice.in(1, 4), ow = sgw * dice.in(1, 5);
    }
    const int64_t ih = (oh - 1) * sh + fh - 2 * ph + dice.upto(sh - 1);
    const int64_t iw = (ow - 1) * sw + fw - 2 * pw + dice.upto(sw - 1);
    const int64_t n = deep ? dice.in(7, 8) : dice.one_in(20) ? 0 : dice.one_in(5) ? dice.in(9, 40) : dice.in(1, 8);
    if (ih < 1 || iw < 1 || n * group * icpg * ocpg * fh * fw * oh * ow > 300000) continue;
    Case c;
    const bool grouped = kind == kGroupLocal || (kind == kLocalShare && dice.one_in(2));
    if (!grouped) group = 1;
    const auto mode = dice.one_in(2) ? param::ConvolutionMode::CONVOLUTION : param::ConvolutionMode::CROSS_CORRELATION;
    const auto set = [&](auto p) {
      p.pad_h = static_cast<uint32_t>(ph), p.pad_w = static_cast<uint32_t>(pw);
      p.stride_h = static_cast<uint32_t>(sh), p.stride_w = static_cast<uint32_t>(sw);
      if (kind != kGroupLocal) p.mode = mode;
      return p;
    };
    if (kind == kLocalShare) {
      param::LocalShare p = set(param::LocalShare{});
      p.spatial_groups_h = static_cast<uint32_t>(sgh), p.spatial_groups_w = static_cast<uint32_t>(sgw);
      if (grouped) p.sparse = param::ConvolutionSparse::GROUP;
      c.params = p;
    } else {
      c.params = set(param::Convolution{});
    }
    c.src = {n, group * icpg, ih, iw};
    c.filter = {sgh, sgw, icpg, fh, fw, ocpg};
    if (grouped) c.filter.insert(0, group);
    c.dst = {n, group * ocpg, oh, ow};
    return c;
  }
}

Tensor fill(Dice& dice, DTypeEnum type, const Shape& shape, bool extreme) {
  Tensor t = Tensor::empty(type, shape);
  if (type == DTypeEnum::Float16) {
    for (half& v : t.span<half>()) v = half(dice.number(extreme));
  } else {
    for (float& v : t.span<float>()) v = dice.number(extreme);
  }
  if (shape.ndim() < 2 || !dice.one_in(4)) return t;
  // the same values, lying with the last two axes swapped
  const int d = shape.ndim();
  Shape swapped = shape;
  std::swap(swapped[d - 2], swapped[d - 1]);
  Layout turned(swapped);
  Shape stride = turned.stride;
  std::swap(stride[d - 2], stride[d - 1]);
  const Tensor other = Tensor::empty(type, swapped).view(Layout(shape, stride));
  copy_strided(t, other);
  return other;
}

template <class T>
bool same(const Tensor& a, const Tensor& b) {
  for (int64_t i = 0; i < a.count(); ++i) {
    const T x = a.data<T>()[i], y = b.data<T>()[i];
    if (std::memcmp(&x, &y, sizeof x) != 0 && !(std::isnan(static_cast<float>(x)) && std::isnan(static_cast<float>(y))))
      return false;
  }
  return true;
}

bool check(const char* op, const Case& c, const std::vector<Tensor>& in, Exec& one, Exec& two) {
  const OpDef& def = Registry::get().at(op);
  Attrs attrs;
  attrs.params = c.params;
  const Tensor want = run_op(def, attrs, in, one, true)[0];
  // Constant weights are packed when they come again.
  for (const Tensor& t : in) t.storage()->freeze();
  for (int round = 0; round < 3; ++round) {
    const Tensor got = run_op(def, attrs, in, round == 1 ? two : one)[0];
    const bool half_type = want.dtype().id == DTypeEnum::Float16;
    if (half_type ? same<half>(got, want) : same<float>(got, want)) continue;
    std::printf("%s, round %d: other bits than the reference\n  %s\n", op, round, c.text().c_str());
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 1000;
  Dice dice(argc > 2 ? static_cast<uint32_t>(std::atoi(argv[2])) : 1);
  ThreadPool pool(2);
  Exec one, two(&pool);
  const char* const names[3][3] = {{"Local", "LocalBackwardData", "LocalBackwardFilter"},
                                   {"GroupLocal", "GroupLocalBackwardData", "GroupLocalBackwardFilter"},
                                   {"LocalShareForward", "LocalShareBackwardData", "LocalShareBackwardFilter"}};
  int failed = 0;
  for (int i = 0; i < count && failed < 10; ++i) {
    const Kind kind = static_cast<Kind>(dice.upto(2));
    Case c = draw(dice, kind);
    const int what = static_cast<int>(dice.upto(3));  // the forward pass counts double
    c.op = names[kind][what % 3];
    const bool extreme = dice.one_in(3);
    const DTypeEnum type =
        kind != kLocalShare && what % 3 == 0 && dice.one_in(4) ? DTypeEnum::Float16 : DTypeEnum::Float32;
    const Tensor src = fill(dice, type, c.src, extreme), filter = fill(dice, type, c.filter, extreme);
    const Tensor diff = what % 3 ? fill(dice, type, c.dst, extreme) : Tensor();
    const std::vector<Tensor> in = what % 3 == 0   ? std::vector{src, filter}
                                   : what % 3 == 1 ? std::vector{filter, diff, src}
                                                   : std::vector{src, diff, filter};
    failed += !check(c.op, c, in, one, two);
  }
  std::printf("local_sweep: %d shapes, %s, %d failed\n", count, isa_name().c_str(), failed);
  return failed ? 1 : 0;
}
