//! Scripts: a call from the start and from a snapshot, and the way from an edit to its first reply.

use crate::measure::{interleaved, median};
use crate::report::{Table, Target};
use crate::ways::{Arawn, answer, ask};
use std::fs;
use std::time::Instant;

const LANGUAGES: [(&str, &str, &str); 2] = [
    ("JavaScript", "js", "export default ({ context }) => ({ hello: context.name });\n"),
    ("Lua", "lua", "return function(input) return { hello = input.context.name } end\n"),
];

pub fn calls(table: &mut Table, rounds: usize) {
    let directory = tempfile::tempdir().unwrap();
    let mut catalog = String::new();
    for (_, end, script) in LANGUAGES {
        fs::write(directory.path().join(format!("greet.{end}")), script).unwrap();
        catalog += &format!("[runtimes.{end}]\nscript = \"greet.{end}\"\n");
        catalog += &format!("[runtimes.{end}-start]\nscript = \"greet.{end}\"\nsnapshot = \"off\"\n");
    }
    fs::write(directory.path().join("catalog.toml"), catalog).unwrap();
    let runtimes = directory.path().display();
    ask("arawn_executor_new", &format!(r#"{{"id":"scripts","runtimes_dir":"{runtimes}","cache_dir":null}}"#));
    for (language, end, _) in LANGUAGES {
        let input = r#"{"context":{"name":"Ada"}}"#;
        let (snapshot, start) =
            (Arawn::new("scripts", end, input), Arawn::new("scripts", &format!("{end}-start"), input));
        let [from_snapshot, from_start] = interleaved(rounds, 50, [&mut || snapshot.call(), &mut || start.call()]);
        let how = || format!("{from_start:.1} µs, {from_snapshot:.1} µs");
        let what = format!("script in {language}, from the start");
        table.row(&what, Target::AtMost(350.0), " µs", from_start, how());
    }
    for (language, end, script) in LANGUAGES {
        let file = directory.path().join(format!("greet.{end}"));
        let request = format!(r#"{{"executor":"scripts","runtime":"{end}","input":{{"context":{{"name":"Ada"}}}}}}"#);
        let times = (0..20).map(|n| {
            let begun = Instant::now();
            fs::write(&file, script.replace("hello", &format!("hello{n}"))).unwrap();
            let reply = answer("arawn_execute_runtime", &request);
            let time = begun.elapsed();
            assert_eq!(reply["output"][format!("hello{n}")], "Ada");
            time.as_secs_f64() * 1e3
        });
        let what = format!("saving a script in {language} until the next call has run it");
        table.row(&what, Target::AtMost(100.0), " ms", median(times.collect()), "median of 20".to_owned());
    }
}
