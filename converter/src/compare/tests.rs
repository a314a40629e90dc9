use super::*;
use crate::graph::DType;
use crate::model_file::PortFacts;
use crate::run::RunOutput;

fn output(shape: &[usize], samples: &[&[u8]]) -> RunOutput {
    let port = PortFacts {
        name: "y".into(),
        shape: shape.to_vec(),
        dtype: DType::Int8,
        quantization: Some((0.5, 0)),
    };
    RunOutput { ports: vec![port], samples: samples.iter().map(|s| vec![s.to_vec()]).collect() }
}

#[test]
fn classes_are_counted() {
    let float = vec![vec![vec![0.0, 1.0]], vec![vec![1.0, 0.0]], vec![vec![0.25, 0.0]]];
    let quantized = output(&[1, 2], &[&[0, 2], &[2, 0], &[0, 0]]);
    let labels = Labels::Classes(vec![1, 1, 0]);
    let result = compare_outputs(&float, &quantized, Some(&labels)).unwrap();
    assert_eq!(result.accuracy_float, Some(2.0 / 3.0));
    assert_eq!((result.accuracy_quantized, result.agreement), (Some(2.0 / 3.0), Some(1.0)));
    assert_eq!((result.max_abs_error, result.mse_float), (0.25, None));
    let want = 10.0 * (2.0625f64 / 0.0625).log10();
    assert!((result.sqnr_db.unwrap() - want).abs() < 1e-9);
}

#[test]
fn values_give_errors() {
    let float = vec![vec![vec![0.5]], vec![vec![1.0]]];
    let labels = Labels::Values(vec![vec![0.5], vec![0.0]]);
    let result = compare_outputs(&float, &output(&[1, 1], &[&[1], &[4]]), Some(&labels)).unwrap();
    assert_eq!((result.mse_float, result.mse_quantized), (Some(0.5), Some(2.0)));
    assert_eq!((result.agreement, result.accuracy_float), (None, None));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let float = vec![vec![vec![0.5, 0.5]]];
    let fit = output(&[1, 2], &[&[1, 1]]);
    assert!(compare_outputs(&float, &output(&[1, 1], &[&[1]]), None).is_err());
    assert!(compare_outputs(&[vec![]], &fit, None).is_err());
    assert!(compare_outputs(&float, &fit, Some(&Labels::Classes(vec![0, 1]))).is_err());
    assert!(compare_outputs(&float, &fit, Some(&Labels::Values(vec![vec![0.0]]))).is_err());
    let exact = compare_outputs(&float, &fit, None).unwrap();
    assert_eq!(exact.sqnr_db, Some(f64::INFINITY));
}
