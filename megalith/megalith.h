/* The C interface of Megalith: load a `.mge` model, feed it, run it. Stable: functions are only added.
 *
 * Functions return 0 on success; otherwise mgl_last_error() has one sentence that says what was wrong. */
#ifndef MEGALITH_H
#define MEGALITH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mgl_model mgl_model;

/* Element types: the numbers of MegEngine's DTypeEnum. */
enum { MGL_FLOAT32 = 0, MGL_UINT8 = 1, MGL_INT8 = 2, MGL_INT16 = 3, MGL_INT32 = 4, MGL_FLOAT16 = 9, MGL_BOOL = 18 };

/* Row-major data with `ndim` dimensions (at most 7). */
typedef struct mgl_tensor {
  void* data;
  int32_t dtype;
  int32_t ndim;
  int64_t shape[7];
} mgl_tensor;

const char* mgl_version(void);
const char* mgl_last_error(void); /* of this thread */

/* threads: 0 takes what the machine allows. */
int mgl_load(const char* path, int threads, mgl_model** out);
int mgl_load_bytes(const void* bytes, size_t size, int threads, mgl_model** out);
void mgl_free(mgl_model* model);

int mgl_num_inputs(const mgl_model* model);
int mgl_num_outputs(const mgl_model* model);
const char* mgl_input_name(const mgl_model* model, int i); /* NULL when i is out of range */
const char* mgl_output_name(const mgl_model* model, int i);
/* The declared shape and type of input i; data is NULL. */
int mgl_input_info(const mgl_model* model, int i, mgl_tensor* out);

/* Copies the tensor; it stays set for later runs. */
int mgl_set_input(mgl_model* model, const char* name, const mgl_tensor* tensor);
int mgl_run(mgl_model* model);
/* The same, and remembers where the time goes: mgl_profile_* tell about all profiled runs since mgl_load. */
int mgl_run_profiled(mgl_model* model);
int mgl_threads(const mgl_model* model); /* that a run uses */

/* One operator of the executed graph over all profiled runs. Strings are valid until the next profiled run. */
typedef struct mgl_op_profile {
  const char* op;
  const char* name;
  const char* kernel;
  int64_t runs;
  double seconds; /* of all runs together */
  double flops;   /* of one run; negative: no formula */
  uint64_t bytes; /* inputs and outputs of one run */
} mgl_op_profile;
int mgl_profile_size(const mgl_model* model); /* operators that ran */
int mgl_profile_op(const mgl_model* model, int i, mgl_op_profile* out);

/* The index of an output by its name; -1 when there is none. */
int mgl_output_index(const mgl_model* model, const char* name);
/* The result of the last run; valid until the next run or mgl_free. */
int mgl_get_output(const mgl_model* model, int i, mgl_tensor* out);

#ifdef __cplusplus
}
#endif
#endif
