//! A line for each step that has ended, for logs and pipes.

use super::{Columns, Progress};
use crate::timeline::StepRun;
use std::io::{self, Write};

#[derive(Debug)]
pub struct Lines {
    columns: Columns,
}

impl Lines {
    pub fn new(columns: Columns) -> Self {
        Lines { columns }
    }
}

impl Progress for Lines {
    fn ended(&self, step: &StepRun) {
        // One write a line: the lines of steps that end at the same time do not mix.
        let line = self.columns.line(step) + "\n";
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}
