//! One way to quantize: ranges by a method, parameters, integers, and bias correction.

use super::calibrate::Statistics;
use super::far::Limits;
use super::report::{Options, Report};
use super::samples::Samples;
use super::{bias, equalize, groups, rewrite};
use crate::error::Result;
use crate::graph::Graph;

/// Quantizes a graph whose constants have one reader each, as the options say.
pub fn quantize_by(
    graph: &Graph,
    samples: &dyn Samples,
    limits: &Limits,
    options: &Options,
) -> Result<(Graph, Report)> {
    let histograms = Statistics::needs_histograms(options.calibration);
    let mut graph = graph.clone();
    // Limits were found for the channels before equalization.
    if options.equalize && limits.is_empty() {
        equalize::equalize(&mut graph, samples)?;
    }
    build(&graph, &Statistics::gather(&graph, samples, limits, histograms)?, samples, options)
}

/// Quantizes a graph by the statistics of its values; `samples` serve bias correction.
pub fn build(
    float: &Graph,
    statistics: &Statistics,
    samples: &dyn Samples,
    options: &Options,
) -> Result<(Graph, Report)> {
    let mut graph = float.clone();
    let mut ranges = statistics.by(options.calibration);
    rewrite::constant_ranges(&graph, &mut ranges)?;
    let groups::Assignment { params, calibrated } =
        groups::assign(&mut graph, &mut ranges, &statistics.terms);
    let mut report = Report { options: *options, ..Report::default() };
    rewrite::describe(&graph, &ranges, &params, &calibrated, &mut report);
    rewrite::to_int8(&mut graph, &params, &ranges, options.clip_weights, &mut report)?;
    if options.correct_bias {
        bias::correct(float, &mut graph, samples)?;
    }
    Ok((graph, report))
}
