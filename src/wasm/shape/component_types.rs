//! The types of components.
//!
//! These types refer to each other by index, and instance and component types are also written inside each other. The
//! validator and the compiler go from a type into everything that it refers to. They do so by recursion, and twice for
//! what is referred to twice.
//!
//! A type is therefore counted by its [`Extent`], which includes all that it refers to. The extent follows from those
//! of the types before it. An item that is taken out of an instance by its name gets the extent of the instance's
//! largest member: never too little.

use super::component::Component;
use super::extent::{Extent, Part, Scope};
use super::limits::Limit;
use super::problem::Problem;
use super::totals::Totals;
use wasmparser::{
    BinaryReader, ComponentAlias, ComponentDefinedType, ComponentExternName, ComponentExternalKind, ComponentFuncType,
    ComponentImport, ComponentOuterAliasKind, ComponentType, ComponentTypeRef, ComponentValType, CoreType,
    ExternalKind, TypeBounds,
};

type Result<T = ()> = std::result::Result<T, Problem>;

impl Component {
    pub fn scope(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// Counts items of the innermost scope. Each instance of that component will have them too.
    pub fn items(&mut self, count: u64, totals: &mut Totals) -> Result {
        let scope = self.scope();
        scope.items = scope.items.saturating_add(count);
        totals.tally.add(Limit::ComponentItems, count)
    }

    /// Counts aliases of memories, in the same way as items.
    pub fn memory_aliases(&mut self, count: u64, totals: &mut Totals) -> Result {
        let scope = self.scope();
        scope.memory_aliases = scope.memory_aliases.saturating_add(count);
        totals.tally.add(Limit::MemoryAliases, count)
    }

    /// Counts parts of the types of lowered functions, in the same way as items.
    pub fn lower(&mut self, parts: u64, totals: &mut Totals) -> Result {
        let scope = self.scope();
        scope.lowered = scope.lowered.saturating_add(parts);
        totals.tally.add(Limit::Lowered, parts)
    }

    /// Counts an item of this extent.
    pub fn note(&mut self, extent: Extent, totals: &mut Totals) -> Result {
        self.items(1, totals)?;
        totals.tally.note_max(Limit::TypeDepth, u64::from(extent.depth))?;
        totals.tally.note_max(Limit::TypeSize, u64::from(extent.size))?;
        totals.tally.add(Limit::AllTypeSizes, u64::from(extent.size))
    }

    /// Reads the definition of a type.
    pub fn define(&mut self, reader: &mut BinaryReader<'_>, totals: &mut Totals) -> Result {
        let extent = self.defined(reader, totals)?;
        self.scope().types.push(extent);
        self.note(extent, totals)
    }

    fn defined(&mut self, reader: &mut BinaryReader<'_>, totals: &mut Totals) -> Result<Extent> {
        const COMPONENT: u8 = 0x41;
        const INSTANCE: u8 = 0x42;
        let mut inside = reader.clone();
        let kind = inside.read_u8()?;
        if kind != COMPONENT && kind != INSTANCE {
            // No other kind of type has types written inside it.
            return match reader.read()? {
                ComponentType::Func(ty) => self.function(&ty, totals),
                ComponentType::Defined(ty) => self.value(&ty, totals),
                ComponentType::Resource { .. } => Ok(Extent::LEAF),
                ComponentType::Component(_) | ComponentType::Instance(_) => Ok(Extent::LEAF),
            };
        }
        *reader = inside;
        self.scopes.push(Scope::default());
        totals.tally.note_max(Limit::TypeDepth, self.scopes.len() as u64 - 1)?;
        for _ in 0..reader.read_var_u32()? {
            self.declaration(reader, totals)?;
        }
        let inner = self.scopes.pop().unwrap_or_default();
        let scope = self.scope();
        scope.items = scope.items.saturating_add(inner.items);
        Ok(inner.own.enclosed())
    }

    fn declaration(&mut self, reader: &mut BinaryReader<'_>, totals: &mut Totals) -> Result {
        match reader.read_u8()? {
            0x00 => self.core_type(&reader.read()?, totals),
            0x01 => self.define(reader, totals),
            0x02 => self.alias(&reader.read()?, totals),
            0x03 => self.import(&reader.read::<ComponentImport<'_>>()?.ty, totals).map(|_| ()),
            0x04 => {
                reader.read::<ComponentExternName<'_>>()?;
                self.import(&reader.read()?, totals).map(|_| ())
            }
            kind => Err(Problem::Other(format!("a type has a declaration of the unknown kind {kind:#x}"))),
        }
    }

    pub fn core_type(&mut self, ty: &CoreType<'_>, totals: &mut Totals) -> Result {
        let parts = match ty {
            CoreType::Rec(group) => group.types().len(),
            CoreType::Module(declarations) => 1 + declarations.len(),
        };
        self.items(parts as u64, totals)
    }

    fn function(&mut self, ty: &ComponentFuncType<'_>, totals: &mut Totals) -> Result<Extent> {
        let params = ty.params.iter().map(|(_, ty)| *ty);
        self.of(params.chain(ty.result), totals)
    }

    fn value(&mut self, ty: &ComponentDefinedType<'_>, totals: &mut Totals) -> Result<Extent> {
        use ComponentDefinedType as Ty;
        match ty {
            Ty::Primitive(_) | Ty::Own(_) | Ty::Borrow(_) => Ok(Extent::LEAF),
            Ty::Flags(names) | Ty::Enum(names) => {
                self.items(names.len() as u64, totals)?;
                Ok(Extent { size: 1 + names.len() as u32, ..Extent::LEAF })
            }
            Ty::Record(fields) => self.of(fields.iter().map(|(_, ty)| *ty), totals),
            Ty::Variant(cases) => {
                let bare = cases.iter().filter(|case| case.ty.is_none()).count();
                self.items(bare as u64, totals)?;
                let extent = self.of(cases.iter().filter_map(|case| case.ty), totals)?;
                Ok(Extent { size: extent.size.saturating_add(bare as u32), ..extent })
            }
            Ty::Tuple(types) => self.of(types.iter().copied(), totals),
            Ty::List(ty) | Ty::FixedLengthList(ty, _) | Ty::Option(ty) => self.of([*ty], totals),
            Ty::Map(key, value) => self.of([*key, *value], totals),
            Ty::Result { ok, err } => self.of(ok.iter().chain(err).copied(), totals),
            Ty::Future(ty) | Ty::Stream(ty) => self.of(*ty, totals),
        }
    }

    /// The extent of a type that has values of these types.
    fn of(&mut self, types: impl IntoIterator<Item = ComponentValType>, totals: &mut Totals) -> Result<Extent> {
        let mut extent = Extent::LEAF;
        for ty in types {
            self.items(1, totals)?;
            extent.size = extent.size.saturating_add(match ty {
                ComponentValType::Primitive(_) => 1,
                ComponentValType::Type(index) => self.scope().ty(index).size,
            });
        }
        Ok(extent)
    }

    /// Notes an import, or an export in a type: an item of which only the type is known.
    pub fn import(&mut self, ty: &ComponentTypeRef, totals: &mut Totals) -> Result<Extent> {
        let extent = self.refer(ty);
        self.scope().own.contain(extent);
        self.note(extent, totals)?;
        Ok(extent)
    }

    /// Adds an item of which only the type is known to its index space.
    pub fn refer(&mut self, ty: &ComponentTypeRef) -> Extent {
        let scope = self.scope();
        let demanded = |extent| Extent { demands: true, ..extent };
        match ty {
            ComponentTypeRef::Module(_) => {
                scope.modules.push(None);
                demanded(Extent::LEAF)
            }
            ComponentTypeRef::Func(ty) => {
                let ty = scope.ty(*ty);
                scope.functions.push(ty);
                demanded(ty)
            }
            ComponentTypeRef::Value(ComponentValType::Type(ty)) => demanded(scope.ty(*ty)),
            ComponentTypeRef::Value(ComponentValType::Primitive(_)) => demanded(Extent::LEAF),
            ComponentTypeRef::Type(bounds) => {
                let ty = match bounds {
                    TypeBounds::Eq(ty) => scope.ty(*ty),
                    TypeBounds::SubResource => Extent::LEAF,
                };
                scope.types.push(ty);
                Extent { demands: *bounds == TypeBounds::SubResource, ..ty }
            }
            ComponentTypeRef::Instance(ty) => {
                let ty = scope.ty(*ty);
                scope.instances.push(ty);
                ty
            }
            ComponentTypeRef::Component(ty) => {
                let extent = demanded(scope.ty(*ty));
                scope.components.push(Part { extent, ..Part::default() });
                extent
            }
        }
    }

    pub fn alias(&mut self, alias: &ComponentAlias<'_>, totals: &mut Totals) -> Result {
        let extent = match *alias {
            ComponentAlias::InstanceExport { kind, instance_index, .. } => {
                let extent = self.scope().item(ComponentExternalKind::Instance, instance_index).member();
                match kind {
                    ComponentExternalKind::Type => self.scope().types.push(extent),
                    ComponentExternalKind::Instance => self.scope().instances.push(extent),
                    ComponentExternalKind::Component => {
                        self.scope().components.push(Part { extent, ..Part::default() });
                    }
                    ComponentExternalKind::Func => self.scope().functions.push(extent),
                    ComponentExternalKind::Module => self.scope().modules.push(None),
                    ComponentExternalKind::Value => {}
                }
                extent
            }
            ComponentAlias::CoreInstanceExport { kind, .. } => {
                if kind == ExternalKind::Memory {
                    self.memory_aliases(1, totals)?;
                }
                Extent::LEAF
            }
            ComponentAlias::Outer { kind, count, index } => {
                let outer = (self.scopes.len() - 1).checked_sub(count as usize).map(|outer| &self.scopes[outer]);
                let part = outer.and_then(|scope| scope.components.get(index as usize)).copied().unwrap_or_default();
                let module = outer.and_then(|scope| scope.modules.get(index as usize)).copied().unwrap_or_default();
                let ty = outer.map_or(Extent::LEAF, |scope| scope.ty(index));
                match kind {
                    ComponentOuterAliasKind::Type => self.scope().types.push(ty),
                    ComponentOuterAliasKind::Component => self.scope().components.push(part),
                    ComponentOuterAliasKind::CoreModule => self.scope().modules.push(module),
                    ComponentOuterAliasKind::CoreType => {}
                }
                match kind {
                    ComponentOuterAliasKind::Type => ty,
                    ComponentOuterAliasKind::Component => part.extent,
                    ComponentOuterAliasKind::CoreModule | ComponentOuterAliasKind::CoreType => Extent::LEAF,
                }
            }
        };
        self.note(extent, totals)
    }
}
