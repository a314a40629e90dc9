//! Recordings as samples: 16-bit mono PCM in `.wav` files, one sample in each file.
//!
//! Inputs of type int16 take the recording as it is. All others take `value / 32768`, a number in [-1, 1),
//! quantized with the input's scale.

use std::io::Cursor;

use hound::{SampleFormat, WavReader};

use super::item::Item;
use super::spec::{InputSpec, Row};
use crate::error::{Error, Result};
use crate::graph::DType;

/// Reads one recording, which must be as long as the input.
pub fn read(item: &Item, spec: &InputSpec) -> Result<Row> {
    let shown = item.path.display();
    let broken = |why: String| {
        Error::input(format!("{shown}: {why}"))
            .help("supported are uncompressed .wav files, 16 bits, one channel")
    };
    let mut reader = WavReader::new(Cursor::new(item.bytes()?))
        .map_err(|e| broken(format!("not a recording that can be read ({e})")).caused_by(e))?;
    let format = reader.spec();
    if format.channels != 1 || format.bits_per_sample != 16 || format.sample_format != SampleFormat::Int {
        return Err(broken(format!(
            "{} channels of {} bits; a mono recording of 16 bits is needed",
            format.channels, format.bits_per_sample
        )));
    }
    let (length, wanted) = (reader.duration() as usize, spec.elements());
    if length != wanted {
        return Err(Error::input(format!("{shown}: {length} values long, but {}", spec.wants()))
            .help(format!("cut or pad the recording to {wanted} values")));
    }
    let mut values = Vec::with_capacity(wanted.min(1 << 24));
    for value in reader.samples::<i16>() {
        values.push(value.map_err(|e| broken(format!("cut off ({e})")).caused_by(e))?);
    }
    if values.len() != wanted {
        return Err(broken(format!("cut off after {} of {wanted} values", values.len())));
    }
    Ok(match spec.dtype {
        DType::Int16 => Row::Raw(values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        _ => Row::Real(values.iter().map(|&v| f32::from(v) / 32768.0).collect()),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn wav(path: &Path, channels: u16, values: &[i16]) {
        let spec = hound::WavSpec {
            channels,
            sample_rate: 16000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        values.iter().for_each(|&v| writer.write_sample(v).unwrap());
        writer.finalize().unwrap();
    }

    #[test]
    fn mono_recordings_of_the_right_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        wav(&path, 1, &[0, 16384, -32768]);
        let mut spec =
            InputSpec { name: "x".into(), shape: vec![1, 3], dtype: DType::Float32, quantization: None };
        assert_eq!(read(&path.clone().into(), &spec).unwrap(), Row::Real(vec![0.0, 0.5, -1.0]));
        spec.dtype = DType::Int16;
        assert_eq!(read(&path.clone().into(), &spec).unwrap(), Row::Raw(vec![0, 0, 0, 0x40, 0, 0x80]));
        spec.shape = vec![1, 4];
        assert!(read(&path.clone().into(), &spec).unwrap_err().message.contains("3 values long"));
        wav(&path, 2, &[0, 1]);
        assert!(read(&path.clone().into(), &spec).unwrap_err().message.contains("2 channels"));
        std::fs::write(&path, b"RIFF").unwrap();
        assert!(read(&path.clone().into(), &spec).is_err());
    }
}
