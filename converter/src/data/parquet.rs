//! Parquet: the rows of a table as `tf.train.Example`s in a temporary file, for [`tensors`](super::tensors).
//!
//! ```text
//! numbers, lists of numbers, lists of lists       numbers, flattened
//! bytes, or {"bytes": …} as Hugging Face has it   a picture or a recording
//! anything else                                   named in messages only
//! ```
//! Rows are read one by one, so that memory is bounded by a page of each column. The reader is the crate `parquet` without
//! Arrow, with Snappy and gzip. It takes half a minute to compile, so it is behind the feature `parquet`, which
//! `cargo install` has off.

use std::path::Path;

use super::records::Records;
use crate::error::{Error, Result};

/// The rows of a file.
///
/// # Errors
/// When it cannot be read, or this build has no reader.
#[cfg(not(feature = "parquet"))]
pub fn records(path: &Path) -> Result<Records> {
    Err(Error::input(format!("{}: this build of Ferrolite does not read Parquet", path.display())).help(
        "install it with `cargo install ferrolite --features parquet`, or write the columns with numpy.savez or as CSV",
    ))
}

/// The rows of a file.
///
/// # Errors
/// When it cannot be read, or a row has nothing in a column.
#[cfg(feature = "parquet")]
pub fn records(path: &Path) -> Result<Records> {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    let damaged = |what: String| {
        Error::input(format!("{}: {what}", path.display()))
            .help("write it again, compressed by Snappy, gzip or not at all")
    };
    let file = crate::files::open(path).map_err(|e| super::argument::cannot_read(path, e))?;
    // The reader may panic at a damaged file.
    let walk = || -> Result<Records> {
        let reader = SerializedFileReader::new(file).map_err(|e| damaged(format!("no Parquet: {e}")))?;
        let rows = reader.get_row_iter(None).map_err(|e| damaged(e.to_string()))?;
        let mut number = 0usize;
        let examples = rows.map(|row| {
            let row = row.map_err(|e| damaged(format!("row {number}: {e}")))?;
            number += 1;
            table::example(&row).map_err(|column| {
                Error::input(format!("{}: row {}: `{column}` is empty", path.display(), number - 1))
                    .help("leave such rows out, or fill them")
            })
        });
        Records::made(path, examples)
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(walk))
        .unwrap_or_else(|_| Err(damaged("the file is damaged".into())))
}

#[cfg(feature = "parquet")]
mod table {
    use parquet::record::{Field, Row};

    /// A list of one kind.
    enum Values {
        Reals(Vec<f32>),
        Integers(Vec<i64>),
        Bytes(Vec<u8>),
        Other,
    }

    /// A row as an Example, or the column that has nothing.
    pub fn example(row: &Row) -> Result<Vec<u8>, String> {
        let mut entries = Vec::new();
        for (name, field) in row.get_column_iter() {
            let values = values(field).ok_or_else(|| name.clone())?;
            let (kind, list) = match values {
                Values::Bytes(bytes) => (1, part(1, &bytes)),
                Values::Reals(reals) => {
                    (2, part(1, &reals.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>()))
                }
                Values::Integers(integers) => {
                    let mut packed = Vec::new();
                    integers.iter().for_each(|&number| varint(number as u64, &mut packed));
                    (3, part(1, &packed))
                }
                Values::Other => (1, Vec::new()),
            };
            entries.extend(part(1, &[part(1, name.as_bytes()), part(2, &part(kind, &list))].concat()));
        }
        Ok(part(1, &entries))
    }

    fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut part = vec![number << 3 | 2];
        varint(bytes.len() as u64, &mut part);
        part.extend_from_slice(bytes);
        part
    }

    fn varint(mut number: u64, out: &mut Vec<u8>) {
        while number >= 0x80 {
            out.push(number as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    }

    /// `None` where there is nothing.
    fn values(field: &Field) -> Option<Values> {
        Some(match field {
            Field::Null => return None,
            Field::Bool(x) => Values::Integers(vec![i64::from(*x)]),
            Field::Byte(x) => Values::Integers(vec![i64::from(*x)]),
            Field::Short(x) => Values::Integers(vec![i64::from(*x)]),
            Field::Int(x) => Values::Integers(vec![i64::from(*x)]),
            Field::Long(x) => Values::Integers(vec![*x]),
            Field::UByte(x) => Values::Integers(vec![i64::from(*x)]),
            Field::UShort(x) => Values::Integers(vec![i64::from(*x)]),
            Field::UInt(x) => Values::Integers(vec![i64::from(*x)]),
            Field::ULong(x) => i64::try_from(*x).map_or(Values::Other, |x| Values::Integers(vec![x])),
            Field::Float16(x) => Values::Reals(vec![x.to_f32()]),
            Field::Float(x) => Values::Reals(vec![*x]),
            Field::Double(x) => Values::Reals(vec![*x as f32]),
            Field::Bytes(bytes) => Values::Bytes(bytes.data().to_vec()),
            Field::Group(row) => {
                let mut columns = row.get_column_iter();
                let bytes = columns.find_map(|(name, field)| match field {
                    Field::Bytes(bytes) if name == "bytes" => Some(bytes.data().to_vec()),
                    _ => None,
                });
                bytes.map_or(Values::Other, Values::Bytes)
            }
            Field::ListInternal(list) => {
                let mut all = None;
                for element in list.elements() {
                    all = Some(match (all, values(element)?) {
                        (None, first @ (Values::Reals(_) | Values::Integers(_))) => first,
                        (Some(Values::Reals(mut all)), Values::Reals(more)) => {
                            all.extend(more);
                            Values::Reals(all)
                        }
                        (Some(Values::Integers(mut all)), Values::Integers(more)) => {
                            all.extend(more);
                            Values::Integers(all)
                        }
                        _ => return Some(Values::Other),
                    });
                }
                all.unwrap_or(Values::Reals(Vec::new()))
            }
            _ => Values::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    #[cfg(not(feature = "parquet"))]
    #[test]
    fn a_build_without_it_says_so() {
        let error = super::records("a.parquet".as_ref()).unwrap_err();
        assert!(
            error.message.contains("does not read Parquet") && error.help.contains("--features parquet"),
            "{error}"
        );
    }

    #[cfg(feature = "parquet")]
    #[test]
    fn rows_become_samples() {
        use std::sync::Arc;

        use parquet::basic::Compression;
        use parquet::column::writer::ColumnWriter;
        use parquet::data_type::ByteArray;
        use parquet::file::properties::WriterProperties;
        use parquet::file::writer::SerializedFileWriter;
        use parquet::schema::parser::parse_message_type;

        use crate::data::{Dataset, InputSpec, Labels, load_labels};
        use crate::graph::DType;

        let schema = "message rows { required double a; required float b; required int64 label; \
                      required group x (LIST) { repeated group list { required float element; } } \
                      optional int32 hole; required binary picture; }";
        let folder = tempfile::tempdir().unwrap();
        let write = |compression: Compression, hole: bool| {
            let path = folder.path().join("rows.parquet");
            let properties = WriterProperties::builder().set_compression(compression).build();
            let schema = Arc::new(parse_message_type(schema).unwrap());
            let file = std::fs::File::create(&path).unwrap();
            let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
            for group in 0..2 {
                let mut rows = writer.next_row_group().unwrap();
                while let Some(mut column) = rows.next_column().unwrap() {
                    let base = group as f32 * 2.0;
                    match column.untyped() {
                        ColumnWriter::DoubleColumnWriter(w) => {
                            w.write_batch(&[f64::from(base), f64::from(base) + 1.0], None, None).unwrap()
                        }
                        ColumnWriter::Int64ColumnWriter(w) => {
                            w.write_batch(&[group, group + 1], None, None).unwrap()
                        }
                        ColumnWriter::Int32ColumnWriter(w) => {
                            let levels = if hole { [1, 0] } else { [1, 1] };
                            w.write_batch(&[7, 8][..levels.iter().sum::<i16>() as usize], Some(&levels), None)
                                .unwrap()
                        }
                        ColumnWriter::FloatColumnWriter(w) if w.get_descriptor().max_rep_level() == 0 => {
                            w.write_batch(&[base + 0.5, base + 1.5], None, None).unwrap()
                        }
                        ColumnWriter::FloatColumnWriter(w) => w
                            .write_batch(
                                &[base, 1.0, 2.0, base + 1.0, 1.0, 2.0],
                                Some(&[1; 6]),
                                Some(&[0, 1, 1, 0, 1, 1]),
                            )
                            .unwrap(),
                        ColumnWriter::ByteArrayColumnWriter(w) => {
                            let picture = ByteArray::from(&b"\x89PNG and so on"[..]);
                            w.write_batch(&[picture.clone(), picture], None, None).unwrap()
                        }
                        _ => unreachable!(),
                    };
                    column.close().unwrap();
                }
                rows.close().unwrap();
            }
            writer.close().unwrap();
            path.to_str().unwrap().to_string()
        };
        let spec = |name: &str, shape: &[usize]| InputSpec {
            name: name.into(),
            shape: shape.to_vec(),
            dtype: DType::Float32,
            quantization: None,
        };
        for compression in
            [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP(Default::default())]
        {
            let path = write(compression, false);
            let data = Dataset::load(&path, &[spec("x", &[1, 3])]).unwrap();
            let rows: Vec<_> = (0..data.len()).map(|row| data.real(row).unwrap().remove(0)).collect();
            assert_eq!(rows, [[0.0, 1.0, 2.0], [1.0, 1.0, 2.0], [2.0, 1.0, 2.0], [3.0, 1.0, 2.0]]);
            // Columns of a table side by side.
            let data = Dataset::load(&format!("{path}:b,a,label"), &[spec("q", &[1, 3])]).unwrap();
            assert_eq!(data.real(3).unwrap(), [[3.5, 3.0, 2.0]]);
            let labels = load_labels(&format!("{path}:label"), "").unwrap();
            assert_eq!(labels, Labels::Classes(vec![0, 1, 1, 2]));
        }
        let error = Dataset::load(&write(Compression::SNAPPY, true), &[spec("x", &[1, 3])]).unwrap_err();
        assert!(error.message.contains("row 1: `hole` is empty"), "{error}");
        let path = folder.path().join("rows.parquet");
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 8, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(Dataset::load(path.to_str().unwrap(), &[spec("x", &[1, 3])]).is_err(), "{cut}");
        }
    }
}
