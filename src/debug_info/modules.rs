//! The debug information of a file.

use super::budget::SearchBudget;
use super::place::SourceLocation;
use super::sections::ModuleSections;
use super::units;
use gimli::Dwarf;

/// The DWARF sections of a file's core modules. A module file has one; a component may contain several.
pub(crate) struct DebugInfo {
    pub modules: Vec<ModuleSections>,
}

impl DebugInfo {
    pub(super) fn bytes(&self) -> u64 {
        self.modules.iter().map(|module| module.bytes.len() as u64).sum()
    }

    /// The places of each offset in the file, innermost first; empty for an offset of which nothing is known.
    pub fn places(&self, offsets: &[Option<u64>], budget: &mut SearchBudget) -> Vec<Vec<SourceLocation>> {
        let mut places = vec![Vec::new(); offsets.len()];
        for module in &self.modules {
            let of_module = offsets.iter().enumerate().filter_map(|(index, offset)| {
                let offset = offset.filter(|offset| module.code.contains(offset))?;
                Some((index, units::AddressQuery::at(offset - module.code.start)))
            });
            let (indices, mut queries): (Vec<usize>, Vec<_>) = of_module.unzip();
            if queries.is_empty() {
                continue;
            }
            let dwarf = Dwarf::load(|id| Ok::<_, std::convert::Infallible>(module.section(id)));
            let Ok(dwarf) = dwarf;
            let ended = units::search(&dwarf, &mut queries, budget);
            for (index, query) in indices.into_iter().zip(queries) {
                places[index] = query.places;
            }
            if ended.is_err() {
                break;
            }
        }
        places
    }
}
