//! `isobole mechanism`: mechanisms from tables of evidence, with what an earlier run found of efflux and cross-resistance.

use crate::report::files;
use crate::report::run_json::RunIdentity;
use crate::report::table::{Table, Values};
use crate::resistance::cross_resistance::CrossResistance;
use crate::resistance::mechanism::table::{evidence_table, mechanisms_table};
use crate::resistance::mechanism::{EffluxTest, Inputs, LineFact, Mechanisms, SingleAgent, mechanisms};
use crate::resistance::potency::LogRatio;
use crate::screen::line::LineStatus;
use crate::{Error, Result, ingest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What `isobole mechanism` reads and writes.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct MechanismInputs {
    /// Tables of evidence.
    pub evidence: Vec<PathBuf>,
    /// `LINES.csv`.
    pub lines: Option<PathBuf>,
    /// The result folder of a run.
    pub result: Option<PathBuf>,
    /// Where results go.
    pub out: PathBuf,
    /// Write CSV beside Parquet.
    pub csv: bool,
}

/// Calls mechanisms and writes `mechanisms` and `evidence`; gives what was found and the files written.
///
/// # Errors
/// Those of reading and of writing; [`Error::Setting`] where the result folder is also the one to write to.
pub fn run_mechanism(inputs: &MechanismInputs) -> Result<(Mechanisms, Vec<PathBuf>)> {
    files::prepare(&inputs.out)?;
    if let Some(result) = &inputs.result
        && result.canonicalize().ok() == inputs.out.canonicalize().ok()
    {
        return Err(Error::Setting {
            key: "out".into(),
            problem: format!("`{}` is the result folder of a run", result.display()),
            hint: Some("choose another folder: the run's own tables of mechanisms would be replaced".into()),
        });
    }
    let measurements = ingest::read_evidence(&inputs.evidence)?;
    let mut lines: BTreeMap<String, LineFact> = BTreeMap::new();
    let (mut efflux_tests, mut single_agents) = (Vec::new(), Vec::new());
    if let Some(result) = &inputs.result {
        read_resistance(result, &mut lines)?;
        efflux_tests = read_efflux_tests(result)?;
        single_agents = read_single_agents(result)?;
    }
    if let Some(path) = &inputs.lines {
        for (name, entry) in ingest::read_lines(path)? {
            let fact = lines.entry(name.to_lowercase()).or_insert_with(|| LineFact { name, ..LineFact::default() });
            fact.parental = entry.parental.or(fact.parental.take());
            fact.annotation = entry.mechanism;
            fact.is_resistant = entry.status.map_or(fact.is_resistant, |status| status == LineStatus::Resistant);
        }
    }
    let found = mechanisms(&Inputs {
        lines: lines.into_values().collect(),
        measurements: &measurements,
        efflux_tests,
        single_agents,
    });
    let settings = serde_json::to_value(inputs)
        .map_err(|e| Error::Screen { problem: format!("the settings cannot be written: {e}"), hint: None })?;
    let identity = RunIdentity::new(&settings);
    let written = [mechanisms_table(&found), evidence_table(&found)]
        .iter()
        .map(|table| files::write(table, &inputs.out, &identity, inputs.csv))
        .collect::<Result<Vec<_>>>()?;
    Ok((found, written))
}

/// A table of a result folder, and that it has these columns.
fn table(result: &Path, name: &str, columns: &[&str]) -> Result<Table> {
    let path = result.join(format!("{name}.parquet"));
    let table = files::read(&path)?;
    match columns.iter().find(|column| table.column(column).is_none()) {
        None => Ok(table),
        Some(missing) => Err(Error::Format {
            path,
            row_group: None,
            column: Some((*missing).to_owned()),
            problem: "is not there".into(),
            hint: Some("make the results anew: isobole run".into()),
        }),
    }
}

fn text<'a>(table: &'a Table, column: &str, row: usize) -> Option<&'a str> {
    table.column(column)?.text(row)
}

fn read_resistance(result: &Path, lines: &mut BTreeMap<String, LineFact>) -> Result<()> {
    let table = table(result, "resistance", &["cell_line", "status", "status_source", "parental"])?;
    for row in 0..table.rows() {
        let Some(line) = text(&table, "cell_line", row) else { continue };
        let fact = lines
            .entry(line.to_lowercase())
            .or_insert_with(|| LineFact { name: line.to_owned(), ..LineFact::default() });
        if let Some(parental) = text(&table, "parental", row) {
            fact.parental = Some(parental.to_owned());
        }
        // On rows of the anchor alone there is a status.
        fact.is_resistant |= text(&table, "status", row) == Some(LineStatus::Resistant.name());
    }
    Ok(())
}

fn read_efflux_tests(result: &Path) -> Result<Vec<EffluxTest>> {
    let columns = ["cell_line", "partner", "is_ranked", "fold_change", "fold_change_log10_se"];
    let table = table(result, "resensitisation", &columns)?;
    let log10 = |column: &str, row: usize| table.column(column)?.number(row).map(libm::log10);
    let number = |column: &str, row: usize| table.column(column)?.number(row);
    let is_ranked = |row: usize| match table.column("is_ranked") {
        Some(Values::Flag(flags)) => flags.get(row).copied().flatten() == Some(true),
        _ => false,
    };
    let mut tests = Vec::new();
    for row in (0..table.rows()).filter(|row| is_ranked(*row)) {
        let (Some(line), Some(partner)) = (text(&table, "cell_line", row), text(&table, "partner", row)) else {
            continue;
        };
        // With a third drug the inhibitor is not alone in what it does.
        if !EffluxTest::is_inhibitor(partner) || text(&table, "second_partner", row).is_some() {
            continue;
        }
        let value = log10("fold_change", row);
        let fold_change = LogRatio {
            log10: value,
            standard_error: number("fold_change_log10_se", row),
            degrees_of_freedom: number("fold_change_degrees_of_freedom", row),
            low: log10("fold_change_ci_low", row),
            high: log10("fold_change_ci_high", row),
            reason: value.is_none().then_some("no_fold_change"),
        };
        tests.push(EffluxTest { line: line.to_owned(), inhibitor: partner.to_owned(), fold_change });
    }
    Ok(tests)
}

fn read_single_agents(result: &Path) -> Result<Vec<SingleAgent>> {
    let table = table(result, "cross_resistance", &["cell_line", "drug", "class"])?;
    let agent = |row: usize| {
        Some(SingleAgent {
            line: text(&table, "cell_line", row)?.to_owned(),
            drug: text(&table, "drug", row)?.to_owned(),
            class: CrossResistance::from_name(text(&table, "class", row)?)?,
        })
    };
    Ok((0..table.rows()).filter_map(agent).collect())
}
