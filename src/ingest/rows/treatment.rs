//! What a row says of one drug: its name, its dose and the unit of that.

use super::{RowReader, Trouble, reject};
use crate::config::mapping::known_unit;
use crate::ingest::failure;
use crate::screen::dose::ConcentrationUnit;
use crate::screen::well::Role;
use crate::{Error, Result};

impl RowReader<'_> {
    /// One drug of a well with its molar dose; `None` where the slot is not used.
    pub(super) fn treatment(
        &mut self,
        slot: usize,
        word: Option<usize>,
        dose: Option<f64>,
        row: usize,
        declared: Option<Role>,
    ) -> std::result::Result<Option<(usize, f64)>, Trouble> {
        // Controls often carry the name of their vehicle, with or without a concentration.
        let control = matches!(declared, Some(Role::Vehicle | Role::Positive | Role::Blank));
        let mapping = self.mapping;
        let mut no_drug = true;
        if let Some(word) = word {
            let word = self.drugs[slot].get(word);
            no_drug = *word.known.no_drug.get_or_insert_with(|| mapping.means_no_drug(&word.text));
        }
        match dose {
            Some(dose) if dose.is_infinite() => {
                return reject("not_finite_dose", format!("`{}` at {dose}", self.shown(slot, word)));
            }
            Some(dose) if dose < 0.0 => {
                return reject("negative_dose", format!("`{}` at {dose}", self.shown(slot, word)));
            }
            _ => {}
        }
        let (Some(word), false) = (word, no_drug) else {
            return match dose {
                Some(dose) if dose > 0.0 && !control => {
                    reject("missing_drug", format!("a dose of {dose}, and no drug"))
                }
                _ => Ok(None),
            };
        };
        let Some(dose) = dose else {
            let name = &self.drugs[slot].get(word).text;
            return if control { Ok(None) } else { reject("missing_dose", format!("`{name}`")) };
        };
        if dose == 0.0 {
            return Ok(Some((word, 0.0)));
        }
        let unit = self.unit(slot, row)?;
        let name = &self.drugs[slot].get(word).text;
        let Some(unit) = unit else { return reject("missing_unit", format!("`{name}` at {dose}")) };
        let molar = unit.to_molar(dose, mapping.molar_mass.get(name.as_str()).copied());
        match molar {
            None => Err(failure::of_file(
                self.file.path(),
                format!("doses of `{name}` are mass per volume, and its molar mass is not known"),
                Some(format!("give it in g/mol: --molar-mass \"{name}=…\", or under [units.molar_mass]")),
            ))?,
            // Zero means "not added": a dose must not become it by underflow.
            Some(molar) if molar > 0.0 && molar.is_finite() => Ok(Some((word, molar))),
            Some(_) => reject("not_finite_dose", format!("`{name}` at {dose}")),
        }
    }

    /// The name of a drug, or nothing where there is none.
    fn shown(&mut self, slot: usize, word: Option<usize>) -> &str {
        word.map_or("", |word| &self.drugs[slot].get(word).text)
    }

    /// The unit of a dose: as declared, else as its column says. The two may not disagree.
    fn unit(&mut self, slot: usize, row: usize) -> Result<Option<ConcentrationUnit>> {
        let Some(source) = &self.header.drugs[slot] else { return Ok(None) };
        let Some(word) = self.units[slot].find(row) else {
            return Ok(source.unit.declared.as_ref().map(|(_, unit)| *unit));
        };
        let word = self.units[slot].get(word);
        let text = &word.text;
        let read = match word.known {
            Some(unit) => unit,
            None => known_unit("conc_unit", text).map_err(|error| match error {
                Error::Setting { problem, .. } => self.file.error(problem),
                other => other,
            })?,
        };
        word.known = Some(read);
        match &source.unit.declared {
            Some((declared, unit)) if *unit != read => Err(failure::of_file(
                self.file.path(),
                format!("doses are in {text} by their column, and in {declared} by the unit that was given"),
                Some("leave the given unit out, or say that there is no such column: conc_unit = \"\"".into()),
            )),
            _ => Ok(Some(read)),
        }
    }
}
