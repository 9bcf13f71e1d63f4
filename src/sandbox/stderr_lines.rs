//! Passes a guest's stderr to the host while the guest runs: line by line, to the function that `stderr_to` names.

use crate::catalog::RuntimeEntry;
use crate::config::Limits;
use crate::deadline::Deadline;
use crate::error::printable;
use crate::host_functions::HostFunctions;
use crate::policy::Policy;
use serde::Serialize;
use std::sync::Arc;

/// A longer line is passed in pieces of this many bytes.
const LINE_BYTES: usize = 8 << 10;

pub(crate) struct StderrLines {
    functions: Arc<HostFunctions>,
    entry: Arc<RuntimeEntry>,
    deadline: Deadline,
    /// The current line, as far as it was neither passed nor dropped.
    line: Vec<u8>,
    /// Whether a part of the current line was dropped. The rest of the line is then dropped as well.
    is_lost: bool,
    /// How many bytes may still be passed.
    left: usize,
    lines: u64,
    dropped: u64,
}

#[derive(Serialize)]
struct Message<'a> {
    runtime: &'a str,
    job: Option<&'a str>,
    line: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<u64>,
}

impl StderrLines {
    /// For a call whose executor has `stderr_to`; `None` for any other call.
    pub fn of(policy: &Policy, entry: &Arc<RuntimeEntry>, deadline: &Deadline, limits: &Limits) -> Option<Box<Self>> {
        policy.functions.stderr_to()?;
        Some(Box::new(StderrLines {
            functions: policy.functions.clone(),
            entry: entry.clone(),
            deadline: deadline.clone(),
            line: Vec::new(),
            is_lost: false,
            left: usize::try_from(limits.stderr_bytes).unwrap_or(usize::MAX),
            lines: 0,
            dropped: 0,
        }))
    }

    pub fn write(&mut self, mut bytes: &[u8]) {
        while self.left > 0 && !bytes.is_empty() {
            match bytes.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.add(&bytes[..end]);
                    self.end_line(1);
                    bytes = &bytes[end + 1..];
                }
                None => {
                    self.add(bytes);
                    bytes = &[];
                }
            }
        }
        self.drop_lines(bytes);
    }

    /// Passes the current line, and the number of lines that were dropped.
    pub fn end(mut self) {
        if self.is_lost || !self.line.is_empty() {
            self.end_line(0);
        }
        if self.dropped > 0 {
            let message = self.message(None, false, Some(self.dropped));
            self.functions.tell_dropped(|| message.to_json());
        }
    }

    fn add(&mut self, mut text: &[u8]) {
        while !self.is_lost && self.line.len() + text.len() > LINE_BYTES {
            let (head, tail) = text.split_at(LINE_BYTES - self.line.len());
            self.line.extend_from_slice(head);
            let begun = self.line.split_off(whole_characters(&self.line));
            self.tell(0, true);
            self.line = begun;
            text = tail;
        }
        if !self.is_lost {
            self.line.extend_from_slice(text);
        }
    }

    /// Passes or drops the current line. `end` is the number of bytes of its line ending.
    fn end_line(&mut self, end: usize) {
        if !self.is_lost {
            if end > 0 && self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
            self.tell(end, false);
        }
        self.dropped += u64::from(self.is_lost);
        self.is_lost = false;
        self.line.clear();
    }

    fn tell(&mut self, end: usize, is_partial: bool) {
        /// Lines that are passed between two checks of the deadline: one write may hold millions of lines.
        const BETWEEN_LOOKS: u64 = 256;
        self.lines += 1;
        if self.lines.is_multiple_of(BETWEEN_LOOKS) && self.deadline.remaining().is_err() {
            self.left = 0;
        }
        match self.left.checked_sub(self.line.len() + end) {
            Some(left) if self.left > 0 => {
                self.left = left;
                let told = self.functions.tell_line(|| {
                    let text = String::from_utf8_lossy(&self.line);
                    self.message(Some(&printable(&text)), is_partial, None).to_json()
                });
                self.is_lost = !told;
            }
            _ => {
                self.left = 0;
                self.is_lost = true;
            }
        }
    }

    /// Counts the lines in `bytes` as dropped, once nothing more may be passed.
    fn drop_lines(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.line.clear();
        self.dropped += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.is_lost = *last != b'\n';
    }

    fn message<'a>(&'a self, line: Option<&'a str>, is_partial: bool, dropped: Option<u64>) -> Message<'a> {
        let (runtime, job) = (&*self.entry.name, self.deadline.job());
        Message { runtime, job, line, partial: is_partial.then_some(true), dropped }
    }
}

impl Message<'_> {
    fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The length of `bytes` without a character that is cut off at their end.
fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.iter().rev().take(3).position(|byte| byte & 0xc0 != 0x80);
    match tail.map(|back| (back + 1, bytes[bytes.len() - back - 1])) {
        Some((len, 0xc2..=0xdf)) if len < 2 => bytes.len() - len,
        Some((len, 0xe0..=0xef)) if len < 3 => bytes.len() - len,
        Some((len, 0xf0..=0xf4)) if len < 4 => bytes.len() - len,
        _ => bytes.len(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use crate::catalog::RuntimeCatalog;
    use crate::fair::Tenant;
    use crate::host_functions::{Callback, On};
    use std::sync::Mutex;
    use std::time::Instant;

    #[test]
    fn after_the_deadline_no_more_lines_are_told() {
        let granted = ["f".to_owned()];
        let functions = Arc::new(HostFunctions::new(Tenant::new(), "", &granted, Some("f"), Arc::default()));
        let told = Arc::<Mutex<Vec<String>>>::default();
        let keeps = told.clone();
        let callback = move |message: &str| {
            keeps.lock().unwrap().push(message.to_owned());
            Err(String::new())
        };
        functions.set("f", On::Poll, Some(Callback::AtOnce(Box::new(callback)))).unwrap();
        let mut lines = StderrLines {
            functions: functions.clone(),
            entry: RuntimeCatalog::embedded().resolve("passthrough").unwrap(),
            deadline: Deadline::after(Instant::now(), 0),
            line: Vec::new(),
            is_lost: false,
            left: 1 << 20,
            lines: 0,
            dropped: 0,
        };
        lines.write(&b"\n".repeat(5000));
        lines.end();
        functions.serve(Instant::now());
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 256);
        assert_eq!(told[0], r#"{"runtime":"passthrough","job":null,"line":""}"#);
        assert_eq!(told[255], r#"{"runtime":"passthrough","job":null,"line":null,"dropped":4745}"#);
    }

    #[test]
    fn a_character_that_is_cut_is_left_for_the_next_piece() {
        for text in ["aü", "a€", "a🦀", "ü", "€", "🦀"] {
            let whole = text.len() - text.chars().last().map_or(0, char::len_utf8);
            for end in whole..text.len() {
                assert_eq!(whole_characters(&text.as_bytes()[..end]), whole, "{text} {end}");
            }
            assert_eq!(whole_characters(text.as_bytes()), text.len());
        }
        // Bytes that are not UTF-8 are kept as they are.
        assert_eq!(whole_characters(b"\x80\x80\x80\x80"), 4);
        assert_eq!(whole_characters(b"a\xff"), 2);
    }
}
