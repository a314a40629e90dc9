//! Operators by the names that TFLM's resolver, its registrations and model files have for them.

use crate::tflite;

/// What names of one operator have in common: `AddFullyConnected` and FULLY_CONNECTED both give FULLYCONNECTED.
fn key(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

/// The operator that a method `AddX` of the resolver is for, `X` given: the schema's name, or `custom NAME`.
pub(super) fn of_method(method: &str) -> Option<String> {
    let wanted = key(method);
    // Custom operators that the resolver has methods for.
    let custom = match wanted.as_str() {
        "DETECTIONPOSTPROCESS" => "TFLite_Detection_PostProcess",
        "CIRCULARBUFFER" => "CIRCULAR_BUFFER",
        "ETHOSU" => "ethos-u",
        "DELAY" => "SignalDelay",
        "ENERGY" => "SignalEnergy",
        "FFTAUTOSCALE" => "SignalFftAutoScale",
        "FILTERBANK" => "SignalFilterBank",
        "FILTERBANKLOG" => "SignalFilterBankLog",
        "FILTERBANKSQUAREROOT" => "SignalFilterBankSquareRoot",
        "FILTERBANKSPECTRALSUBTRACTION" => "SignalFilterBankSpectralSubtraction",
        "FRAMER" => "SignalFramer",
        "IRFFT" => "SignalIrfft",
        "OVERLAPADD" => "SignalOverlapAdd",
        "PCAN" => "SignalPCAN",
        "RFFT" => "SignalRfft",
        "STACKER" => "SignalStacker",
        "WINDOW" => "SignalWindow",
        _ => "",
    };
    if !custom.is_empty() {
        return Some(format!("custom {custom}"));
    }
    // What no method has as its name is no operator of its own.
    tflite::BuiltinOperator::ENUM_VALUES
        .iter()
        .filter_map(|operator| operator.variant_name())
        .find(|name| key(name) == wanted && !["CUSTOM", "DELEGATE"].contains(name))
        .map(str::to_string)
}

/// The operators of a model file in the order of their first use, with how many layers each has.
pub(super) fn of_model(bytes: &[u8]) -> Vec<(String, usize)> {
    let Ok(model) = tflite::verified(bytes) else { return Vec::new() };
    let names: Vec<String> = model.operator_codes().into_iter().flatten().map(|code| code.name()).collect();
    let mut out: Vec<(String, usize)> = Vec::new();
    let layers = model.subgraphs().into_iter().flatten().flat_map(|graph| graph.operators()).flatten();
    for layer in layers {
        let name = usize::try_from(layer.opcode_index()).ok().and_then(|index| names.get(index));
        let name = name.map_or("an operator that the file does not name", String::as_str);
        match out.iter_mut().find(|(other, _)| other == name) {
            Some((_, count)) => *count += 1,
            None => out.push((name.to_string(), 1)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_operators() {
        for (method, name) in [
            ("FullyConnected", "FULLY_CONNECTED"),
            ("DepthwiseConv2D", "DEPTHWISE_CONV_2D"),
            ("PadV2", "PADV2"),
            ("ResizeNearestNeighbor", "RESIZE_NEAREST_NEIGHBOR"),
            ("UnidirectionalSequenceLSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
            ("L2Pool2D", "L2_POOL_2D"),
            ("BatchMatMul", "BATCH_MATMUL"),
            ("VarHandle", "VAR_HANDLE"),
            ("TransposeConv", "TRANSPOSE_CONV"),
            ("DetectionPostprocess", "custom TFLite_Detection_PostProcess"),
            ("EthosU", "custom ethos-u"),
        ] {
            assert_eq!(of_method(method).as_deref(), Some(name), "{method}");
        }
        assert_eq!((of_method("Listener"), of_method("Custom"), of_method("")), (None, None, None));
    }

    #[test]
    fn damaged_models_have_none() {
        assert!(of_model(b"").is_empty() && of_model(b"\x1c\0\0\0TFL3\xff\xff\xff\xff").is_empty());
    }
}
