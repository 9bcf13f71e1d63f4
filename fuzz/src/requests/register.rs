//! Registrations: a module or a script, or nearly, and what is known of it.

use super::Source;
use arbitrary::Result;

impl Source<'_> {
    /// The members of a registration, after `first`.
    pub(super) fn registration(&mut self, first: &str) -> Result<String> {
        // Mostly one of them: a registration with two modules is refused before anything else is looked at.
        let mut modules = vec![self.0.int_in_range(0..=4)?];
        if self.0.ratio(1, 8)? {
            modules.push(self.0.int_in_range(0..=4)?);
        }
        let has = |module: &u8| modules.contains(module);
        let mut members = first.to_owned();
        let mut add = |member: String| members += &format!("{}{member}", if members.is_empty() { "" } else { "," });
        if has(&0) {
            add(format!("\"path\":{}", self.place(&["module.wasm", "text.wasm", "empty.lua", "read", "none"])?));
        }
        if has(&1) {
            add(format!("\"wasm_base64\":{}", self.one(&[SMALLEST_MODULE, "\"AGFzbQEAAAA=\"", "\"AGFz\"", "\"*\""])?));
        }
        if has(&2) {
            add(format!("\"module_of\":{}", self.name(&["passthrough", "checked", "missing", "added"])?));
        }
        // None that is parsed: compiling an interpreter takes longer than an input may.
        if has(&3) {
            add(format!("\"script\":{}", self.one(&["\"\"", "\"\\u0000\"", "null", "1"])?));
        }
        let text = |source: &mut Self| source.string();
        let flag = |source: &mut Self| source.flag();
        self.object_with(
            &members,
            &[
                ("name", &|source| source.name(&["added", "checked", "passthrough"])),
                ("language", &|source| source.name(&["javascript", "lua"])),
                ("description", &text),
                ("config_schema", &|source| source.schema(3)),
                ("args", &|source| source.list(&text)),
                ("env", &|source| source.object(&[("A", &text), ("=", &text)])),
                ("snapshot", &|source| source.name(&["off", "init"])),
                ("warm_up", &|source| source.one(&["\"{}\"", "\"{\\\"config\\\":1}\"", "\"[]\"", "\"{\"", "null"])),
                ("shared_random", &flag),
                ("replace", &flag),
                ("timeout_ms", &|source| source.number()),
            ],
        )
    }
}

/// `(module (func (export "_start")))`
const SMALLEST_MODULE: &str = "\"AGFzbQEAAAABBAFgAAADAgEABwoBBl9zdGFydAAACgQBAgAL\"";
