//! The sections of a component, and of the components inside it.

use super::extent::{Counts, Extent, Part, Scope};
use super::limits::Limit;
use super::problem::Problem;
use super::provided::Provided;
use super::totals::Totals;
use crate::error::quoted;
use wasmparser::{
    BinaryReader, CanonicalFunction, ComponentExport, ComponentExternalKind, ComponentInstance, Instance, Payload,
};

type Result<T = ()> = std::result::Result<T, Problem>;

/// The walk over a component.
#[derive(Default)]
pub(super) struct Component {
    /// The components, and the component and instance types, that the walk is inside of; the outermost first.
    pub scopes: Vec<Scope>,
    /// The first import that nobody provides.
    import: Option<String>,
    /// Whether the outermost component exports `wasi:cli/run`, as a WASI command does.
    runs: bool,
}

impl Component {
    /// Enters a component.
    pub fn begin(&mut self, totals: &mut Totals) -> Result {
        self.scopes.push(Scope::default());
        totals.tally.note_max(Limit::ComponentDepth, self.scopes.len() as u64)
    }

    /// Adds a core module.
    pub fn module(&mut self, counts: Counts) {
        self.scope().modules.push(Some(counts));
    }

    /// Adds the tables and memories of a core instance, or of the core instances in a component instance.
    fn stores(&mut self, counts: Counts, totals: &mut Totals) -> Result {
        self.scope().counts.add(counts);
        let Counts { tables, memories } = self.scope().counts;
        totals.tally.note_max(Limit::Tables, tables)?;
        totals.tally.note_max(Limit::Memories, memories)
    }

    /// Leaves a component. From now on the component around it can instantiate it.
    pub fn end(&mut self) {
        let ended = self.scopes.pop().unwrap_or_default();
        self.scope().components.push(ended.into_part());
    }

    pub fn section(
        &mut self,
        wasm: &[u8],
        payload: Payload<'_>,
        provided: &dyn Provided,
        totals: &mut Totals,
    ) -> Result {
        match payload {
            Payload::ComponentTypeSection(section) => {
                let range = section.range();
                let mut reader = BinaryReader::new(&wasm[range.clone()], range.start);
                for _ in 0..reader.read_var_u32()? {
                    self.define(&mut reader, totals)?;
                }
            }
            Payload::CoreTypeSection(section) => {
                for ty in section {
                    self.core_type(&ty?, totals)?;
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    let extent = self.import(&import.ty, totals)?;
                    if self.scopes.len() == 1 && self.import.is_none() && extent.demands {
                        let name = [import.name.name, import.name.version_suffix.unwrap_or_default()].concat();
                        self.import = Some(name).filter(|name| !provided.interface(name));
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(&alias?, totals)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.export(&export?, totals)?;
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    match instance? {
                        Instance::Instantiate { module_index, args } => {
                            self.items(1 + args.len() as u64, totals)?;
                            let Some(module) = self.scope().modules.get(module_index as usize).copied().flatten()
                            else {
                                let message = "it instantiates a core module that it imports or takes out of an \
                                               instance, which this library does not run: put the module into it";
                                return Err(Problem::Other(message.to_owned()));
                            };
                            self.scope().core_instances += 1;
                            self.stores(module, totals)?;
                        }
                        Instance::FromExports(exports) => self.items(1 + exports.len() as u64, totals)?,
                    }
                }
                let found = self.scope().core_instances;
                totals.tally.note_max(Limit::CoreInstances, found)?;
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    self.instance(&instance?, totals)?;
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
                            self.lower(u64::from(ty.size), totals)?;
                            Extent::LEAF
                        }
                        _ => Extent::LEAF,
                    };
                    self.note(ty, totals)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn export(&mut self, export: &ComponentExport<'_>, totals: &mut Totals) -> Result {
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
            // If the export has a type, `refer` has added an entry that knows the type alone. The entry of the exported
            // component replaces it.
            scope.components.truncate(scope.components.len() - usize::from(export.ty.is_some()));
            scope.components.push(part);
        }
        self.scope().own.contain(extent);
        self.note(extent, totals)
    }

    fn instance(&mut self, instance: &ComponentInstance<'_>, totals: &mut Totals) -> Result {
        match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                let part = self.scope().components.get(*component_index as usize).copied().unwrap_or_default();
                let Part { extent, instances, counts, memory_aliases, lowered, items } = part;
                let Some((core, component)) = instances else {
                    let message = "it instantiates a component that it imports or takes out of an instance, which this \
                                   library does not run: put the component into it";
                    return Err(Problem::Other(message.to_owned()));
                };
                self.items(items.saturating_add(args.len() as u64), totals)?;
                self.memory_aliases(memory_aliases, totals)?;
                self.lower(lowered, totals)?;
                self.stores(counts, totals)?;
                let scope = self.scope();
                scope.core_instances = scope.core_instances.saturating_add(core);
                scope.component_instances = scope.component_instances.saturating_add(component + 1);
                scope.instances.push(extent);
                let (core, component) = (scope.core_instances, scope.component_instances);
                totals.tally.note_max(Limit::CoreInstances, core)?;
                totals.tally.note_max(Limit::ComponentInstances, component)?;
                self.note(extent, totals)
            }
            ComponentInstance::FromExports(exports) => {
                self.items(exports.len() as u64, totals)?;
                let mut own = Extent::default();
                for export in exports {
                    own.contain(self.scope().item(export.kind, export.index));
                }
                let extent = own.enclosed();
                self.scope().instances.push(extent);
                self.note(extent, totals)
            }
        }
    }

    /// What keeps the component from being run as a WASI command.
    pub fn check(&mut self) -> Result {
        if let Some(import) = self.import.take() {
            return Err(Problem::Unmet(quoted(&import).into_owned()));
        }
        if !self.runs {
            let message = "it does not export `wasi:cli/run`, so it is not a WASI command";
            return Err(Problem::Other(message.to_owned()));
        }
        Ok(())
    }
}
