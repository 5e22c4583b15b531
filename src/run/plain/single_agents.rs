//! Single-agent responses from a table of their own, for matrices that have no margins, as those of O'Neil 2016
//! (doi 10.1158/1535-7163.MCT-15-0843).

use super::synergy::positions;
use crate::ingest::{LongMapping, read_long};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where they are and what they belong to.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleAgents {
    /// The table.
    pub path: PathBuf,
    /// Its columns; the first key column names the drug, the others are those of `by`.
    pub mapping: LongMapping,
    /// Key columns of the matrices that name the drugs, in the order of the doses.
    pub drugs: Vec<String>,
    /// Key columns that both tables have and that must be equal, such as the cell line.
    pub by: Vec<String>,
}

/// The responses, by drug and whatever else tells them apart.
pub(super) struct Singles {
    by_key: BTreeMap<Vec<String>, Vec<(f64, f64)>>,
    drugs: Vec<usize>,
    by: Vec<usize>,
    rows: usize,
    path: PathBuf,
    /// Rows that cannot be used.
    pub rejected: Vec<(u64, &'static str, String)>,
}

impl Singles {
    /// Reads the table; `matrices` is the mapping of the table that they are for.
    ///
    /// # Errors
    /// Those of reading; [`Error::Setting`] for columns that the matrices do not have.
    pub fn read(singles: &SingleAgents, matrices: &LongMapping) -> Result<Self> {
        if singles.drugs.len() != matrices.doses.len() {
            return Err(Error::Setting {
                key: "drugs".into(),
                problem: format!(
                    "{} columns of drugs for {} columns of doses",
                    singles.drugs.len(),
                    matrices.doses.len()
                ),
                hint: Some("name one for each: --drugs drug_a,drug_b,drug_c".into()),
            });
        }
        let drugs = positions(&singles.drugs, &matrices.group, "drugs")?;
        let by = positions(&singles.by, &matrices.group, "single-by")?;
        let table = read_long(&singles.path, &singles.mapping)?;
        let mut by_key: BTreeMap<Vec<String>, Vec<(f64, f64)>> = BTreeMap::new();
        for row in &table.rows {
            if let Some(key) = table.groups.get(row.group as usize) {
                by_key.entry(key.clone()).or_default().push((row.doses[0], row.response));
            }
        }
        if by_key.is_empty() {
            return Err(Error::Screen {
                problem: format!("`{}` holds no row that can be used", singles.path.display()),
                hint: None,
            });
        }
        let rows = table.rows.len();
        Ok(Self { by_key, drugs, by, rows, path: singles.path.clone(), rejected: table.rejected })
    }

    /// The name of drug `k` of a matrix.
    pub fn drug<'a>(&self, group: &'a [String], k: usize) -> Option<&'a str> {
        group.get(*self.drugs.get(k)?).map(String::as_str)
    }

    /// Molar doses and viabilities of drug `k` of a matrix alone.
    pub fn of(&self, group: &[String], k: usize) -> &[(f64, f64)] {
        let mut key = Vec::with_capacity(1 + self.by.len());
        key.extend(self.drug(group, k).map(str::to_owned));
        key.extend(self.by.iter().filter_map(|at| group.get(*at)).cloned());
        self.by_key.get(&key).map_or(&[], Vec::as_slice)
    }

    /// What was read, and for how many drugs of matrices there was nothing.
    pub fn note(&self, groups: &[Vec<String>], drugs: usize) -> String {
        let without =
            groups.iter().map(|group| (0..drugs).filter(|k| self.of(group, *k).is_empty()).count()).sum::<usize>();
        let without = match without {
            0 => String::new(),
            n => format!("; none for {n} of the {} drugs of matrices", groups.len() * drugs),
        };
        let rejected = match self.rejected.len() {
            0 => String::new(),
            n => format!(", {n} left out (table rejected_single_agents)"),
        };
        format!(
            "{} single-agent responses of {} curves from {}{rejected}{without}",
            self.rows,
            self.by_key.len(),
            self.path.display()
        )
    }
}
