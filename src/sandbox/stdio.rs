//! Standard streams: stdin is read from a buffer, stdout and stderr are written to buffers.

use super::stderr_lines::StderrLines;
use crate::buffers;
use crate::config::Limits;
use crate::memory;
use std::fmt;

/// The standard streams of one guest.
#[derive(Default)]
pub(crate) struct Stdio {
    /// The descriptor of each stream. A guest may close and renumber descriptors.
    descriptors: [Option<u32>; 3],
    stdin: Vec<u8>,
    read: usize,
    stdout: Vec<u8>,
    pub output_bytes: usize,
    stderr: Vec<u8>,
    stderr_bytes: usize,
    stderr_cut: bool,
    stderr_lines: Option<Box<StderrLines>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdin,
    Stdout,
    Stderr,
}

/// The error of a guest that wrote more to stdout than it may.
#[derive(Debug)]
pub(crate) struct OutputTooLarge;

impl fmt::Display for OutputTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too much output")
    }
}

impl std::error::Error for OutputTooLarge {}

/// The error of the host, which has no memory to keep more of what a guest writes.
fn no_memory(bytes: usize) -> wasmtime::Error {
    wasmtime::OutOfMemory::new(bytes).into()
}

impl Stdio {
    pub fn new(stdin: Vec<u8>, limits: &Limits, stderr_lines: Option<Box<StderrLines>>) -> Self {
        Stdio {
            descriptors: [Some(0), Some(1), Some(2)],
            stdin,
            read: 0,
            stdout: Vec::new(),
            output_bytes: usize::try_from(limits.output_bytes).unwrap_or(usize::MAX),
            stderr: Vec::new(),
            stderr_bytes: usize::try_from(limits.stderr_bytes).unwrap_or(usize::MAX),
            stderr_cut: false,
            stderr_lines,
        }
    }

    /// The stream of a descriptor.
    pub fn stream(&self, fd: u32) -> Option<Stream> {
        let index = self.descriptors.iter().position(|descriptor| *descriptor == Some(fd))?;
        Some([Stream::Stdin, Stream::Stdout, Stream::Stderr][index])
    }

    /// Closes a descriptor, if a stream has it.
    pub fn close(&mut self, fd: u32) {
        self.renumber(fd, None);
    }

    /// Moves a descriptor to another number. If that number is a stream's descriptor, that stream is closed.
    pub fn move_to(&mut self, from: u32, to: u32) {
        if from != to {
            self.renumber(to, None);
            self.renumber(from, Some(to));
        }
    }

    fn renumber(&mut self, fd: u32, to: Option<u32>) {
        for descriptor in self.descriptors.iter_mut().filter(|descriptor| **descriptor == Some(fd)) {
            *descriptor = to;
        }
    }

    pub fn stdin_left(&self) -> &[u8] {
        &self.stdin[self.read..]
    }

    /// Reads from stdin into `buffer`. Returns the number of bytes; 0 at the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let left = &self.stdin[self.read..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.read += count;
        count
    }

    pub fn write_stdout(&mut self, bytes: &[u8]) -> wasmtime::Result<()> {
        if bytes.len() > self.output_bytes - self.stdout.len() {
            return Err(OutputTooLarge.into());
        }
        let needed = self.stdout.len() + bytes.len();
        if needed >= self.stdout.capacity() {
            // The capacity is doubled for a guest that writes in pieces, but never beyond the limit. One byte more is
            // for the NUL at the end of the C string that this buffer may become.
            let room = needed.max((self.stdout.capacity() * 2).min(self.output_bytes)) + 1;
            if self.stdout.capacity() < buffers::MIN_BYTES {
                let mut grown = buffers::acquire(room).map_err(|_| no_memory(room))?;
                grown.extend_from_slice(&self.stdout);
                self.stdout = grown;
            } else {
                self.stdout.try_reserve_exact(room - self.stdout.len()).map_err(|_| no_memory(room))?;
            }
        }
        self.stdout.extend_from_slice(bytes);
        Ok(())
    }

    /// Keeps the end of what was written, in at most twice the limit, and passes the lines to the host if it has asked
    /// for them.
    pub fn write_stderr(&mut self, bytes: &[u8]) {
        if let Some(stderr_lines) = &mut self.stderr_lines {
            stderr_lines.write(bytes);
        }
        let mut tail = &bytes[bytes.len().saturating_sub(self.stderr_bytes)..];
        if self.stderr.len() + tail.len() > self.stderr_bytes.saturating_mul(2) {
            self.trim_stderr();
        }
        if self.stderr.try_reserve(tail.len()).is_err() {
            // What is kept stays the end of what was written.
            (self.stderr, self.stderr_cut) = (Vec::new(), true);
            if self.stderr.try_reserve(tail.len()).is_err() {
                tail = &[];
            }
        }
        self.stderr_cut |= tail.len() < bytes.len();
        self.stderr.extend_from_slice(tail);
    }

    /// Passes the last line to the host.
    pub fn end_stderr(&mut self) {
        if let Some(stderr_lines) = self.stderr_lines.take() {
            stderr_lines.end();
        }
    }

    fn trim_stderr(&mut self) {
        let excess = self.stderr.len().saturating_sub(self.stderr_bytes);
        self.stderr_cut |= excess > 0;
        self.stderr.drain(..excess);
    }

    /// Returns stdout, and the end of stderr as text. If the beginning of stderr was cut off, the text begins with a
    /// mark.
    pub fn into_captured(mut self) -> (Vec<u8>, String) {
        self.trim_stderr();
        // The copies that follow: a character that is escaped takes up to six bytes, and the text grows by doubling.
        if memory::ensure("stderr", self.stderr.len().saturating_mul(8)).is_err() {
            (self.stderr, self.stderr_cut) = (Vec::new(), true);
        }
        let tail = String::from_utf8_lossy(&self.stderr);
        let tail = crate::error::printable(&tail);
        let stderr = if self.stderr_cut { format!("[…]{tail}") } else { tail.into_owned() };
        buffers::release(self.stdin);
        (self.stdout, stderr)
    }
}
