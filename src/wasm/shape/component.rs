//! The sections of a component and of those inside it.

use super::extent::{Counts, Extent, Part, Scope};
use super::findings::Findings;
use super::limits::Limit;
use super::problem::Problem;
use super::provided::Provided;
use crate::error::quoted;
use wasmparser::{
    BinaryReader, CanonicalFunction, ComponentExport, ComponentExternalKind, ComponentInstance, Instance, Payload,
};

type Result<T = ()> = std::result::Result<T, Problem>;

/// The components that are being walked over, each inside the one before.
#[derive(Default)]
pub(super) struct Component {
    pub scopes: Vec<Scope>,
    /// The first import that cannot be had.
    import: Option<String>,
    /// Whether the outermost exports what a command does.
    runs: bool,
}

impl Component {
    /// Enters a component.
    pub fn begin(&mut self, findings: &mut Findings) -> Result {
        self.scopes.push(Scope::default());
        findings.tally.reach(Limit::ComponentDepth, self.scopes.len() as u64)
    }

    /// Adds a core module.
    pub fn module(&mut self, counts: Counts) {
        self.scope().modules.push(Some(counts));
    }

    /// Adds what core instances have.
    fn stores(&mut self, counts: Counts, findings: &mut Findings) -> Result {
        self.scope().counts.add(counts);
        let Counts { tables, memories } = self.scope().counts;
        findings.tally.reach(Limit::Tables, tables)?;
        findings.tally.reach(Limit::Memories, memories)
    }

    /// Leaves a component, which the one around can instantiate from now on.
    pub fn end(&mut self) {
        let ended = self.scopes.pop().unwrap_or_default();
        self.scope().components.push(ended.into_part());
    }

    pub fn section(
        &mut self,
        wasm: &[u8],
        payload: Payload<'_>,
        provided: &dyn Provided,
        findings: &mut Findings,
    ) -> Result {
        match payload {
            Payload::ComponentTypeSection(section) => {
                let range = section.range();
                let mut reader = BinaryReader::new(&wasm[range.clone()], range.start);
                for _ in 0..reader.read_var_u32()? {
                    self.define(&mut reader, findings)?;
                }
            }
            Payload::CoreTypeSection(section) => {
                for ty in section {
                    self.core_type(&ty?, findings)?;
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    let extent = self.import(&import.ty, findings)?;
                    if self.scopes.len() == 1 && self.import.is_none() && extent.demands {
                        let name = [import.name.name, import.name.version_suffix.unwrap_or_default()].concat();
                        self.import = Some(name).filter(|name| !provided.interface(name));
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(&alias?, findings)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.export(&export?, findings)?;
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    match instance? {
                        Instance::Instantiate { module_index, args } => {
                            self.items(1 + args.len() as u64, findings)?;
                            let Some(module) = self.scope().modules.get(module_index as usize).copied().flatten()
                            else {
                                let message = "it instantiates a core module that it imports or takes out of an \
                                               instance, which this library does not run: put the module into it";
                                return Err(Problem::Other(message.to_owned()));
                            };
                            self.scope().core_instances += 1;
                            self.stores(module, findings)?;
                        }
                        Instance::FromExports(exports) => self.items(1 + exports.len() as u64, findings)?,
                    }
                }
                let found = self.scope().core_instances;
                findings.tally.reach(Limit::CoreInstances, found)?;
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    self.instance(&instance?, findings)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    let ty = match function? {
                        CanonicalFunction::Lift { type_index, .. } => {
                            let ty = self.scope().ty(type_index);
                            self.scope().functions.push(ty);
                            ty
                        }
                        CanonicalFunction::Lower { func_index, .. } => {
                            let ty = self.scope().item(ComponentExternalKind::Func, func_index);
                            self.lower(u64::from(ty.size), findings)?;
                            Extent::LEAF
                        }
                        _ => Extent::LEAF,
                    };
                    self.note(ty, findings)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn export(&mut self, export: &ComponentExport<'_>, findings: &mut Findings) -> Result {
        self.runs |= self.scopes.len() == 1 && export.name.name.starts_with("wasi:cli/run");
        let extent = match &export.ty {
            Some(ty) => self.refer(ty),
            None => {
                let extent = self.scope().item(export.kind, export.index);
                match export.kind {
                    ComponentExternalKind::Type => self.scope().types.push(extent),
                    ComponentExternalKind::Instance => self.scope().instances.push(extent),
                    ComponentExternalKind::Func => self.scope().functions.push(extent),
                    _ => {}
                }
                extent
            }
        };
        if export.kind == ComponentExternalKind::Module {
            let scope = self.scope();
            let module = scope.modules.get(export.index as usize).copied().unwrap_or_default();
            scope.modules.truncate(scope.modules.len() - usize::from(export.ty.is_some()));
            scope.modules.push(module);
        }
        if export.kind == ComponentExternalKind::Component {
            let scope = self.scope();
            let part = scope.components.get(export.index as usize).copied().unwrap_or_default();
            // In the place of the one that its type alone tells of.
            scope.components.truncate(scope.components.len() - usize::from(export.ty.is_some()));
            scope.components.push(part);
        }
        self.scope().own.contain(extent);
        self.note(extent, findings)
    }

    fn instance(&mut self, instance: &ComponentInstance<'_>, findings: &mut Findings) -> Result {
        match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                let part = self.scope().components.get(*component_index as usize).copied().unwrap_or_default();
                let Part { extent, instances, counts, memory_aliases, lowered, items } = part;
                let Some((core, component)) = instances else {
                    let message = "it instantiates a component that it imports or takes out of an instance, which this \
                                   library does not run: put the component into it";
                    return Err(Problem::Other(message.to_owned()));
                };
                self.items(items.saturating_add(args.len() as u64), findings)?;
                self.memory_aliases(memory_aliases, findings)?;
                self.lower(lowered, findings)?;
                self.stores(counts, findings)?;
                let scope = self.scope();
                scope.core_instances = scope.core_instances.saturating_add(core);
                scope.component_instances = scope.component_instances.saturating_add(component + 1);
                scope.instances.push(extent);
                let (core, component) = (scope.core_instances, scope.component_instances);
                findings.tally.reach(Limit::CoreInstances, core)?;
                findings.tally.reach(Limit::ComponentInstances, component)?;
                self.note(extent, findings)
            }
            ComponentInstance::FromExports(exports) => {
                self.items(exports.len() as u64, findings)?;
                let mut own = Extent::default();
                for export in exports {
                    own.contain(self.scope().item(export.kind, export.index));
                }
                let extent = own.enclosed();
                self.scope().instances.push(extent);
                self.note(extent, findings)
            }
        }
    }

    /// What keeps the component from being run as a WASI command.
    pub fn check(&mut self) -> Result {
        if let Some(import) = self.import.take() {
            return Err(Problem::Unmet(quoted(&import).into_owned()));
        }
        if !self.runs {
            let message = "it does not export `wasi:cli/run`: it is no WASI command";
            return Err(Problem::Other(message.to_owned()));
        }
        Ok(())
    }
}
