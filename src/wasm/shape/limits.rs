//! How much of what a file may have, in one table.
//!
//! A number is the lowest of three: what the web's engines allow (<https://webassembly.github.io/spec/js-api/#limits>), what
//! wasmtime can do, and, where the compiler's cost grows faster than the file, at least two and a half times what the largest real
//! file has. What grows with real files is limited by a fixed amount and so much more for each KiB of code in the file. The files:
//! CPython 3.14 by componentize-py 0.25, Ruby 3.4, PHP 8.3 (Emscripten, asyncify), esbuild 0.28 (Go),
//! DuckDB 1.32 (Emscripten), StarlingMonkey (componentize-js 0.23), Pyodide 314, SQLite, QuickJS, jco, the builtins. The
//! costs are of one core. What wasmparser's readers bound by themselves has no row: parameters and results of a function
//! (1,000 each), fields (10,000), clauses of a `try_table` (10,000), bytes of a name (100,000), each as on the web.

use super::problem::{Place, Problem};

macro_rules! limits {
    // `a + b` is a and b for each KiB of code, `a ^ b` is a and b for the cube of its KiB; each takes `@` nanoseconds.
    ($($(#[doc = $doc:literal])* $limit:ident $name:literal $what:literal $most:literal $(+ $more:literal)? $(^ $cube:literal)? $(@ $each:literal)?)*) => {
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

            /// How much any file may have.
            pub const fn most(self) -> u64 {
                match self { $(Limit::$limit => $most),* }
            }

            /// How much more a file may have for each KiB of code, and for the cube of their number.
            pub const fn more(self) -> (u64, u64) {
                match self { $(Limit::$limit => (0 $(+ $more)?, 0 $(+ $cube)?)),* }
            }

            /// How long the compiler takes for each, in nanoseconds, as far as it counts in `work`.
            const fn each(self) -> u64 {
                match self { $(Limit::$limit => 0 $(+ $each)?),* }
            }

            /// How much a file with so much code may have.
            pub const fn most_of(self, code_bytes: usize) -> u64 {
                let (kib, (more, cube)) = (code_bytes as u64 >> 10, self.more());
                let cubes = cube.saturating_mul(kib).saturating_mul(kib).saturating_mul(kib);
                self.most().saturating_add(more.saturating_mul(kib)).saturating_add(cubes)
            }
        }
    };
}

limits! {
    // Modules: in all of a file together, but for what is said to be in one.

    /// The web allows 1,000,000. Structs and arrays are cheap: 100,000 take 0.3 s.
    Types "types" "types" 100_000
    /// Each takes trampolines, 0.2 ms and 8 KiB. DuckDB has 662.
    FunctionTypes "function_types" "types of functions" 20_000 @ 200_000
    /// As for `types`; the group is read as one.
    GroupTypes "group_types" "types in one recursive group" 100_000
    /// The web allows 1,000,000. A library of CPython's has 918.
    Imports "imports" "imports" 100_000
    /// Those that are not imported. The web allows 1,000,000. Each takes 55 µs and 5.4 KiB, empty as it may be, and twice that
    /// if it is exported or in a table. DuckDB has 62,171, SQLite 4 a KiB of code.
    Functions "functions" "functions" 30_000 + 10 @ 55_000
    /// `sandbox::TABLES`, in one module. Pyodide has 3.
    Tables "tables" "tables" 64
    /// Tables of more than 1,048,576 elements are not counted: wasmtime does not write their first contents into the
    /// artifact, at 10 bytes an element. PHP has 12,067.
    TableElements "table_elements" "elements in its tables" 4_000_000
    /// `sandbox::MEMORIES`, in one module.
    Memories "memories" "memories" 16
    /// The largest real number is 2.
    Tags "tags" "tags" 10_000
    /// The web allows 1,000,000. Each takes 16 bytes of the pool's `INSTANCE_SIZE` of 4 MiB, which 262,144 would fill.
    /// DuckDB has 31,003.
    Globals "globals" "globals" 125_000
    /// The web allows 1,000,000. DuckDB has 75,111.
    Exports "exports" "exports" 310_000
    /// The web allows 100,000; each takes 3 KiB and 20 µs. CPython has 2.
    ElementSegments "element_segments" "element segments" 10_000 @ 20_000
    /// Those that are expressions, in passive segments, or not in a table's image: each is computed when the module starts, at
    /// 55 µs and 6.5 KiB. DuckDB has 42,170, whose table is imported.
    ElementExpressions "element_expressions" "elements that are computed when it starts" 30_000 + 10 @ 55_000
    /// The web's, in one module; 100,000 take 10 ms. esbuild has 98,450: Go's linker knows the limit.
    DataSegments "data_segments" "data segments" 100_000
    /// What wasmtime's images of memories have beside the file's data: zeros between segments, and 64 KiB for each memory.
    /// PHP has 7.7 MB.
    ImagePadding "image_padding" "bytes between its data" 16_777_216 + 4_096
    /// The largest real number is 4.
    ExpressionSize "expression_size" "instructions in one constant expression" 100_000

    // One function.

    /// The web allows 7,654,321. Each takes 450 bytes while its function is compiled. DuckDB has one of 905,582 in 28 MiB of
    /// code, CPython one of 426,843 in 6.
    FunctionBytes "function_bytes" "bytes" 600_000 + 100
    /// The web allows 50,000. DuckDB has 612; builds without optimization have more.
    Locals "locals" "parameters and locals" 10_000
    /// esbuild has 3,289: one for each case of a large `switch`.
    BlockDepth "block_depth" "blocks inside each other" 13_500
    /// Blocks of the compiled code, see `expansion`; 36,000 in one function take 4 s and 90 MiB. PHP has 10,341; languages
    /// with a collector, of which none was measured, allocate their constants in one function.
    Blocks "blocks" "blocks" 36_000
    /// Each is a region of memory to cranelift, which knows 65,535 and takes 3 ns for each pair of them. DuckDB has 20,874:
    /// a little more than half of what it may have.
    UsedGlobals "used_globals" "globals that it uses" 40_000
    /// DuckDB has 559.
    Loops "loops" "loops" 2_500
    /// Each takes 1.7 KiB until its function is compiled. Ruby has 4,192.
    Calls "calls" "calls" 20_000

    // All functions together. What a large file may have more is two and a half times, or more, what the densest real one has.

    /// Ten bytes of a file can have 10,000 of them: each takes 10 ns. DuckDB has 419,071.
    AllLocals "all_locals" "parameters and locals in all its functions" 2_000_000 @ 10
    /// See `expansion`: 4 µs and 130 bytes each. Go and Pyodide have 85 a KiB of code; languages with a collector have
    /// more, of which none was measured.
    Parts "parts" "parts of compiled code" 300_000 + 800 @ 4_000
    /// cranelift's time grows with the square of a function's blocks, 3 ns a pair. StarlingMonkey has 30,000 a KiB of code.
    BlockPairs "block_pairs" "pairs of blocks in the same function" 1_300_000_000 + 80_000 @ 3
    /// The construction of SSA keeps, for each local, the value that it has in each block: 0.1 µs and 12 bytes a pair, for
    /// loops 0.8 µs. PHP has 1,010 a KiB of code.
    BlockLocals "block_locals" "pairs of a block and a local in the same function" 1_000_000 + 3_000 @ 100
    /// What is live in a block, see `liveness`, goes through each pass of the register allocator. jco has 1,310 a KiB of code.
    LiveValues "live_values" "pairs of a block and a value that is live in it" 2_000_000 + 6_000 @ 120
    /// Each local that is set on one of the ways to a block and read afterwards becomes a parameter of the block, with an
    /// argument for each way: 2 µs and 150 bytes each. Ruby has 246 a KiB of code, esbuild 178.
    JoinedValues "joined_values" "values that are handed over where ways meet" 200_000 + 750 @ 2_000
    /// The register allocator may look through all arguments of a function's blocks for each value that is live in each
    /// block, 2 to 4 ns a pair; in real code it seldom does. Both numbers grow with the function, and the largest function with
    /// the file: the cube leaves small files little, and each real one two and a half times what it has. QuickJS has 350 million, jco
    /// 19 billion, Ruby 661 billion.
    JoinPairs "join_pairs" "pairs of a value that is handed over and one that is live in the same function" 900_000_000 ^ 3
    /// The check of the epoch in each loop makes what it reads live in all of them, 0.25 µs a pair, however they are
    /// nested. DuckDB has 1,805,086.
    LoopPairs "loop_pairs" "pairs of loops in the same function" 8_000_000 @ 250
    /// A call that may collect keeps a list of the references that are live across it, 0.2 µs and 35 bytes each. Counted are
    /// the locals that are references and all values on the operand stack. DuckDB has 101,730.
    CallReferences "call_references" "pairs of a call and a reference that may be live across it" 4_000_000 + 10_000 @ 200
    /// What a type or a function has in parameters and results, or an instruction of two bytes passes on, takes 20 µs and
    /// 0.5 KiB a value. DuckDB has 26,377.
    WideValues "wide_values" "values beyond 8 that a type, a function or an instruction passes on" 100_000 @ 20_000

    /// What the rows of this table that tell their nanoseconds take together. The instructions themselves come on top, about
    /// 1 µs a byte, which a file of that size takes in any case. Ruby has the most for each KiB of code, 1.1 ms: 12.9
    /// seconds of the 39 that it may have.
    Work "work" "nanoseconds of estimated compilation" 5_000_000_000 + 3_000_000

    // A component.

    /// CPython has 14, and with large libraries some 50.
    Modules "modules" "core modules" 256
    /// The largest real number is 1.
    Components "components" "components inside it" 256
    /// The largest real number is 2.
    ComponentDepth "component_depth" "components inside each other" 16
    /// Counted as often as the components around them are instantiated. CPython has 4,155.
    ComponentItems "component_items" "items in its components and their types" 20_000
    /// `sandbox::INSTANCES`: more are refused to a guest. CPython has 14, and with large libraries some 50.
    CoreInstances "core_instances" "core instances" 64
    /// Of core instances, by which memories are named for canonical functions; counted as instances are. The adapters between
    /// components are one module, in which wasmparser allows 100 memories. Real components have 1.
    MemoryAliases "memory_aliases" "aliases of memories" 90
    /// The parts of the types of the functions that its components lower, counted as instances are: where another component
    /// lifts the function, 50 µs are taken to compile what is between them. CPython has 4,553.
    Lowered "lowered" "parts in the types of functions that it lowers" 80_000 @ 50_000
    /// Counted as often as the components around them are instantiated. The largest real number is 1.
    ComponentInstances "component_instances" "component instances" 256
    /// wasmparser allows 100 and panics beyond 127; the stack of what compiles must do (`COMPILE_STACK`). Real components
    /// have 2.
    TypeDepth "type_depth" "instance and component types inside each other" 50
    /// wasmparser allows 1,000,000, for which wasmtime takes gigabytes. CPython has 1,382.
    TypeSize "type_size" "parts in one component type with all that it refers to" 10_000
    /// wasmtime takes up to 1.3 KiB and 6 µs for each. CPython has 24,437.
    AllTypeSizes "all_type_sizes" "parts in all its component types with all that they refer to" 200_000 @ 6_000
}

/// What a guest may have at most of what its store counts too: tables, memories and core instances.
pub(crate) const COUNTED_BY_STORES: [u64; 3] =
    [Limit::Tables.most(), Limit::Memories.most(), Limit::CoreInstances.most()];

/// The largest number of each kind that was met.
pub(super) struct Tally {
    found: [u64; Limit::ALL.len()],
    /// The code in the file.
    code_bytes: usize,
}

impl Tally {
    pub fn new(code_bytes: usize) -> Self {
        Tally { found: [0; Limit::ALL.len()], code_bytes }
    }

    /// Notes that there are so many of something.
    pub fn reach(&mut self, limit: Limit, found: u64) -> Result<(), Problem> {
        let largest = &mut self.found[limit as usize];
        *largest = found.max(*largest);
        let most = limit.most_of(self.code_bytes);
        if found > most {
            return Err(Problem::Excess { limit, found, most, place: Place::File });
        }
        Ok(())
    }

    /// Notes so many more of something.
    pub fn add(&mut self, limit: Limit, more: u64) -> Result<(), Problem> {
        self.reach(limit, self.found[limit as usize].saturating_add(more))?;
        match limit.each() {
            0 => Ok(()),
            each => self.add(Limit::Work, more.saturating_mul(each)),
        }
    }

    /// Notes so many more pairs of [`Limit::JoinPairs`]. They take 3 ns each in small files; in large ones, which have most of
    /// them far from each other, much less.
    pub fn add_join_pairs(&mut self, more: u64) -> Result<(), Problem> {
        const LARGE: usize = 1 << 20;
        self.add(Limit::JoinPairs, more)?;
        if self.code_bytes < LARGE { self.add(Limit::Work, more.saturating_mul(3)) } else { Ok(()) }
    }

    /// Whether compilation takes less than a second, by what has been noted.
    pub fn is_small(&self) -> bool {
        // A byte of code takes 1 µs.
        let code = (self.code_bytes as u64).saturating_mul(1_000);
        self.found[Limit::Work as usize].saturating_add(code) < 1_000_000_000
    }

    #[cfg(test)]
    pub fn of(&self, limit: Limit) -> u64 {
        self.found[limit as usize]
    }
}
