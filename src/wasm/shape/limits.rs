//! How much of what a file may have, in one table.
//!
//! A number is the lowest of three: what the web's engines allow (<https://webassembly.github.io/spec/js-api/#limits>), what
//! wasmtime can do, and, where the compiler's cost grows faster than the file, at least four times what the largest real
//! file has. The files: CPython 3.14 by componentize-py 0.25, Ruby 3.4, PHP 8.3 (Emscripten, asyncify), esbuild 0.28 (Go),
//! DuckDB 1.32 (Emscripten), StarlingMonkey (componentize-js 0.23), Pyodide 314, SQLite, QuickJS, jco, the builtins. The
//! costs are of one core. What wasmparser's readers bound by themselves has no row: parameters and results of a function
//! (1,000 each), fields (10,000), clauses of a `try_table` (10,000), bytes of a name (100,000), each as on the web.

use super::problem::{Place, Problem};

macro_rules! limits {
    ($($(#[doc = $doc:literal])* $limit:ident $name:literal $what:literal $most:literal)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Limit {
            $($(#[doc = $doc])* $limit,)*
        }

        impl Limit {
            pub const ALL: &[Limit] = &[$(Limit::$limit),*];

            /// What an error calls the limit.
            pub const fn name(self) -> &'static str {
                match self { $(Limit::$limit => $name),* }
            }

            /// What is counted.
            pub const fn what(self) -> &'static str {
                match self { $(Limit::$limit => $what),* }
            }

            pub const fn most(self) -> u64 {
                match self { $(Limit::$limit => $most),* }
            }
        }
    };
}

limits! {
    // A module.

    /// The web allows 1,000,000. Structs and arrays are cheap: 100,000 take 0.3 s.
    Types "types" "types" 100_000
    /// Each takes trampolines, 0.2 ms and 8 KiB. DuckDB has 662.
    FunctionTypes "function_types" "types of functions" 20_000
    /// As for `types`; the group is read as one.
    GroupTypes "group_types" "types in one recursive group" 100_000
    /// The web allows 1,000,000. A library of CPython's has 918.
    Imports "imports" "imports" 100_000
    /// The web allows 1,000,000. Each takes 6 KiB and 0.1 ms, empty as it may be. DuckDB has 62,675.
    Functions "functions" "functions" 255_000
    /// `sandbox::TABLES`. Pyodide has 3.
    Tables "tables" "tables" 64
    /// In all modules; tables of more than 1,048,576 elements are not counted: wasmtime does not write their first contents
    /// into the artifact, at 10 bytes an element. PHP has 12,067.
    TableElements "table_elements" "elements in its tables" 4_000_000
    /// `sandbox::MEMORIES`.
    Memories "memories" "memories" 16
    /// The largest real number is 2.
    Tags "tags" "tags" 10_000
    /// The web allows 1,000,000. Each takes 16 bytes of the pool's `INSTANCE_SIZE` of 4 MiB, which 262,144 would fill.
    /// DuckDB has 31,003.
    Globals "globals" "globals" 125_000
    /// The web allows 1,000,000. DuckDB has 75,111.
    Exports "exports" "exports" 310_000
    /// The web allows 100,000; each takes 3 KiB and 20 µs. CPython has 2.
    ElementSegments "element_segments" "element segments" 10_000
    /// In all segments of all modules: each is compiled, at 12 µs and 0.7 KiB. No real file has any.
    ElementExpressions "element_expressions" "expressions in its element segments" 100_000
    /// The web's. esbuild has 98,450: Go's linker knows the limit.
    DataSegments "data_segments" "data segments" 100_000
    /// The largest real number is 4.
    ExpressionSize "expression_size" "instructions in one constant expression" 100_000

    // A function.

    /// The web allows 7,654,321. DuckDB has one of 905,582.
    FunctionBytes "function_bytes" "bytes" 4_000_000
    /// The web allows 50,000. DuckDB has 612; builds without optimization have more.
    Locals "locals" "parameters and locals" 10_000
    /// Ten bytes of a file can have 10,000 of them: each takes 10 ns. DuckDB has 419,071.
    AllLocals "all_locals" "parameters and locals in all its functions" 2_000_000
    /// esbuild has 3,289: one for each case of a large `switch`.
    BlockDepth "block_depth" "blocks inside each other" 13_500
    /// With those into which instructions are compiled, such as six of an indirect call and seven of an allocation. DuckDB has
    /// 5,074; languages with a collector, of which none was measured, allocate their constants in one function.
    Blocks "blocks" "blocks" 60_000
    /// In all functions: cranelift's time grows with the square of a function's blocks, 3 ns a pair. DuckDB has 237,729,375.
    BlockPairs "block_pairs" "pairs of blocks in the same function" 4_000_000_000
    /// DuckDB has 559.
    Loops "loops" "loops" 2_500
    /// In all functions: the check of the epoch in each loop makes what it reads live in all of them, 0.2 µs a pair, however
    /// they are nested. DuckDB has 1,805,086.
    LoopPairs "loop_pairs" "pairs of loops in the same function" 8_000_000
    /// In all functions: a local may be another value in each loop, 4 µs a pair. DuckDB has 988,597.
    LoopLocals "loop_locals" "pairs of a loop and a local in the same function" 4_000_000
    /// Each takes 1.7 KiB until its function is compiled. Ruby has 4,192.
    Calls "calls" "calls" 20_000
    /// In all functions: what an instruction of two bytes passes on takes 15 µs and 0.5 KiB a value. DuckDB has 15,185.
    WideValues "wide_values" "values beyond 8 that one of its instructions passes on" 100_000

    // A component.

    /// CPython has 14, and with large libraries some 50.
    Modules "modules" "core modules" 256
    /// The largest real number is 1.
    Components "components" "components inside it" 256
    /// The largest real number is 2.
    ComponentDepth "component_depth" "components inside each other" 16
    /// CPython has 4,155.
    ComponentItems "component_items" "items in its components and their types" 20_000
    /// `sandbox::INSTANCES`: more are refused to a guest. CPython has 14, and with large libraries some 50.
    CoreInstances "core_instances" "core instances" 64
    /// Counted as often as the components around them are instantiated. The largest real number is 1.
    ComponentInstances "component_instances" "component instances" 256
    /// wasmparser allows 100 and panics beyond 127; the stack of what compiles must do (`COMPILE_STACK`). Real components
    /// have 2.
    TypeDepth "type_depth" "instance and component types inside each other" 50
    /// wasmparser allows 1,000,000, for which wasmtime takes gigabytes. CPython has 1,382.
    TypeSize "type_size" "parts in one component type with all that it refers to" 10_000
    /// wasmtime takes up to 1.3 KiB and 6 µs for each. CPython has 24,437.
    AllTypeSizes "all_type_sizes" "parts in all its component types with all that they refer to" 200_000
}

/// What a guest may have at most of what its store counts too: tables, memories and core instances.
pub(crate) const COUNTED_BY_STORES: [u64; 3] =
    [Limit::Tables.most(), Limit::Memories.most(), Limit::CoreInstances.most()];

/// The largest number of each kind that was met.
pub(super) struct Tally([u64; Limit::ALL.len()]);

impl Tally {
    pub fn new() -> Self {
        Tally([0; Limit::ALL.len()])
    }

    /// Notes that there are so many of something.
    pub fn reach(&mut self, limit: Limit, found: u64) -> Result<(), Problem> {
        let largest = &mut self.0[limit as usize];
        *largest = found.max(*largest);
        if found > limit.most() {
            return Err(Problem::Excess { limit, found, place: Place::File });
        }
        Ok(())
    }

    /// Notes so many more of something.
    pub fn add(&mut self, limit: Limit, more: u64) -> Result<(), Problem> {
        self.reach(limit, self.0[limit as usize].saturating_add(more))
    }

    #[cfg(test)]
    pub fn of(&self, limit: Limit) -> u64 {
        self.0[limit as usize]
    }
}
