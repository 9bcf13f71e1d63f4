//! The contents of sections that change.

use super::leb::leb;
use wasmparser::{BinaryReader, Data, DataKind, DataSectionReader};

/// The content of the export section with more exports.
pub(super) fn with_exports(content: &[u8], added: &[(String, u8, u32)]) -> Result<Vec<u8>, String> {
    let mut reader = BinaryReader::new(content, 0);
    let count = reader.read_var_u32().map_err(|error| error.to_string())?;
    let mut extended = leb(u64::from(count) + added.len() as u64);
    extended.extend_from_slice(&content[reader.original_position()..]);
    for (name, kind, index) in added {
        extended.extend(leb(name.len() as u64));
        extended.extend_from_slice(name.as_bytes());
        extended.push(*kind);
        extended.extend(leb(u64::from(*index)));
    }
    Ok(extended)
}

/// The content of the data section, with passive segments without bytes in place of the active ones.
pub(super) fn passive(content: &[u8]) -> Result<Vec<u8>, String> {
    const PASSIVE: u8 = 1;
    let segments = DataSectionReader::new(BinaryReader::new(content, 0)).map_err(|error| error.to_string())?;
    let mut passive = leb(u64::from(segments.count()));
    for segment in segments {
        let Data { kind, data, .. } = segment.map_err(|error| error.to_string())?;
        let data = if matches!(kind, DataKind::Passive) { data } else { &[] };
        passive.push(PASSIVE);
        passive.extend(leb(data.len() as u64));
        passive.extend_from_slice(data);
    }
    Ok(passive)
}
