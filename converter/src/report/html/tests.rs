//! Tests of the whole page: it is valid HTML, loads nothing, has its sections, and escapes names.

use super::*;
use crate::compare::{Options, compare};
use crate::data::load_labels;
use crate::emit;
use crate::graph::{Activation, Constant, DType, FullyConnected, Node, Op, Quantization, Value};
use crate::import;
use crate::model_file::{ModelFile, input_specs};

/// Elements that have no end tag.
const VOID: [&str; 5] = ["meta", "link", "br", "hr", "img"];

/// Checks that tags are nested, and returns the text between them and all tags.
fn parse(page: &str) -> (String, Vec<String>) {
    let head = format!("<!DOCTYPE html><!-- {} -->", crate::text::MARK);
    let body = page.strip_prefix(&head).expect("a page starts with its type and who wrote it");
    let (mut open, mut tags, mut text) = (Vec::<String>::new(), Vec::new(), String::new());
    let mut rest = body;
    while let Some(start) = rest.find('<') {
        text += &rest[..start];
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        let quotes = tag.matches('"').count();
        assert!(quotes.is_multiple_of(2), "quotes of <{tag}>");
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "before {}", &rest[..rest.len().min(80)]);
            continue;
        }
        tags.push(tag.to_string());
        let name = tag.split_whitespace().next().unwrap_or_default().to_string();
        if name == "style" {
            let close = rest.find("</style>").expect("styles end");
            rest = &rest[close..];
        }
        if !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    (text + rest, tags)
}

/// A dense layer of a given name, and its file.
fn named(name: &str) -> ModelFile {
    let mut graph = Graph { name: name.into(), ..Graph::default() };
    let value = |name: &str, shape: &[usize], constant: Option<Vec<i8>>| Value {
        name: name.into(),
        shape: shape.to_vec(),
        dtype: DType::Int8,
        quantization: Some(Quantization::per_tensor(0.5, 0)),
        constant: constant.map(Constant::I8),
    };
    let x = graph.add_value(value(name, &[1, 2], None));
    let w = graph.add_value(value("w", &[3, 2], Some(vec![1, 2, 3, 4, 5, 6])));
    let y = graph.add_value(value(&format!("{name}_out"), &[1, 3], None));
    graph.nodes.push(Node {
        name: name.into(),
        op: Op::FullyConnected(FullyConnected { activation: Activation::None }),
        inputs: vec![Some(x), Some(w)],
        outputs: vec![y],
    });
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    let metadata = emit::Metadata {
        name: name.into(),
        labels: vec![name.into(), "b".into(), "c".into()],
        ..emit::Metadata::default()
    };
    let file = emit::compile(&graph, &emit::Options { metadata, ..emit::Options::default() }).unwrap();
    ModelFile::from_bytes("named.ferro", &file.bytes)
}

fn ids(tags: &[String]) -> Vec<&str> {
    let sections = tags.iter().filter_map(|tag| tag.strip_prefix("section id=\""));
    sections.map(|rest| rest.trim_end_matches('"')).collect()
}

#[test]
fn a_whole_study_has_every_section() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/mnist_cnn");
    let data = |array: &str| format!("{folder}/data.npz:{array}");
    let source = format!("{folder}/mnist_cnn_float.tflite");
    let options = crate::convert::ConvertOptions { calibrate: Some(data("cal_x")), ..Default::default() };
    let converted = crate::convert::convert(source.as_ref(), &options, &()).unwrap();
    let model = converted.file.model().unwrap();
    let graph = import::load(source.as_ref()).unwrap().graph;
    let images = Dataset::load(&data("test_x"), &input_specs(&model)).unwrap();
    let labels = load_labels(&data("test_y"), "").unwrap();
    let options = Options { labels: Some(&labels), ..Options::default() };
    let comparison = compare(&graph, &model, &images, &options, &()).unwrap();
    let notes = ["fused 3 activations".to_string()];
    let study = Study {
        source: Some(&graph),
        data: Some(&images),
        comparison: Some(&comparison),
        samples: "test",
        notes: &notes,
        ..Study::default()
    };
    let page = page(&model, &study).unwrap();
    let (text, tags) = parse(&page);
    let sections = ids(&tags);
    let all =
        ["accuracy", "costs", "layers", "memory", "graph", "numbers", "confusion", "worst", "ports", "notes"];
    assert_eq!(sections, all);
    for id in sections {
        assert!(tags.contains(&format!("a href=\"#{id}\"")), "{id} is not in the navigation");
    }
    // Nothing is loaded, and nothing runs.
    for word in ["http:", "https:", "//", "url(", "@import", "<script", "<img", "<iframe", "javascript"] {
        assert!(!page.contains(word), "{word}");
    }
    // The numbers of the model, with their units.
    let macs: u64 = model_file::layers(&model).iter().map(|layer| layer.macs).sum();
    for number in [
        format!("{} bytes of the model; the runtime's code", text::count(page_bytes(&model))),
        format!("{} multiply-accumulates per inference", text::thousands(macs)),
        format!("{} bytes of arena; the stack", text::count(model.arena_bytes())),
        format!("float: {}", text::percent(comparison.accuracy_float)),
    ] {
        assert!(text.contains(&number), "{number}");
    }
    // A box for each layer and border, a row of memory and two histograms for each layer with weights.
    let count = |start: &str| tags.iter().filter(|tag| tag.starts_with(start)).count();
    assert_eq!(count("rect class=\"node "), model.ops().len() + 2);
    assert_eq!(count("td class=\"track\""), model.ops().len());
    assert_eq!(count("svg class=\"histogram\""), model.ops().len() + 4);
    assert_eq!(count("td class=\"right"), 10);
    // Tables scroll in boxes of their own, so that the page never does.
    let tables = page.split("<table").count() - 1;
    assert_eq!(page.matches("<div class=\"box\" tabindex=\"0\"><table").count(), tables);
}

fn page_bytes(model: &Model<'_>) -> usize {
    model.bytes().len()
}

#[test]
fn names_are_text() {
    let evil = "<script>alert(\"1\")</script>&amp;'";
    let file = named(evil);
    let model = file.model().unwrap();
    let page = page(&model, &Study::default()).unwrap();
    let (text, tags) = parse(&page);
    assert!(!tags.iter().any(|tag| tag.starts_with("script")), "{tags:?}");
    assert!(text.contains("&lt;script&gt;alert(") && text.contains("&amp;amp;"), "{text}");
    assert!(!page.contains(evil));
    assert_eq!(ids(&tags), ["layers", "memory", "graph", "ports"]);
}

#[test]
fn long_names_keep_their_ends() {
    assert_eq!(shorten("short", 8), "short");
    assert_eq!(shorten("model/block_17/conv", 10), "…k_17/conv");
    assert_eq!(shorten("a/first;a/second", 20), "a/first");
    assert_eq!(shorten("äöüß", 3), "…üß");
}

#[test]
fn the_page_of_the_sine_is_stable() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/models/sine/sine.ferro");
    let file = ModelFile::read(path.as_ref()).unwrap();
    let page = page(&file.model().unwrap(), &Study::default()).unwrap();
    // The comparison leaves out the style sheet and the writer's version, which do not matter here.
    let start = page.find("<style>").unwrap();
    let end = page.find("</style>").unwrap();
    let end_of_body = page.find("<footer>").unwrap();
    let found = format!("{}{}\n", &page[..start], &page[end + 8..end_of_body]).replace("><", ">\n<");
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/html/sine.golden.html");
    if std::env::var_os("FERROLITE_UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &found).unwrap();
    }
    let want = std::fs::read_to_string(golden).unwrap();
    let differs = found.lines().zip(want.lines()).find(|(a, b)| a != b);
    assert!(found == want, "{differs:?}; FERROLITE_UPDATE_GOLDEN=1 writes the page anew");
}
