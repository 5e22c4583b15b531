//! What the draws of an earlier run said of each matrix under each model, out of `synergy` and `surfaces`: drawing matrices
//! and fitting them anew is nine tenths of a run, and no model's draws depend on which other models are asked for.

use super::{Archive, Reading};
use crate::Result;
use crate::report::files;
use crate::report::table::Values;
use crate::screen::Screen;
use crate::screen::code::code;
use crate::screen::dose_matrix::{DoseMatrix, MatrixKey};
use crate::synergy::departure::{Call, CellDeparture};
use crate::synergy::drawn::{Drawn, DrawnScore};
use crate::synergy::{Score, SynergyModel};

impl Archive {
    /// What draws said of these matrices, which must be those of the archive, under the models of the archive that are
    /// among `models`.
    ///
    /// # Errors
    /// [`crate::Error::Format`] where the tables are not of these matrices.
    pub fn drawn(&self, matrices: &[DoseMatrix], models: &[SynergyModel], screen: &Screen) -> Result<Drawn> {
        let read = |table: &str| {
            let path = self.path(&format!("{table}.parquet"));
            files::read(&path).map(|table| Reading { path, table })
        };
        let (synergy, surfaces) = (read("synergy")?, read("surfaces")?);
        of_these(&synergy, matrices.iter().map(|matrix| &matrix.key), screen)?;
        let cells: usize = matrices.iter().map(|matrix| matrix.cells.len()).sum();
        if surfaces.table.rows() != cells {
            return Err(
                surfaces.unfit(format!("has {} dose pairs, not the {cells} of the wells", surfaces.table.rows()))
            );
        }
        let mut drawn = Drawn { models: Vec::new(), flags: Vec::new() };
        // Degrees of freedom were not kept at first: without them a model is drawn anew.
        let is_whole = |model: &&SynergyModel| synergy.table.column(&format!("df_{}", model.name())).is_some();
        for model in models.iter().filter(|model| self.settings.synergy.contains(model)).filter(is_whole) {
            drawn.models.push((*model, of_model(&synergy, &surfaces, matrices, *model)?));
        }
        let flags = synergy.column("flags")?;
        drawn.flags = (0..matrices.len()).map(|row| flags.text(row).unwrap_or_default().to_owned()).collect();
        Ok(drawn)
    }
}

/// Whether the rows of a table are these matrices.
fn of_these<'a>(synergy: &Reading, keys: impl ExactSizeIterator<Item = &'a MatrixKey>, screen: &Screen) -> Result<()> {
    if synergy.table.rows() != keys.len() {
        return Err(synergy.unfit(format!(
            "has {} matrices, not the {} of the wells",
            synergy.table.rows(),
            keys.len()
        )));
    }
    let column = |name: &str| synergy.column(name);
    let (block, line, drug_a, drug_b, schedule) =
        (column("block")?, column("cell_line")?, column("drug_a")?, column("drug_b")?, column("schedule")?);
    for (row, key) in keys.enumerate() {
        let here = [block, line, drug_a, drug_b, schedule].map(|column: &Values| column.text(row).unwrap_or_default());
        let there = [
            key.block.map_or("", |id| screen.blocks.name(id)),
            screen.lines.name(key.line),
            screen.drugs.name(key.drug_a),
            screen.drugs.name(key.drug_b),
            key.schedule.map_or("", |id| screen.schedules.name(id)),
        ];
        if here != there {
            return Err(synergy.unfit(format!(
                "row {row} is of {}, the wells are of {}",
                here.join(" "),
                there.join(" ")
            )));
        }
    }
    Ok(())
}

fn of_model(
    synergy: &Reading,
    surfaces: &Reading,
    matrices: &[DoseMatrix],
    model: SynergyModel,
) -> Result<Vec<DrawnScore>> {
    let number = |table: &'_ Reading, name: &str| table.numbers(&format!("{name}_{}", model.name())).map(<[_]>::to_vec);
    let of_score = |name: &str| number(synergy, name);
    let (se, df, p, q) = (of_score("se")?, of_score("df")?, of_score("p")?, of_score("q")?);
    let (low, high) = (of_score("ci_low")?, of_score("ci_high")?);
    let (p_null, q_null) = (of_score("p_null")?, of_score("q_null")?);
    let reason = synergy.column(&format!("reason_{}", model.name()))?;
    let has_tests = model.surface().is_none();
    let test = |name: &str| if has_tests { of_score(name) } else { Ok(vec![None; matrices.len()]) };
    let (f, f_p, f_q) = (test("mean_r_f")?, test("mean_r_p")?, test("mean_r_q")?);
    let (r, r_p) = (test("max_r")?, test("max_r_p")?);
    let cells = match has_tests {
        true => Some((number(surfaces, "z")?, surfaces.codes(&format!("call_{}", model.name()), Call::parse)?)),
        false => None,
    };
    let mut from = 0;
    let of = |(row, matrix): (usize, &DoseMatrix)| {
        let score = Score {
            standard_error: se[row],
            degrees_of_freedom: df[row],
            p: p[row],
            q: q[row],
            ci_low: low[row],
            ci_high: high[row],
            mean_r_f: f[row],
            mean_r_p: f_p[row],
            mean_r_q: f_q[row],
            max_r: r[row],
            max_r_p: r_p[row],
            p_null: p_null[row],
            q_null: q_null[row],
            reason: reason.text(row).map(code),
            ..Score::default()
        };
        let rows = from..from + matrix.cells.len();
        from = rows.end;
        let departure = |row: usize| {
            let (z, call) = cells.as_ref()?;
            Some(CellDeparture { z: z[row]?, call: call[row]? })
        };
        DrawnScore { score, departures: rows.map(departure).collect() }
    };
    Ok(matrices.iter().enumerate().map(of).collect())
}
