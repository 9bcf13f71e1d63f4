//! Programs for the guest.

use super::guest::{FUNCTIONS, SCRATCH};

/// Places in the scratch memory: what goes into calls, buffers that they fill, and results.
pub const INPUT: u32 = 0;
pub const BUFFERS: u32 = 0x8000;
pub const BUFFER: u32 = 0x300;
pub const RESULTS: u32 = 0xe000;
pub const RESULT: u32 = 64;
pub const INPUT_END: u32 = 0x7000;

pub const CREATE: u64 = 1;
pub const DIRECTORY: u64 = 2;
pub const TRUNCATE: u64 = 8;
pub const READ: u64 = 1 << 1;
pub const WRITE: u64 = 1 << 6;

#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// The step whose result it is, from 1 on; 0 for none.
    pub step: u8,
    /// What it is otherwise.
    pub value: u64,
}

#[derive(Debug)]
pub struct Step {
    pub function: usize,
    pub arguments: Vec<Argument>,
    /// The texts of the paths in it.
    pub paths: Vec<String>,
    /// How many bytes its buffers have together.
    pub room: u64,
    /// Where its result is.
    pub result: u32,
}

impl Step {
    pub fn name(&self) -> &'static str {
        FUNCTIONS[self.function].name
    }
}

#[derive(Debug)]
pub struct Program {
    /// Whether its executor is deterministic.
    pub deterministic: bool,
    pub data: Vec<(u16, Vec<u8>)>,
    pub steps: Vec<Step>,
}

impl Program {
    /// Opens the FIFO, waits for it for a short time, and lists a directory.
    pub fn waiting() -> Self {
        const FIFO: u32 = 9;
        let mut subscriptions = [0; 96];
        subscriptions[8] = 1;
        subscriptions[16] = FIFO as u8;
        // The other one is for the monotonic clock.
        subscriptions[48 + 16] = 1;
        subscriptions[48 + 24] = 100;
        let [path, subscribed, filled, result] = [INPUT, INPUT + 8, BUFFERS, RESULTS].map(|at| value(SCRATCH.0 + at));
        let [zero, three] = [0_u32, 3].map(value);
        let step = |name: &str, arguments: &[Argument]| Step {
            function: FUNCTIONS.iter().position(|function| function.name == name).unwrap(),
            arguments: arguments.to_vec(),
            paths: Vec::new(),
            room: 0,
            result: SCRATCH.0 + RESULTS,
        };
        let both = value(READ | WRITE);
        let steps = vec![
            step("path_open", &[three, zero, path, value(4_u32), zero, both, zero, zero, result]),
            step("poll_oneoff", &[subscribed, filled, value(2_u32), result]),
            step("fd_readdir", &[three, filled, value(BUFFER), zero, result]),
            step("fd_close", &[value(FIFO)]),
        ];
        let data = vec![(INPUT as u16, b"fifo".to_vec()), (INPUT as u16 + 8, subscriptions.to_vec())];
        Program { deterministic: false, data, steps }
    }

    /// Whether the host may be asked for more than it has for one guest.
    pub fn is_huge(&self) -> bool {
        self.steps.iter().any(|step| step.room > 1 << 20)
    }

    /// Whether the guest may end itself.
    pub fn may_exit(&self) -> bool {
        self.steps.iter().any(|step| step.name() == "proc_exit")
    }

    /// Whether what the guest writes to stdout at last may not be all that there is, or not get there.
    pub fn may_touch_stdout(&self) -> bool {
        let is_stream = |argument: &Argument| (argument.value as u32) < 3;
        self.steps.iter().any(|step| match step.name() {
            "fd_write" | "fd_close" => is_stream(&step.arguments[0]),
            "fd_renumber" => step.arguments.iter().any(is_stream),
            _ => false,
        })
    }

    /// As the guest reads it.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.data.len() as u8];
        for (at, data) in &self.data {
            bytes.extend_from_slice(&at.to_le_bytes());
            bytes.extend_from_slice(&(data.len() as u16).to_le_bytes());
            bytes.extend_from_slice(data);
        }
        bytes.push(self.steps.len() as u8);
        for step in &self.steps {
            bytes.push(step.function as u8);
            bytes.extend_from_slice(&step.result.to_le_bytes());
            for argument in &step.arguments {
                bytes.push(argument.step);
                bytes.extend_from_slice(&argument.value.to_le_bytes());
            }
        }
        bytes
    }
}

pub fn value(value: impl Into<u64>) -> Argument {
    Argument { step: 0, value: value.into() }
}
