//! The limits of a file, in one table.
//!
//! A limit is the lowest of three numbers:
//!
//! 1. what the web's engines allow (<https://webassembly.github.io/spec/js-api/#limits>);
//! 2. what wasmtime can do;
//! 3. where the compiler's cost grows faster than the file: a number that is at least two and a half times what the
//!    largest real file has.
//!
//! Where real files have more of something the larger they are, the limit is a fixed number and an addition for each
//! KiB of code in the file.
//!
//! The real files are CPython 3.14 (componentize-py 0.25), Ruby 3.4, PHP 8.3 (Emscripten, asyncify), esbuild 0.28 (Go),
//! DuckDB 1.32 (Emscripten), StarlingMonkey (componentize-js 0.23), Pyodide 314, SQLite, QuickJS, jco and the builtins.
//! Times and bytes are what the compiler takes for each, on one core.
//!
//! Some things have no row, since wasmparser's readers limit them, with the numbers of the web: parameters and results
//! of a function (1,000 each), fields (10,000), clauses of a `try_table` (10,000), bytes of a name (100,000).

macro_rules! limits {
    // `a + b` allows a, and b for each KiB of code. `a ^ b` allows a, and b times the cube of the KiB of code. `@` is
    // the time in nanoseconds that the compiler takes for each.
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

            /// How much more a file may have for each KiB of code, and times the cube of the KiB of code.
            pub const fn more(self) -> (u64, u64) {
                match self { $(Limit::$limit => (0 $(+ $more)?, 0 $(+ $cube)?)),* }
            }

            /// The nanoseconds that the compiler takes for each, as counted in `work`; 0 if they are not counted.
            pub const fn each(self) -> u64 {
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
    // Modules. A limit is for all modules of a file together, unless it says "in one module".

    /// The web allows 1,000,000. Structs and arrays are cheap: 100,000 take 0.3 s.
    Types "types" "types" 100_000
    /// The compiler makes trampolines for each: 0.2 ms and 8 KiB. DuckDB has 662.
    FunctionTypes "function_types" "types of functions" 20_000 @ 200_000
    /// As many as `types`: one group may have all types of a file. A group is read as a whole.
    GroupTypes "group_types" "types in one recursive group" 100_000
    /// The web allows 1,000,000. One of CPython's libraries has 918.
    Imports "imports" "imports" 100_000
    /// Functions that are not imported. The web allows 1,000,000. Each takes 55 µs and 5.4 KiB even if it is empty, and
    /// twice that if it is exported or in a table. DuckDB has 62,171, SQLite 4 for each KiB of code.
    Functions "functions" "functions" 30_000 + 10 @ 55_000
    /// In one module, and in the instances of a component together: `sandbox::TABLES`. Pyodide has 3.
    Tables "tables" "tables" 64
    /// wasmtime writes the first contents of a table into the artifact, at 10 bytes for each element. Tables of more
    /// than 1,048,576 elements are not counted, since their contents are not written. PHP has 12,067.
    TableElements "table_elements" "elements in its tables" 4_000_000
    /// In one module, and in the instances of a component together: `sandbox::MEMORIES`.
    Memories "memories" "memories" 16
    /// The largest real number is 2.
    Tags "tags" "tags" 10_000
    /// The web allows 1,000,000. Each takes 16 bytes of an instance, for which the pool has an `INSTANCE_SIZE` of 4
    /// MiB: 262,144 globals would fill it. DuckDB has 31,003.
    Globals "globals" "globals" 125_000
    /// The web allows 1,000,000. DuckDB has 75,111.
    Exports "exports" "exports" 310_000
    /// The web allows 100,000. Each takes 3 KiB and 20 µs. CPython has 2.
    ElementSegments "element_segments" "element segments" 10_000 @ 20_000
    /// Elements that are computed when the module starts: those that are expressions, that are in passive segments, or
    /// that are not in a table's image. Each takes 55 µs and 6.5 KiB. DuckDB, whose table is imported, has 42,170.
    ElementExpressions "element_expressions" "elements that are computed when it starts" 30_000 + 10 @ 55_000
    /// In one module; the number is the web's. 100,000 take 10 ms. esbuild has 98,450: Go's linker keeps to the web's
    /// limit.
    DataSegments "data_segments" "data segments" 100_000
    /// Bytes that wasmtime's images of memories have in addition to the data of the file: zeros between segments, and
    /// 64 KiB for each memory. PHP has 7.7 MB.
    ImagePadding "image_padding" "bytes of zeros between its data" 16_777_216 + 4_096
    /// The largest real number is 4.
    ExpressionSize "expression_size" "instructions in one constant expression" 100_000

    // Limits of one function.

    /// The web allows 7,654,321. The compiler takes 450 bytes for each byte until it has compiled the function. DuckDB
    /// has a function of 905,582 bytes in 28 MiB of code, CPython one of 426,843 bytes in 6 MiB.
    FunctionBytes "function_bytes" "bytes" 600_000 + 100
    /// The web allows 50,000. DuckDB has 612; builds without optimization have more.
    Locals "locals" "parameters and locals" 10_000
    /// esbuild has 3,289: a block for each case of a large `switch`.
    BlockDepth "block_depth" "levels of nested blocks" 13_500
    /// Basic blocks of the compiled code, see `expansion`. 36,000 in one function take 4 s and 90 MiB. PHP has 10,341.
    /// Languages with a garbage collector allocate their constants in one function; none of them was measured.
    Blocks "blocks" "blocks" 36_000
    /// cranelift has a region of memory for each global: it allows 65,535 of them and takes 3 ns for each pair. DuckDB
    /// has 20,874, which is a little more than half of the limit.
    UsedGlobals "used_globals" "globals that it uses" 40_000
    /// DuckDB has 559.
    Loops "loops" "loops" 2_500
    /// Each takes 1.7 KiB until the compiler has compiled the function. Ruby has 4,192.
    Calls "calls" "calls" 20_000

    // Limits of all functions together. The addition for each KiB of code is at least two and a half times what the
    // densest real file has.

    /// A file can declare 10,000 locals in ten bytes. Each takes 10 ns. DuckDB has 419,071.
    AllLocals "all_locals" "parameters and locals in all its functions" 2_000_000 @ 10
    /// See `expansion`. Each takes 4 µs and 130 bytes. Go and Pyodide have 85 for each KiB of code. Languages with a
    /// garbage collector have more; none of them was measured.
    Parts "parts" "parts of compiled code" 300_000 + 800 @ 4_000
    /// cranelift's time grows with the square of a function's blocks: 3 ns for each pair. StarlingMonkey has 30,000 for
    /// each KiB of code.
    BlockPairs "block_pairs" "pairs of blocks in the same function" 1_300_000_000 + 80_000 @ 3
    /// The construction of SSA keeps the value that each local has in each block: 0.1 µs and 12 bytes for each pair, or
    /// 0.8 µs if the block is a loop. PHP has 1,010 for each KiB of code.
    BlockLocals "block_locals" "pairs of a block and a local in the same function" 1_000_000 + 3_000 @ 100
    /// Each pass of the register allocator goes through the values that are live in a block, see `liveness`. jco has
    /// 1,310 for each KiB of code.
    LiveValues "live_values" "pairs of a block and a value that is live in it" 2_000_000 + 6_000 @ 120
    /// A local that is set on one of the ways to a block and read afterwards becomes a parameter of the block, with an
    /// argument for each way. Each argument takes 2 µs and 150 bytes. Ruby has 246 for each KiB of code, esbuild 178.
    JoinedValues "joined_values" "values passed where control flow joins" 200_000 + 750 @ 2_000
    /// The register allocator may search all arguments of a function's blocks for each value that is live in each
    /// block: 2 to 4 ns for each pair. In real code it seldom does. Both factors grow with the function, and the
    /// largest function grows with the file. With the cube, a small file may have few pairs, and each real file two and
    /// a half times what it has. QuickJS has 350 million, jco 19 billion, Ruby 661 billion.
    JoinPairs "join_pairs" "pairs of a value passed where control flow joins and a value live in the same function" 900_000_000 ^ 3
    /// Each loop checks the epoch. What the check reads is therefore live in all loops, nested or not: 0.25 µs for each
    /// pair. DuckDB has 1,805,086.
    LoopPairs "loop_pairs" "pairs of loops in the same function" 8_000_000 @ 250
    /// A call that may collect garbage has a list of the references that are live across it: 0.2 µs and 35 bytes each.
    /// All locals that are references and all values on the operand stack are counted. DuckDB has 101,730.
    CallReferences "call_references" "pairs of a call and a reference that may be live across it" 4_000_000 + 10_000 @ 200
    /// The parameters and results of a type or a function, and the values that an instruction passes on, take 20 µs and
    /// 0.5 KiB each. An instruction of two bytes can pass on many. DuckDB has 26,377.
    WideValues "wide_values" "values beyond 8 that a type, a function or an instruction passes on" 100_000 @ 20_000

    /// The time of all rows of this table that have nanoseconds. It does not include the instructions themselves, which
    /// take about 1 µs for each byte: a file of that size takes that in any case. Ruby has the most for each KiB of
    /// code, 1.1 ms: 12.9 seconds of the 39 that it may have.
    Work "work" "nanoseconds of estimated compile time" 5_000_000_000 + 3_000_000

    // Limits of a component.

    /// CPython has 14, and about 50 with large libraries.
    Modules "modules" "core modules" 256
    /// The largest real number is 1.
    Components "components" "nested components" 256
    /// The largest real number is 2.
    ComponentDepth "component_depth" "levels of nested components" 16
    /// An item is counted once for each instance of the component that has it. CPython has 4,155.
    ComponentItems "component_items" "items in its components and their types" 20_000
    /// `sandbox::INSTANCES`: a guest may have no more. CPython has 14, and about 50 with large libraries.
    CoreInstances "core_instances" "core instances" 64
    /// Aliases of the memories of core instances, with which canonical functions name a memory; counted once for each
    /// instance of the component. The adapters between components are one module, in which wasmparser allows 100
    /// memories. Real components have 1.
    MemoryAliases "memory_aliases" "aliases of memories" 90
    /// The parts of the types of the functions that components lower, counted once for each instance of the component.
    /// If another component lifts the function, the compiler makes an adapter between the two: 50 µs for each part.
    /// CPython has 4,553.
    Lowered "lowered" "parts in the types of functions that it lowers" 80_000 @ 50_000
    /// An instance is counted once for each instance of the component that makes it. The largest real number is 1.
    ComponentInstances "component_instances" "component instances" 256
    /// wasmparser allows 100 and panics beyond 127. The stack of a thread that compiles must suffice (`COMPILE_STACK`).
    /// Real components have 2.
    TypeDepth "type_depth" "levels of nested instance and component types" 50
    /// wasmparser allows 1,000,000, for which wasmtime would take gigabytes. CPython has 1,382.
    TypeSize "type_size" "parts in one component type with all that it refers to" 10_000
    /// wasmtime takes up to 1.3 KiB and 6 µs for each. CPython has 24,437.
    AllTypeSizes "all_type_sizes" "parts in all its component types with all that they refer to" 200_000 @ 6_000
}

/// The limits of what a guest's store counts too: tables, memories and core instances.
pub(crate) const COUNTED_BY_STORES: [u64; 3] =
    [Limit::Tables.most(), Limit::Memories.most(), Limit::CoreInstances.most()];
