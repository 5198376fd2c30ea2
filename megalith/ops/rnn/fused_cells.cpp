// One step of a recurrent cell: the products of a unit's gates side by side, then the gates' functions.
#include "megalith/ops/rnn/dims.h"
#include "megalith/ops/rnn/panels.h"
#include "megalith/packed.h"
#include "megalith/plan.h"

namespace megalith::rnn {
namespace {

// The weights of one side, packed.
struct Side {
  std::shared_ptr<Storage> storage;
  Panels panels;

  Side(const Tensor& w, const FusedCell& c, Exec& exec) {
    const int64_t G = gates_of(c.kind), k = w.dim(1);
    panels = {nullptr, gemm::panels(c.hidden) * G, k, c.batch <= kFewRows};
    const auto bytes = static_cast<size_t>(panels.count * k * gemm::panel_width()) * sizeof(float);
    storage = packed(w, mix_bits(static_cast<uint64_t>(G), panels.grouped ? 7 : 8), bytes, [&](std::byte* to) {
      pack_panels(panels, reinterpret_cast<float*>(to), {{w.data<float>(), 1, k}}, c.hidden, G, exec);
    });
    panels.data = reinterpret_cast<const float*>(storage->data());
  }
};

}  // namespace

void fused_cell(const FusedCell& c, Exec& exec) {
  if (c.batch == 0 || c.hidden == 0) return;
  const int64_t G = gates_of(c.kind), H = c.hidden, R = G * H, I = c.w_ih.dim(1), panel = gemm::panel_width();
  const Side input(c.w_ih, c, exec), state(c.w_hh, c, exec);
  const int64_t all = gemm::panels(H), at_once = units_at_once(c.kind, c.batch);
  const int64_t rows = std::min(c.batch, kTileRows), width = at_once * G * panel;
  // Biases of both sides; a GRU's n keeps them apart.
  float* bias = Scratch::get(Scratch::kGates, R + H);
  const float *bi = c.b_ih.data<float>(), *bh = c.b_hh.data<float>();
  const int64_t bi_step = c.b_ih.count() == 1 ? 0 : 1, bh_step = c.b_hh.count() == 1 ? 0 : 1;
  const int64_t both = c.kind == Kind::kGru ? 2 * H : R;
  for (int64_t j = 0; j < R; ++j) bias[j] = bi[j * bi_step] + (j < both ? bh[j * bh_step] : 0.f);
  for (int64_t j = both; j < R; ++j) bias[R + j - both] = bh[j * bh_step];
  const int64_t grain = 1 + 131072 / (panel * G * (I + H) * c.batch);
  exec.parallel_for((all + at_once - 1) / at_once, grain, [&](int64_t begin, int64_t end) {
    float* tiles = Scratch::get(Scratch::kSums, 2 * rows * width);
    for (int64_t u = begin * at_once; u < std::min(all, end * at_once); u += at_once) {
      const int64_t u_end = std::min(all, u + at_once);
      each_piece(0, c.batch, kTileRows, [&](int64_t row, int64_t row_end) {
        const int64_t n = row_end - row;
        float* x_tile = tiles + rows * width;
        state.panels.multiply(0, n, c.h + row * H, H, u * G, u_end * G, tiles, width);
        input.panels.multiply(0, n, c.x + row * I, I, u * G, u_end * G, x_tile, width);
        for (int64_t v = u; v < u_end; ++v) {
          const int64_t unit = v * panel, here = row * H + unit, tile = (v - u) * G * panel;
          recurrent::Gates g{.kind = c.kind, .rows = n, .units = std::min(panel, H - unit)};
          g.hidden = {tiles + tile, width, panel};
          g.input = {x_tile + tile, width, panel};
          g.bias = bias + unit;
          g.bias_gate = H;
          if (c.kind == Kind::kGru) g.n_bias = bias + R + unit;
          g.h_old = {c.h + here, H};
          g.h_new = {c.h_out + here, H};
          if (c.kind == Kind::kLstm) {
            g.c_old = {c.c + here, H};
            g.c_new = {c.c_out + here, H};
          }
          if (c.gates) (c.kind == Kind::kGru ? g.saved : g.sums) = {c.gates + here, H, c.batch * H};
          recurrent::forward(g);
          recurrent::results(g);
        }
      });
    }
  });
}

}  // namespace megalith::rnn
