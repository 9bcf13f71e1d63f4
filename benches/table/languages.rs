//! A small call of a guest in each language, from the start and from a snapshot where there is one.

use crate::measure::{interleaved, median};
use crate::report::{Table, Target};
use crate::ways::{Arawn, ask};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// A guest as the table shows it.
struct Guest {
    language: &'static str,
    runtime: &'static str,
    /// Its module; `None` for a script.
    wasm: Option<&'static str>,
    /// The lines of its entry beside the file's.
    lines: &'static str,
    input: &'static str,
    target: Target,
}

const GREETING: &str = r#"{"context":{"name":"Ada"}}"#;
const CSV: &str = r#"{"config":{"delimiter":";"},"context":{"text":"name;born\nAda;1815\n"}}"#;
const NUMBERS: &str = r#"{"context":{"numbers":[3,1,4,1,5,9,2,6]}}"#;
const WORDS: &str = r#"{"config":{"pattern":"[a-z]+"},"context":{"text":"to be or not to be"}}"#;

const GUESTS: [Guest; 5] = [
    Guest {
        language: "Lua script",
        runtime: "lua",
        wasm: None,
        lines: "script = \"greet.lua\"",
        input: GREETING,
        target: Target::AtMost(60.0),
    },
    Guest {
        language: "JavaScript script",
        runtime: "js",
        wasm: None,
        lines: "script = \"greet.js\"",
        input: GREETING,
        target: Target::AtMost(60.0),
    },
    Guest {
        language: "Go module",
        runtime: "csv",
        wasm: Some("csv"),
        lines: "shared_random = true\nwarm_up = '{\"config\":{\"delimiter\":\";\"},\"context\":{\"text\":\"a;b\\n1;2\\n\"}}'",
        input: CSV,
        target: Target::AtMost(60.0),
    },
    Guest {
        language: "JavaScript component",
        runtime: "matches",
        wasm: Some("matches"),
        lines: "",
        input: WORDS,
        target: Target::AtMost(450.0),
    },
    Guest {
        language: "Python component",
        runtime: "statistics",
        wasm: Some("statistics"),
        lines: "",
        input: NUMBERS,
        target: Target::AtMost(1000.0),
    },
];

/// What a call of a guest takes, in microseconds.
pub struct Measured {
    language: &'static str,
    from_start: f64,
    from_snapshot: Option<f64>,
}

fn built(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/guests/{name}.wasm"))
}

/// Measures the guests that `make guests` has built, and the scripts.
pub fn measure(table: &mut Table, rounds: usize) -> Vec<Measured> {
    let directory = tempfile::tempdir().unwrap();
    let (mut catalog, mut measured) = (String::new(), Vec::new());
    let there = GUESTS.iter().filter(|guest| guest.wasm.is_none_or(|wasm| built(wasm).exists()));
    let there: Vec<&Guest> = there.collect();
    fs::write(directory.path().join("greet.js"), "export default ({ context }) => ({ hello: context.name });\n")
        .unwrap();
    let lua = "return function(input) return { hello = input.context.name } end\n";
    fs::write(directory.path().join("greet.lua"), lua).unwrap();
    for Guest { runtime, wasm, lines, .. } in &there {
        let path = wasm.map(|wasm| {
            fs::copy(built(wasm), directory.path().join(format!("{wasm}.wasm"))).unwrap();
            format!("path = \"{wasm}.wasm\"")
        });
        let path = path.unwrap_or_default();
        writeln!(catalog, "[runtimes.{runtime}]\n{path}\nsnapshot = \"init\"\n{lines}").unwrap();
        let lines = if wasm.is_some() { "" } else { lines };
        writeln!(catalog, "[runtimes.{runtime}-start]\n{path}\nsnapshot = \"off\"\n{lines}").unwrap();
    }
    fs::write(directory.path().join("catalog.toml"), catalog).unwrap();
    let (runtimes, limits) = (directory.path().display(), r#"{"timeout_ms":300000}"#);
    ask(
        "arawn_executor_new",
        &format!(r#"{{"id":"languages","runtimes_dir":"{runtimes}","cache_dir":null,"limits":{limits}}}"#),
    );
    for Guest { language, runtime, input, target, .. } in there {
        let request = format!(r#"{{"executor":"languages","runtime":"{runtime}","input":{input},"meta":true}}"#);
        let reply = crate::ways::answer("arawn_execute_runtime", &request);
        let is_restored = reply["meta"]["snapshot"]["restored"] == true;
        let start = Arawn::new("languages", &format!("{runtime}-start"), input);
        let one = Arawn::new("languages", runtime, input);
        let [from_snapshot, from_start] = interleaved(rounds / 3, 10, [&mut || one.call(), &mut || start.call()]);
        let (from_snapshot, best) = match is_restored {
            true => (Some(from_snapshot), from_snapshot),
            false => (None, median(vec![from_snapshot, from_start, from_start])),
        };
        let how = match is_restored {
            true => format!("from its start {from_start:.1} µs"),
            false => "from its start".to_owned(),
        };
        table.row(&format!("{language}, a small call"), *target, " µs", best, how);
        measured.push(Measured { language, from_start, from_snapshot });
    }
    measured
}

const HEAD: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 HEIGHT" font-family="system-ui, sans-serif" font-size="13">
<style>
.ground { fill: #ffffff } .grid { stroke: #dddddd } .text { fill: #333333 } .start { fill: #a9b4ae } .snapshot { fill: #0b6e4f }
@media (prefers-color-scheme: dark) {
.ground { fill: #16191d } .grid { stroke: #3a4046 } .text { fill: #d8dde2 } .start { fill: #66716b } .snapshot { fill: #39b98b }
}
</style>
"##;

/// A bar for each language, by decades of microseconds.
pub fn draw(measured: &[Measured]) -> String {
    const LEFT: f64 = 170.0;
    const WIDTH: f64 = 500.0;
    const ROW: f64 = 44.0;
    let bottom = 20.0 + ROW * measured.len() as f64;
    // From 1 µs to 10 ms.
    let x = |us: f64| LEFT + WIDTH * us.log10().clamp(0.0, 4.0) / 4.0;
    let mut svg = HEAD.replace("HEIGHT", &format!("{:.0}", bottom + 56.0));
    let _ = writeln!(svg, r#"<rect class="ground" width="740" height="{:.0}"/>"#, bottom + 56.0);
    for (us, name) in [(1.0, "1 µs"), (10.0, "10 µs"), (100.0, "100 µs"), (1e3, "1 ms"), (1e4, "10 ms")] {
        let at = x(us);
        let _ = writeln!(svg, r#"<line class="grid" x1="{at:.1}" y1="12" x2="{at:.1}" y2="{bottom:.1}"/>"#);
        let _ = writeln!(
            svg,
            r#"<text class="text" x="{at:.1}" y="{:.1}" text-anchor="middle">{name}</text>"#,
            bottom + 18.0
        );
    }
    for (index, Measured { language, from_start, from_snapshot }) in measured.iter().enumerate() {
        let top = 20.0 + ROW * index as f64;
        let _ = writeln!(
            svg,
            r#"<text class="text" x="{:.1}" y="{:.1}" text-anchor="end">{language}</text>"#,
            LEFT - 10.0,
            top + 20.0
        );
        let bars = [("start", Some(*from_start), 0.0), ("snapshot", *from_snapshot, 16.0)];
        for (class, us, down) in bars.into_iter().filter_map(|(class, us, down)| Some((class, us?, down))) {
            let (y, width) = (top + down, x(us) - LEFT);
            let _ = writeln!(
                svg,
                r#"<rect class="{class}" x="{LEFT:.1}" y="{y:.1}" width="{width:.1}" height="13" rx="2"/>"#
            );
            let (at, y) = (x(us) + 6.0, y + 11.0);
            let _ = writeln!(svg, r#"<text class="text" x="{at:.1}" y="{y:.1}" font-size="11">{us:.0} µs</text>"#);
        }
    }
    let legend = bottom + 42.0;
    for (at, class, text) in [(LEFT, "start", "from the start"), (LEFT + 150.0, "snapshot", "from a snapshot")] {
        let _ = writeln!(
            svg,
            r#"<rect class="{class}" x="{at:.1}" y="{:.1}" width="13" height="13" rx="2"/>"#,
            legend - 11.0
        );
        let _ = writeln!(svg, r#"<text class="text" x="{:.1}" y="{legend:.1}">{text}</text>"#, at + 20.0);
    }
    svg + "</svg>\n"
}
