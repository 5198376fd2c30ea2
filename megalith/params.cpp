// Field lists of the parameter tables in params.h: one line per member, in declaration order.
#include "megalith/params.h"

namespace megalith::param {

const ParamSchema Empty::kSchema = make_schema<Empty>("Empty", 1, {});

static constexpr Field kAxisFields[] = {
    MEGALITH_FIELD(Axis, axis, "axis, negative counts from the back"),
};
const ParamSchema Axis::kSchema = make_schema<Axis>("Axis", 2, kAxisFields);

static constexpr Field kConvolutionFields[] = {
    MEGALITH_FIELD(Convolution, mode, "what is computed"),
    MEGALITH_FIELD(Convolution, pad_h, "zero padding above and below, in pixels"),
    MEGALITH_FIELD(Convolution, pad_w, "zero padding left and right, in pixels"),
    MEGALITH_FIELD(Convolution, stride_h, "step between windows, rows"),
    MEGALITH_FIELD(Convolution, stride_w, "step between windows, columns"),
    MEGALITH_FIELD(Convolution, dilate_h, "distance between filter taps, rows"),
    MEGALITH_FIELD(Convolution, dilate_w, "distance between filter taps, columns"),
    MEGALITH_FIELD(Convolution, sparse, "DENSE, or GROUP for a filter with a leading group axis"),
    MEGALITH_FIELD(Convolution, format, "memory layout of the image tensors"),
    MEGALITH_FIELD(Convolution, compute_mode, "accumulator type for float16"),
};
const ParamSchema Convolution::kSchema = make_schema<Convolution>("Convolution", 3, kConvolutionFields);

static constexpr Field kMaskPropagateFields[] = {
    MEGALITH_FIELD(MaskPropagate, pad_h, "zero padding above and below, in pixels"),
    MEGALITH_FIELD(MaskPropagate, pad_w, "zero padding left and right, in pixels"),
    MEGALITH_FIELD(MaskPropagate, stride_h, "step between windows, rows"),
    MEGALITH_FIELD(MaskPropagate, stride_w, "step between windows, columns"),
    MEGALITH_FIELD(MaskPropagate, kernel_h, ""),
    MEGALITH_FIELD(MaskPropagate, kernel_w, ""),
    MEGALITH_FIELD(MaskPropagate, dilate_h, "distance between filter taps, rows"),
    MEGALITH_FIELD(MaskPropagate, dilate_w, "distance between filter taps, columns"),
};
const ParamSchema MaskPropagate::kSchema = make_schema<MaskPropagate>("MaskPropagate", 4, kMaskPropagateFields);

static constexpr Field kConvBiasFields[] = {
    MEGALITH_FIELD(ConvBias, nonlineMode, "activation after the sum"),
    MEGALITH_FIELD(ConvBias, mode, "what is computed"),
    MEGALITH_FIELD(ConvBias, sparse, "DENSE, or GROUP for a filter with a leading group axis"),
    MEGALITH_FIELD(ConvBias, format, "memory layout of the image tensors"),
    MEGALITH_FIELD(ConvBias, pad_h, "zero padding above and below, in pixels"),
    MEGALITH_FIELD(ConvBias, pad_w, "zero padding left and right, in pixels"),
    MEGALITH_FIELD(ConvBias, stride_h, "step between windows, rows"),
    MEGALITH_FIELD(ConvBias, stride_w, "step between windows, columns"),
    MEGALITH_FIELD(ConvBias, dilate_h, "distance between filter taps, rows"),
    MEGALITH_FIELD(ConvBias, dilate_w, "distance between filter taps, columns"),
    MEGALITH_FIELD(ConvBias, compute_mode, "accumulator type for float16"),
};
const ParamSchema ConvBias::kSchema = make_schema<ConvBias>("ConvBias", 6, kConvBiasFields);

static constexpr Field kImages2NeibsFields[] = {
    MEGALITH_FIELD(Images2Neibs, pad_h, "zero padding above and below, in pixels"),
    MEGALITH_FIELD(Images2Neibs, pad_w, "zero padding left and right, in pixels"),
    MEGALITH_FIELD(Images2Neibs, stride_h, "step between windows, rows"),
    MEGALITH_FIELD(Images2Neibs, stride_w, "step between windows, columns"),
    MEGALITH_FIELD(Images2Neibs, dilate_h, "distance between filter taps, rows"),
    MEGALITH_FIELD(Images2Neibs, dilate_w, "distance between filter taps, columns"),
    MEGALITH_FIELD(Images2Neibs, window_h, "window height"),
    MEGALITH_FIELD(Images2Neibs, window_w, "window width"),
};
const ParamSchema Images2Neibs::kSchema = make_schema<Images2Neibs>("Images2Neibs", 8, kImages2NeibsFields);

static constexpr Field kSlidingWindowTransposeFields[] = {
    MEGALITH_FIELD(SlidingWindowTranspose, out_h, ""),
    MEGALITH_FIELD(SlidingWindowTranspose, out_w, ""),
    MEGALITH_FIELD(SlidingWindowTranspose, pad_h, "zero padding above and below, in pixels"),
    MEGALITH_FIELD(SlidingWindowTranspose, pad_w, "zero padding left and right, in pixels"),
    MEGALITH_FIELD(SlidingWindowTranspose, stride_h, "step between windows, rows"),
    MEGALITH_FIELD(SlidingWindowTranspose, stride_w, "step between windows, columns"),
    MEGALITH_FIELD(SlidingWindowTranspose, dilate_h, "distance between filter taps, rows"),
    MEGALITH_FIELD(SlidingWindowTranspose, dilate_w, "distance between filter taps, columns"),
    MEGALITH_FIELD(SlidingWindowTranspose, window_h, "window height"),
    MEGALITH_FIELD(SlidingWindowTranspose, window_w, "window width"),
};
const ParamSchema SlidingWindowTranspose::kSchema =
    make_schema<SlidingWindowTranspose>("SlidingWindowTranspose", 81, kSlidingWindowTransposeFields);

static constexpr Field kPoolingFields[] = {
    MEGALITH_FIELD(Pooling, mode, "what is computed"),
    MEGALITH_FIELD(Pooling, pad_h, "zero padding above and below, in pixels"),
    MEGALITH_FIELD(Pooling, pad_w, "zero padding left and right, in pixels"),
    MEGALITH_FIELD(Pooling, stride_h, "step between windows, rows"),
    MEGALITH_FIELD(Pooling, stride_w, "step between windows, columns"),
    MEGALITH_FIELD(Pooling, window_h, "window height"),
    MEGALITH_FIELD(Pooling, window_w, "window width"),
    MEGALITH_FIELD(Pooling, format, "memory layout of the image tensors"),
};
const ParamSchema Pooling::kSchema = make_schema<Pooling>("Pooling", 9, kPoolingFields);

static constexpr Field kSoftmaxFields[] = {
    MEGALITH_FIELD(Softmax, axis, "axis, negative counts from the back"),
};
const ParamSchema Softmax::kSchema = make_schema<Softmax>("Softmax", 90, kSoftmaxFields);

static constexpr Field kAdaptivePoolingFields[] = {
    MEGALITH_FIELD(AdaptivePooling, mode, "what is computed"),
    MEGALITH_FIELD(AdaptivePooling, format, "memory layout of the image tensors"),
};
const ParamSchema AdaptivePooling::kSchema =
    make_schema<AdaptivePooling>("AdaptivePooling", 70, kAdaptivePoolingFields);

static constexpr Field kLRNFields[] = {
    MEGALITH_FIELD(LRN, n, ""),
    MEGALITH_FIELD(LRN, k, "diagonal, positive above the main one"),
    MEGALITH_FIELD(LRN, alpha, ""),
    MEGALITH_FIELD(LRN, beta, ""),
};
const ParamSchema LRN::kSchema = make_schema<LRN>("LRN", 10, kLRNFields);

static constexpr Field kBNFields[] = {
    MEGALITH_FIELD(BN, param_dim, ""),
    MEGALITH_FIELD(BN, fwd_mode, ""),
    MEGALITH_FIELD(BN, epsilon, "added to the variance"),
    MEGALITH_FIELD(BN, avg_factor, ""),
    MEGALITH_FIELD(BN, scale, ""),
    MEGALITH_FIELD(BN, bias, "gates have a bias"),
};
const ParamSchema BN::kSchema = make_schema<BN>("BN", 11, kBNFields);

static constexpr Field kROIPoolingFields[] = {
    MEGALITH_FIELD(ROIPooling, mode, "what is computed"),
    MEGALITH_FIELD(ROIPooling, scale, ""),
};
const ParamSchema ROIPooling::kSchema = make_schema<ROIPooling>("ROIPooling", 12, kROIPoolingFields);

static constexpr Field kWarpPerspectiveFields[] = {
    MEGALITH_FIELD(WarpPerspective, imode, "interpolation"),
    MEGALITH_FIELD(WarpPerspective, bmode, "what lies outside of the image"),
    MEGALITH_FIELD(WarpPerspective, format, "memory layout of the image tensors"),
    MEGALITH_FIELD(WarpPerspective, border_val, "value outside of the image (CONSTANT)"),
};
const ParamSchema WarpPerspective::kSchema =
    make_schema<WarpPerspective>("WarpPerspective", 13, kWarpPerspectiveFields);

static constexpr Field kElemwiseFields[] = {
    MEGALITH_FIELD(Elemwise, mode, "what is computed"),
};
const ParamSchema Elemwise::kSchema = make_schema<Elemwise>("Elemwise", 17, kElemwiseFields);

static constexpr Field kElemwiseMultiTypeFields[] = {
    MEGALITH_FIELD(ElemwiseMultiType, mode, "what is computed"),
};
const ParamSchema ElemwiseMultiType::kSchema =
    make_schema<ElemwiseMultiType>("ElemwiseMultiType", 18, kElemwiseMultiTypeFields);

static constexpr Field kPowCFields[] = {
    MEGALITH_FIELD(PowC, exp, "exponent"),
};
const ParamSchema PowC::kSchema = make_schema<PowC>("PowC", 19, kPowCFields);

static constexpr Field kDctChannelSelectFields[] = {
    MEGALITH_FIELD(DctChannelSelect, format, "memory layout of the image tensors"),
    MEGALITH_FIELD(DctChannelSelect, fastImpl, ""),
    MEGALITH_FIELD(DctChannelSelect, dct_block_size, ""),
};
const ParamSchema DctChannelSelect::kSchema =
    make_schema<DctChannelSelect>("DctChannelSelect", 72, kDctChannelSelectFields);

static constexpr Field kMatrixMulFields[] = {
    MEGALITH_FIELD(MatrixMul, transposeA, "use the transpose of A"),
    MEGALITH_FIELD(MatrixMul, transposeB, "use the transpose of B"),
    MEGALITH_FIELD(MatrixMul, compute_mode, "accumulator type for float16"),
    MEGALITH_FIELD(MatrixMul, format, "memory layout of the image tensors"),
};
const ParamSchema MatrixMul::kSchema = make_schema<MatrixMul>("MatrixMul", 20, kMatrixMulFields);

static constexpr Field kSVDFields[] = {
    MEGALITH_FIELD(SVD, full_matrices, ""),
    MEGALITH_FIELD(SVD, compute_uv, ""),
};
const ParamSchema SVD::kSchema = make_schema<SVD>("SVD", 22, kSVDFields);

static constexpr Field kReduceFields[] = {
    MEGALITH_FIELD(Reduce, mode, "what is computed"),
    MEGALITH_FIELD(Reduce, axis, "axis, negative counts from the back"),
    MEGALITH_FIELD(Reduce, data_type, ""),
};
const ParamSchema Reduce::kSchema = make_schema<Reduce>("Reduce", 23, kReduceFields);

static constexpr Field kCumsumFields[] = {
    MEGALITH_FIELD(Cumsum, axis, "axis, negative counts from the back"),
    MEGALITH_FIELD(Cumsum, exclusive, "element i is not part of sum i"),
    MEGALITH_FIELD(Cumsum, reverse, "sum from the back"),
};
const ParamSchema Cumsum::kSchema = make_schema<Cumsum>("Cumsum", 24, kCumsumFields);

static constexpr Field kCondTakeFields[] = {
    MEGALITH_FIELD(CondTake, mode, "what is computed"),
    MEGALITH_FIELD(CondTake, val, ""),
    MEGALITH_FIELD(CondTake, eps, "added to the variance"),
};
const ParamSchema CondTake::kSchema = make_schema<CondTake>("CondTake", 25, kCondTakeFields);

static constexpr Field kArgsortFields[] = {
    MEGALITH_FIELD(Argsort, order, ""),
};
const ParamSchema Argsort::kSchema = make_schema<Argsort>("Argsort", 26, kArgsortFields);

static constexpr Field kIndexingRemapFields[] = {
    MEGALITH_FIELD(IndexingRemap, is_non_overlapping, ""),
};
const ParamSchema IndexingRemap::kSchema = make_schema<IndexingRemap>("IndexingRemap", 27, kIndexingRemapFields);

static constexpr Field kLinspaceFields[] = {
    MEGALITH_FIELD(Linspace, endpoint, ""),
};
const ParamSchema Linspace::kSchema = make_schema<Linspace>("Linspace", 29, kLinspaceFields);

static constexpr Field kEyeFields[] = {
    MEGALITH_FIELD(Eye, k, "diagonal, positive above the main one"),
    MEGALITH_FIELD(Eye, dtype, "element type of the result"),
};
const ParamSchema Eye::kSchema = make_schema<Eye>("Eye", 31, kEyeFields);

static constexpr Field kDiagFields[] = {
    MEGALITH_FIELD(Diag, k, "diagonal, positive above the main one"),
};
const ParamSchema Diag::kSchema = make_schema<Diag>("Diag", 91, kDiagFields);

static constexpr Field kCrossFields[] = {
    MEGALITH_FIELD(Cross, axisa, "axis of the vectors in input 0"),
    MEGALITH_FIELD(Cross, axisb, "axis of the vectors in input 1"),
    MEGALITH_FIELD(Cross, axisc, "axis of the vectors in the result"),
};
const ParamSchema Cross::kSchema = make_schema<Cross>("Cross", 97, kCrossFields);

static constexpr Field kExponentialRNGFields[] = {
    MEGALITH_FIELD(ExponentialRNG, seed, "seed of the random stream"),
};
const ParamSchema ExponentialRNG::kSchema = make_schema<ExponentialRNG>("ExponentialRNG", 98, kExponentialRNGFields);

static constexpr Field kMultinomialRNGFields[] = {
    MEGALITH_FIELD(MultinomialRNG, seed, "seed of the random stream"),
    MEGALITH_FIELD(MultinomialRNG, num_samples, "numbers drawn per row"),
    MEGALITH_FIELD(MultinomialRNG, replacement, "a category may be drawn again"),
};
const ParamSchema MultinomialRNG::kSchema = make_schema<MultinomialRNG>("MultinomialRNG", 99, kMultinomialRNGFields);

static constexpr Field kUniformRNGFields[] = {
    MEGALITH_FIELD(UniformRNG, seed, "seed of the random stream"),
    MEGALITH_FIELD(UniformRNG, dtype, "element type of the result"),
};
const ParamSchema UniformRNG::kSchema = make_schema<UniformRNG>("UniformRNG", 32, kUniformRNGFields);

static constexpr Field kGaussianRNGFields[] = {
    MEGALITH_FIELD(GaussianRNG, seed, "seed of the random stream"),
    MEGALITH_FIELD(GaussianRNG, mean, ""),
    MEGALITH_FIELD(GaussianRNG, std, ""),
    MEGALITH_FIELD(GaussianRNG, dtype, "element type of the result"),
};
const ParamSchema GaussianRNG::kSchema = make_schema<GaussianRNG>("GaussianRNG", 33, kGaussianRNGFields);

static constexpr Field kGammaRNGFields[] = {
    MEGALITH_FIELD(GammaRNG, seed, "seed of the random stream"),
};
const ParamSchema GammaRNG::kSchema = make_schema<GammaRNG>("GammaRNG", 77, kGammaRNGFields);

static constexpr Field kBetaRNGFields[] = {
    MEGALITH_FIELD(BetaRNG, seed, "seed of the random stream"),
};
const ParamSchema BetaRNG::kSchema = make_schema<BetaRNG>("BetaRNG", 80, kBetaRNGFields);

static constexpr Field kPoissonRNGFields[] = {
    MEGALITH_FIELD(PoissonRNG, seed, "seed of the random stream"),
};
const ParamSchema PoissonRNG::kSchema = make_schema<PoissonRNG>("PoissonRNG", 78, kPoissonRNGFields);

static constexpr Field kPermutationRNGFields[] = {
    MEGALITH_FIELD(PermutationRNG, seed, "seed of the random stream"),
    MEGALITH_FIELD(PermutationRNG, dtype, "element type of the result"),
};
const ParamSchema PermutationRNG::kSchema = make_schema<PermutationRNG>("PermutationRNG", 79, kPermutationRNGFields);

static constexpr Field kShuffleRNGFields[] = {
    MEGALITH_FIELD(ShuffleRNG, seed, "seed of the random stream"),
};
const ParamSchema ShuffleRNG::kSchema = make_schema<ShuffleRNG>("ShuffleRNG", 83, kShuffleRNGFields);

static constexpr Field kRotateFields[] = {
    MEGALITH_FIELD(Rotate, clockwise, ""),
};
const ParamSchema Rotate::kSchema = make_schema<Rotate>("Rotate", 35, kRotateFields);

static constexpr Field kCvtColorFields[] = {
    MEGALITH_FIELD(CvtColor, mode, "what is computed"),
};
const ParamSchema CvtColor::kSchema = make_schema<CvtColor>("CvtColor", 37, kCvtColorFields);

static constexpr Field kWarpAffineFields[] = {
    MEGALITH_FIELD(WarpAffine, imode, "interpolation"),
    MEGALITH_FIELD(WarpAffine, border_mode, "what lies outside of the image"),
    MEGALITH_FIELD(WarpAffine, border_val, "value outside of the image (CONSTANT)"),
    MEGALITH_FIELD(WarpAffine, format, "memory layout of the image tensors"),
};
const ParamSchema WarpAffine::kSchema = make_schema<WarpAffine>("WarpAffine", 38, kWarpAffineFields);

static constexpr Field kGaussianBlurFields[] = {
    MEGALITH_FIELD(GaussianBlur, border_mode, "what lies outside of the image"),
    MEGALITH_FIELD(GaussianBlur, kernel_height, ""),
    MEGALITH_FIELD(GaussianBlur, kernel_width, ""),
    MEGALITH_FIELD(GaussianBlur, sigma_x, ""),
    MEGALITH_FIELD(GaussianBlur, sigma_y, ""),
};
const ParamSchema GaussianBlur::kSchema = make_schema<GaussianBlur>("GaussianBlur", 39, kGaussianBlurFields);

static constexpr Field kResizeFields[] = {
    MEGALITH_FIELD(Resize, imode, "interpolation"),
    MEGALITH_FIELD(Resize, format, "memory layout of the image tensors"),
};
const ParamSchema Resize::kSchema = make_schema<Resize>("Resize", 40, kResizeFields);

static constexpr Field kRemapFields[] = {
    MEGALITH_FIELD(Remap, imode, "interpolation"),
    MEGALITH_FIELD(Remap, border_type, "what lies outside of the image"),
    MEGALITH_FIELD(Remap, format, "memory layout of the image tensors"),
    MEGALITH_FIELD(Remap, scalar, ""),
};
const ParamSchema Remap::kSchema = make_schema<Remap>("Remap", 68, kRemapFields);

static constexpr Field kConvolution3DFields[] = {
    MEGALITH_FIELD(Convolution3D, mode, "what is computed"),
    MEGALITH_FIELD(Convolution3D, pad_d, "zero padding in front and behind"),
    MEGALITH_FIELD(Convolution3D, pad_h, "zero padding above and below, in pixels"),
    MEGALITH_FIELD(Convolution3D, pad_w, "zero padding left and right, in pixels"),
    MEGALITH_FIELD(Convolution3D, stride_d, "step between windows, depth"),
    MEGALITH_FIELD(Convolution3D, stride_h, "step between windows, rows"),
    MEGALITH_FIELD(Convolution3D, stride_w, "step between windows, columns"),
    MEGALITH_FIELD(Convolution3D, dilate_d, "distance between filter taps, depth"),
    MEGALITH_FIELD(Convolution3D, dilate_h, "distance between filter taps, rows"),
    MEGALITH_FIELD(Convolution3D, dilate_w, "distance between filter taps, columns"),
    MEGALITH_FIELD(Convolution3D, sparse, "DENSE, or GROUP for a filter with a leading group axis"),
    MEGALITH_FIELD(Convolution3D, data_type, ""),
    MEGALITH_FIELD(Convolution3D, format, "memory layout of the image tensors"),
};
const ParamSchema Convolution3D::kSchema = make_schema<Convolution3D>("Convolution3D", 41, kConvolution3DFields);

static constexpr Field kResize3DFields[] = {
    MEGALITH_FIELD(Resize3D, imode, "interpolation"),
    MEGALITH_FIELD(Resize3D, format, "memory layout of the image tensors"),
    MEGALITH_FIELD(Resize3D, align_corners, ""),
};
const ParamSchema Resize3D::kSchema = make_schema<Resize3D>("Resize3D", 96, kResize3DFields);

static constexpr Field kTopKFields[] = {
    MEGALITH_FIELD(TopK, mode, "what is computed"),
};
const ParamSchema TopK::kSchema = make_schema<TopK>("TopK", 44, kTopKFields);

static constexpr Field kRelayoutFormatFields[] = {
    MEGALITH_FIELD(RelayoutFormat, mode, "what is computed"),
    MEGALITH_FIELD(RelayoutFormat, oc, ""),
    MEGALITH_FIELD(RelayoutFormat, group, "number of channel groups"),
};
const ParamSchema RelayoutFormat::kSchema = make_schema<RelayoutFormat>("RelayoutFormat", 45, kRelayoutFormatFields);

static constexpr Field kLocalShareFields[] = {
    MEGALITH_FIELD(LocalShare, mode, "what is computed"),
    MEGALITH_FIELD(LocalShare, pad_h, "zero padding above and below, in pixels"),
    MEGALITH_FIELD(LocalShare, pad_w, "zero padding left and right, in pixels"),
    MEGALITH_FIELD(LocalShare, stride_h, "step between windows, rows"),
    MEGALITH_FIELD(LocalShare, stride_w, "step between windows, columns"),
    MEGALITH_FIELD(LocalShare, dilate_h, "distance between filter taps, rows"),
    MEGALITH_FIELD(LocalShare, dilate_w, "distance between filter taps, columns"),
    MEGALITH_FIELD(LocalShare, spatial_groups_h, ""),
    MEGALITH_FIELD(LocalShare, spatial_groups_w, ""),
    MEGALITH_FIELD(LocalShare, sparse, "DENSE, or GROUP for a filter with a leading group axis"),
    MEGALITH_FIELD(LocalShare, format, "memory layout of the image tensors"),
    MEGALITH_FIELD(LocalShare, computeMode, ""),
};
const ParamSchema LocalShare::kSchema = make_schema<LocalShare>("LocalShare", 47, kLocalShareFields);

static constexpr Field kROIAlignFields[] = {
    MEGALITH_FIELD(ROIAlign, mode, "what is computed"),
    MEGALITH_FIELD(ROIAlign, format, "memory layout of the image tensors"),
    MEGALITH_FIELD(ROIAlign, spatial_scale, "image to feature-map scale"),
    MEGALITH_FIELD(ROIAlign, offset, ""),
    MEGALITH_FIELD(ROIAlign, pooled_height, ""),
    MEGALITH_FIELD(ROIAlign, pooled_width, ""),
    MEGALITH_FIELD(ROIAlign, sample_height, ""),
    MEGALITH_FIELD(ROIAlign, sample_width, ""),
};
const ParamSchema ROIAlign::kSchema = make_schema<ROIAlign>("ROIAlign", 48, kROIAlignFields);

static constexpr Field kCorrelationFields[] = {
    MEGALITH_FIELD(Correlation, format, "memory layout of the image tensors"),
    MEGALITH_FIELD(Correlation, kernel_size, ""),
    MEGALITH_FIELD(Correlation, max_displacement, ""),
    MEGALITH_FIELD(Correlation, stride1, ""),
    MEGALITH_FIELD(Correlation, stride2, ""),
    MEGALITH_FIELD(Correlation, pad_size, ""),
    MEGALITH_FIELD(Correlation, is_multiply, ""),
};
const ParamSchema Correlation::kSchema = make_schema<Correlation>("Correlation", 75, kCorrelationFields);

static constexpr Field kDeformablePSROIPoolingFields[] = {
    MEGALITH_FIELD(DeformablePSROIPooling, no_trans, ""),
    MEGALITH_FIELD(DeformablePSROIPooling, spatial_scale, "image to feature-map scale"),
    MEGALITH_FIELD(DeformablePSROIPooling, trans_std, ""),
    MEGALITH_FIELD(DeformablePSROIPooling, pooled_h, ""),
    MEGALITH_FIELD(DeformablePSROIPooling, pooled_w, ""),
    MEGALITH_FIELD(DeformablePSROIPooling, part_size, ""),
    MEGALITH_FIELD(DeformablePSROIPooling, sample_per_part, ""),
};
const ParamSchema DeformablePSROIPooling::kSchema =
    make_schema<DeformablePSROIPooling>("DeformablePSROIPooling", 49, kDeformablePSROIPoolingFields);

static constexpr Field kBatchConvBiasFields[] = {
    MEGALITH_FIELD(BatchConvBias, nonlineMode, "activation after the sum"),
    MEGALITH_FIELD(BatchConvBias, mode, "what is computed"),
    MEGALITH_FIELD(BatchConvBias, pad_h, "zero padding above and below, in pixels"),
    MEGALITH_FIELD(BatchConvBias, pad_w, "zero padding left and right, in pixels"),
    MEGALITH_FIELD(BatchConvBias, stride_h, "step between windows, rows"),
    MEGALITH_FIELD(BatchConvBias, stride_w, "step between windows, columns"),
    MEGALITH_FIELD(BatchConvBias, dilate_h, "distance between filter taps, rows"),
    MEGALITH_FIELD(BatchConvBias, dilate_w, "distance between filter taps, columns"),
    MEGALITH_FIELD(BatchConvBias, sparse, "DENSE, or GROUP for a filter with a leading group axis"),
    MEGALITH_FIELD(BatchConvBias, format, "memory layout of the image tensors"),
    MEGALITH_FIELD(BatchConvBias, compute_mode, "accumulator type for float16"),
};
const ParamSchema BatchConvBias::kSchema = make_schema<BatchConvBias>("BatchConvBias", 50, kBatchConvBiasFields);

static constexpr Field kFakeQuantFields[] = {
    MEGALITH_FIELD(FakeQuant, qmin, "least quantized value"),
    MEGALITH_FIELD(FakeQuant, qmax, "largest quantized value"),
};
const ParamSchema FakeQuant::kSchema = make_schema<FakeQuant>("FakeQuant", 73, kFakeQuantFields);

static constexpr Field kTQTFields[] = {
    MEGALITH_FIELD(TQT, qmin, "least quantized value"),
    MEGALITH_FIELD(TQT, qmax, "largest quantized value"),
};
const ParamSchema TQT::kSchema = make_schema<TQT>("TQT", 74, kTQTFields);

static constexpr Field kLSQFields[] = {
    MEGALITH_FIELD(LSQ, qmin, "least quantized value"),
    MEGALITH_FIELD(LSQ, qmax, "largest quantized value"),
};
const ParamSchema LSQ::kSchema = make_schema<LSQ>("LSQ", 76, kLSQFields);

static constexpr Field kFillFields[] = {
    MEGALITH_FIELD(Fill, value, ""),
};
const ParamSchema Fill::kSchema = make_schema<Fill>("Fill", 93, kFillFields);

static constexpr Field kCheckNonFiniteFields[] = {
    MEGALITH_FIELD(CheckNonFinite, scale, ""),
};
const ParamSchema CheckNonFinite::kSchema = make_schema<CheckNonFinite>("CheckNonFinite", 84, kCheckNonFiniteFields);

static constexpr Field kPaddingFields[] = {
    MEGALITH_FIELD(Padding, front_offset_dim0, ""), MEGALITH_FIELD(Padding, front_offset_dim1, ""),
    MEGALITH_FIELD(Padding, front_offset_dim2, ""), MEGALITH_FIELD(Padding, front_offset_dim3, ""),
    MEGALITH_FIELD(Padding, front_offset_dim4, ""), MEGALITH_FIELD(Padding, front_offset_dim5, ""),
    MEGALITH_FIELD(Padding, front_offset_dim6, ""), MEGALITH_FIELD(Padding, back_offset_dim0, ""),
    MEGALITH_FIELD(Padding, back_offset_dim1, ""),  MEGALITH_FIELD(Padding, back_offset_dim2, ""),
    MEGALITH_FIELD(Padding, back_offset_dim3, ""),  MEGALITH_FIELD(Padding, back_offset_dim4, ""),
    MEGALITH_FIELD(Padding, back_offset_dim5, ""),  MEGALITH_FIELD(Padding, back_offset_dim6, ""),
    MEGALITH_FIELD(Padding, padding_val, ""),       MEGALITH_FIELD(Padding, padding_mode, ""),
};
const ParamSchema Padding::kSchema = make_schema<Padding>("Padding", 82, kPaddingFields);

static constexpr Field kLayerNormFields[] = {
    MEGALITH_FIELD(LayerNorm, affine, "inputs 1 and 2 are weight and bias"),
    MEGALITH_FIELD(LayerNorm, eps, "added to the variance"),
    MEGALITH_FIELD(LayerNorm, normalized_dim, ""),
    MEGALITH_FIELD(LayerNorm, normalized_size, ""),
};
const ParamSchema LayerNorm::kSchema = make_schema<LayerNorm>("LayerNorm", 85, kLayerNormFields);

static constexpr Field kGeneralNormFields[] = {
    MEGALITH_FIELD(GeneralNorm, affine, "inputs 1 and 2 are weight and bias"),
    MEGALITH_FIELD(GeneralNorm, eps, "added to the variance"),
    MEGALITH_FIELD(GeneralNorm, axis_start, ""),
    MEGALITH_FIELD(GeneralNorm, axis_end, ""),
};
const ParamSchema GeneralNorm::kSchema = make_schema<GeneralNorm>("GeneralNorm", 94, kGeneralNormFields);

static constexpr Field kDropoutFields[] = {
    MEGALITH_FIELD(Dropout, drop_prob, "probability of a zero"),
    MEGALITH_FIELD(Dropout, seed, "seed of the random stream"),
};
const ParamSchema Dropout::kSchema = make_schema<Dropout>("Dropout", 86, kDropoutFields);

static constexpr Field kGroupNormFields[] = {
    MEGALITH_FIELD(GroupNorm, affine, "inputs 1 and 2 are weight and bias"),
    MEGALITH_FIELD(GroupNorm, eps, "added to the variance"),
    MEGALITH_FIELD(GroupNorm, group, "number of channel groups"),
    MEGALITH_FIELD(GroupNorm, format, "memory layout of the image tensors"),
};
const ParamSchema GroupNorm::kSchema = make_schema<GroupNorm>("GroupNorm", 92, kGroupNormFields);

static constexpr Field kRNNCellFields[] = {
    MEGALITH_FIELD(RNNCell, nonlineMode, "activation after the sum"),
};
const ParamSchema RNNCell::kSchema = make_schema<RNNCell>("RNNCell", 87, kRNNCellFields);

static constexpr Field kRNNFields[] = {
    MEGALITH_FIELD(RNN, num_layers, "number of stacked layers"),
    MEGALITH_FIELD(RNN, bidirectional, "a second pass runs backwards in time"),
    MEGALITH_FIELD(RNN, bias, "gates have a bias"),
    MEGALITH_FIELD(RNN, hidden_size, "number of hidden units"),
    MEGALITH_FIELD(RNN, dropout, "drop probability between layers"),
    MEGALITH_FIELD(RNN, nonlineMode, "activation after the sum"),
    MEGALITH_FIELD(RNN, fwd_mode, ""),
};
const ParamSchema RNN::kSchema = make_schema<RNN>("RNN", 88, kRNNFields);

static constexpr Field kLSTMFields[] = {
    MEGALITH_FIELD(LSTM, num_layers, "number of stacked layers"),
    MEGALITH_FIELD(LSTM, bidirectional, "a second pass runs backwards in time"),
    MEGALITH_FIELD(LSTM, bias, "gates have a bias"),
    MEGALITH_FIELD(LSTM, hidden_size, "number of hidden units"),
    MEGALITH_FIELD(LSTM, proj_size, ""),
    MEGALITH_FIELD(LSTM, dropout, "drop probability between layers"),
    MEGALITH_FIELD(LSTM, fwd_mode, ""),
};
const ParamSchema LSTM::kSchema = make_schema<LSTM>("LSTM", 89, kLSTMFields);

static constexpr Field kGRUFields[] = {
    MEGALITH_FIELD(GRU, num_layers, "number of stacked layers"),
    MEGALITH_FIELD(GRU, bidirectional, "a second pass runs backwards in time"),
    MEGALITH_FIELD(GRU, bias, "gates have a bias"),
    MEGALITH_FIELD(GRU, hidden_size, "number of hidden units"),
    MEGALITH_FIELD(GRU, dropout, "drop probability between layers"),
    MEGALITH_FIELD(GRU, fwd_mode, ""),
};
const ParamSchema GRU::kSchema = make_schema<GRU>("GRU", 0, kGRUFields);

static constexpr Field kMultiHeadAttnFields[] = {
    MEGALITH_FIELD(MultiHeadAttn, num_heads, ""),
    MEGALITH_FIELD(MultiHeadAttn, embeding_size, ""),
    MEGALITH_FIELD(MultiHeadAttn, k_size, ""),
    MEGALITH_FIELD(MultiHeadAttn, v_size, ""),
    MEGALITH_FIELD(MultiHeadAttn, qproj_size, ""),
    MEGALITH_FIELD(MultiHeadAttn, kproj_size, ""),
    MEGALITH_FIELD(MultiHeadAttn, vproj_size, ""),
    MEGALITH_FIELD(MultiHeadAttn, oproj_size, ""),
    MEGALITH_FIELD(MultiHeadAttn, qbias, ""),
    MEGALITH_FIELD(MultiHeadAttn, kbias, ""),
    MEGALITH_FIELD(MultiHeadAttn, vbias, ""),
    MEGALITH_FIELD(MultiHeadAttn, obias, ""),
    MEGALITH_FIELD(MultiHeadAttn, sm_scaler, ""),
    MEGALITH_FIELD(MultiHeadAttn, input_order, ""),
    MEGALITH_FIELD(MultiHeadAttn, attn_mask_type, ""),
    MEGALITH_FIELD(MultiHeadAttn, tensor_combination_type, ""),
    MEGALITH_FIELD(MultiHeadAttn, add_zero_attn, ""),
    MEGALITH_FIELD(MultiHeadAttn, need_weights, ""),
    MEGALITH_FIELD(MultiHeadAttn, reslink, ""),
    MEGALITH_FIELD(MultiHeadAttn, training, ""),
    MEGALITH_FIELD(MultiHeadAttn, seed, "seed of the random stream"),
    MEGALITH_FIELD(MultiHeadAttn, attn_prob, ""),
    MEGALITH_FIELD(MultiHeadAttn, out_prob, ""),
};
const ParamSchema MultiHeadAttn::kSchema = make_schema<MultiHeadAttn>("MultiHeadAttn", 95, kMultiHeadAttnFields);

static constexpr Field kPersistentOutputStorageFields[] = {
    MEGALITH_FIELD(PersistentOutputStorage, share_key, ""),
};
const ParamSchema PersistentOutputStorage::kSchema =
    make_schema<PersistentOutputStorage>("PersistentOutputStorage", 52, kPersistentOutputStorageFields);

static constexpr Field kOptionalAxisV1Fields[] = {
    MEGALITH_FIELD(OptionalAxisV1, axis, "axis, negative counts from the back"),
};
const ParamSchema OptionalAxisV1::kSchema = make_schema<OptionalAxisV1>("OptionalAxisV1", 54, kOptionalAxisV1Fields);

static constexpr Field kExecutionPolicyFields[] = {
    MEGALITH_FIELD(ExecutionPolicy, strategy, ""),
    MEGALITH_FIELD(ExecutionPolicy, workspace_limit, ""),
};
const ParamSchema ExecutionPolicy::kSchema =
    make_schema<ExecutionPolicy>("ExecutionPolicy", 55, kExecutionPolicyFields);

static constexpr Field kAssertEqualFields[] = {
    MEGALITH_FIELD(AssertEqual, maxerr, ""),
    MEGALITH_FIELD(AssertEqual, verbose, ""),
};
const ParamSchema AssertEqual::kSchema = make_schema<AssertEqual>("AssertEqual", 56, kAssertEqualFields);

static constexpr Field kCondExecPredFields[] = {
    MEGALITH_FIELD(CondExecPred, mode, "what is computed"),
    MEGALITH_FIELD(CondExecPred, eps, "added to the variance"),
};
const ParamSchema CondExecPred::kSchema = make_schema<CondExecPred>("CondExecPred", 59, kCondExecPredFields);

static constexpr Field kCondExecPredLogicalFields[] = {
    MEGALITH_FIELD(CondExecPredLogical, mode, "what is computed"),
};
const ParamSchema CondExecPredLogical::kSchema =
    make_schema<CondExecPredLogical>("CondExecPredLogical", 60, kCondExecPredLogicalFields);

static constexpr Field kCondExecMarkFields[] = {
    MEGALITH_FIELD(CondExecMark, grad_mode, ""),
    MEGALITH_FIELD(CondExecMark, static_infer, ""),
};
const ParamSchema CondExecMark::kSchema = make_schema<CondExecMark>("CondExecMark", 61, kCondExecMarkFields);

static constexpr Field kCondExecMergeFields[] = {
    MEGALITH_FIELD(CondExecMerge, nr_output, ""),
    MEGALITH_FIELD(CondExecMerge, mode, "what is computed"),
};
const ParamSchema CondExecMerge::kSchema = make_schema<CondExecMerge>("CondExecMerge", 62, kCondExecMergeFields);

static constexpr Field kNvOfFields[] = {
    MEGALITH_FIELD(NvOf, precision, ""),
};
const ParamSchema NvOf::kSchema = make_schema<NvOf>("NvOf", 71, kNvOfFields);

static constexpr Field kMGBAddUpdateFields[] = {
    MEGALITH_FIELD(MGBAddUpdate, alpha, "factor of the old value"),
    MEGALITH_FIELD(MGBAddUpdate, beta, "factor of the delta"),
    MEGALITH_FIELD(MGBAddUpdate, bias, "added at the end"),
};
const ParamSchema MGBAddUpdate::kSchema = make_schema<MGBAddUpdate>("MGBAddUpdate", 16, kMGBAddUpdateFields);

static constexpr Field kHost2DeviceCopyFields[] = {
    MEGALITH_FIELD(Host2DeviceCopy, enable_value_infer, ""),
    MEGALITH_FIELD(Host2DeviceCopy, dump_default_value, ""),
    MEGALITH_FIELD(Host2DeviceCopy, allow_cpu_mem_fwd, ""),
};
const ParamSchema Host2DeviceCopy::kSchema =
    make_schema<Host2DeviceCopy>("Host2DeviceCopy", 63, kHost2DeviceCopyFields);

static constexpr Field kDimshuffleFields[] = {
    list_field("pattern", FieldType::kInt32List, "output axis i is input axis pattern[i]; -1 is a new axis of size 1"),
    MEGALITH_FIELD(Dimshuffle, ndim, ""),
};
const ParamSchema Dimshuffle::kSchema = make_schema<Dimshuffle>("Dimshuffle", 64, kDimshuffleFields);

static constexpr Field kAxisAddRemoveFields[] = {
    list_field("desc", FieldType::kAxisDescList,
               "(method, axis) pairs, applied in order; method 0 adds an axis of size 1, 1 removes one"),
};
const ParamSchema AxisAddRemove::kSchema = make_schema<AxisAddRemove>("AxisAddRemove", 65, kAxisAddRemoveFields);

static constexpr Field kMGBSleepFields[] = {
    MEGALITH_FIELD(MGBSleep, device, ""),
    MEGALITH_FIELD(MGBSleep, host, ""),
    MEGALITH_FIELD(MGBSleep, seconds, ""),
};
const ParamSchema MGBSleep::kSchema = make_schema<MGBSleep>("MGBSleep", 28, kMGBSleepFields);

static constexpr Field kIndexDescMaskDumpFields[] = {
    list_field("items", FieldType::kIndexItemList,
               "(axis, begin, end, step, idx): each true flag takes one more input"),
};
const ParamSchema IndexDescMaskDump::kSchema =
    make_schema<IndexDescMaskDump>("IndexDescMaskDump", 66, kIndexDescMaskDumpFields);

static constexpr Field kNMSKeepFields[] = {
    MEGALITH_FIELD(NMSKeep, iou_thresh, ""),
    MEGALITH_FIELD(NMSKeep, max_output, ""),
};
const ParamSchema NMSKeep::kSchema = make_schema<NMSKeep>("NMSKeep", 69, kNMSKeepFields);

static constexpr Field kTypeCvtFields[] = {{"dtype", FieldType::kDType, offsetof(TypeCvt, dtype), nullptr,
                                            "element type of the result, with scale and zero point"}};
const ParamSchema TypeCvt::kSchema = make_schema<TypeCvt>("DType", 67, kTypeCvtFields);

static constexpr Field kAllocFields[] = {
    MEGALITH_FIELD(Alloc, dtype, "element type of the result"),
};
const ParamSchema Alloc::kSchema = make_schema<Alloc>("param.DType", 51, kAllocFields);

}  // namespace megalith::param
