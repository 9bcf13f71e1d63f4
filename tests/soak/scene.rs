//! What `soak.c` finds: catalogs, guests, modules to register and executors; and a run of it.

use super::trend::Trend;
use crate::common::{self, ANSWER, Catalog, INITIALISED, answering, asker, component_of, root, writer};
use crate::table::{self, Expected, GUESTS};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::json;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

/// What an endless guest gets, so that most of the time goes to others.
const TIGHT_MS: u64 = 5;
const PATIENT_MS: u64 = 60_000;
/// As `MODULES` of `actions.h`.
const MODULES: usize = 16;
/// Less than all modules take, so that some are always loaded again.
const CACHE_BYTES: u64 = 10_000_000;
/// What the disk cache may have beside the module that is larger than the cache in memory.
const DISK_BYTES: u64 = 40_000_000;

/// The directory that the driver is given. The catalog beside it holds the guests.
pub struct Scene {
    directory: tempfile::TempDir,
    _catalog: Catalog,
}

/// What one sample has found.
#[derive(Clone, Debug)]
pub struct Sample {
    pub seconds: f64,
    /// In the order of [`FIGURES`].
    pub figures: [f64; 5],
    pub actions: u64,
}

impl Display for Sample {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [memory, descriptors, threads, slots, call] = self.figures;
        write!(f, "{:.3},{memory:.1},{descriptors},{threads},{slots},{call:.2},{}", self.seconds, self.actions)
    }
}

/// A figure of a sample, and the most that it may rise in the second half of a run.
pub struct Figure {
    pub name: &'static str,
    pub unit: &'static str,
    pub bound: Bound,
}

/// What a rise is compared with.
#[derive(Clone, Copy)]
pub enum Bound {
    Absolute(f64),
    /// A share of the figure's median. Of memory it is what may still be used for the first time in a short run, and of
    /// time what else a busy machine does to the fastest of many calls.
    Share(f64),
}

pub const FIGURES: [Figure; 5] = [
    Figure { name: "resident memory", unit: "MiB", bound: Bound::Share(0.05) },
    Figure { name: "descriptors without those of cached modules", unit: "", bound: Bound::Absolute(2.0) },
    Figure { name: "threads", unit: "", bound: Bound::Absolute(2.0) },
    Figure { name: "slots in use", unit: "", bound: Bound::Absolute(0.5) },
    Figure { name: "a fixed call, the fastest of 200", unit: "µs", bound: Bound::Share(0.25) },
];

impl Scene {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (guests, catalog) = catalog();
        let path = |name: &str| directory.path().join(name);
        symlink(catalog.path(), path("runtimes")).unwrap();
        for name in ["data", "registry"] {
            fs::create_dir(path(name)).unwrap();
        }
        fs::write(path("guests.txt"), guests).unwrap();
        let options = json!({"module_cache_bytes": CACHE_BYTES, "disk_cache_bytes": DISK_BYTES + CACHE_BYTES});
        fs::write(path("options.txt"), options.to_string()).unwrap();
        for n in 0..MODULES {
            let module = wat::parse_str(answering(&format!("m{n}"))).unwrap();
            fs::write(path(&format!("m{n}.base64")), BASE64_STANDARD.encode(module)).unwrap();
        }
        let limits =
            json!({"timeout_ms": PATIENT_MS, "memory_bytes": table::MEMORY_BYTES, "output_bytes": table::OUTPUT_BYTES});
        let host_functions = ["now", "later", "never", "polled"];
        let mut executors = [
            json!({"id": "hostile", "limits": limits}),
            json!({"id": "metered", "limits": {"fuel": 1_000_000_000}}),
            json!({"id": "large", "limits": {"output_bytes": 4 << 20}}),
            json!({"id": "registry", "runtimes_dir": path("registry")}),
            json!({"id": "host", "limits": {"timeout_ms": 3_600_000}, "capabilities": {"host_functions": host_functions}}),
            json!({"id": "files", "capabilities": {"http": {"allow": ["https://example.com"]},
                "dirs": [{"host": path("data"), "guest": "/data", "write": true, "bytes": 1 << 20}]}}),
        ];
        let lines = executors.iter_mut().map(|config| {
            let more = config.as_object_mut().unwrap();
            more.insert("cache_dir".to_owned(), json!(path("cache")));
            more.entry("runtimes_dir").or_insert_with(|| json!(path("runtimes")));
            format!("{config}\n")
        });
        fs::write(path("executors.txt"), lines.collect::<String>()).unwrap();
        Scene { directory, _catalog: catalog }
    }

    /// Runs the driver, which must end well and say nothing on stderr, with these leaks put in. Between two samples are
    /// `actions` at least.
    pub fn run(&self, seconds: f64, samples: usize, actions: usize, leaks: &[&str]) -> Vec<Sample> {
        let driver = common::compile_c("tests/soak/soak.c", "soak", &["-O2"]);
        let mut command = Command::new(&driver);
        command.args([seconds.to_string(), samples.to_string(), actions.to_string()]);
        command.arg(self.directory.path()).args(leaks);
        command.env("LD_LIBRARY_PATH", common::release_library_path()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let samples: Vec<Sample> = lines.filter_map(|line| Sample::parse(&line)).collect();
        let status = child.wait().unwrap();
        let _ = fs::remove_file(driver);
        assert!(status.success(), "the driver: {status}, after {samples:?}");
        samples
    }
}

/// The catalog, and a line for each hostile guest: its name, its deadline, and its code.
fn catalog() -> (String, Catalog) {
    let passthrough = fs::read(root().join("runtimes/prebuilt/passthrough.wasm")).unwrap();
    let catalog = table::catalog().with_bytes("component", &component_of(&passthrough));
    let mut lines: String = GUESTS
        .iter()
        .map(|guest| match &guest.expected {
            Expected::Timeout(_) => format!("{} {TIGHT_MS} timeout\n", guest.name),
            Expected::Fails(code, ..) => format!("{} {PATIENT_MS} {code}\n", guest.name),
            Expected::Contained | Expected::Output(_) => format!("{} {PATIENT_MS} ok\n", guest.name),
        })
        .collect();
    // Faults of components, which are instantiated in another way.
    let components = [
        ("component-loop", "(loop $forever (br $forever))", TIGHT_MS, "timeout"),
        ("component-trap", "unreachable", PATIENT_MS, "trap"),
        (
            "component-bomb",
            "(drop (memory.grow (i32.const 1000))) (drop (i32.load (i32.const 60000000)))",
            PATIENT_MS,
            "memory_exceeded",
        ),
    ];
    let catalog = components.iter().fold(catalog, |catalog, (name, body, timeout_ms, code)| {
        lines += &format!("{name} {timeout_ms} {code}\n");
        catalog.with_component(name, &writer(b"", b"last words", body))
    });
    let asking = ["now", "later", "never", "polled"];
    let catalog =
        asking.iter().fold(catalog, |catalog, name| catalog.with(name, &asker(name.as_bytes(), b"{}", ANSWER)));
    let bytes = "x".repeat(usize::try_from(CACHE_BYTES).unwrap());
    let larger = answering("larger").trim_end().strip_suffix(')').unwrap().to_owned() + &format!("(data \"{bytes}\"))");
    let catalog = catalog
        .with("larger-than-the-cache", &larger)
        .with("initialised", INITIALISED)
        .entry("greet", "script = \"custom/greet.js\"")
        .entry("hail", "script = \"custom/hail.lua\"");
    let text = fs::read_to_string(catalog.file()).unwrap();
    fs::write(
        catalog.file(),
        text.replace("custom/initialised.wasm\"", "custom/initialised.wasm\"\nsnapshot = \"init\""),
    )
    .unwrap();
    let custom = catalog.path().join("custom");
    fs::write(custom.join("greet.js"), "export default ({ context }) => ({ hello: context.name })").unwrap();
    fs::write(custom.join("hail.lua"), "return function(input) return { hello = input.context.name } end").unwrap();
    (lines, catalog)
}

impl Sample {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<f64> = line.split(',').map_while(|word| word.parse().ok()).collect();
        let [seconds, resident_kib, descriptors, threads, slots, _quartile_ns, least_ns, actions] = words[..] else {
            return None;
        };
        let figures = [resident_kib / 1024.0, descriptors, threads, slots, least_ns / 1000.0];
        Some(Sample { seconds, figures, actions: actions as u64 })
    }
}

/// The samples of the second half: in the first one caches fill up, and the allocator learns what it needs.
pub fn second_half(samples: &[Sample], figure: usize) -> Vec<(f64, f64)> {
    samples[samples.len() / 2..].iter().map(|sample| (sample.seconds, sample.figures[figure])).collect()
}

impl Figure {
    pub fn bound_of(&self, points: &[(f64, f64)]) -> f64 {
        match self.bound {
            Bound::Absolute(bound) => bound,
            Bound::Share(share) => share * super::trend::median(points.iter().map(|point| point.1).collect()),
        }
    }
}

/// The figures that rise, each with its trend.
pub fn rising(samples: &[Sample]) -> Vec<(&'static str, Trend)> {
    let trends = FIGURES.iter().enumerate().map(|(n, figure)| {
        let points = second_half(samples, n);
        (figure, figure.bound_of(&points), Trend::of(&points))
    });
    trends.filter(|(_, bound, trend)| trend.exceeds(*bound)).map(|(figure, _, trend)| (figure.name, trend)).collect()
}
