//! What is in which well: a list of wells, a workbook with a sheet of cells a column (gDR's templates are such), or the
//! picklist of a dispenser (Echo, D300).

use super::ImportSettings;
use super::sheet::{Sheet, at_cell, of_file};
use super::table::{Row, Table};
use super::workbook;
use crate::config::mapping::{glob, known_unit};
use crate::screen::dose::ConcentrationUnit;
use crate::screen::schema::plain;
use crate::screen::well::{Role, WellPosition};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A drug as it is laid out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LaidDose {
    pub drug: String,
    pub dose: f64,
    pub unit: String,
    /// The cell that names it.
    pub place: String,
}

/// What is in a well.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LaidWell {
    pub line: Option<String>,
    pub role: Option<Role>,
    pub doses: Vec<LaidDose>,
    /// The cell that names it.
    pub place: String,
}

impl LaidWell {
    /// The role as said, else by the doses.
    pub fn role(&self) -> Role {
        let active = self.doses.iter().any(|dose| dose.dose > 0.0);
        self.role.unwrap_or(if active { Role::Sample } else { Role::Vehicle })
    }
}

/// Wells by plate: a name or glob, or every plate.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Layout {
    pub path: PathBuf,
    pub plates: Vec<(Option<String>, BTreeMap<WellPosition, LaidWell>)>,
}

/// Names that mean that a well has no drug.
const NO_DRUG: [&str; 7] = ["vehicle", "untreated", "dmso", "none", "control", "na", "water"];

fn means_no_drug(name: &str) -> bool {
    NO_DRUG.iter().any(|none| none.eq_ignore_ascii_case(name))
}

impl Layout {
    /// Reads a layout of any kind.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Format`] naming the cell.
    pub fn read(path: &Path, settings: &ImportSettings) -> Result<Self> {
        if workbook::is_workbook(path) {
            let sheets = workbook::sheets(path)?;
            if sheets.iter().any(|sheet| sheet.name.as_deref().is_some_and(|name| role_of_sheet(name).is_some())) {
                return of_sheets(path, &sheets, settings);
            }
        }
        let table = Table::open(path, None, settings.decimal)?;
        if table.find(&["Destination Well"])?.is_some() {
            echo(path, table, settings)
        } else if table.find(&["Dispensed well"])?.is_some() {
            d300(path, table, settings)
        } else {
            list(path, table, settings)
        }
    }

    /// What a plate has; wells that name the plate go before those for every plate.
    pub fn of(&self, plate: &str) -> Option<&BTreeMap<WellPosition, LaidWell>> {
        let named = |pattern: &Option<String>| pattern.as_deref().is_some_and(|p| glob(p, plate));
        let found = self.plates.iter().find(|(pattern, _)| named(pattern));
        found.or_else(|| self.plates.iter().find(|(pattern, _)| pattern.is_none())).map(|(_, wells)| wells)
    }

    fn plate(&mut self, plate: Option<&str>) -> &mut BTreeMap<WellPosition, LaidWell> {
        let at = self.plates.iter().position(|(known, _)| known.as_deref() == plate).unwrap_or(self.plates.len());
        if at == self.plates.len() {
            self.plates.push((plate.map(str::to_owned), BTreeMap::new()));
        }
        &mut self.plates[at].1
    }

    /// Refuses wells that a plate of this size does not have.
    ///
    /// # Errors
    /// [`Error::Format`] naming the cell of the first.
    pub fn fits(&self, rows: usize, columns: usize) -> Result<()> {
        let beyond = |well: &WellPosition| usize::from(well.row) > rows || usize::from(well.column) > columns;
        for (position, well) in self.plates.iter().flat_map(|(_, wells)| wells) {
            if beyond(position) {
                let problem = format!("well {position} is not on the data's plate of {} wells", rows * columns);
                let hint = "is it the layout of another kind of plate?";
                return Err(at_cell(&self.path, &well.place, &problem, hint));
            }
        }
        Ok(())
    }
}

fn position(table: &Table, row: &Row, column: usize) -> Result<WellPosition> {
    let text = table.text(row, column).unwrap_or("");
    WellPosition::parse(text).ok_or_else(|| {
        let problem = format!("`{text}` is no well of a plate of up to 1536");
        table.error(row, column, &problem, "wells are called A01 to AF48")
    })
}

/// The unit that a cell names, or the one given for all.
fn unit(table: &Table, row: &Row, column: Option<usize>, settings: &ImportSettings) -> Result<String> {
    let said = column.and_then(|column| Some((column, table.text(row, column)?)));
    match (said, &settings.dose_unit) {
        (Some((column, said)), given) => {
            let read = known_unit("conc_unit", said).ok().ok_or_else(|| {
                table.error(row, column, &format!("unknown unit `{said}`"), "known are M, mM, uM, nM, pM")
            })?;
            if given.as_deref().is_some_and(|given| ConcentrationUnit::parse(given) != Some(read)) {
                let problem = format!("the dose is in `{said}`, and --dose-unit says otherwise");
                return Err(table.error(row, column, &problem, "leave --dose-unit out: the layout says it"));
            }
            Ok(said.to_owned())
        }
        (None, Some(given)) => Ok(given.clone()),
        (None, None) => {
            let problem = "nothing says in which unit the dose is";
            Err(table.error(row, column.unwrap_or(0), problem, "add a column `conc_unit`, or say --dose-unit uM"))
        }
    }
}

/// A list of wells with the names of the well table.
fn list(path: &Path, mut table: Table, settings: &ImportSettings) -> Result<Layout> {
    let format = "layouts";
    let well = table.need(&["well", "well_id", "position"], format)?;
    let plate = table.find(&["plate_id", "plate", "barcode"])?;
    let line = table.find(&["cell_line", "cell_line_name"])?;
    let role = table.find(&["role", "well_role"])?;
    let mut slots = Vec::new();
    for (drug, dose, unit) in [
        (&["drug_a", "drug", "drug1"], &["conc_a", "conc", "conc1"], &["conc_a_unit", "conc_unit", "conc_unit1"]),
        (&["drug_b", "drug_b", "drug2"], &["conc_b", "conc_b", "conc2"], &["conc_b_unit", "conc_unit", "conc_unit2"]),
        (&["drug_c", "drug_c", "drug3"], &["conc_c", "conc_c", "conc3"], &["conc_c_unit", "conc_unit", "conc_unit3"]),
    ] {
        if let Some(drug) = table.find(drug)? {
            slots.push((drug, table.need(dose, format)?, table.find(unit)?));
        }
    }
    if slots.is_empty() && role.is_none() {
        table.need(&["drug_a"], format)?;
    }
    let mut layout = Layout { path: path.to_owned(), plates: Vec::new() };
    while let Some(row) = table.next()? {
        let at = position(&table, &row, well)?;
        let mut laid = LaidWell { place: table.place(&row, well), ..LaidWell::default() };
        laid.line = line.and_then(|column| table.text(&row, column)).map(str::to_owned);
        if let Some(text) = role.and_then(|column| table.text(&row, column)) {
            laid.role = Some(Role::parse(text).ok_or_else(|| {
                let problem = format!("unknown role `{text}`");
                table.error(&row, role.unwrap_or(0), &problem, "known are sample, vehicle, positive, blank, empty")
            })?);
        }
        for (drug, dose, unit_column) in &slots {
            let name = table.text(&row, *drug).filter(|name| !means_no_drug(name));
            match (name, table.number(&row, *dose)?) {
                (None, None | Some(0.0)) => {}
                (None, Some(_)) if table.text(&row, *drug).is_some() => {}
                (None, Some(dose_found)) => {
                    let problem = format!("a dose of {dose_found}, and no drug");
                    return Err(table.error(&row, *drug, &problem, "name the drug, or empty the dose"));
                }
                (Some(name), None) => {
                    let problem = format!("`{name}` has no dose");
                    return Err(table.error(&row, *dose, &problem, "give the dose; 0 for none"));
                }
                (Some(name), Some(value)) if value < 0.0 => {
                    return Err(table.error(&row, *dose, &format!("`{name}` at {value}"), "doses are 0 or more"));
                }
                (Some(name), Some(value)) => laid.doses.push(LaidDose {
                    drug: name.to_owned(),
                    dose: value,
                    unit: unit(&table, &row, *unit_column, settings)?,
                    place: table.place(&row, *dose),
                }),
            }
        }
        let name = plate.and_then(|column| table.text(&row, column)).map(str::to_owned);
        if layout.plate(name.as_deref()).insert(at, laid).is_some() {
            return Err(table.error(&row, well, &format!("well {at} is there a second time"), "one row a well"));
        }
    }
    Ok(layout)
}

/// What a sheet of a template holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Drug(usize),
    Dose(usize),
    Line,
    Role,
}

fn role_of_sheet(name: &str) -> Option<Holds> {
    Some(match plain(name).as_str() {
        "gnumber" | "drug" | "drugname" | "druga" => Holds::Drug(0),
        "gnumber2" | "drugname2" | "drugb" => Holds::Drug(1),
        "gnumber3" | "drugname3" | "drugc" => Holds::Drug(2),
        "concentration" | "conc" | "conca" => Holds::Dose(0),
        "concentration2" | "concb" => Holds::Dose(1),
        "concentration3" | "concc" => Holds::Dose(2),
        "cellline" | "clid" => Holds::Line,
        "role" => Holds::Role,
        _ => return None,
    })
}

/// A workbook in which cell A1 of every sheet is well A01.
fn of_sheets(path: &Path, sheets: &[Sheet], settings: &ImportSettings) -> Result<Layout> {
    let find = |wanted: Holds| {
        sheets.iter().find(|sheet| sheet.name.as_deref().is_some_and(|name| role_of_sheet(name) == Some(wanted)))
    };
    let unit = settings.dose_unit.clone().unwrap_or_else(|| "uM".into());
    let mut layout = Layout { path: path.to_owned(), plates: Vec::new() };
    let wells = layout.plate(None);
    for slot in 0..3 {
        let Some(drugs) = find(Holds::Drug(slot)) else { continue };
        let doses = find(Holds::Dose(slot));
        for (row, column, at) in cells(drugs)? {
            let name = drugs.text(row, column);
            let well = wells.entry(at).or_default();
            if well.place.is_empty() {
                well.place = drugs.place(row, column);
            }
            let dose = doses.map(|doses| doses.number(row, column, settings.decimal)).transpose()?.flatten();
            if means_no_drug(name) {
                continue;
            }
            let (Some(dose), Some(sheet)) = (dose, doses) else {
                let problem = format!("no concentration for `{name}` of {}", drugs.place(row, column));
                let hint = "are the blocks of the sheets at the same cells?";
                return Err(doses.map_or_else(
                    || of_file(path, format!("{problem}: there is no sheet of concentrations"), ""),
                    |doses| doses.error(row, column, &problem, hint),
                ));
            };
            if dose < 0.0 {
                return Err(sheet.error(row, column, format!("`{name}` at {dose}"), "doses are 0 or more"));
            }
            well.doses.push(LaidDose {
                drug: name.to_owned(),
                dose,
                unit: unit.clone(),
                place: sheet.place(row, column),
            });
        }
        for (row, column, _) in doses.map(cells).transpose()?.unwrap_or_default() {
            let dose = doses.map(|doses| doses.number(row, column, settings.decimal)).transpose()?.flatten();
            if drugs.text(row, column).is_empty() && dose.is_some_and(|dose| dose > 0.0) {
                let problem = format!("no drug for the concentration {} beside it", dose.unwrap_or(0.0));
                return Err(drugs.error(row, column, problem, "are the blocks of the sheets at the same cells?"));
            }
        }
    }
    if let Some(sheet) = find(Holds::Role) {
        for (row, column, at) in cells(sheet)? {
            let text = sheet.text(row, column);
            let role = Role::parse(text).ok_or_else(|| {
                let hint = "known are sample, vehicle, positive, blank, empty";
                sheet.error(row, column, format!("unknown role `{text}`"), hint)
            })?;
            let well = wells.entry(at).or_default();
            well.role = Some(role);
            well.place = sheet.place(row, column);
        }
    }
    if let Some(sheet) = find(Holds::Line) {
        for (row, column, at) in cells(sheet)? {
            wells.entry(at).or_default().line = Some(sheet.text(row, column).to_owned());
        }
    }
    Ok(layout)
}

/// Cells with anything in them, and their wells.
fn cells(sheet: &Sheet) -> Result<Vec<(usize, usize, WellPosition)>> {
    let mut found = Vec::new();
    for row in 0..sheet.rows() {
        for column in (0..sheet.columns(row)).filter(|column| !sheet.text(row, *column).is_empty()) {
            let well = u16::try_from(row + 1).ok().zip(u16::try_from(column + 1).ok());
            let Some(well) = well.and_then(|(row, column)| WellPosition::new(row, column)) else {
                let hint = "cell A1 of a template is well A01: keep remarks in another sheet";
                return Err(sheet.error(row, column, "is beyond the wells of a plate of 1536", hint));
            };
            found.push((row, column, well));
        }
    }
    Ok(found)
}

/// Adds what a dispenser put into a well; several transfers of a drug add up.
fn dispense(layout: &mut Layout, plate: Option<&str>, at: WellPosition, place: String, drug: Option<LaidDose>) {
    let well = layout.plate(plate).entry(at).or_default();
    if well.place.is_empty() {
        well.place = place;
    }
    let Some(drug) = drug else { return };
    match well.doses.iter_mut().find(|known| known.drug == drug.drug) {
        Some(known) => known.dose += drug.dose,
        None => well.doses.push(drug),
    }
}

/// More drugs than a well of the table has columns.
fn at_most_three(layout: Layout) -> Result<Layout> {
    for (position, well) in layout.plates.iter().flat_map(|(_, wells)| wells) {
        if well.doses.len() > 3 {
            let problem = format!("well {position} gets {} drugs, and three are the most", well.doses.len());
            return Err(at_cell(&layout.path, &well.doses[3].place, &problem, "leave wells of other designs out"));
        }
    }
    Ok(layout)
}

/// An Echo picklist: volumes of stock solutions into a volume of medium.
fn echo(path: &Path, mut table: Table, settings: &ImportSettings) -> Result<Layout> {
    let format = "Echo picklists";
    let well = table.need(&["Destination Well"], format)?;
    let plate = table.find(&["Destination Plate Barcode", "Destination Plate Name"])?;
    let drug = table.need(&["Sample Name", "Sample ID", "Compound"], format)?;
    let volume = table.need(&["Transfer Volume", "Transfer Volume (nL)", "Actual Volume"], format)?;
    let stock = table.need(&["Sample Concentration", "Source Concentration", "Concentration"], format)?;
    let unit_column = table.find(&["Sample Concentration Units", "Concentration Units", "conc_unit"])?;
    let Some(well_volume) = settings.well_volume_ul else {
        return Err(Error::Setting {
            key: "well-volume".into(),
            problem: format!("`{}` has volumes of stocks, and the volume of a well is not known", path.display()),
            hint: Some("say it in microlitres: --well-volume 50".into()),
        });
    };
    let mut layout = Layout { path: path.to_owned(), plates: Vec::new() };
    // Nanolitres that went into each well, of solvent as well.
    let mut dispensed: BTreeMap<(Option<String>, WellPosition), f64> = BTreeMap::new();
    while let Some(row) = table.next()? {
        let at = position(&table, &row, well)?;
        let name = table.text(&row, drug).filter(|name| !means_no_drug(name));
        let plate_name = plate.and_then(|column| table.text(&row, column));
        if let Some(nanolitres) = table.number(&row, volume)?.filter(|volume| *volume >= 0.0) {
            *dispensed.entry((plate_name.map(str::to_owned), at)).or_default() += nanolitres;
        }
        let laid = match name {
            None => None,
            Some(name) => {
                let missing =
                    |column: usize, what: &str| table.error(&row, column, &format!("`{name}` has no {what}"), "");
                let nanolitres = table.number(&row, volume)?.filter(|v| *v >= 0.0);
                let nanolitres = nanolitres.ok_or_else(|| missing(volume, "volume of 0 or more"))?;
                let stock_dose = table.number(&row, stock)?.filter(|c| *c >= 0.0);
                let stock_dose = stock_dose.ok_or_else(|| missing(stock, "concentration of 0 or more"))?;
                Some(LaidDose {
                    drug: name.to_owned(),
                    dose: stock_dose * nanolitres,
                    unit: unit(&table, &row, unit_column, settings)?,
                    place: table.place(&row, volume),
                })
            }
        };
        let place = table.place(&row, well);
        dispense(&mut layout, plate_name, at, place, laid);
    }
    for (name, wells) in &mut layout.plates {
        for (at, well) in wells {
            let volume = 1000.0 * well_volume + dispensed.get(&(name.clone(), *at)).copied().unwrap_or(0.0);
            well.doses.iter_mut().for_each(|dose| dose.dose /= volume);
        }
    }
    at_most_three(layout)
}

/// The list that a D300 writes: the concentrations that it dispensed.
fn d300(path: &Path, mut table: Table, settings: &ImportSettings) -> Result<Layout> {
    let format = "D300 lists";
    let well = table.need(&["Dispensed well"], format)?;
    let plate = table.find(&["Plate name", "Plate ID", "Barcode", "Plate"])?;
    let drug = table.need(&["Fluid name", "Fluid"], format)?;
    let dose = table.need(&["Dispensed conc.", "Dispensed concentration"], format)?;
    let unit_column = table.find(&["Conc. units", "Concentration units", "Dispensed conc. units"])?;
    let mut layout = Layout { path: path.to_owned(), plates: Vec::new() };
    while let Some(row) = table.next()? {
        let at = position(&table, &row, well)?;
        let name =
            table.text(&row, drug).filter(|name| !name.to_ascii_lowercase().contains("dmso") && !means_no_drug(name));
        let laid = match (name, table.number(&row, dose)?) {
            (Some(name), Some(value)) if value >= 0.0 => Some(LaidDose {
                drug: name.to_owned(),
                dose: value,
                unit: unit(&table, &row, unit_column, settings)?,
                place: table.place(&row, dose),
            }),
            (Some(name), _) => {
                return Err(table.error(&row, dose, &format!("`{name}` has no concentration of 0 or more"), ""));
            }
            (None, _) => None,
        };
        let place = table.place(&row, well);
        dispense(&mut layout, plate.and_then(|column| table.text(&row, column)), at, place, laid);
    }
    at_most_three(layout)
}
