//! What the columns of somebody else's table mean.

use super::choice::nearest;
use super::screen_file::{LineEntry, ScreenFile};
use crate::screen::dose::ConcentrationUnit;
use crate::screen::schema::{ColumnType, WELL_TABLE, column};
use crate::screen::well::Role;
use crate::screen::{Orientation, Scale};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Names that mean "no drug" where nobody says otherwise; compared without regard to case.
const NO_DRUG: [&str; 8] = ["none", "control", "dmso", "vehicle", "untreated", "nan", "na", "n/a"];

/// What the columns of a table mean. The default is the canonical well table and the names of other tools.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Mapping {
    /// Our column = theirs; several text columns are joined by `/`; an empty list says that there is none.
    pub columns: BTreeMap<String, Vec<String>>,
    /// Our text column = one value for every well.
    pub constants: BTreeMap<String, String>,
    /// Units of `conc_a`, `conc_b`, `conc_c`, where they are given and not read from a column.
    pub units: [Option<String>; 3],
    /// Molar masses in g/mol by drug.
    pub molar_mass: BTreeMap<String, f64>,
    /// What the readings are, where their column's name does not say it.
    pub orientation: Option<Orientation>,
    /// The scale of the readings, where their column's name does not say it.
    pub scale: Option<Scale>,
    /// Values and globs of each role.
    pub roles: Vec<(Role, Vec<String>)>,
    /// Drug names that mean "no drug".
    pub none: Vec<String>,
    /// Their column = the values of the rows to use.
    pub only: BTreeMap<String, Vec<String>>,
    /// What is said of lines.
    pub lines: BTreeMap<String, LineEntry>,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            columns: BTreeMap::new(),
            constants: BTreeMap::new(),
            units: [None, None, None],
            molar_mass: BTreeMap::new(),
            orientation: None,
            scale: None,
            roles: Vec::new(),
            none: NO_DRUG.iter().map(|name| (*name).to_owned()).collect(),
            only: BTreeMap::new(),
            lines: BTreeMap::new(),
        }
    }
}

/// A role column's value that stands for two roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous(pub Role, pub Role);

impl Mapping {
    /// The mapping that a `screen.toml` (or flags) speak of, checked as far as it can be without the data.
    pub(crate) fn resolve(said: &ScreenFile) -> Result<Self> {
        let default = Self::default();
        for ours in said.columns.keys() {
            known_column("columns", ours)?;
        }
        for (ours, theirs) in &said.columns {
            let text = column(ours).is_some_and(|c| c.column_type == ColumnType::Text);
            if theirs.0.len() > 1 && !text {
                return Err(Error::setting(format!("columns.{ours}"), "only columns of text can be joined"));
            }
        }
        for ours in said.constants.keys() {
            known_column("constants", ours)?;
            if column(ours).is_some_and(|c| c.column_type != ColumnType::Text) || ours == "well" {
                return Err(Error::setting(format!("constants.{ours}"), "cannot be one value for every well"));
            }
            if said.columns.contains_key(ours) {
                return Err(Error::setting(format!("constants.{ours}"), "is a column as well: say one of the two"));
            }
        }
        for (drug, mass) in &said.units.molar_mass {
            if !(*mass > 0.0 && mass.is_finite()) {
                return Err(Error::setting(format!("units.molar_mass.{drug}"), format!("{mass} g/mol is not above 0")));
            }
        }
        let units = &said.units;
        for (key, unit) in
            [("conc", &units.conc), ("conc_a", &units.conc_a), ("conc_b", &units.conc_b), ("conc_c", &units.conc_c)]
        {
            if let Some(unit) = unit {
                known_unit(&format!("units.{key}"), unit)?;
            }
        }
        let roles = &said.roles;
        let all: Vec<(Role, Vec<String>)> = [
            (Role::Sample, &roles.sample),
            (Role::Vehicle, &roles.vehicle),
            (Role::Positive, &roles.positive),
            (Role::Blank, &roles.blank),
            (Role::Empty, &roles.empty),
        ]
        .into_iter()
        .filter(|(_, values)| !values.0.is_empty())
        .map(|(role, values)| (role, values.0.clone()))
        .collect();
        let named = |list: &Vec<String>| list.iter().filter(|name| !name.is_empty()).cloned().collect();
        Ok(Self {
            columns: said.columns.iter().map(|(ours, theirs)| (ours.clone(), named(&theirs.0))).collect(),
            constants: said.constants.clone(),
            units: [&units.conc_a, &units.conc_b, &units.conc_c].map(|unit| unit.clone().or(units.conc.clone())),
            molar_mass: units.molar_mass.clone(),
            orientation: said.response.orientation,
            scale: said.response.scale,
            roles: all,
            none: said.none.as_ref().map_or(default.none, |none| none.0.clone()),
            only: said.only.iter().map(|(theirs, values)| (theirs.clone(), values.0.clone())).collect(),
            lines: said.lines.clone(),
        })
    }

    /// The role that a value of the role column stands for: first by equality, then by glob, then by the glob `*`,
    /// then as a canonical name.
    pub fn role(&self, value: &str) -> std::result::Result<Option<Role>, Ambiguous> {
        type Test = fn(&str, &str) -> bool;
        let tiers: [Test; 3] = [|p, v| p == v, |p, v| p != "*" && glob(p, v), |p, _| p == "*"];
        for matches in tiers {
            let mut found = self
                .roles
                .iter()
                .filter(|(_, patterns)| patterns.iter().any(|p| matches(p, value)))
                .map(|(role, _)| *role);
            match (found.next(), found.next()) {
                (Some(one), Some(two)) => return Err(Ambiguous(one, two)),
                (Some(one), None) => return Ok(Some(one)),
                _ => {}
            }
        }
        Ok(Role::parse(value))
    }

    /// Whether a drug's name means that there is no drug.
    pub fn means_no_drug(&self, name: &str) -> bool {
        name.is_empty() || self.none.iter().any(|none| none.eq_ignore_ascii_case(name))
    }
}

fn known_column(section: &str, ours: &str) -> Result<()> {
    if column(ours).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = WELL_TABLE.iter().map(|c| c.name).collect();
    Err(Error::Setting {
        key: format!("{section}.{ours}"),
        problem: format!("unknown column `{ours}`, expected one of `{}`", known.join("`, `")),
        hint: nearest(ours, known).map(|name| format!("did you mean `{name}`?")),
    })
}

/// The unit with this name.
pub(crate) fn known_unit(key: &str, unit: &str) -> Result<ConcentrationUnit> {
    ConcentrationUnit::parse(unit).ok_or_else(|| Error::Setting {
        key: key.to_owned(),
        problem: format!(
            "unknown unit `{unit}`, expected one of `M`, `mM`, `uM`, `nM`, `pM`, `mg/mL`, `ug/mL`, `ng/mL`"
        ),
        hint: None,
    })
}

/// Whether `text` matches `pattern`, in which `*` stands for any characters and `?` for one.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go back to: the last star and the text position that it has swallowed up to.
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                back = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match &mut back {
                Some((star, swallowed)) => {
                    *swallowed += 1;
                    (p, t) = (*star + 1, *swallowed);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(text: &str) -> Result<Mapping> {
        Mapping::resolve(&toml::from_str(text).map_err(|e: toml::de::Error| Error::setting("toml", e.message()))?)
    }

    #[test]
    fn globs_match_as_in_a_shell() {
        for (pattern, text, expected) in [
            ("L*-D*-S", "L1-D12-S", true),
            ("L*-D*-S", "L1-D12", false),
            ("NC-?", "NC-1", true),
            ("NC-?", "NC-10", false),
            ("*", "", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXcYb", false),
            ("", "", true),
            ("", "a", false),
            ("**", "x", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn roles_are_found_by_value_then_glob_then_name() {
        let m = mapping("[roles]\nsample = ['*']\nvehicle = ['NC-*']\npositive = ['NC-9', 'PC-*']\nempty = ['PC*']")
            .unwrap();
        assert_eq!(m.role("NC-1"), Ok(Some(Role::Vehicle)));
        assert_eq!(m.role("NC-9"), Ok(Some(Role::Positive)));
        assert_eq!(m.role("L1"), Ok(Some(Role::Sample)));
        assert_eq!(m.role("PC-1"), Err(Ambiguous(Role::Positive, Role::Empty)));
        let canonical = Mapping::default();
        assert_eq!(canonical.role("Vehicle"), Ok(Some(Role::Vehicle)));
        assert_eq!(canonical.role("neg"), Ok(None));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_key() {
        let message = |text: &str| {
            let error = mapping(text).unwrap_err();
            (error.to_string(), error.hint().map(str::to_owned))
        };
        let (problem, hint) = message("[columns]\ncell_lin = 'x'");
        assert!(
            problem.starts_with("setting `columns.cell_lin`: unknown column `cell_lin`, expected one of `plate_id`, "),
            "{problem}"
        );
        assert_eq!(hint.as_deref(), Some("did you mean `cell_line`?"));
        assert_eq!(
            message("[units]\nconc_b = 'uMol'").0,
            "setting `units.conc_b`: unknown unit `uMol`, expected one of `M`, `mM`, `uM`, `nM`, `pM`, `mg/mL`, `ug/mL`, `ng/mL`"
        );
        assert_eq!(message("[units.molar_mass]\nX = 0").0, "setting `units.molar_mass.X`: 0 g/mol is not above 0");
        assert_eq!(
            message("[constants]\nconc_a = '1'").0,
            "setting `constants.conc_a`: cannot be one value for every well"
        );
        assert_eq!(
            message("[constants]\ndrug_a = 'x'\n[columns]\ndrug_a = 'y'").0,
            "setting `constants.drug_a`: is a column as well: say one of the two"
        );
        assert_eq!(
            message("[columns]\nconc_a = ['x', 'y']").0,
            "setting `columns.conc_a`: only columns of text can be joined"
        );
    }
}
