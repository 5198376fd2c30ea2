/* Runs a model with inputs of zeros from C and prints the shape and the first value of every output, and the
 * slowest operator.
 *
 * usage: run_c MODEL.mge */
#include <stdio.h>
#include <stdlib.h>

#include "megalith/megalith.h"

static int fail(void) {
  fprintf(stderr, "run_c: error: %s\n", mgl_last_error());
  return 1;
}

int main(int argc, char** argv) {
  mgl_model* model;
  if (argc != 2) return fprintf(stderr, "usage: run_c MODEL.mge\n"), 2;
  if (mgl_load(argv[1], 0, &model)) return fail();
  for (int i = 0; i < mgl_num_inputs(model); ++i) {
    mgl_tensor t;
    if (mgl_input_info(model, i, &t)) return fail();
    size_t n = 8;
    for (int k = 0; k < t.ndim; ++k) n *= (size_t)t.shape[k];
    t.data = calloc(n, 1);
    const int bad = mgl_set_input(model, mgl_input_name(model, i), &t);
    free(t.data);
    if (bad) return fail();
  }
  if (mgl_run(model) || mgl_run_profiled(model)) return fail();
  for (int i = 0; i < mgl_num_outputs(model); ++i) {
    mgl_tensor t;
    if (mgl_get_output(model, i, &t)) return fail();
    printf("%s (", mgl_output_name(model, i));
    for (int k = 0; k < t.ndim; ++k) printf("%s%lld", k ? "," : "", (long long)t.shape[k]);
    printf(")");
    if (t.dtype == MGL_FLOAT32) printf(" starts with %g", ((float*)t.data)[0]);
    printf("\n");
  }
  double slowest = -1, total = 0;
  mgl_op_profile worst = {0}, op;
  for (int i = 0; i < mgl_profile_size(model); ++i) {
    if (mgl_profile_op(model, i, &op)) return fail();
    total += op.seconds;
    if (op.seconds > slowest) slowest = op.seconds, worst = op;
  }
  if (worst.op)
    printf("%.3f ms with %d threads, most of it in %s '%s' (%s): %.3f ms\n", total * 1e3, mgl_threads(model), worst.op,
           worst.name, worst.kernel, slowest * 1e3);
  mgl_free(model);
  return 0;
}
