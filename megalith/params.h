// MegEngine's parameter tables as C++ aggregates.
//
// The members of a struct stand in the order of the FlatBuffers table of the same name, so member i is vtable slot 4 + 2*i
// and the `.mge` codec needs no code per op (see megalith/param.h). Member initializers are the table's defaults: a default
// is left out of the file. Names and values are MegEngine's own; append, never reorder.
#pragma once

#include "megalith/param.h"

namespace megalith::param {

enum class ConvolutionMode : uint32_t { CROSS_CORRELATION = 0, CONVOLUTION = 1 };
enum class ConvolutionSparse : uint32_t { DENSE = 0, GROUP = 1 };
enum class ConvolutionFormat : uint32_t { NCHW = 0, NHWC = 1, NHWCD4 = 2, NCHW4 = 3, NCHW8 = 4, NCHW32 = 5, NCHW88 = 6, NCHW44 = 7, NCHW44_DOT = 8, NCHW4_NCHW32 = 9, NCHW32_NCHW4 = 10, NCHW4_NCHW = 11, NHWC_NCHW = 12, NHWC_NCHW4_IC_SMALL = 13, NCHW_NCHW4_IC_SMALL = 14, CHWN4 = 15, NCHW64 = 16, NCHW4_NHWC = 17 };
enum class ComputeMode : uint32_t { DEFAULT = 0, FLOAT32 = 1 };
enum class NonlineMode : uint32_t { IDENTITY = 0, RELU = 1, SIGMOID = 2, H_SWISH = 3 };
enum class PoolingMode : uint32_t { MAX = 0, AVERAGE = 1, AVERAGE_COUNT_EXCLUDE_PADDING = 2 };
enum class BNParamDim : uint32_t { DIM_11HW = 0, DIM_1CHW = 1, DIM_1C11 = 2, DIM_111C = 3 };
enum class BNFwdMode : uint32_t { TRAINING = 0, INFERENCE = 1 };
enum class ROIPoolingMode : uint32_t { MAX = 0, AVERAGE = 1 };
enum class InterpolationMode : uint32_t { NEAREST = 0, LINEAR = 1, AREA = 2, CUBIC = 3, LANCZOS4 = 4 };
enum class BorderMode : uint32_t { REPLICATE = 0, REFLECT = 1, REFLECT_101 = 2, WRAP = 3, CONSTANT = 4, TRANSPARENT = 5, ISOLATED = 6 };
enum class ElemwiseMode : uint32_t { RELU = 0, ABS = 1, ACOS = 2, ASIN = 3, CEIL = 4, COS = 5, EXP = 6, EXPM1 = 7, FLOOR = 8, LOG = 9, LOG1P = 10, NEGATE = 11, SIGMOID = 12, SIN = 13, TANH = 14, ABS_GRAD = 15, ADD = 16, FLOOR_DIV = 17, MAX = 18, MIN = 19, MOD = 20, MUL = 21, POW = 22, SIGMOID_GRAD = 23, SUB = 24, SWITCH_GT0 = 25, TANH_GRAD = 26, TRUE_DIV = 27, LOG_SUM_EXP = 28, LT = 29, LEQ = 30, EQ = 31, SHL = 32, SHR = 33, COND_LEQ_MOV = 34, FUSE_MUL_ADD3 = 35, FUSE_MUL_ADD4 = 36, FUSE_ADD_RELU = 37, FUSE_ADD_SIGMOID = 38, FUSE_ADD_TANH = 39, FAST_TANH = 40, FAST_TANH_GRAD = 41, ROUND = 42, RMULH = 43, ATAN2 = 44, ERF = 45, ERFINV = 46, ERFC = 47, ERFCINV = 48, H_SWISH = 49, H_SWISH_GRAD = 50, FUSE_ADD_H_SWISH = 51, NOT = 52, AND = 53, OR = 54, XOR = 55, SILU = 56, SILU_GRAD = 57, GELU = 58, GELU_GRAD = 59, COND_LT_MOV = 60, NEQ = 61, ISNAN = 62, ISINF = 63, SINH = 64, COSH = 65, ASINH = 66, ACOSH = 67, ATANH = 68, TAN = 69, ASINH_GRAD = 70, ACOSH_GRAD = 71, ATANH_GRAD = 72, PRELU = 73, CLIP = 74, PRELU_GRAD = 75, SOFTPLUS = 76, SOFTPLUS_GRAD = 77, RELU6 = 78, RELU6_GRAD = 79, HSIGMOID = 80, HSIGMOID_GRAD = 81, LOGSIGMOID = 82, SQRT = 83, SQUARE = 84, SIGN = 85 };
enum class ElemwiseMultiTypeMode : uint32_t { FUSE_MUL_ADD3_INT16x32x32x32 = 0, FUSE_MUL_ADD3_IXxF32xF32xI8 = 1, ROUND_SHR_SATURATE_IXxI8xI8 = 2, FUSE_ADD_RMULH_ROUND_SHR_SATURATE_INT16x16x16x8 = 3, FUSE_ADD_RMULH_ROUND_SHR_SATURATE_INT32x32x32x8 = 4, ROUND_SHR_SATURATE_IXxI8xI16 = 5, QADD = 6, QFUSE_ADD_RELU = 7, QMUL = 8, QMIN = 9, QMAX = 10, QSUB = 11, QTRUE_DIV = 12, QFUSE_ADD_SIGMOID = 13, QFUSE_ADD_TANH = 14, QRELU = 15, QABS = 16, QSIGMOID = 17, QEXP = 18, QTANH = 19, QFUSE_MUL_ADD3 = 20, QFAST_TANH = 21, QNEGATE = 22, QACOS = 23, QASIN = 24, QCEIL = 25, QCOS = 26, QEXPM1 = 27, QFLOOR = 28, QLOG = 29, QLOG1P = 30, QSIN = 31, QROUND = 32, QERF = 33, QERFINV = 34, QERFC = 35, QERFCINV = 36, QABS_GRAD = 37, QFLOOR_DIV = 38, QMOD = 39, QSIGMOID_GRAD = 40, QSWITCH_GT0 = 41, QTANH_GRAD = 42, QLT = 43, QLEQ = 44, QEQ = 45, QPOW = 46, QLOG_SUM_EXP = 47, QFAST_TANH_GRAD = 48, QATAN2 = 49, QCOND_LEQ_MOV = 50, QH_SWISH = 51, QFUSE_ADD_H_SWISH = 52, QH_SWISH_GRAD = 53, FUSE_MUL_ADD3_INT16xF32xF32xF32 = 54, MUL_INT16xF32xF32 = 55, FUSE_MUL_ADD3_UINT8xF32xF32xF32 = 56, QCOND_LT_MOV = 57, EQ = 58, NEQ = 59, LT = 60, LEQ = 61, ISNAN = 62, ISINF = 63 };
enum class DctFastImpl : uint32_t { NONE = 0, FIX_32_MASK = 1 };
enum class MatrixMulFormat : uint32_t { DEFAULT = 0, MK4 = 1, MK8 = 2, MK4_DOT = 3, N32K4_DOT = 4 };
enum class ReduceMode : uint32_t { SUM = 0, SUM_SQR = 1, PRODUCT = 2, MIN = 3, MAX = 4, MEAN = 5 };
enum class ReduceDataType : uint32_t { DEFAULT = 0, FLOAT_IO16xC32 = 1, FLOAT_O32xC32 = 2, FLOAT_O16xC32 = 3, QUINT_I8xO32 = 4, QINT_I8xO32 = 5 };
enum class CondTakeMode : uint32_t { EQ = 0, NEQ = 1, LT = 2, LEQ = 3, GT = 4, GEQ = 5 };
enum class ArgsortOrder : uint32_t { ASCENDING = 0, DESCENDING = 1 };
enum class CvtColorMode : uint32_t { RGB2GRAY = 0, RGB2YUV = 1, YUV2RGB = 2, GRAY2RGB = 3, RGBA2RGB = 4, RGBA2BGR = 5, RGBA2GRAY = 6, RGB2BGR = 7, BGR2GRAY = 8, BGR2RGB = 9, YUV2GRAY_NV21 = 10, YUV2RGB_NV21 = 11, YUV2BGR_NV21 = 12, YUV2GRAY_NV12 = 13, YUV2RGB_NV12 = 14, YUV2BGR_NV12 = 15, YUV2GRAY_YV12 = 16, YUV2RGB_YV12 = 17, YUV2BGR_YV12 = 18, YUV2GRAY_YU12 = 19, YUV2RGB_YU12 = 20, YUV2BGR_YU12 = 21, YCrCb2RGB = 22, YCrCb2BGR = 23, BT601_YUV2RGB_NV21 = 24, BT601_YUV2BGR_NV21 = 25, BT601_YUV2RGB_NV12 = 26, BT601_YUV2BGR_NV12 = 27, BT601_YUV2RGB_YV12 = 28, BT601_YUV2BGR_YV12 = 29, BT601_YUV2RGB_YU12 = 30, BT601_YUV2BGR_YU12 = 31 };
enum class Convolution3DDataType : uint32_t { FLOAT = 0, FLOAT_IO16xC32 = 1 };
enum class Convolution3DFormat : uint32_t { NCDHW = 0, NDHWC = 1 };
enum class TopKMode : uint32_t { KTH_ONLY = 0, VALUE_IDX_NOSORT = 1, VALUE_IDX_SORTED = 2 };
enum class RelayoutFormatMode : uint32_t { NHWC_NHWCD4 = 0, NHWCD4_NHWC = 1, NHWC_NHWCD4I = 2, NCHW_NHWCD4 = 3, NCHW_NHWCD4I = 4, NHWCD4I_NCHW = 5, NHWCD4_NCHW = 6, INTER_WEIGHT_DENSE = 7, INTER_WEIGHT_DENSEI = 8, INTER_WEIGHT_GROUP = 9, INTER_WEIGHT_GROUPI = 10, INTER_WEIGHT_CHAN = 11, INTER_WEIGHT_CHANI = 12, INTER_WEIGHT_DENSEI_DOT = 13, INTER_WEIGHT_GROUPI_DOT = 14, NCHW4_CHWN4 = 15, CHWN4_NCHW4 = 16, NCHW_NCHW88_CONV_DENSE_WEIGHT = 17, NCHW_NCHW88_CONV_CHAN_WEIGHT = 18, NCHW_NCHW88_CONV_GROUP_WEIGHT = 19, NCHW_NCHW88 = 20, NCHW88_NCHW = 21, NCHW_NCHW4_IC_SMALL = 22, NCHW_NCHW4_IC_SMALL_CONV_DENSE_WEIGHT = 23, NCHW_NCHW4 = 24, NCHW4_NCHW = 25, NCHW_NCHW4_WEIGHT = 26, NCHW_NCHW64 = 27, NCHW64_NCHW = 28, NCHW_NHWC = 29, NHWC_NCHW = 30, NHWCD4I_NHWC = 31 };
enum class ROIAlignMode : uint32_t { MAX = 0, AVERAGE = 1 };
enum class ConvolutionV0Format : uint32_t { NCHW = 0, NHWC = 1, NHWCD4 = 2, NCHW4 = 3, NCHW8 = 4, NCHW32 = 5, NCHW88 = 6, NCHW44 = 7, NCHW44_DOT = 8, NCHW_WINOGRAD = 9, NCHW88_WINOGRAD = 10, NCHW44_WINOGRAD = 11, NCHW4_NCHW32 = 12, NCHW32_NCHW4 = 13, NCHW4_NCHW = 14, NHWC_NCHW = 15, NHWC_NCHW4_IC_SMALL = 16, NCHW_NCHW4_IC_SMALL = 17, CHWN4 = 18, NCHW4_NHWC = 19 };
enum class PaddingMode : uint32_t { REPLICATE = 0, REFLECT = 1, CONSTANT = 2 };
enum class RNNNonlineMode : uint32_t { IDENTITY = 0, RELU = 1, TANH = 2 };
enum class AttnMaskType : uint32_t { NO_MASK = 0, DEFAULT_MASK = 1, CUDNN_STYLE_MASK = 2, USER_DEFINED_MASK = 3 };
enum class TensorCombinationType : uint32_t { NONE = 0, ONLY_MASK = 1, ONLY_BIASKV = 2, ALL = 3 };
enum class ExecutionPolicyStrategy : uint32_t { HEURISTIC = 1, PROFILE = 2, REPRODUCIBLE = 4, OPTIMIZED = 8 };
enum class CondExecPredMode : uint32_t { CASE = 0, CASE_FALLBACK = 1, PIECEWISE = 2 };
enum class CondExecPredLogicalMode : uint32_t { OR = 0, AND = 1, XOR = 2, NOR = 3, NAND = 4, XNOR = 5 };
enum class CondExecGradMode : uint32_t { SUM = 0, SUM_COND_OUT = 1 };
enum class CondExecStaticInfer : uint32_t { SHAPE_VALUE = 0, SHAPE_ONLY = 1, NONE = 2 };
enum class CondExecMergeMode : uint32_t { EXACT_ONE = 0, EXACT_ONE_SAME_SHAPE = 1, SUM = 2, SUM_COND_OUT = 3 };

struct Empty {
  static const ParamSchema kSchema;
};

struct Axis {
  int32_t axis = 0;
  static const ParamSchema kSchema;
};

struct Convolution {
  ConvolutionMode mode = ConvolutionMode::CROSS_CORRELATION;
  uint32_t pad_h = 0;
  uint32_t pad_w = 0;
  uint32_t stride_h = 1;
  uint32_t stride_w = 1;
  uint32_t dilate_h = 1;
  uint32_t dilate_w = 1;
  ConvolutionSparse sparse = ConvolutionSparse::DENSE;
  ConvolutionFormat format = ConvolutionFormat::NCHW;
  ComputeMode compute_mode = ComputeMode::DEFAULT;
  static const ParamSchema kSchema;
};

struct MaskPropagate {
  uint32_t pad_h = 0;
  uint32_t pad_w = 0;
  uint32_t stride_h = 1;
  uint32_t stride_w = 1;
  uint32_t kernel_h = 1;
  uint32_t kernel_w = 1;
  uint32_t dilate_h = 1;
  uint32_t dilate_w = 1;
  static const ParamSchema kSchema;
};

struct ConvBias {
  NonlineMode nonlineMode = NonlineMode::IDENTITY;
  ConvolutionMode mode = ConvolutionMode::CROSS_CORRELATION;
  ConvolutionSparse sparse = ConvolutionSparse::DENSE;
  ConvolutionFormat format = ConvolutionFormat::NCHW;
  uint32_t pad_h = 0;
  uint32_t pad_w = 0;
  uint32_t stride_h = 1;
  uint32_t stride_w = 1;
  uint32_t dilate_h = 1;
  uint32_t dilate_w = 1;
  ComputeMode compute_mode = ComputeMode::DEFAULT;
  static const ParamSchema kSchema;
};

struct Images2Neibs {
  uint32_t pad_h = 0;
  uint32_t pad_w = 0;
  uint32_t stride_h = 1;
  uint32_t stride_w = 1;
  uint32_t dilate_h = 1;
  uint32_t dilate_w = 1;
  uint32_t window_h = 3;
  uint32_t window_w = 3;
  static const ParamSchema kSchema;
};

struct SlidingWindowTranspose {
  uint32_t out_h = 0;
  uint32_t out_w = 0;
  uint32_t pad_h = 0;
  uint32_t pad_w = 0;
  uint32_t stride_h = 1;
  uint32_t stride_w = 1;
  uint32_t dilate_h = 1;
  uint32_t dilate_w = 1;
  uint32_t window_h = 3;
  uint32_t window_w = 3;
  static const ParamSchema kSchema;
};

struct Pooling {
  PoolingMode mode = PoolingMode::MAX;
  uint32_t pad_h = 0;
  uint32_t pad_w = 0;
  uint32_t stride_h = 2;
  uint32_t stride_w = 2;
  uint32_t window_h = 2;
  uint32_t window_w = 2;
  ConvolutionFormat format = ConvolutionFormat::NCHW;
  static const ParamSchema kSchema;
};

struct Softmax {
  int32_t axis = -1;
  static const ParamSchema kSchema;
};

struct AdaptivePooling {
  PoolingMode mode = PoolingMode::MAX;
  ConvolutionFormat format = ConvolutionFormat::NCHW;
  static const ParamSchema kSchema;
};

struct LRN {
  uint32_t n = 5;
  float k = 2.0f;
  float alpha = 0.0001f;
  float beta = 0.75f;
  static const ParamSchema kSchema;
};

struct BN {
  BNParamDim param_dim = BNParamDim::DIM_11HW;
  BNFwdMode fwd_mode = BNFwdMode::TRAINING;
  double epsilon = 0.0001;
  double avg_factor = 1.0;
  float scale = 1.0f;
  float bias = 0.0f;
  static const ParamSchema kSchema;
};

struct ROIPooling {
  ROIPoolingMode mode = ROIPoolingMode::MAX;
  float scale = 1.0f;
  static const ParamSchema kSchema;
};

struct WarpPerspective {
  InterpolationMode imode = InterpolationMode::LINEAR;
  BorderMode bmode = BorderMode::REPLICATE;
  ConvolutionFormat format = ConvolutionFormat::NCHW;
  float border_val = 0.0f;
  static const ParamSchema kSchema;
};

struct Elemwise {
  ElemwiseMode mode = ElemwiseMode::RELU;
  static const ParamSchema kSchema;
};

struct ElemwiseMultiType {
  ElemwiseMultiTypeMode mode = ElemwiseMultiTypeMode::FUSE_MUL_ADD3_INT16x32x32x32;
  static const ParamSchema kSchema;
};

struct PowC {
  float exp = 0.0f;
  static const ParamSchema kSchema;
};

struct DctChannelSelect {
  ConvolutionFormat format = ConvolutionFormat::NCHW;
  DctFastImpl fastImpl = DctFastImpl::NONE;
  int32_t dct_block_size = 8;
  static const ParamSchema kSchema;
};

struct MatrixMul {
  bool transposeA = false;
  bool transposeB = false;
  ComputeMode compute_mode = ComputeMode::DEFAULT;
  MatrixMulFormat format = MatrixMulFormat::DEFAULT;
  static const ParamSchema kSchema;
};

struct SVD {
  bool full_matrices = false;
  bool compute_uv = true;
  static const ParamSchema kSchema;
};

struct Reduce {
  ReduceMode mode = ReduceMode::SUM;
  int32_t axis = INT32_MAX;
  ReduceDataType data_type = ReduceDataType::DEFAULT;
  static const ParamSchema kSchema;
};

struct Cumsum {
  int32_t axis = INT32_MAX;
  bool exclusive = true;
  bool reverse = false;
  static const ParamSchema kSchema;
};

struct CondTake {
  CondTakeMode mode = CondTakeMode::EQ;
  float val = 0.0f;
  float eps = 1e-06f;
  static const ParamSchema kSchema;
};

struct Argsort {
  ArgsortOrder order = ArgsortOrder::ASCENDING;
  static const ParamSchema kSchema;
};

struct IndexingRemap {
  bool is_non_overlapping = false;
  static const ParamSchema kSchema;
};

struct Linspace {
  bool endpoint = true;
  static const ParamSchema kSchema;
};

struct Eye {
  int32_t k = 0;
  DTypeEnum dtype = DTypeEnum::Float32;
  static const ParamSchema kSchema;
};

struct Diag {
  int32_t k = 0;
  static const ParamSchema kSchema;
};

struct UniformRNG {
  uint64_t seed = 0;
  DTypeEnum dtype = DTypeEnum::Float32;
  static const ParamSchema kSchema;
};

struct GaussianRNG {
  uint64_t seed = 0;
  float mean = 0.0f;
  float std = 1.0f;
  DTypeEnum dtype = DTypeEnum::Float32;
  static const ParamSchema kSchema;
};

struct GammaRNG {
  uint64_t seed = 0;
  static const ParamSchema kSchema;
};

struct BetaRNG {
  uint64_t seed = 0;
  static const ParamSchema kSchema;
};

struct PoissonRNG {
  uint64_t seed = 0;
  static const ParamSchema kSchema;
};

struct PermutationRNG {
  uint64_t seed = 0;
  DTypeEnum dtype = DTypeEnum::Int32;
  static const ParamSchema kSchema;
};

struct ShuffleRNG {
  uint64_t seed = 0;
  static const ParamSchema kSchema;
};

struct Rotate {
  bool clockwise = true;
  static const ParamSchema kSchema;
};

struct CvtColor {
  CvtColorMode mode = CvtColorMode::RGB2GRAY;
  static const ParamSchema kSchema;
};

struct WarpAffine {
  InterpolationMode imode = InterpolationMode::LINEAR;
  BorderMode border_mode = BorderMode::REPLICATE;
  float border_val = 0.0f;
  ConvolutionFormat format = ConvolutionFormat::NHWC;
  static const ParamSchema kSchema;
};

struct GaussianBlur {
  BorderMode border_mode = BorderMode::REPLICATE;
  uint32_t kernel_height = 0;
  uint32_t kernel_width = 0;
  float sigma_x = 0.0f;
  float sigma_y = 0.0f;
  static const ParamSchema kSchema;
};

struct Resize {
  InterpolationMode imode = InterpolationMode::LINEAR;
  ConvolutionFormat format = ConvolutionFormat::NHWC;
  static const ParamSchema kSchema;
};

struct Remap {
  InterpolationMode imode = InterpolationMode::LINEAR;
  BorderMode border_type = BorderMode::REPLICATE;
  ConvolutionFormat format = ConvolutionFormat::NHWC;
  float scalar = 0.0f;
  static const ParamSchema kSchema;
};

struct Convolution3D {
  ConvolutionMode mode = ConvolutionMode::CROSS_CORRELATION;
  uint32_t pad_d = 0;
  uint32_t pad_h = 0;
  uint32_t pad_w = 0;
  uint32_t stride_d = 1;
  uint32_t stride_h = 1;
  uint32_t stride_w = 1;
  uint32_t dilate_d = 1;
  uint32_t dilate_h = 1;
  uint32_t dilate_w = 1;
  ConvolutionSparse sparse = ConvolutionSparse::DENSE;
  Convolution3DDataType data_type = Convolution3DDataType::FLOAT;
  Convolution3DFormat format = Convolution3DFormat::NCDHW;
  static const ParamSchema kSchema;
};

struct Resize3D {
  InterpolationMode imode = InterpolationMode::LINEAR;
  Convolution3DFormat format = Convolution3DFormat::NDHWC;
  bool align_corners = false;
  static const ParamSchema kSchema;
};

struct TopK {
  TopKMode mode = TopKMode::KTH_ONLY;
  static const ParamSchema kSchema;
};

struct RelayoutFormat {
  RelayoutFormatMode mode = RelayoutFormatMode::NHWC_NHWCD4;
  uint32_t oc = 0;
  uint32_t group = 1;
  static const ParamSchema kSchema;
};

struct LocalShare {
  ConvolutionMode mode = ConvolutionMode::CROSS_CORRELATION;
  uint32_t pad_h = 0;
  uint32_t pad_w = 0;
  uint32_t stride_h = 1;
  uint32_t stride_w = 1;
  uint32_t dilate_h = 1;
  uint32_t dilate_w = 1;
  uint32_t spatial_groups_h = 1;
  uint32_t spatial_groups_w = 1;
  ConvolutionSparse sparse = ConvolutionSparse::DENSE;
  ConvolutionFormat format = ConvolutionFormat::NCHW;
  ComputeMode computeMode = ComputeMode::DEFAULT;
  static const ParamSchema kSchema;
};

struct ROIAlign {
  ROIAlignMode mode = ROIAlignMode::MAX;
  ConvolutionFormat format = ConvolutionFormat::NCHW;
  float spatial_scale = 1.0f;
  float offset = 0.0f;
  uint32_t pooled_height = 1;
  uint32_t pooled_width = 1;
  uint32_t sample_height = 2;
  uint32_t sample_width = 2;
  static const ParamSchema kSchema;
};

struct Correlation {
  ConvolutionV0Format format = ConvolutionV0Format::NCHW;
  uint32_t kernel_size = 1;
  uint32_t max_displacement = 1;
  uint32_t stride1 = 1;
  uint32_t stride2 = 1;
  uint32_t pad_size = 0;
  bool is_multiply = true;
  static const ParamSchema kSchema;
};

struct DeformablePSROIPooling {
  bool no_trans = true;
  float spatial_scale = 1.0f;
  float trans_std = 1.0f;
  uint32_t pooled_h = 1;
  uint32_t pooled_w = 1;
  uint32_t part_size = 1;
  uint32_t sample_per_part = 1;
  static const ParamSchema kSchema;
};

struct BatchConvBias {
  NonlineMode nonlineMode = NonlineMode::IDENTITY;
  ConvolutionMode mode = ConvolutionMode::CROSS_CORRELATION;
  uint32_t pad_h = 0;
  uint32_t pad_w = 0;
  uint32_t stride_h = 1;
  uint32_t stride_w = 1;
  uint32_t dilate_h = 1;
  uint32_t dilate_w = 1;
  ConvolutionSparse sparse = ConvolutionSparse::DENSE;
  ConvolutionFormat format = ConvolutionFormat::NCHW;
  ComputeMode compute_mode = ComputeMode::DEFAULT;
  static const ParamSchema kSchema;
};

struct FakeQuant {
  int32_t qmin = INT32_MIN;
  int32_t qmax = INT32_MAX;
  static const ParamSchema kSchema;
};

struct TQT {
  int32_t qmin = INT32_MIN;
  int32_t qmax = INT32_MAX;
  static const ParamSchema kSchema;
};

struct LSQ {
  int32_t qmin = INT32_MIN;
  int32_t qmax = INT32_MAX;
  static const ParamSchema kSchema;
};

struct Fill {
  float value = 0.0f;
  static const ParamSchema kSchema;
};

struct CheckNonFinite {
  float scale = 1.0f;
  static const ParamSchema kSchema;
};

struct Padding {
  uint32_t front_offset_dim0 = 0;
  uint32_t front_offset_dim1 = 0;
  uint32_t front_offset_dim2 = 0;
  uint32_t front_offset_dim3 = 0;
  uint32_t front_offset_dim4 = 0;
  uint32_t front_offset_dim5 = 0;
  uint32_t front_offset_dim6 = 0;
  uint32_t back_offset_dim0 = 0;
  uint32_t back_offset_dim1 = 0;
  uint32_t back_offset_dim2 = 0;
  uint32_t back_offset_dim3 = 0;
  uint32_t back_offset_dim4 = 0;
  uint32_t back_offset_dim5 = 0;
  uint32_t back_offset_dim6 = 0;
  float padding_val = 0.0f;
  PaddingMode padding_mode = PaddingMode::CONSTANT;
  static const ParamSchema kSchema;
};

struct LayerNorm {
  bool affine = true;
  float eps = 1e-05f;
  uint64_t normalized_dim = 1;
  uint64_t normalized_size = 1;
  static const ParamSchema kSchema;
};

struct GeneralNorm {
  bool affine = true;
  float eps = 1e-05f;
  uint64_t axis_start = 0;
  uint64_t axis_end = 0;
  static const ParamSchema kSchema;
};

struct Dropout {
  float drop_prob = 0.0f;
  uint64_t seed = 0;
  static const ParamSchema kSchema;
};

struct GroupNorm {
  bool affine = true;
  float eps = 1e-05f;
  uint32_t group = 1;
  ConvolutionFormat format = ConvolutionFormat::NCHW;
  static const ParamSchema kSchema;
};

struct RNNCell {
  RNNNonlineMode nonlineMode = RNNNonlineMode::IDENTITY;
  static const ParamSchema kSchema;
};

struct RNN {
  uint32_t num_layers = 1;
  bool bidirectional = false;
  bool bias = true;
  uint32_t hidden_size = 128;
  float dropout = 0.0f;
  RNNNonlineMode nonlineMode = RNNNonlineMode::IDENTITY;
  BNFwdMode fwd_mode = BNFwdMode::TRAINING;
  static const ParamSchema kSchema;
};

struct LSTM {
  uint32_t num_layers = 1;
  bool bidirectional = false;
  bool bias = true;
  uint32_t hidden_size = 128;
  uint32_t proj_size = 0;
  float dropout = 0.0f;
  BNFwdMode fwd_mode = BNFwdMode::TRAINING;
  static const ParamSchema kSchema;
};

struct MultiHeadAttn {
  uint32_t num_heads = 1;
  uint32_t embeding_size = 0;
  uint32_t k_size = 0;
  uint32_t v_size = 0;
  uint32_t qproj_size = 0;
  uint32_t kproj_size = 0;
  uint32_t vproj_size = 0;
  uint32_t oproj_size = 0;
  bool qbias = false;
  bool kbias = false;
  bool vbias = false;
  bool obias = false;
  float sm_scaler = 1.0f;
  uint32_t input_order = 0;
  AttnMaskType attn_mask_type = AttnMaskType::NO_MASK;
  TensorCombinationType tensor_combination_type = TensorCombinationType::NONE;
  bool add_zero_attn = false;
  bool need_weights = false;
  bool reslink = false;
  bool training = true;
  uint64_t seed = 0;
  float attn_prob = 0.0f;
  float out_prob = 0.0f;
  static const ParamSchema kSchema;
};

struct PersistentOutputStorage {
  int32_t share_key = -1;
  static const ParamSchema kSchema;
};

struct OptionalAxisV1 {
  int32_t axis = 7;
  static const ParamSchema kSchema;
};

struct ExecutionPolicy {
  ExecutionPolicyStrategy strategy = ExecutionPolicyStrategy::HEURISTIC;
  uint64_t workspace_limit = ~uint64_t{0};
  static const ParamSchema kSchema;
};

struct AssertEqual {
  float maxerr = 0.0001f;
  bool verbose = false;
  static const ParamSchema kSchema;
};

struct CondExecPred {
  CondExecPredMode mode = CondExecPredMode::CASE;
  float eps = 0.0001f;
  static const ParamSchema kSchema;
};

struct CondExecPredLogical {
  CondExecPredLogicalMode mode = CondExecPredLogicalMode::OR;
  static const ParamSchema kSchema;
};

struct CondExecMark {
  CondExecGradMode grad_mode = CondExecGradMode::SUM;
  CondExecStaticInfer static_infer = CondExecStaticInfer::SHAPE_VALUE;
  static const ParamSchema kSchema;
};

struct CondExecMerge {
  uint32_t nr_output = 1;
  CondExecMergeMode mode = CondExecMergeMode::EXACT_ONE;
  static const ParamSchema kSchema;
};

struct NvOf {
  uint32_t precision = 1;
  static const ParamSchema kSchema;
};

struct MGBAddUpdate {
  Scalar alpha;
  Scalar beta;
  Scalar bias;
  static const ParamSchema kSchema;
};

struct Host2DeviceCopy {
  bool enable_value_infer = true;
  bool dump_default_value = false;
  bool allow_cpu_mem_fwd = true;
  static const ParamSchema kSchema;
};

struct Dimshuffle {
  // the list is in Params::list()
  uint32_t ndim = 0;
  static const ParamSchema kSchema;
};

struct AxisAddRemove {
  // the list is in Params::list()
  static const ParamSchema kSchema;
};

struct MGBSleep {
  bool device = true;
  bool host = false;
  double seconds = 0.0;
  static const ParamSchema kSchema;
};

struct IndexDescMaskDump {
  // the list is in Params::list()
  static const ParamSchema kSchema;
};

struct NMSKeep {
  float iou_thresh = 0.0f;
  uint32_t max_output = 0;
  static const ParamSchema kSchema;
};

// The full DType table (union member 67), the parameter of TypeCvt and Alloc.
struct TypeCvt {
  DType dtype;
  static const ParamSchema kSchema;
};

}  // namespace megalith::param

namespace megalith {
template <> const EnumInfo& enum_info<param::ConvolutionMode>();
template <> const EnumInfo& enum_info<param::ConvolutionSparse>();
template <> const EnumInfo& enum_info<param::ConvolutionFormat>();
template <> const EnumInfo& enum_info<param::ComputeMode>();
template <> const EnumInfo& enum_info<param::NonlineMode>();
template <> const EnumInfo& enum_info<param::PoolingMode>();
template <> const EnumInfo& enum_info<param::BNParamDim>();
template <> const EnumInfo& enum_info<param::BNFwdMode>();
template <> const EnumInfo& enum_info<param::ROIPoolingMode>();
template <> const EnumInfo& enum_info<param::InterpolationMode>();
template <> const EnumInfo& enum_info<param::BorderMode>();
template <> const EnumInfo& enum_info<param::ElemwiseMode>();
template <> const EnumInfo& enum_info<param::ElemwiseMultiTypeMode>();
template <> const EnumInfo& enum_info<param::DctFastImpl>();
template <> const EnumInfo& enum_info<param::MatrixMulFormat>();
template <> const EnumInfo& enum_info<param::ReduceMode>();
template <> const EnumInfo& enum_info<param::ReduceDataType>();
template <> const EnumInfo& enum_info<param::CondTakeMode>();
template <> const EnumInfo& enum_info<param::ArgsortOrder>();
template <> const EnumInfo& enum_info<param::CvtColorMode>();
template <> const EnumInfo& enum_info<param::Convolution3DDataType>();
template <> const EnumInfo& enum_info<param::Convolution3DFormat>();
template <> const EnumInfo& enum_info<param::TopKMode>();
template <> const EnumInfo& enum_info<param::RelayoutFormatMode>();
template <> const EnumInfo& enum_info<param::ROIAlignMode>();
template <> const EnumInfo& enum_info<param::ConvolutionV0Format>();
template <> const EnumInfo& enum_info<param::PaddingMode>();
template <> const EnumInfo& enum_info<param::RNNNonlineMode>();
template <> const EnumInfo& enum_info<param::AttnMaskType>();
template <> const EnumInfo& enum_info<param::TensorCombinationType>();
template <> const EnumInfo& enum_info<param::ExecutionPolicyStrategy>();
template <> const EnumInfo& enum_info<param::CondExecPredMode>();
template <> const EnumInfo& enum_info<param::CondExecPredLogicalMode>();
template <> const EnumInfo& enum_info<param::CondExecGradMode>();
template <> const EnumInfo& enum_info<param::CondExecStaticInfer>();
template <> const EnumInfo& enum_info<param::CondExecMergeMode>();
}  // namespace megalith
