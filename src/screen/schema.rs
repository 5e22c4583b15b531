//! The well table: ONE list of its columns, walked by ingest, the documents and the simulator.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Text; whole numbers are accepted as names.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
}

/// One column of the well table.
#[derive(Debug, Clone, Copy)]
pub struct ColumnSpec {
    /// The canonical name.
    pub name: &'static str,
    /// What it holds.
    pub column_type: ColumnType,
    /// The unit; empty for none.
    pub unit: &'static str,
    /// Whether a table without it is refused. (`signal` or `response`: one of the two.)
    pub required: bool,
    /// Names by which other tools write it, recognised without a `screen.toml`; compared by letters and digits only.
    pub synonyms: &'static [&'static str],
    /// One line for people.
    pub doc: &'static str,
}

const fn text(name: &'static str, synonyms: &'static [&'static str], doc: &'static str) -> ColumnSpec {
    ColumnSpec { name, column_type: ColumnType::Text, unit: "", required: false, synonyms, doc }
}

const fn integer(name: &'static str, synonyms: &'static [&'static str], doc: &'static str) -> ColumnSpec {
    ColumnSpec { name, column_type: ColumnType::Integer, unit: "", required: false, synonyms, doc }
}

const fn number(
    name: &'static str,
    unit: &'static str,
    synonyms: &'static [&'static str],
    doc: &'static str,
) -> ColumnSpec {
    ColumnSpec { name, column_type: ColumnType::Number, unit, required: false, synonyms, doc }
}

/// Every column of the well table, in the order in which it is written.
pub const WELL_TABLE: &[ColumnSpec] = &[
    text("plate_id", &["plate", "barcode", "plate_barcode", "upid"], "the plate; without it a file is one plate"),
    text("well", &["well_id", "well_name", "well_position"], "place on the plate, A01 to AF48"),
    integer("row", &["well_row"], "row from 1, instead of `well`"),
    integer("col", &["column", "well_column"], "column from 1, instead of `well`"),
    text("cell_line", &["cell_line_name", "cell_name"], "the cell line; blanks may have none"),
    text("role", &["well_role"], "sample, vehicle, positive, blank or empty; without it, told by the doses"),
    text("drug_a", &["drug1", "drug_row", "drug", "drug_name"], "the first drug"),
    text("drug_b", &["drug2", "drug_col", "drug_name_2"], "the second drug"),
    text("drug_c", &["drug3", "drug_name_3"], "the third drug"),
    number(
        "conc_a",
        "conc_unit",
        &["conc1", "conc_r", "conc_row", "conc", "concentration", "drug1_conc"],
        "dose of the first drug; 0 for none",
    ),
    number(
        "conc_b",
        "conc_unit",
        &["conc2", "conc_col", "concentration_2", "drug2_conc"],
        "dose of the second drug; 0 for none",
    ),
    number("conc_c", "conc_unit", &["conc3", "concentration_3", "drug3_conc"], "dose of the third drug; 0 for none"),
    text("conc_unit", &[], "unit of every dose: M, mM, uM, nM, pM, mg/mL, ug/mL, ng/mL"),
    text("conc_a_unit", &["conc_unit1", "conc_r_unit", "drug1_units"], "unit of `conc_a`, before `conc_unit`"),
    text("conc_b_unit", &["conc_unit2", "drug2_units"], "unit of `conc_b`, before `conc_unit`"),
    text("conc_c_unit", &["conc_unit3", "drug3_units"], "unit of `conc_c`, before `conc_unit`"),
    ColumnSpec {
        required: true,
        ..number(
            "signal",
            "reader counts",
            &["raw_signal", "raw_intensity", "readout_value"],
            "raw signal, high for living cells, 0 or more",
        )
    },
    number(
        "response",
        "fraction or percent",
        &[
            "viability_frac",
            "viability_pct",
            "inhibition_frac",
            "inhibition_pct",
            "relative_viability",
            "viability",
            "inhibition",
        ],
        "instead of `signal`: viability or inhibition, already normalised",
    ),
    text("block", &["block_id", "pair_index"], "the dose matrix that the well belongs to, where the data name it"),
    text(
        "replicate",
        &[],
        "the biological replicate; wells of one are technical replicates; without it, a plate is one",
    ),
    text("batch", &["dataset_id"], "batch of plates; quality is told for each"),
    number("time_h", "h", &[], "hours from treatment to reading; one reading a well is expected"),
    number("signal_t0", "reader counts", &[], "signal at the time of treatment, for growth rates"),
    text("schedule", &[], "simultaneous, pre-treatment, …; pairs are scored apart by schedule"),
];

/// The column with this canonical name.
pub fn column(name: &str) -> Option<&'static ColumnSpec> {
    WELL_TABLE.iter().find(|column| column.name == name)
}

/// A column name reduced to what tells it from others: letters and digits, in lower case, so that `drugRow`,
/// `drug_row` and `Drug.Row` are one.
pub fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn no_name_stands_for_two_columns() {
        let mut seen = BTreeMap::new();
        for column in WELL_TABLE {
            for name in column.synonyms.iter().chain([&column.name]) {
                assert_eq!(seen.insert(plain(name), column.name), None, "{name}");
            }
        }
        assert_eq!(seen.get("drugrow"), Some(&"drug_a"));
    }
}
