//! A directory in which `cycle.c` runs, and what must be there when it has ended.

use crate::common::{
    ANSWER, Catalog, INITIALISED, answering, asker, compile_c, component_of, release_library_path, root,
};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A cycle takes a second or two. After so long it counts as one that hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A catalog, a cache that does not exist yet, and data that guests may change.
pub struct Place {
    directory: tempfile::TempDir,
    catalog: Catalog,
}

/// How a cycle has ended.
#[derive(Debug)]
pub struct Outcome {
    pub status: Option<ExitStatus>,
    pub lines: Vec<String>,
    pub stderr: String,
}

impl Outcome {
    pub fn has_fired(&self) -> bool {
        self.lines.iter().any(|line| line == "fired 1")
    }

    /// What each descriptor is of that is open in the end.
    pub fn open(&self) -> Vec<&str> {
        self.lines.iter().filter_map(|line| line.strip_prefix("open ")).collect()
    }

    pub fn refusal(&self) -> Option<&str> {
        self.lines.iter().find_map(|line| line.strip_prefix("refused: "))
    }
}

/// Asks by a request that ends with 3 MB of white space.
const ASK_MUCH: &str = "
    (memory.fill (i32.const 1026) (i32.const 32) (i32.const 3000000))
    (call $answer (call $call (i32.const 128) (i32.const 1) (i32.const 1024) (i32.const 3000002)))";

/// The module with a custom section of so many bytes, less than 1 << 21, and a few more.
fn padded(mut module: Vec<u8>, bytes: usize) -> Vec<u8> {
    let size = bytes + 4;
    module.extend([0, size as u8 | 0x80, (size >> 7) as u8 | 0x80, (size >> 14) as u8, 3]);
    module.extend(b"pad");
    module.resize(module.len() + bytes, 0);
    module
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let passthrough = fs::read(root().join("runtimes/prebuilt/passthrough.wasm")).unwrap();
        // Large modules have another kind of slot. The custom section is what makes this one large.
        let large = padded(wat::parse_str(answering("large")).unwrap(), 1 << 18);
        let catalog = Catalog::new()
            .with_bytes("own", &passthrough)
            .with_bytes("large", &large)
            .with_component("component", &answering("component"))
            .with_bytes("echo", &component_of(&passthrough))
            .with("asks", &asker(b"f", b"{}", ANSWER))
            .with("asks-much", &asker(b"f", b"{}", ASK_MUCH))
            .with("later", &asker(b"g", b"{}", ANSWER))
            .with("traps", "(module (memory (export \"memory\") 1) (func (export \"_start\") unreachable))")
            .with("snapshot", INITIALISED)
            .entry("greet", "script = \"custom/greet.lua\"");
        let text = fs::read_to_string(catalog.file()).unwrap();
        let text = text.replace("custom/snapshot.wasm\"", "custom/snapshot.wasm\"\nsnapshot = \"init\"");
        fs::write(catalog.file(), text).unwrap();
        fs::write(
            catalog.path().join("custom/greet.lua"),
            "return function(input) return { hello = input.context.name } end",
        )
        .unwrap();
        symlink(catalog.path(), directory.path().join("runtimes")).unwrap();
        fs::create_dir(directory.path().join("data")).unwrap();
        fs::write(directory.path().join("data/big"), "x".repeat(3_000_000)).unwrap();
        for n in 0..2 {
            let module = wat::parse_str(answering(&format!("m{n}"))).unwrap();
            fs::write(directory.path().join(format!("m{n}.base64")), BASE64_STANDARD.encode(module)).unwrap();
        }
        // A file that has just been written is not remembered: it may change again and look the same.
        std::thread::sleep(Duration::from_millis(100));
        Place { directory, catalog }
    }

    pub fn remove_cache(&self) {
        let _ = fs::remove_dir_all(self.directory.path().join("cache"));
    }

    /// Runs a cycle, and ends it where it hangs.
    pub fn cycle(&self, fault: &[String]) -> Outcome {
        static DRIVER: LazyLock<PathBuf> = LazyLock::new(|| compile_c("tests/faults/cycle.c", "cycle", &["-O2"]));
        let mut command = Command::new(&*DRIVER);
        command.arg(self.directory.path()).args(fault).env("LD_LIBRARY_PATH", release_library_path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let read = |mut from: Box<dyn Read + Send>| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                let _ = from.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        };
        let stdout = read(Box::new(child.stdout.take().unwrap()));
        let stderr = read(Box::new(child.stderr.take().unwrap()));
        let end = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() > end => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let lines = stdout.join().unwrap().lines().map(str::to_owned).collect();
        Outcome { status, lines, stderr: stderr.join().unwrap() }
    }

    /// What lies in the catalog or the cache and should not: files that no entry has, and temporary files.
    pub fn leftovers(&self) -> Vec<String> {
        let loaded = match arawn::RuntimeCatalog::load(self.catalog.path()) {
            Ok(loaded) => loaded,
            Err(error) => return vec![format!("the catalog: {error}")],
        };
        let named: BTreeSet<_> = loaded.list().iter().filter_map(|entry| entry.path().map(Path::to_owned)).collect();
        let custom = self.catalog.path().canonicalize().unwrap().join("custom");
        let is_expected = |path: &PathBuf| named.contains(path) || path.ends_with("greet.lua");
        let mut left: Vec<PathBuf> = files(&custom).into_iter().filter(|path| !is_expected(path)).collect();
        let is_temporary = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "tmp");
        left.extend(files(self.catalog.path()).into_iter().filter(is_temporary));
        left.extend(files(&self.directory.path().join("cache")).into_iter().filter(is_temporary));
        left.iter().map(|path| path.display().to_string()).collect()
    }
}

/// The files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
