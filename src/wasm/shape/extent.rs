//! How far the types and items of a component go, by which they are counted.

use wasmparser::ComponentExternalKind;

/// How far a type goes with all that it refers to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extent {
    /// Instance and component types inside each other, this one included.
    pub depth: u32,
    /// Types, fields, parameters and members.
    pub size: u32,
    /// The size of its largest member.
    pub largest: u32,
    /// Whether it has what only somebody else can provide.
    pub demands: bool,
}

/// What a store counts, of a module or of an instance.
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
    /// Core and component instances that one instance of it takes; unknown of one that comes from elsewhere.
    pub instances: Option<(u64, u64)>,
    /// What the core instances among them have.
    pub counts: Counts,
    /// What one instance of it has of [`Scope::memory_aliases`] and [`Scope::lowered`].
    pub memory_aliases: u64,
    pub lowered: u64,
    /// Items that one instance of it has, with those of the instances in it.
    pub items: u64,
}

/// The index spaces of a component or of a type's declarations.
#[derive(Default)]
pub(super) struct Scope {
    pub types: Vec<Extent>,
    /// The types of its functions.
    pub functions: Vec<Extent>,
    pub instances: Vec<Extent>,
    pub components: Vec<Part>,
    /// What an instance of each core module has; unknown of one that comes from elsewhere.
    pub modules: Vec<Option<Counts>>,
    /// Its imports and exports.
    pub own: Extent,
    pub core_instances: u64,
    /// What its core instances have.
    pub counts: Counts,
    pub component_instances: u64,
    /// Aliases of memories, and parts of the types of functions that it lowers, of each instance of a component in it too.
    pub memory_aliases: u64,
    pub lowered: u64,
    /// Items, of each instance of a component in it too.
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

    /// The instance or component type that has these members.
    pub fn enclosed(self) -> Self {
        Extent { depth: self.depth + 1, size: self.size.saturating_add(1), ..self }
    }

    /// What is known of a member of which only the name is known.
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
