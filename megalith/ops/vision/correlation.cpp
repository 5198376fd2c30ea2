// Cost volumes of optical flow: how well patches of one image match patches of another that are displaced.
//
// Output channel c compares the patch at a place in data1 with that at the place displaced by
// ((c % grid - radius) * stride2, (c / grid - radius) * stride2) in data2.
#include "megalith/ops/op_util.h"
#include "megalith/var.h"

namespace megalith {
namespace {

struct Geometry {
  int64_t n, channels, height, width;  // of the images
  int64_t radius, grid;                // displacements: -radius .. radius, grid = 2 * radius + 1
  int64_t kernel_radius, max_displacement, stride1, stride2, pad;
  int64_t oh, ow;
  bool multiply;

  Geometry(const param::Correlation& p, const Shape& image)
      : n(image[0]),
        channels(image[1]),
        height(image[2]),
        width(image[3]),
        radius(p.max_displacement / p.stride2),
        grid(2 * radius + 1),
        kernel_radius((p.kernel_size - 1) / 2),
        max_displacement(p.max_displacement),
        stride1(p.stride1),
        stride2(p.stride2),
        pad(p.pad_size),
        multiply(p.is_multiply) {
    auto extent = [&](int64_t size) {
      const int64_t inner = size + 2 * pad - 2 * (max_displacement + kernel_radius);
      return static_cast<int64_t>(std::ceil(static_cast<float>(inner) / static_cast<float>(stride1)));
    };
    oh = extent(height);
    ow = extent(width);
  }
  Shape output() const { return {n, grid * grid, oh, ow}; }
  float patch_elements() const {
    return static_cast<float>((kernel_radius * 2 + 1) * (kernel_radius * 2 + 1) * channels);
  }
  bool inside(int64_t y, int64_t x) const { return y >= 0 && y < height && x >= 0 && x < width; }
  // The outputs along one axis, clipped to [0, limit), whose patches hold position v.
  std::pair<int64_t, int64_t> holders(int64_t v, int64_t limit) const {
    auto floor_div = [](int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); };
    const int64_t last = v + pad - max_displacement;
    return {std::max<int64_t>(0, floor_div(last - 2 * kernel_radius - 1, stride1) + 1),
            std::min(limit - 1, floor_div(last, stride1))};
  }
};

Geometry check(const InferContext& c, int first) {
  const auto& p = c.param<param::Correlation>();
  constexpr uint32_t kLimit = 1u << 20;
  c.require(p.format == param::ConvolutionV0Format::NCHW, "only format NCHW is supported");
  c.require(p.kernel_size > 0 && p.stride1 > 0 && p.stride2 > 0, "kernel_size=", p.kernel_size, ", stride1=", p.stride1,
            " and stride2=", p.stride2, " must be positive");
  c.require(p.kernel_size < kLimit && p.stride1 < kLimit && p.stride2 < kLimit && p.pad_size < kLimit &&
                p.max_displacement < kLimit,
            "a parameter is too large");
  const Shape& image = c.shape(first);
  c.require(image.ndim() == 4 && image == c.shape(first + 1), "images must have 4 dimensions and one shape, got ",
            image, " and ", c.shape(first + 1));
  c.require(image.count() > 0, "images are empty: ", image);
  c.require(c.dtype(0).is_float(), "unsupported element type ", c.dtype(0).name());
  for (int i = 1; i < c.nin(); ++i)
    c.require(c.dtype(i) == c.dtype(0), "inputs must have one element type, got ", c.dtype(0).name(), " and ",
              c.dtype(i).name());
  const Geometry g(p, image);
  c.require(g.oh > 0 && g.ow > 0, "images ", image, " are too small for kernel_size=", p.kernel_size,
            ", max_displacement=", p.max_displacement, ", pad_size=", p.pad_size);
  return g;
}

void infer_forward(InferContext& c) { c.set(0, c.dtype(0), check(c, 0).output()); }

// inputs: diff, data1, data2
void infer_backward(InferContext& c) {
  const Geometry g = check(c, 1);
  c.require(c.shape(0) == g.output(), "diff must be ", g.output(), ", got ", c.shape(0));
  c.set(0, c.dtype(0), c.shape(1));
}

void run_forward(const KernelArgs& a) {
  const Geometry g(a.param<param::Correlation>(), a.in[0].shape());
  dispatch_float(a.in[0].dtype(), [&]<class T>(T) {
    const T* data1 = a.in[0].data<T>();
    const T* data2 = a.in[1].data<T>();
    T* dst = a.out[0].data<T>();
    a.exec.parallel_for(g.n * g.grid * g.grid * g.oh, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t oy = i % g.oh, c = i / g.oh % (g.grid * g.grid), n = i / g.oh / (g.grid * g.grid);
        const int64_t dx = (c % g.grid - g.radius) * g.stride2, dy = (c / g.grid - g.radius) * g.stride2;
        const int64_t plane = g.height * g.width;
        const T* image1 = data1 + n * g.channels * plane;
        const T* image2 = data2 + n * g.channels * plane;
        for (int64_t ox = 0; ox < g.ow; ++ox) {
          float sum = 0;
          for (int64_t ky = 0; ky <= 2 * g.kernel_radius; ++ky)
            for (int64_t kx = 0; kx <= 2 * g.kernel_radius; ++kx) {
              const int64_t y1 = oy * g.stride1 + g.max_displacement - g.pad + ky, y2 = y1 + dy;
              const int64_t x1 = ox * g.stride1 + g.max_displacement - g.pad + kx, x2 = x1 + dx;
              const bool in1 = g.inside(y1, x1), in2 = g.inside(y2, x2);
              for (int64_t channel = 0; channel < g.channels; ++channel) {
                const float v1 = in1 ? static_cast<float>(image1[channel * plane + y1 * g.width + x1]) : 0.f;
                const float v2 = in2 ? static_cast<float>(image2[channel * plane + y2 * g.width + x2]) : 0.f;
                sum += g.multiply ? v1 * v2 : std::fabs(v1 - v2);
              }
            }
          dst[i * g.ow + ox] = T(sum / g.patch_elements());
        }
      }
    });
  });
}

// Gradient of one image, pixel by pixel. MegEngine sums the gradient of data1 in float and pairs the displacement
// channels with x and y exchanged; the gradient of data2 it sums in the type of the tensors.
template <int Which>
void run_backward(const KernelArgs& a) {
  const Geometry g(a.param<param::Correlation>(), a.in[1].shape());
  dispatch_float(a.in[0].dtype(), [&]<class T>(T) {
    using Sum = std::conditional_t<Which == 1, float, T>;
    const T* diff = a.in[0].data<T>();
    const T* own = a.in[Which].data<T>();
    const T* other = a.in[3 - Which].data<T>();
    T* grad = a.out[0].data<T>();
    a.exec.parallel_for(g.n * g.channels * g.height, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t y = i % g.height, image = i / g.height, n = image / g.channels;
        const T* other_plane = other + image * g.height * g.width;
        for (int64_t x = 0; x < g.width; ++x) {
          const float mine = static_cast<float>(own[i * g.width + x]);
          Sum sum(0.f);
          for (int64_t p = -g.radius; p <= g.radius; ++p)
            for (int64_t o = -g.radius; o <= g.radius; ++o) {
              const int64_t other_x = Which == 1 ? x + p * g.stride2 : x - o * g.stride2;
              const int64_t other_y = Which == 1 ? y + o * g.stride2 : y - p * g.stride2;
              const float theirs =
                  g.inside(other_y, other_x) ? static_cast<float>(other_plane[other_y * g.width + other_x]) : 0.f;
              const auto [y_begin, y_end] = g.holders(Which == 1 ? y : other_y, g.oh);
              const auto [x_begin, x_end] = g.holders(Which == 1 ? x : other_x, g.ow);
              const float sign = Which == 1 ? (mine > theirs ? 1.f : -1.f) : (theirs >= mine ? -1.f : 1.f);
              const float factor = g.multiply ? theirs : sign;
              const T* d = diff + ((n * g.grid + p + g.radius) * g.grid + o + g.radius) * g.oh * g.ow;
              for (int64_t oy = y_begin; oy <= y_end; ++oy)
                for (int64_t ox = x_begin; ox <= x_end; ++ox)
                  sum = Sum(static_cast<float>(sum) + static_cast<float>(d[oy * g.ow + ox]) * factor);
            }
          grad[i * g.width + x] = T(static_cast<float>(sum) / g.patch_elements());
        }
      }
    });
  });
}

std::vector<Var> grad_forward(const GradContext& c) {
  const std::vector<Var> inputs{c.dout[0], c.in[0], c.in[1]};
  return {c.needs[0] ? emit1("CorrelationBackwardData1", c.attrs.params, inputs) : Var(),
          c.needs[1] ? emit1("CorrelationBackwardData2", c.attrs.params, inputs) : Var()};
}

}  // namespace
}  // namespace megalith

MEGALITH_OPS(vision_correlation) {
  r.add({.name = "CorrelationForward",
         .doc = "Products, or distances, of patches of two images at all displacements up to a maximum.",
         .mge = {"CorrelationForward"},
         .params = &param::Correlation::kSchema,
         .min_inputs = 2,
         .max_inputs = 2,
         .infer = infer_forward,
         .kernels = {{.name = "reference", .run = run_forward}},
         .grad = grad_forward});
  r.add({.name = "CorrelationBackwardData1",
         .doc = "Gradient of Correlation with respect to its first image.",
         .mge = {"CorrelationBackwardData1"},
         .params = &param::Correlation::kSchema,
         .min_inputs = 3,
         .max_inputs = 3,
         .infer = infer_backward,
         .kernels = {{.name = "reference", .run = run_backward<1>}}});
  r.add({.name = "CorrelationBackwardData2",
         .doc = "Gradient of Correlation with respect to its second image.",
         .mge = {"CorrelationBackwardData2"},
         .params = &param::Correlation::kSchema,
         .min_inputs = 3,
         .max_inputs = 3,
         .infer = infer_backward,
         .kernels = {{.name = "reference", .run = run_backward<2>}}});
}
