//! Flags of single-agent responses in a table of their own.

use super::flags::choice;
use crate::config::mapping::known_unit;
use crate::ingest::LongMapping;
use crate::run::plain::single_agents::SingleAgents;
use crate::screen::{Orientation, Scale};
use crate::{Error, Result};
use clap::Args;
use std::path::PathBuf;

/// Single-agent responses from a table of their own.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Single agents from another table")]
pub struct SingleAgentFlags {
    /// Table of single-agent responses, for matrices that have none
    #[arg(long, value_name = "SINGLES.parquet")]
    pub single_agents: Option<PathBuf>,
    /// Columns of the matrices' table that name the drugs, in the order of the doses; each must be one of --matrix
    #[arg(long, value_delimiter = ',', default_value = "drug_a,drug_b", value_name = "COLUMN,…")]
    pub drugs: Vec<String>,
    /// Its column of drugs
    #[arg(long, default_value = "drug", value_name = "COLUMN")]
    pub single_drug: String,
    /// Columns that both tables have and that must be equal, as the cell line
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    pub single_by: Vec<String>,
    /// Its column of doses
    #[arg(long, default_value = "dose", value_name = "COLUMN")]
    pub single_dose: String,
    /// Its column of responses [default: that of the matrices]
    #[arg(long, value_name = "COLUMN")]
    pub single_response: Option<String>,
    /// Its unit of doses [default: that of the matrices]
    #[arg(long, value_name = "UNIT")]
    pub single_dose_unit: Option<String>,
    /// What its responses are [default: as the matrices']
    #[arg(long, value_parser = choice::<Orientation>(), value_name = "WHAT")]
    pub single_orientation: Option<Orientation>,
    /// Their scale [default: as the matrices']
    #[arg(long, value_parser = choice::<Scale>(), value_name = "SCALE")]
    pub single_scale: Option<Scale>,
    /// Response of untreated cells where its responses are raw
    #[arg(long, value_name = "NUMBER", conflicts_with = "single_scale")]
    pub single_untreated: Option<f64>,
}

impl SingleAgentFlags {
    /// Where single-agent responses are, if anywhere; what is not said is as for the matrices.
    pub(super) fn resolve(self, matrices: &LongMapping) -> Result<Option<SingleAgents>> {
        let Some(path) = self.single_agents else { return Ok(None) };
        let mut group = vec![self.single_drug];
        group.extend(self.single_by.iter().cloned());
        let mapping = LongMapping {
            group,
            doses: vec![self.single_dose],
            response: self.single_response.unwrap_or_else(|| matrices.response.clone()),
            dose_unit: match self.single_dose_unit {
                Some(unit) => known_unit("single-dose-unit", &unit)?,
                None => matrices.dose_unit,
            },
            orientation: self.single_orientation.unwrap_or(matrices.orientation),
            scale: self.single_scale.unwrap_or(matrices.scale),
            untreated: self.single_untreated,
            ..matrices.clone()
        };
        raw_has_sense("single-untreated", mapping.untreated, mapping.orientation)?;
        Ok(Some(SingleAgents { path, mapping, drugs: self.drugs, by: self.single_by }))
    }
}

/// Raw responses are higher the more cells there are, and their whole is above zero.
pub(super) fn raw_has_sense(key: &str, untreated: Option<f64>, orientation: Orientation) -> Result<()> {
    match untreated {
        Some(untreated) if !(untreated.is_finite() && untreated > 0.0) => {
            Err(Error::setting(key, format!("{untreated} is not above 0")))
        }
        Some(_) if orientation == Orientation::Inhibition => Err(Error::Setting {
            key: key.into(),
            problem: "raw responses are no inhibition: they are lower the fewer cells live".into(),
            hint: Some("--orientation viability".into()),
        }),
        _ => Ok(()),
    }
}
