//! The extents of a component's types and items, by which they are counted.

use wasmparser::ComponentExternalKind;

/// How deep and how large a type or an item is, with all that it refers to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extent {
    /// The levels of instance and component types inside each other, this one included.
    pub depth: u32,
    /// How many types, fields, parameters and members it has.
    pub size: u32,
    /// The size of its largest member.
    pub largest: u32,
    /// Whether somebody must provide something if it is imported: a function, a resource, a module, a value or a
    /// component.
    pub demands: bool,
}

/// How much a module, or the instances of a component, has of what a store counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub tables: u64,
    pub memories: u64,
}

impl Counts {
    pub fn add(&mut self, other: Counts) {
        self.tables = self.tables.saturating_add(other.tables);
        self.memories = self.memories.saturating_add(other.memories);
    }
}

/// A component that can be instantiated.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    pub extent: Extent,
    /// The core instances and the component instances that are made inside one instance of it. `None` if the component
    /// is imported or taken out of an instance: then its contents are not known.
    pub instances: Option<(u64, u64)>,
    /// What these core instances have.
    pub counts: Counts,
    /// [`Scope::memory_aliases`] of one instance.
    pub memory_aliases: u64,
    /// [`Scope::lowered`] of one instance.
    pub lowered: u64,
    /// [`Scope::items`] of one instance.
    pub items: u64,
}

/// The index spaces and the counts of a component, or of the declarations of a component or instance type. What an
/// inner component has is counted once for each instance of it.
#[derive(Default)]
pub(super) struct Scope {
    pub types: Vec<Extent>,
    /// The types of the functions.
    pub functions: Vec<Extent>,
    pub instances: Vec<Extent>,
    pub components: Vec<Part>,
    /// What an instance of each core module has; `None` if the module is imported or taken out of an instance.
    pub modules: Vec<Option<Counts>>,
    /// The extent of all imports and exports together.
    pub own: Extent,
    pub core_instances: u64,
    /// What the core instances have.
    pub counts: Counts,
    pub component_instances: u64,
    /// Aliases of the memories of core instances.
    pub memory_aliases: u64,
    /// Parts of the types of lowered functions.
    pub lowered: u64,
    pub items: u64,
}

impl Extent {
    pub const LEAF: Extent = Extent { depth: 0, size: 1, largest: 0, demands: false };

    /// Adds a member.
    pub fn contain(&mut self, member: Extent) {
        self.depth = self.depth.max(member.depth);
        self.size = self.size.saturating_add(member.size);
        self.largest = self.largest.max(member.size);
        self.demands |= member.demands;
    }

    /// The extent of an instance or component type with these members.
    pub fn enclosed(self) -> Self {
        Extent { depth: self.depth + 1, size: self.size.saturating_add(1), ..self }
    }

    /// An upper bound for a member of which only the name is known.
    pub fn member(self) -> Self {
        Extent { depth: self.depth.saturating_sub(1), size: self.largest.max(1), ..self }
    }
}

impl Scope {
    pub fn ty(&self, index: u32) -> Extent {
        self.types.get(index as usize).copied().unwrap_or(Extent::LEAF)
    }

    pub fn item(&self, kind: ComponentExternalKind, index: u32) -> Extent {
        let index = index as usize;
        let found = match kind {
            ComponentExternalKind::Type => self.types.get(index).copied(),
            ComponentExternalKind::Instance => self.instances.get(index).copied(),
            ComponentExternalKind::Component => self.components.get(index).map(|part| part.extent),
            ComponentExternalKind::Func => self.functions.get(index).copied(),
            ComponentExternalKind::Module | ComponentExternalKind::Value => None,
        };
        found.unwrap_or(Extent::LEAF)
    }

    pub fn into_part(self) -> Part {
        Part {
            extent: self.own.enclosed(),
            instances: Some((self.core_instances, self.component_instances)),
            counts: self.counts,
            memory_aliases: self.memory_aliases,
            lowered: self.lowered,
            items: self.items,
        }
    }
}
