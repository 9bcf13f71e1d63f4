//! Requests that are nearly right: each function's own keys, with values that are right, extreme or of another kind, keys
//! that are missing, misspelt or there twice, and spaces between all of them. Executors, jobs and catalogs come and go.

mod register;

use super::abi::{FUNCTIONS, Reply, call_text, scratch};
use arbitrary::{Result, Unstructured};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::LazyLock;

/// `bytes` become up to 12 calls.
pub fn run(bytes: &[u8]) {
    let mut source = Source(Unstructured::new(bytes));
    let mut made = Vec::new();
    for _ in 0..12 {
        if source.0.is_empty() || source.call(&mut made).is_err() {
            break;
        }
    }
    for executor in made {
        let reply = call_text(function("executor_close"), &json!({"executor": executor}).to_string());
        assert!(reply.ok().is_some() || reply.code() == "unknown_executor", "{}", reply.text);
    }
    PLACES.tidy();
}

fn function(name: &str) -> super::abi::Function {
    FUNCTIONS.iter().find(|(known, _)| *known == name).unwrap().1
}

/// Directories and files that requests may name.
struct Places(PathBuf);

static PLACES: LazyLock<Places> = LazyLock::new(|| {
    let directory = scratch().join("requests");
    for name in ["read", "write/within", "catalog/custom", "cache"] {
        std::fs::create_dir_all(directory.join(name)).unwrap();
    }
    std::fs::write(directory.join("read/file"), "a file").unwrap();
    let places = Places(directory);
    std::fs::write(places.0.join("module.wasm"), wat::parse_str(ANSWERING).unwrap()).unwrap();
    // With a NUL it is no script either.
    std::fs::write(places.0.join("text.wasm"), "no module\0").unwrap();
    std::fs::write(places.0.join("empty.lua"), "").unwrap();
    places.tidy();
    places
});

const ANSWERING: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\1b\00\00\00")
    (data (i32.const 16) "{\"status\":\"ok\",\"output\":1}  ")
    (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

const CATALOG: &str = "[runtimes.checked]\npath = \"custom/module.wasm\"\nconfig_schema = { type = \"object\" }\n\
    [runtimes.missing]\npath = \"custom/missing.wasm\"\n";

impl Places {
    /// Makes the catalog and the directories what they were.
    fn tidy(&self) {
        let catalog = self.0.join("catalog");
        let custom = catalog.join("custom");
        for entry in custom.read_dir().unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        std::fs::copy(self.0.join("module.wasm"), custom.join("module.wasm")).unwrap();
        std::fs::write(catalog.join("catalog.toml"), CATALOG).unwrap();
        std::fs::remove_dir_all(self.0.join("write")).unwrap();
        std::fs::create_dir_all(self.0.join("write/within")).unwrap();
    }

    fn quoted(&self, name: &str) -> String {
        Value::from(self.0.join(name).to_str().unwrap()).to_string()
    }
}

/// What makes text of JSON from bytes.
struct Source<'a>(Unstructured<'a>);

type Member<'a, 'b> = (&'b str, &'b dyn Fn(&mut Source<'a>) -> Result<String>);

impl<'a> Source<'a> {
    fn call(&mut self, made: &mut Vec<Value>) -> Result<()> {
        let (name, function) = *self.0.choose(&FUNCTIONS)?;
        let text = self.request(name)?;
        let reply: Reply = call_text(function, &text);
        if let Some(output) = reply.ok() {
            match name {
                "executor_new" => made.push(output["executor"].clone()),
                "executor_close" => made.retain(|executor| *executor != output["executor"]),
                _ => {}
            }
        }
        Ok(())
    }

    fn request(&mut self, name: &str) -> Result<String> {
        let executor: Member<'a, '_> = ("executor", &|source| source.name(&["a", "b"]));
        let runtime = |source: &mut Self| {
            source.name(&["passthrough", "transform", "file_read", "file_write", "checked", "missing", "added"])
        };
        let job: Member<'a, '_> = ("job", &|source| source.name(&["one", "two"]));
        let flag = |source: &mut Self| source.flag();
        match name {
            "executor_new" => self.object(&[
                ("id", &|source| source.name(&["a", "b"])),
                // A path is always one of ours: what else is written there must not be a path of this machine.
                ("runtimes_dir", &|source| source.place(&["catalog", "none", "read/file"])),
                ("cache_dir", &|source| source.place(&["cache", "read/file"])),
                ("limits", &|source| source.limits(true)),
                ("reload", &|source| {
                    let forms = [
                        "\"always\"",
                        "\"never\"",
                        "{\"within_ms\":1}",
                        "{\"within_ms\":50}",
                        "{\"within_ms\":0}",
                        "null",
                    ];
                    source.one(&forms)
                }),
                ("stderr_to", &|source| source.name(&["f", "engine.log"])),
                ("capabilities", &Self::capabilities),
                ("deterministic", &|source| {
                    source.object(&[("seed", &|source| source.number()), ("unix_time", &|source| source.number())])
                }),
            ]),
            "submit" if self.0.ratio(1, 4)? => {
                self.object(&[executor, ("register", &|source| source.registration("")), job])
            }
            "execute_pipeline" => self.pipeline(executor),
            "submit" if self.0.ratio(1, 4)? => self.pipeline(executor),
            "execute_runtime" | "submit" => self.object(&[
                executor,
                ("runtime", &runtime),
                ("input", &|source| {
                    source.object(&[("config", &Self::config), ("context", &|source| source.value(3))])
                }),
                ("limits", &|source| source.limits(false)),
                job,
                ("meta", &flag),
            ]),
            "poll" => {
                self.object(&[executor, job, ("wait_ms", &|source| source.one(&["0", "1", "2", "-1", "0.5", "null"]))])
            }
            "cancel" => self.object(&[executor, job]),
            "host_function_set" => self.object(&[
                executor,
                ("name", &|source| source.name(&["f", "g"])),
                ("on", &|source| source.one(&["\"poll\"", "\"call\"", "null"])),
                ("deferred", &flag),
            ]),
            "host_reply" => self.object(&[
                executor,
                ("call", &|source| source.name(&["c-1", "c-2"])),
                ("reply", &|source| source.one(&["{\"status\":\"ok\"}", "{\"status\":\"error\"}", "{}", "1"])),
            ]),
            "catalog_register" => {
                let executor = self.name(&["a", "b"])?;
                self.registration(&format!("\"executor\":{executor}"))
            }
            "catalog_inspect" | "catalog_remove" => self.object(&[executor, ("name", &runtime)]),
            "configure" => self.object(&[
                ("pool_slots", &|source| source.number()),
                ("workers", &|source| source.number()),
                ("queue", &|source| source.number()),
                ("module_cache_bytes", &|source| source.number()),
                ("disk_cache_bytes", &|source| source.number()),
                ("signal_handlers", &flag),
            ]),
            "stats" => self.object(&[]),
            _ => self.object(&[executor]),
        }
    }

    fn pipeline(&mut self, executor: Member<'a, '_>) -> Result<String> {
        let step = |source: &mut Self| {
            source.object(&[
                ("name", &|source| source.name(&["one", "two", "three", "item", "a.b"])),
                ("runtime", &|source| source.name(&["passthrough", "transform", "checked", "missing"])),
                ("config", &Self::config),
                ("needs", &|source| source.list(&|source| source.name(&["one", "two", "three"]))),
                ("for_each", &|source| source.name(&["one", "one.config", "l", "two.context.a", "..", "l.0"])),
                ("first_index", &|source| source.number()),
                ("retry", &|source| {
                    let delay = |source: &mut Self| source.one(&["0", "1", "86400001"]);
                    source.object(&[("attempts", &|source| source.one(&["1", "2", "0", "101"])), ("delay_ms", &delay)])
                }),
                ("limits", &|source| source.limits(false)),
            ])
        };
        self.object(&[
            executor,
            ("pipeline", &|source| {
                let output = |source: &mut Self| source.name(&["one", "two", "three"]);
                source.object(&[("steps", &|source| source.list(&step)), ("output", &output)])
            }),
            ("context", &|source| source.object(&[("l", &|source| source.list(&|source| source.value(2)))])),
            ("completed", &|source| source.object(&[("one", &|source| source.value(2))])),
            ("limits", &|source| source.limits(false)),
            ("job", &|source| source.name(&["one", "two"])),
            ("meta", &|source| source.flag()),
            ("dry_run", &|source| source.flag()),
        ])
    }

    fn limits(&mut self, is_executor: bool) -> Result<String> {
        let number = |source: &mut Self| source.number();
        // A call that waits for its deadline is over soon.
        let time = |source: &mut Self| source.one(&["1", "20", "0", "-1", "1e3", "\"20\"", "18446744073709551616"]);
        let mut members: Vec<Member<'a, '_>> = vec![
            ("timeout_ms", &time),
            ("memory_bytes", &number),
            ("output_bytes", &number),
            ("stderr_bytes", &number),
            ("module_bytes", &number),
            ("fuel", &number),
        ];
        if is_executor {
            members.extend([
                ("calls", &number as _),
                ("cpu_ms_per_s", &number as _),
                ("memory_total_bytes", &number as _),
                ("reply_bytes", &number as _),
            ]);
        }
        self.object(&members)
    }

    fn capabilities(&mut self) -> Result<String> {
        self.object(&[
            ("dirs", &|source| {
                source.list(&|source| {
                    let host = source.place(&["read", "write", "write/within", "catalog", "none", "read/file"])?;
                    source.object_with(
                        &format!("\"host\":{host}"),
                        &[
                            ("guest", &|source| {
                                source.one(&["\"/d\"", "\"/e\"", "\"d\"", "\"\"", "\"/\"", "\"/a/../b\""])
                            }),
                            ("write", &|source| source.flag()),
                            ("bytes", &|source| source.number()),
                        ],
                    )
                })
            }),
            ("env", &|source| {
                let name = source.string()?;
                let value = source.string()?;
                Ok(format!("{{{name}:{value}}}"))
            }),
            ("http", &|source| {
                source.object(&[
                    // No name of the network, for a check of names that asks it.
                    ("allow", &|source| {
                        source.list(&|source| {
                            source.one(&[
                                "\"http://127.0.0.1:9\"",
                                "\"https://*.invalid:1\"",
                                "\"https://[::1]\"",
                                "\"http://a.invalid/\"",
                                "\"ftp://x\"",
                                "\"\"",
                                "\"*\"",
                            ])
                        })
                    }),
                    ("allow_private", &|source| source.flag()),
                ])
            }),
            ("host_functions", &|source| source.list(&|source| source.name(&["f", "g", "engine.log"]))),
        ])
    }

    /// A config that one of the built-ins may take.
    fn config(&mut self) -> Result<String> {
        let path = |source: &mut Self| source.one(&["\"/d/file\"", "\"/d/../file\"", "\"\"", "\"/d\"", "\"/e/x\""]);
        let text = |source: &mut Self| source.string();
        self.object(&[
            ("path", &path),
            ("content", &text),
            ("content_key", &text),
            ("append", &|source| source.flag()),
            ("encoding", &|source| source.one(&["\"utf8\"", "\"base64\"", "\"\""])),
            ("expression", &|source| source.one(&["\"a.b[0]\"", "\"\"", "\"[[\"", "\"a..b\"", "\"[99999999999]\""])),
            ("template", &|source| source.one(&["\"{{a}} {{b}}\"", "\"{{\"", "\"}}{{ }}\""])),
            ("mappings", &|source| source.object(&[("x", &text), ("y", &text)])),
        ])
    }

    /// A JSON Schema, or nearly.
    fn schema(&mut self, depth: u32) -> Result<String> {
        if depth == 0 {
            return self.value(1);
        }
        let within = |source: &mut Self| source.schema(depth - 1);
        let number = |source: &mut Self| source.number();
        self.object(&[
            ("type", &|source| source.one(&["\"object\"", "\"string\"", "[\"null\",\"integer\"]", "\"what\""])),
            ("properties", &|source| source.object(&[("path", &within), ("content", &within), ("a", &within)])),
            ("required", &|source| source.list(&|source| source.string())),
            ("items", &within),
            ("anyOf", &|source| source.list(&within)),
            ("not", &within),
            ("$ref", &|source| {
                source.one(&["\"#\"", "\"#/properties/a\"", "\"#/$defs/x\"", "\"http://a.invalid/\"", "\"\""])
            }),
            ("$defs", &|source| source.object(&[("x", &within)])),
            ("pattern", &|source| source.one(&["\"^a+$\"", "\"(a*)*b\"", "\"[\"", "\"\\\\p{L}{1,99}\"", "\"(?=a)\""])),
            ("format", &|source| source.one(&["\"uri\"", "\"email\"", "\"regex\"", "\"date-time\"", "\"what\""])),
            ("minimum", &number),
            ("maxLength", &number),
            ("enum", &|source| source.list(&|source| source.value(1))),
            ("uniqueItems", &|source| source.flag()),
        ])
    }

    fn object(&mut self, members: &[Member<'a, '_>]) -> Result<String> {
        self.object_with("", members)
    }

    /// An object with `first`, and most of the members.
    fn object_with(&mut self, first: &str, members: &[Member<'a, '_>]) -> Result<String> {
        let mut text = format!("{{{first}");
        for (name, value) in members {
            let choice: u8 = self.0.arbitrary()?;
            // Paths are never left to chance.
            let is_path = ["runtimes_dir", "cache_dir", "path"].contains(name);
            let (name, value) = match choice {
                0..80 => continue,
                80..84 if !is_path => (self.string()?, value(self)?),
                84..96 if !is_path => (format!("\"{name}\""), self.value(2)?),
                96..98 => {
                    let value = value(self)?;
                    (format!("\"{name}\":{value},\"{name}\""), value)
                }
                98..100 => (format!("\"{}\"", name.replacen('_', "\\u005f", 1)), value(self)?),
                _ => (format!("\"{name}\""), value(self)?),
            };
            let comma = if text.len() > 1 { "," } else { "" };
            let [before, after] = [self.space()?, self.space()?];
            text += &format!("{comma}{before}{name}:{after}{value}");
        }
        Ok(text + "}")
    }

    fn list(&mut self, value: &dyn Fn(&mut Self) -> Result<String>) -> Result<String> {
        let count = self.0.int_in_range(0..=3)?;
        let values = (0..count).map(|_| value(self)).collect::<Result<Vec<_>>>()?;
        Ok(format!("[{}]", values.join(",")))
    }

    /// A name that means something, or seldom another one.
    fn name(&mut self, known: &[&str]) -> Result<String> {
        if self.0.ratio(1, 16)? { self.string() } else { Ok(format!("\"{}\"", self.0.choose(known)?)) }
    }

    fn place(&mut self, known: &[&str]) -> Result<String> {
        if self.0.ratio(1, 8)? {
            return self.one(&["null", "1", "\"\"", "{}", "\"\\u0000\""]);
        }
        Ok(PLACES.quoted(self.0.choose(known)?))
    }

    fn one(&mut self, texts: &[&str]) -> Result<String> {
        Ok((*self.0.choose(texts)?).to_owned())
    }

    fn flag(&mut self) -> Result<String> {
        self.one(&["true", "false", "false", "null", "0"])
    }

    fn space(&mut self) -> Result<&'static str> {
        Ok(if self.0.ratio(1, 32)? { *self.0.choose(&[" ", "\n\t", "\r", "\u{b}", "\u{feff}"])? } else { "" })
    }

    fn number(&mut self) -> Result<String> {
        match self.0.int_in_range(0..=5)? {
            0 => Ok(self.0.arbitrary::<u64>()?.to_string()),
            1 => self.one(&["0", "1", "-1", "-0", "1.5", "1e400", "9223372036854775808", "18446744073709551616", "01"]),
            2 => Ok(self.0.arbitrary::<f64>()?.to_string()),
            3 => self.one(&["65536", "1048576", "16777216"]),
            _ => Ok(self.0.arbitrary::<u16>()?.to_string()),
        }
    }

    /// Text within quotes, with escapes that are right or nearly.
    fn string(&mut self) -> Result<String> {
        Ok(match self.0.int_in_range(0..=7)? {
            0 => "\"\"".to_owned(),
            1 => self.one(&[
                "\"\\u0000\"",
                "\"\\ud800\"",
                "\"\\udc00\\ud800\"",
                "\"\\x\"",
                "\"\u{1}\"",
                "\"\\ud83d\\ude00\"",
            ])?,
            2 => format!("\"{}\"", "x".repeat(self.0.int_in_range(0..=5000)?)),
            3 => format!("\"{}\"", "\u{1F600}\u{202e}".repeat(self.0.int_in_range(0..=40)?)),
            _ => Value::from(self.0.arbitrary::<&str>()?.get(..40).unwrap_or("short")).to_string(),
        })
    }

    /// Any JSON.
    fn value(&mut self, depth: u32) -> Result<String> {
        if depth == 0 {
            return self.one(&["null", "true", "1", "\"a\"", "[]", "{}"]);
        }
        match self.0.int_in_range(0..=7)? {
            0 => self.number(),
            1 => self.string(),
            2 => self.list(&|source| source.value(depth - 1)),
            3 => {
                let [key, value] = [self.string()?, self.value(depth - 1)?];
                Ok(format!("{{{key}:{value}}}"))
            }
            4 => {
                let deep = self.0.int_in_range(0..=300)?;
                Ok(["[".repeat(deep), "]".repeat(deep)].concat())
            }
            5 => self.one(&["nul", "", "}", "[1,]", "{\"a\":1,}", "'a'", "NaN", "-", "\u{feff}1"]),
            _ => self.value(0),
        }
    }
}
