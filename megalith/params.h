// MegEngine's parameter tables as C++ aggregates.
//
// The members of a struct stand in the order of the FlatBuffers table of the same name, so member i is vtable slot 4 +
// 2*i and the `.mge` codec needs no code per op (see megalith/param.h). Member initializers are the table's defaults: a
// default is left out of the file. Names and values are MegEngine's own; append, never reorder.
#pragma once

#include "megalith/param.h"
#include "megalith/params_enums.h"

namespace megalith::param {

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

// MegEngine 1.13.1 and later.
struct Cross {
  int32_t axisa = -1;
  int32_t axisb = -1;
  int32_t axisc = -1;
  static const ParamSchema kSchema;
};

struct ExponentialRNG {
  uint64_t seed = 0;
  static const ParamSchema kSchema;
};

struct MultinomialRNG {
  uint64_t seed = 0;
  uint64_t num_samples = 1;
  bool replacement = false;
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

// MegEngine has no GRU; files have no place for it.
struct GRU {
  uint32_t num_layers = 1;
  bool bidirectional = false;
  bool bias = true;
  uint32_t hidden_size = 128;
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

struct Alloc {
  DTypeEnum dtype = DTypeEnum::Byte;
  static const ParamSchema kSchema;
};

}  // namespace megalith::param

namespace megalith {
template <>
const EnumInfo& enum_info<param::ConvolutionMode>();
template <>
const EnumInfo& enum_info<param::ConvolutionSparse>();
template <>
const EnumInfo& enum_info<param::ConvolutionFormat>();
template <>
const EnumInfo& enum_info<param::ComputeMode>();
template <>
const EnumInfo& enum_info<param::NonlineMode>();
template <>
const EnumInfo& enum_info<param::PoolingMode>();
template <>
const EnumInfo& enum_info<param::BNParamDim>();
template <>
const EnumInfo& enum_info<param::BNFwdMode>();
template <>
const EnumInfo& enum_info<param::ROIPoolingMode>();
template <>
const EnumInfo& enum_info<param::InterpolationMode>();
template <>
const EnumInfo& enum_info<param::BorderMode>();
template <>
const EnumInfo& enum_info<param::ElemwiseMode>();
template <>
const EnumInfo& enum_info<param::ElemwiseMultiTypeMode>();
template <>
const EnumInfo& enum_info<param::DctFastImpl>();
template <>
const EnumInfo& enum_info<param::MatrixMulFormat>();
template <>
const EnumInfo& enum_info<param::ReduceMode>();
template <>
const EnumInfo& enum_info<param::ReduceDataType>();
template <>
const EnumInfo& enum_info<param::CondTakeMode>();
template <>
const EnumInfo& enum_info<param::ArgsortOrder>();
template <>
const EnumInfo& enum_info<param::CvtColorMode>();
template <>
const EnumInfo& enum_info<param::Convolution3DDataType>();
template <>
const EnumInfo& enum_info<param::Convolution3DFormat>();
template <>
const EnumInfo& enum_info<param::TopKMode>();
template <>
const EnumInfo& enum_info<param::RelayoutFormatMode>();
template <>
const EnumInfo& enum_info<param::ROIAlignMode>();
template <>
const EnumInfo& enum_info<param::ConvolutionV0Format>();
template <>
const EnumInfo& enum_info<param::PaddingMode>();
template <>
const EnumInfo& enum_info<param::RNNNonlineMode>();
template <>
const EnumInfo& enum_info<param::AttnMaskType>();
template <>
const EnumInfo& enum_info<param::TensorCombinationType>();
template <>
const EnumInfo& enum_info<param::ExecutionPolicyStrategy>();
template <>
const EnumInfo& enum_info<param::CondExecPredMode>();
template <>
const EnumInfo& enum_info<param::CondExecPredLogicalMode>();
template <>
const EnumInfo& enum_info<param::CondExecGradMode>();
template <>
const EnumInfo& enum_info<param::CondExecStaticInfer>();
template <>
const EnumInfo& enum_info<param::CondExecMergeMode>();
}  // namespace megalith
