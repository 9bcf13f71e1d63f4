//! Makes programs of bytes: calls of which many do something, and some are not as they should be.

use super::guest::{FUNCTIONS, Kind, LONG, SCRATCH, SHORT_NAMES, STEPS};
use super::outside::GRANTS;
use super::program::{
    Argument, BUFFER, BUFFERS, CREATE, DIRECTORY, INPUT, INPUT_END, Program, READ, RESULT, RESULTS, Step, WRITE, value,
};
use arbitrary::{Result, Unstructured};

/// What is in most granted directories, or may come to be there.
const COMMON: [&str; 12] =
    ["n0", "n1", "n2", "n3", "file", "empty", "dir/leaf", "to_file", "dir", "to_dir", "dir/n0", "to_dir/n1"];
/// What else a path is made of.
const PIECES: [&str; 40] = [
    "..",
    ".",
    "",
    "n0",
    "n1",
    "dir",
    "file",
    "leaf",
    "sub",
    "inner",
    "inside",
    "sealed",
    "known",
    "beside",
    "readonly",
    "quota",
    "granted",
    "mixed",
    "to_file",
    "to_dir",
    "dangling",
    "loop",
    "loop_a",
    "loop_b",
    "out_file",
    "out_dir",
    "out_abs",
    "out_abs_dir",
    "chain",
    "up",
    "up_up",
    "root",
    "self",
    "abs_in",
    "socket",
    "fifo",
    "dir/up",
    "out_new",
    "etc",
    "passwd",
];
/// Where paths lead out; `@` stands for the directory that holds all of them.
const ESCAPES: [&str; 28] = [
    "../beside/known",
    "out_file",
    "out_dir/known",
    "out_dir/dir/known",
    "out_abs",
    "out_abs_dir/known",
    "chain",
    "chain/known",
    "up/beside/known",
    "up_up/known",
    "dir/up/beside/known",
    "root/etc/passwd",
    "@/beside/known",
    "@/granted/file",
    "/etc/passwd",
    "/",
    "..",
    "../",
    "a/../..",
    "dir/../../beside/known",
    "./out_dir/./known",
    "self/self/../beside",
    "out_new",
    "../escaped",
    "../../escaped",
    "dir/../../escaped",
    "out_dir/",
    "abs_in",
];

#[derive(Clone, Copy, PartialEq)]
enum OpenedAs {
    File,
    Directory,
}

struct Maker<'a> {
    bytes: Unstructured<'a>,
    root: &'a str,
    is_component: bool,
    /// Where the next data goes.
    next: u32,
    /// The steps that open something.
    opened: Vec<(u8, OpenedAs)>,
    program: Program,
}

/// The program that bytes stand for. `root` is the directory that holds all others. A component's adapter ends the guest
/// where a module is answered an error, so that less is wrong in its programs.
pub fn program(bytes: &[u8], root: &str, is_component: bool) -> Program {
    let mut maker = Maker {
        bytes: Unstructured::new(bytes),
        root,
        is_component,
        next: INPUT,
        opened: Vec::new(),
        program: Program { deterministic: false, data: Vec::new(), steps: Vec::new() },
    };
    // What is there when the bytes end is a program too.
    let _ = maker.make();
    maker.program
}

impl Maker<'_> {
    fn make(&mut self) -> Result<()> {
        self.program.deterministic = self.bytes.ratio(1, 4)?;
        while self.program.steps.len() < STEPS && !self.bytes.is_empty() && self.next < INPUT_END {
            let step = self.step()?;
            self.program.steps.push(step);
        }
        Ok(())
    }

    fn below(&mut self, bound: usize) -> Result<usize> {
        self.bytes.int_in_range(0..=bound - 1)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> Result<T> {
        Ok(of[self.below(of.len())?])
    }

    /// Something wrong, now and then.
    fn is_wrong(&mut self) -> Result<bool> {
        let one_of = if self.is_component { 256 } else { 64 };
        Ok(self.below(one_of)? == one_of - 1)
    }

    fn step(&mut self) -> Result<Step> {
        let mut at = self.below(FUNCTIONS.iter().map(|function| function.weight).sum())?;
        let mut function = 0;
        while at >= FUNCTIONS[function].weight {
            at -= FUNCTIONS[function].weight;
            function += 1;
        }
        // They end the guest, or the adapter does.
        let is_last = matches!(FUNCTIONS[function].name, "proc_exit" | "proc_raise");
        let is_last = is_last || (self.is_component && FUNCTIONS[function].name.starts_with("sock_"));
        if is_last && self.below(16)? != 15 {
            function = 0;
        }
        let number = self.program.steps.len() as u32;
        let result = SCRATCH.0 + RESULTS + number * RESULT;
        let mut step = Step { function, arguments: Vec::new(), paths: Vec::new(), room: 0, result };
        if function == 0 {
            self.open(&mut step)?;
            return Ok(step);
        }
        for kind in FUNCTIONS[function].parameters {
            self.parameter(*kind, &mut step)?;
        }
        // Most often within one directory.
        if let "path_rename" | "path_link" = step.name()
            && self.below(4)? != 3
        {
            let other = if step.name() == "path_link" { 4 } else { 3 };
            step.arguments[other] = step.arguments[0];
        }
        Ok(step)
    }

    /// Opens a new file, one that is there, a directory, or anything in any way.
    fn open(&mut self, step: &mut Step) -> Result<()> {
        let (directory, path, create, rights) = match self.below(8)? {
            0..=2 => {
                (value(self.one(&[3_u32, 3, 3, 8, 8, 5])?), self.one(&["n0", "n1", "n2", "n3"])?, CREATE, READ | WRITE)
            }
            3 => (value(self.one(&[3_u32, 3, 8, 5])?), self.one(&["file", "dir/leaf", "to_file"])?, 0, READ | WRITE),
            4 => (self.directory()?, self.one(&["file", "dir/leaf", "to_file"])?, 0, READ),
            5 => (self.directory()?, self.one(&["dir", ".", "to_dir", "self"])?, DIRECTORY, READ),
            _ => {
                let number = self.program.steps.len() as u8 + 1;
                let is_directory = self.bytes.ratio(1, 4)?;
                for kind in FUNCTIONS[0].parameters {
                    self.parameter(*kind, step)?;
                }
                self.opened.push((number, if is_directory { OpenedAs::Directory } else { OpenedAs::File }));
                return Ok(());
            }
        };
        let flags = self.one(&[0_u32, 0, 0, 1, 4])?;
        let (at, len) = self.input(path.as_bytes());
        step.paths.push(path.to_owned());
        step.arguments = vec![directory, value(1_u32), value(at), value(len), value(create), value(rights)];
        step.arguments.extend([value(0_u32), value(flags), value(step.result)]);
        let opened = if create == DIRECTORY { OpenedAs::Directory } else { OpenedAs::File };
        self.opened.push((self.program.steps.len() as u8 + 1, opened));
        Ok(())
    }

    fn parameter(&mut self, kind: Kind, step: &mut Step) -> Result<()> {
        let new = match kind {
            Kind::Directory => vec![self.directory()?],
            Kind::File => vec![self.file()?],
            Kind::Descriptor => vec![self.descriptor()?],
            Kind::Path => self.path(step)?.map(value).to_vec(),
            Kind::Buffer => {
                let (at, len) = self.buffer()?;
                step.room = len.into();
                vec![value(at), value(len)]
            }
            Kind::Vectors => self.vectors(step)?.map(value).to_vec(),
            Kind::Poll => self.poll(step)?.map(value).to_vec(),
            Kind::Result => vec![value(self.place(step.result)?)],
            Kind::Pointer => vec![value(self.buffer()?.0)],
            Kind::Number(32) => vec![value(self.number(&[0, 0, 0, 1, 4, 5, 2, 31])?)],
            Kind::Number(bound) => {
                let known = self.below(bound as usize)? as u32;
                vec![value(self.number(&[known])?)]
            }
            Kind::Oflags => {
                let any = self.below(16)? as u32;
                vec![value(self.number(&[0, 0, 1, 1, 2, 5, 8, 9, any])?)]
            }
            Kind::Rights => {
                let any = self.bytes.arbitrary()?;
                vec![value(self.one(&[READ, READ | WRITE, WRITE, 0, u64::MAX, any])?)]
            }
            Kind::Long => vec![value(self.long()?)],
        };
        step.arguments.extend(new);
        Ok(())
    }

    fn number(&mut self, known: &[u32]) -> Result<u32> {
        if self.is_wrong()? { self.bytes.arbitrary() } else { self.one(known) }
    }

    fn long(&mut self) -> Result<u64> {
        Ok(match self.below(12)? {
            0..=6 => self.one(&[0_u64, 1, 2, 7, 100, 4096, 9000])?,
            7..=8 => self.bytes.arbitrary::<u16>()?.into(),
            9 => i64::from(self.bytes.arbitrary::<i8>()?) as u64,
            10 => self.one(&[1 << 20, u32::MAX.into(), 1 << 32, 1 << 62, i64::MAX as u64, 1 << 63, u64::MAX])?,
            _ => self.bytes.arbitrary()?,
        })
    }

    /// The grants, the one that is written first.
    fn directory(&mut self) -> Result<Argument> {
        let granted = self.one(&[3_u64, 3, 3, 3, 8, 8, 5, 4, 6, 7])?;
        match self.below(16)? {
            0..=10 => Ok(value(granted)),
            11..=14 => self.opened(Some(OpenedAs::Directory), granted),
            _ => self.any(),
        }
    }

    fn file(&mut self) -> Result<Argument> {
        let any = self.any()?;
        if self.is_wrong()? { Ok(any) } else { self.opened(Some(OpenedAs::File), any.value) }
    }

    fn descriptor(&mut self) -> Result<Argument> {
        let any = self.any()?;
        if self.bytes.ratio(1, 4)? { Ok(any) } else { self.opened(None, any.value) }
    }

    /// What an earlier step has opened.
    fn opened(&mut self, kind: Option<OpenedAs>, otherwise: u64) -> Result<Argument> {
        let opened: Vec<u8> =
            self.opened.iter().filter(|(_, is)| kind.is_none_or(|kind| *is == kind)).map(|(step, _)| *step).collect();
        if opened.is_empty() {
            return Ok(value(otherwise));
        }
        // Most often the last.
        let back = if self.bytes.arbitrary()? { 0 } else { self.below(opened.len())? };
        Ok(Argument { step: opened[opened.len() - 1 - back], value: otherwise })
    }

    /// Any number, though seldom that of a stream: a program that has closed its stdout tells nothing.
    fn any(&mut self) -> Result<Argument> {
        Ok(value(match self.below(32)? {
            0..=28 => self.bytes.int_in_range(3..=13_u32)?,
            29 => self.bytes.arbitrary()?,
            30 => self.one(&[u32::MAX, 1 << 31, 127, 128])?,
            _ => self.bytes.int_in_range(0..=2)?,
        }))
    }

    /// A place in memory, or one outside.
    fn place(&mut self, place: u32) -> Result<u32> {
        if !self.is_wrong()? {
            return Ok(place);
        }
        let end = SCRATCH.0 + SCRATCH.1;
        // Behind a component's memory is its adapter's.
        let near = if self.is_component { 1 << 31 } else { end };
        self.one(&[near, near - 1, u32::MAX, u32::MAX - 3, u32::MAX - 63, 1 << 31])
    }

    fn buffer(&mut self) -> Result<(u32, u32)> {
        let at = SCRATCH.0 + BUFFERS + self.program.steps.len() as u32 * BUFFER;
        let len = self.one(&[BUFFER, 256, 100, 64, 25, 24, 1, 0])?;
        let len = if self.is_wrong()? { self.one(&[u32::MAX, 1 << 31, 1 << 16, 4096, u32::MAX - at])? } else { len };
        Ok((self.place(at)?, len))
    }

    /// Puts bytes where a call finds them.
    fn input(&mut self, bytes: &[u8]) -> (u32, u32) {
        let at = self.next;
        self.next += (bytes.len() as u32).next_multiple_of(8);
        self.program.data.push((at as u16, bytes.to_vec()));
        (SCRATCH.0 + at, bytes.len() as u32)
    }

    fn vectors(&mut self, step: &mut Step) -> Result<[u32; 2]> {
        let count = self.one(&[1_u32, 1, 1, 2, 3, 0])?;
        let mut vectors = Vec::new();
        for _ in 0..count {
            let (at, len) = self.buffer()?;
            step.room += u64::from(len);
            vectors.extend_from_slice(&at.to_le_bytes());
            vectors.extend_from_slice(&len.to_le_bytes());
        }
        let at = self.input(&vectors).0;
        let at = self.place(at)?;
        if !self.is_wrong()? {
            return Ok([at, count]);
        }
        step.room = u64::MAX;
        Ok([at, self.one(&[1024, 1025, u32::MAX, 1 << 29])?])
    }

    fn poll(&mut self, step: &mut Step) -> Result<[u32; 3]> {
        let count = self.one(&[1_u32, 2, 3, 0])?;
        let mut subscriptions = Vec::new();
        for index in 0..count {
            let mut subscription = [0; 48];
            subscription[0] = index as u8;
            let kind = self.one(&[0_u8, 0, 0, 1, 2])?;
            let kind = if self.is_wrong()? { self.bytes.arbitrary()? } else { kind };
            subscription[8] = kind;
            let clock_or_descriptor = match kind {
                0 => self.number(&[0, 1, 1, 1, 2, 3])?,
                _ => self.any()?.value as u32,
            };
            let timeout = self.one(&[0, 1, 1000, 20_000, 100_000])?;
            let timeout = if self.is_wrong()? { self.bytes.arbitrary()? } else { timeout };
            subscription[16..20].copy_from_slice(&clock_or_descriptor.to_le_bytes());
            subscription[24..32].copy_from_slice(&u64::to_le_bytes(timeout));
            subscription[40] = u8::from(self.is_wrong()?);
            subscriptions.extend_from_slice(&subscription);
        }
        step.room = count.into();
        let at = self.input(&subscriptions).0;
        let (at, events) = (self.place(at)?, self.buffer()?.0);
        if !self.is_wrong()? {
            return Ok([at, events, count]);
        }
        step.room = u64::MAX;
        Ok([at, events, self.one(&[u32::MAX, 1 << 16, 1025])?])
    }

    fn path(&mut self, step: &mut Step) -> Result<[u32; 2]> {
        let path = match self.below(16)? {
            0..=8 => self.one(&COMMON)?.as_bytes().to_vec(),
            9..=10 => self.one(&PIECES)?.as_bytes().to_vec(),
            11..=12 => {
                let mut path = Vec::new();
                for _ in 0..self.bytes.int_in_range(2..=5)? {
                    path.push(self.one(&PIECES)?);
                }
                path.join("/").into_bytes()
            }
            13 => self.one(&ESCAPES)?.replace('@', self.root).into_bytes(),
            14 => {
                let len = self.below(12)?;
                let mut path = self.bytes.bytes(len.min(self.bytes.len()))?.to_vec();
                if self.bytes.arbitrary()? {
                    path.extend_from_slice(self.one(&[&b"\0"[..], b"\0/../x", b"\xff", b"/", b"//", b" "])?);
                }
                // The adapter stops at what is no text.
                let is_text = self.is_component && !self.is_wrong()?;
                if is_text { String::from_utf8_lossy(&path).into_owned().into_bytes() } else { path }
            }
            _ => {
                let end = SCRATCH.0 + SCRATCH.1;
                let long = [(SHORT_NAMES, 256), (SHORT_NAMES, 255), (0, 300), (0, 4000), (0, 4097), (0, LONG.1)];
                let (at, len) = self.one(&long)?;
                step.paths.push("n/n".to_owned());
                let outside = [end - 1, 4];
                return if self.is_wrong()? && !self.is_component { Ok(outside) } else { Ok([LONG.0 + at, len]) };
            }
        };
        step.paths.push(String::from_utf8_lossy(&path).into_owned());
        let (at, len) = self.input(&path);
        let len = if self.is_wrong()? { self.one(&[u32::MAX, len + 1, 1 << 16])? } else { len };
        if len as usize != path.len() {
            step.paths.pop();
            step.paths.push("n/n".to_owned());
        }
        Ok([self.place(at)?, len])
    }
}

const _: () = assert!(GRANTS.len() == 6 && RESULTS + STEPS as u32 * RESULT < SCRATCH.1);
const _: () = assert!(BUFFERS + STEPS as u32 * BUFFER <= RESULTS && INPUT_END < BUFFERS - 1024);
