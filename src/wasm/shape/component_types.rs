//! The types of components, which refer to each other by index and are written inside each other.
//!
//! What validator and compiler do with a type goes down into everything that it refers to, by native recursion and, where a
//! type is referred to twice, twice. So what is counted of a type is its [`Extent`] with all that it refers to, which is
//! known from the extents of the types before it. An item that is taken out of an instance by its name has the extent of
//! the largest that the instance has: never too little.

use super::component::Component;
use super::extent::{Extent, Part, Scope};
use super::findings::Findings;
use super::limits::Limit;
use super::problem::Problem;
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

    /// Counts items, and the instances of what they are in have them too.
    pub fn items(&mut self, count: u64, findings: &mut Findings) -> Result {
        let scope = self.scope();
        scope.items = scope.items.saturating_add(count);
        findings.tally.add(Limit::ComponentItems, count)
    }

    /// Counts aliases of memories, as items are counted.
    pub fn memory_aliases(&mut self, count: u64, findings: &mut Findings) -> Result {
        let scope = self.scope();
        scope.memory_aliases = scope.memory_aliases.saturating_add(count);
        findings.tally.add(Limit::MemoryAliases, count)
    }

    /// Counts parts of the types of functions that are lowered, as items are counted.
    pub fn lower(&mut self, parts: u64, findings: &mut Findings) -> Result {
        let scope = self.scope();
        scope.lowered = scope.lowered.saturating_add(parts);
        findings.tally.add(Limit::Lowered, parts)
    }

    /// Counts an item of this extent.
    pub fn note(&mut self, extent: Extent, findings: &mut Findings) -> Result {
        self.items(1, findings)?;
        findings.tally.reach(Limit::TypeDepth, u64::from(extent.depth))?;
        findings.tally.reach(Limit::TypeSize, u64::from(extent.size))?;
        findings.tally.add(Limit::AllTypeSizes, u64::from(extent.size))
    }

    /// Reads the definition of a type.
    pub fn define(&mut self, reader: &mut BinaryReader<'_>, findings: &mut Findings) -> Result {
        let extent = self.defined(reader, findings)?;
        self.scope().types.push(extent);
        self.note(extent, findings)
    }

    fn defined(&mut self, reader: &mut BinaryReader<'_>, findings: &mut Findings) -> Result<Extent> {
        const COMPONENT: u8 = 0x41;
        const INSTANCE: u8 = 0x42;
        let mut inside = reader.clone();
        let kind = inside.read_u8()?;
        if kind != COMPONENT && kind != INSTANCE {
            // None of the others has a type written inside it.
            return match reader.read()? {
                ComponentType::Func(ty) => self.function(&ty, findings),
                ComponentType::Defined(ty) => self.value(&ty, findings),
                ComponentType::Resource { .. } => Ok(Extent::LEAF),
                ComponentType::Component(_) | ComponentType::Instance(_) => Ok(Extent::LEAF),
            };
        }
        *reader = inside;
        self.scopes.push(Scope::default());
        findings.tally.reach(Limit::TypeDepth, self.scopes.len() as u64 - 1)?;
        for _ in 0..reader.read_var_u32()? {
            self.declaration(reader, findings)?;
        }
        let inner = self.scopes.pop().unwrap_or_default();
        let scope = self.scope();
        scope.items = scope.items.saturating_add(inner.items);
        Ok(inner.own.enclosed())
    }

    fn declaration(&mut self, reader: &mut BinaryReader<'_>, findings: &mut Findings) -> Result {
        match reader.read_u8()? {
            0x00 => self.core_type(&reader.read()?, findings),
            0x01 => self.define(reader, findings),
            0x02 => self.alias(&reader.read()?, findings),
            0x03 => self.import(&reader.read::<ComponentImport<'_>>()?.ty, findings).map(|_| ()),
            0x04 => {
                reader.read::<ComponentExternName<'_>>()?;
                self.import(&reader.read()?, findings).map(|_| ())
            }
            kind => Err(Problem::Other(format!("a type has a declaration of the unknown kind {kind:#x}"))),
        }
    }

    pub fn core_type(&mut self, ty: &CoreType<'_>, findings: &mut Findings) -> Result {
        let parts = match ty {
            CoreType::Rec(group) => group.types().len(),
            CoreType::Module(declarations) => 1 + declarations.len(),
        };
        self.items(parts as u64, findings)
    }

    fn function(&mut self, ty: &ComponentFuncType<'_>, findings: &mut Findings) -> Result<Extent> {
        let params = ty.params.iter().map(|(_, ty)| *ty);
        self.of(params.chain(ty.result), findings)
    }

    fn value(&mut self, ty: &ComponentDefinedType<'_>, findings: &mut Findings) -> Result<Extent> {
        use ComponentDefinedType as Ty;
        match ty {
            Ty::Primitive(_) | Ty::Own(_) | Ty::Borrow(_) => Ok(Extent::LEAF),
            Ty::Flags(names) | Ty::Enum(names) => {
                self.items(names.len() as u64, findings)?;
                Ok(Extent { size: 1 + names.len() as u32, ..Extent::LEAF })
            }
            Ty::Record(fields) => self.of(fields.iter().map(|(_, ty)| *ty), findings),
            Ty::Variant(cases) => {
                let bare = cases.iter().filter(|case| case.ty.is_none()).count();
                self.items(bare as u64, findings)?;
                let extent = self.of(cases.iter().filter_map(|case| case.ty), findings)?;
                Ok(Extent { size: extent.size.saturating_add(bare as u32), ..extent })
            }
            Ty::Tuple(types) => self.of(types.iter().copied(), findings),
            Ty::List(ty) | Ty::FixedLengthList(ty, _) | Ty::Option(ty) => self.of([*ty], findings),
            Ty::Map(key, value) => self.of([*key, *value], findings),
            Ty::Result { ok, err } => self.of(ok.iter().chain(err).copied(), findings),
            Ty::Future(ty) | Ty::Stream(ty) => self.of(*ty, findings),
        }
    }

    /// A type that has these values.
    fn of(&mut self, types: impl IntoIterator<Item = ComponentValType>, findings: &mut Findings) -> Result<Extent> {
        let mut extent = Extent::LEAF;
        for ty in types {
            self.items(1, findings)?;
            extent.size = extent.size.saturating_add(match ty {
                ComponentValType::Primitive(_) => 1,
                ComponentValType::Type(index) => self.scope().ty(index).size,
            });
        }
        Ok(extent)
    }

    /// Notes an import, or an export of a type: something that is known by its type alone.
    pub fn import(&mut self, ty: &ComponentTypeRef, findings: &mut Findings) -> Result<Extent> {
        let extent = self.refer(ty);
        self.scope().own.contain(extent);
        self.note(extent, findings)?;
        Ok(extent)
    }

    /// Adds an item that is known by its type to its index space.
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

    pub fn alias(&mut self, alias: &ComponentAlias<'_>, findings: &mut Findings) -> Result {
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
                    self.memory_aliases(1, findings)?;
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
        self.note(extent, findings)
    }
}
