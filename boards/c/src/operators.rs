//! The functions of each operator as symbols. C programs list operators by them, so that a linker finds those that a list
//! names and drops all others.
//!
//! They have Rust's calling convention: a list hands them on, and only the interpreter calls them.
//!
//! This file is made of `OpCode` in `schema/model.fbs` and of `runtime/src/ops/sets.rs` by `cargo xtask schema`, not by hand.
// @generated

use ferrolite_runtime::{Eval, Fault, Node, Operator, ops};

macro_rules! operators {
    ($($operator:path: $check:ident $eval:ident $lead:ident)*) => {
        $(
            #[unsafe(no_mangle)]
            fn $check(node: &Node<'_>) -> Result<(), Fault> {
                const OPERATOR: Operator = $operator;
                (OPERATOR.check)(node)
            }

            #[unsafe(no_mangle)]
            fn $eval(eval: &Eval<'_>) {
                const OPERATOR: Operator = $operator;
                (OPERATOR.eval)(eval);
            }

            #[unsafe(no_mangle)]
            fn $lead(node: &Node<'_>, position: usize) -> Option<u32> {
                const OPERATOR: Operator = $operator;
                (OPERATOR.lead)(node, position)
            }
        )*
    };
}

operators! {
    ops::CONV_2D: ferrolite_conv_2d_check ferrolite_conv_2d_eval ferrolite_conv_2d_lead
    ops::DEPTHWISE_CONV_2D: ferrolite_depthwise_conv_2d_check ferrolite_depthwise_conv_2d_eval ferrolite_depthwise_conv_2d_lead
    ops::FULLY_CONNECTED: ferrolite_fully_connected_check ferrolite_fully_connected_eval ferrolite_fully_connected_lead
    ops::TRANSPOSE_CONV: ferrolite_transpose_conv_check ferrolite_transpose_conv_eval ferrolite_transpose_conv_lead
    ops::BATCH_MATMUL: ferrolite_batch_matmul_check ferrolite_batch_matmul_eval ferrolite_batch_matmul_lead
    ops::AVERAGE_POOL_2D: ferrolite_average_pool_2d_check ferrolite_average_pool_2d_eval ferrolite_average_pool_2d_lead
    ops::MAX_POOL_2D: ferrolite_max_pool_2d_check ferrolite_max_pool_2d_eval ferrolite_max_pool_2d_lead
    ops::ADD: ferrolite_add_check ferrolite_add_eval ferrolite_add_lead
    ops::MUL: ferrolite_mul_check ferrolite_mul_eval ferrolite_mul_lead
    ops::MIN_MAX: ferrolite_min_max_check ferrolite_min_max_eval ferrolite_min_max_lead
    ops::LOOKUP: ferrolite_lookup_check ferrolite_lookup_eval ferrolite_lookup_lead
    ops::SOFTMAX: ferrolite_softmax_check ferrolite_softmax_eval ferrolite_softmax_lead
    ops::STRIDED_COPY: ferrolite_strided_copy_check ferrolite_strided_copy_eval ferrolite_strided_copy_lead
    ops::REDUCE: ferrolite_reduce_check ferrolite_reduce_eval ferrolite_reduce_lead
    ops::REDUCE_MIN_MAX: ferrolite_reduce_min_max_check ferrolite_reduce_min_max_eval ferrolite_reduce_min_max_lead
    ops::RESIZE_NEAREST: ferrolite_resize_nearest_check ferrolite_resize_nearest_eval ferrolite_resize_nearest_lead
    ops::RESIZE_BILINEAR: ferrolite_resize_bilinear_check ferrolite_resize_bilinear_eval ferrolite_resize_bilinear_lead
    ops::QUANTIZE: ferrolite_quantize_check ferrolite_quantize_eval ferrolite_quantize_lead
    ops::DEQUANTIZE: ferrolite_dequantize_check ferrolite_dequantize_eval ferrolite_dequantize_lead
    ops::ARG_MIN_MAX: ferrolite_arg_min_max_check ferrolite_arg_min_max_eval ferrolite_arg_min_max_lead
    ops::REQUANTIZE: ferrolite_requantize_check ferrolite_requantize_eval ferrolite_requantize_lead
    ops::CONV_2D_WINOGRAD: ferrolite_conv_2d_winograd_check ferrolite_conv_2d_winograd_eval ferrolite_conv_2d_winograd_lead
    ops::DEPTHWISE_3X3: ferrolite_depthwise_3x3_check ferrolite_depthwise_3x3_eval ferrolite_depthwise_3x3_lead
    ops::GATHER: ferrolite_gather_check ferrolite_gather_eval ferrolite_gather_lead
    ops::DELAY_LINE: ferrolite_delay_line_check ferrolite_delay_line_eval ferrolite_delay_line_lead
    ops::CUMSUM: ferrolite_cumsum_check ferrolite_cumsum_eval ferrolite_cumsum_lead
    ops::DYNAMIC_UPDATE_SLICE: ferrolite_dynamic_update_slice_check ferrolite_dynamic_update_slice_eval ferrolite_dynamic_update_slice_lead
    ops::SKIP_IF: ferrolite_skip_if_check ferrolite_skip_if_eval ferrolite_skip_if_lead
    ops::MERGE: ferrolite_merge_check ferrolite_merge_eval ferrolite_merge_lead
    ops::LSTM_CURVES: ferrolite_lstm_curves_check ferrolite_lstm_curves_eval ferrolite_lstm_curves_lead
    ops::WEIGHTED_SUM: ferrolite_weighted_sum_check ferrolite_weighted_sum_eval ferrolite_weighted_sum_lead
    ops::DEPTHWISE_TAPS: ferrolite_depthwise_taps_check ferrolite_depthwise_taps_eval ferrolite_depthwise_taps_lead
    ops::LSTM: ferrolite_lstm_check ferrolite_lstm_eval ferrolite_lstm_lead
    ops::GRU: ferrolite_gru_check ferrolite_gru_eval ferrolite_gru_lead
    ops::RNN: ferrolite_rnn_check ferrolite_rnn_eval ferrolite_rnn_lead
    ops::SVDF: ferrolite_svdf_check ferrolite_svdf_eval ferrolite_svdf_lead
    ops::SVDF_INT16: ferrolite_svdf_int16_check ferrolite_svdf_int16_eval ferrolite_svdf_int16_lead
    ops::SOFTMAX_INT16: ferrolite_softmax_int16_check ferrolite_softmax_int16_eval ferrolite_softmax_int16_lead
    ops::CONV_2D_SEGMENTS: ferrolite_conv_2d_segments_check ferrolite_conv_2d_segments_eval ferrolite_conv_2d_segments_lead
    ops::CONV_2D_WIDE: ferrolite_conv_2d_wide_check ferrolite_conv_2d_wide_eval ferrolite_conv_2d_wide_lead
    ops::DEPTHWISE_WIDE: ferrolite_depthwise_wide_check ferrolite_depthwise_wide_eval ferrolite_depthwise_wide_lead
    ops::AVERAGE_POOL_UP: ferrolite_average_pool_up_check ferrolite_average_pool_up_eval ferrolite_average_pool_up_lead
    ops::RESIZE_BILINEAR_UP: ferrolite_resize_bilinear_up_check ferrolite_resize_bilinear_up_eval ferrolite_resize_bilinear_up_lead
    ops::RESIZE_BILINEAR_FLOAT: ferrolite_resize_bilinear_float_check ferrolite_resize_bilinear_float_eval ferrolite_resize_bilinear_float_lead
    ops::ASSIGN: ferrolite_assign_check ferrolite_assign_eval ferrolite_assign_lead
    ops::DETECTION_POST_PROCESS: ferrolite_detection_post_process_check ferrolite_detection_post_process_eval ferrolite_detection_post_process_lead
    ops::INTEGERS: ferrolite_integers_check ferrolite_integers_eval ferrolite_integers_lead
    ops::SELECT: ferrolite_select_check ferrolite_select_eval ferrolite_select_lead
    ops::CAST: ferrolite_cast_check ferrolite_cast_eval ferrolite_cast_lead
    ops::COMPARE: ferrolite_compare_check ferrolite_compare_eval ferrolite_compare_lead
    ops::PRELU: ferrolite_prelu_check ferrolite_prelu_eval ferrolite_prelu_lead
    ops::SQUARED_DIFFERENCE: ferrolite_squared_difference_check ferrolite_squared_difference_eval ferrolite_squared_difference_lead
    ops::DIV: ferrolite_div_check ferrolite_div_eval ferrolite_div_lead
    ops::L2_NORMALIZATION: ferrolite_l2_normalization_check ferrolite_l2_normalization_eval ferrolite_l2_normalization_lead
    ops::GATHER_ND: ferrolite_gather_nd_check ferrolite_gather_nd_eval ferrolite_gather_nd_lead
    ops::LOG_SOFTMAX: ferrolite_log_softmax_check ferrolite_log_softmax_eval ferrolite_log_softmax_lead
    ops::TOP_K: ferrolite_top_k_check ferrolite_top_k_eval ferrolite_top_k_lead
    ops::SLOPES_INT16: ferrolite_slopes_int16_check ferrolite_slopes_int16_eval ferrolite_slopes_int16_lead
    ops::MUL_INT16: ferrolite_mul_int16_check ferrolite_mul_int16_eval ferrolite_mul_int16_lead
    ops::GATE_INT16: ferrolite_gate_int16_check ferrolite_gate_int16_eval ferrolite_gate_int16_lead
    ops::POOL_2D_INT16: ferrolite_pool_2d_int16_check ferrolite_pool_2d_int16_eval ferrolite_pool_2d_int16_lead
    ops::REDUCE_INT16: ferrolite_reduce_int16_check ferrolite_reduce_int16_eval ferrolite_reduce_int16_lead
    ops::SOFTMAX_FROM_INT16: ferrolite_softmax_from_int16_check ferrolite_softmax_from_int16_eval ferrolite_softmax_from_int16_lead
    ops::CONV_2D_INT16: ferrolite_conv_2d_int16_check ferrolite_conv_2d_int16_eval ferrolite_conv_2d_int16_lead
    ops::BATCH_MATMUL_INT16: ferrolite_batch_matmul_int16_check ferrolite_batch_matmul_int16_eval ferrolite_batch_matmul_int16_lead
    ops::RSQRT_INT16: ferrolite_rsqrt_int16_check ferrolite_rsqrt_int16_eval ferrolite_rsqrt_int16_lead
    ops::TREE_ENSEMBLE: ferrolite_tree_ensemble_check ferrolite_tree_ensemble_eval ferrolite_tree_ensemble_lead
    ops::LINEAR_FEATURES: ferrolite_linear_features_check ferrolite_linear_features_eval ferrolite_linear_features_lead
    ops::GRU_CURVES: ferrolite_gru_curves_check ferrolite_gru_curves_eval ferrolite_gru_curves_lead
    ops::LSTM_INT16: ferrolite_lstm_int16_check ferrolite_lstm_int16_eval ferrolite_lstm_int16_lead
    ops::ADD_INT16: ferrolite_add_int16_check ferrolite_add_int16_eval ferrolite_add_int16_lead
    ops::tuned::CONV_2D: ferrolite_tuned_conv_2d_check ferrolite_tuned_conv_2d_eval ferrolite_tuned_conv_2d_lead
    ops::tuned::CONV_2D_SEGMENTS: ferrolite_tuned_conv_2d_segments_check ferrolite_tuned_conv_2d_segments_eval ferrolite_tuned_conv_2d_segments_lead
    ops::tuned::CONV_2D_WINOGRAD: ferrolite_tuned_conv_2d_winograd_check ferrolite_tuned_conv_2d_winograd_eval ferrolite_tuned_conv_2d_winograd_lead
    ops::tuned::DEPTHWISE_CONV_2D: ferrolite_tuned_depthwise_conv_2d_check ferrolite_tuned_depthwise_conv_2d_eval ferrolite_tuned_depthwise_conv_2d_lead
    ops::tuned::FULLY_CONNECTED: ferrolite_tuned_fully_connected_check ferrolite_tuned_fully_connected_eval ferrolite_tuned_fully_connected_lead
    ops::general::CONV_2D: ferrolite_general_conv_2d_check ferrolite_general_conv_2d_eval ferrolite_general_conv_2d_lead
    ops::general::CONV_2D_SEGMENTS: ferrolite_general_conv_2d_segments_check ferrolite_general_conv_2d_segments_eval ferrolite_general_conv_2d_segments_lead
    ops::general::FULLY_CONNECTED: ferrolite_general_fully_connected_check ferrolite_general_fully_connected_eval ferrolite_general_fully_connected_lead
    ops::plain::CONV_2D: ferrolite_plain_conv_2d_check ferrolite_plain_conv_2d_eval ferrolite_plain_conv_2d_lead
    ops::plain::DEPTHWISE_CONV_2D: ferrolite_plain_depthwise_conv_2d_check ferrolite_plain_depthwise_conv_2d_eval ferrolite_plain_depthwise_conv_2d_lead
    ops::plain::FULLY_CONNECTED: ferrolite_plain_fully_connected_check ferrolite_plain_fully_connected_eval ferrolite_plain_fully_connected_lead
    ops::small::AVERAGE_POOL_2D: ferrolite_small_average_pool_2d_check ferrolite_small_average_pool_2d_eval ferrolite_small_average_pool_2d_lead
    ops::small::SOFTMAX: ferrolite_small_softmax_check ferrolite_small_softmax_eval ferrolite_small_softmax_lead
    ops::nibbles::FULLY_CONNECTED: ferrolite_nibbles_fully_connected_check ferrolite_nibbles_fully_connected_eval ferrolite_nibbles_fully_connected_lead
}
