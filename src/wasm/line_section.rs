//! The sections of DWARF.

use gimli::SectionId;

/// Whether a custom section of this name says that a module has lines.
pub(crate) fn is_line_section(name: &str) -> bool {
    name == SectionId::DebugLine.name()
}
