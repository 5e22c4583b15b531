//! The demo screen's recipe: clofarabine with twelve partners on three leukaemia lines and a clofarabine-resistant
//! subline of each. The truth is planted; `datasets/README.md` says which number comes from where.

use super::recipe::{Artefacts, DrugRecipe, LineRecipe, PairRecipe, Planted, PlateFormat, Recipe};
use super::surface::{Interaction, TrueCurve};
use crate::screen::line::LineStatus;

/// One value a line, in the order of [`LINES`].
type PerLine<T> = [T; 6];

/// Name, parent and mechanism (of a subline), counts before treatment, doubling time in hours.
type Line = (&'static str, Option<&'static str>, Option<&'static str>, f64, f64);

const LINES: PerLine<Line> = [
    ("CCRF-CEM", None, None, 1.6e5, 24.0),
    ("CCRF-CEM/CLO-dCK", Some("CCRF-CEM"), Some("loss of dCK"), 1.7e5, 27.0),
    ("HL-60", None, None, 1.8e5, 26.0),
    ("HL-60/CLO-ABCG2", Some("HL-60"), Some("ABCG2 efflux"), 2.0e5, 29.0),
    ("MOLM-13", None, None, 2.0e5, 28.0),
    ("MOLM-13/CLO-BCL", Some("MOLM-13"), Some("BCL-2 up"), 2.1e5, 31.0),
];

/// Clofarabine's concentrations at viability one half in µM: 0.01–0.1 in lines that respond, and 60, 12 and 25 times
/// the parent's in the sublines.
const CLOFARABINE_IC50: PerLine<f64> = [0.020, 1.2, 0.035, 0.42, 0.050, 1.25];

/// A partner drug and what it does with clofarabine.
struct Partner {
    name: &'static str,
    schedule: &'static str,
    /// Highest concentration in µM.
    top_um: f64,
    hill: f64,
    bottom: f64,
    /// Concentrations in µM at viability one half; at half effect for drugs that never get there.
    ic50_um: PerLine<f64>,
    planted: Planted,
    interactions: PerLine<Interaction>,
}

/// Every nonzero dose is this many times the one before.
const DOSE_STEP: f64 = 4.0;
/// Nonzero doses of each drug.
const DOSE_STEPS: i32 = 6;

const SIMULTANEOUS: &str = "simultaneous";
const NONE: Interaction = Interaction::NONE;

/// Interactions: drug 1 is clofarabine, drug 2 the partner.
const PARTNERS: [Partner; 12] = [
    Partner {
        name: "cytarabine",
        schedule: SIMULTANEOUS,
        top_um: 10.0,
        hill: 1.3,
        bottom: 0.08,
        // Needs dCK as clofarabine does: where that is lost it is lost too, and there is nothing to be gained.
        ic50_um: [0.4, 16.0, 0.6, 1.2, 0.5, 1.5],
        planted: Planted::Shared,
        interactions: [
            Interaction::mutual(2.5, 2.5),
            NONE,
            Interaction::mutual(2.5, 2.5),
            Interaction::mutual(3.0, 3.0),
            Interaction::mutual(2.5, 2.5),
            Interaction::mutual(3.0, 3.0),
        ],
    },
    Partner {
        name: "bortezomib",
        schedule: SIMULTANEOUS,
        top_um: 0.1,
        hill: 1.2,
        bottom: 0.3,
        ic50_um: [0.010, 0.012, 0.012, 0.012, 0.010, 0.015],
        planted: Planted::ResistantSelective,
        interactions: [
            Interaction::mutual(1.2, 1.2),
            Interaction::mutual(25.0, 5.0).with_extra_kill(0.3),
            Interaction::mutual(1.2, 1.2),
            Interaction::mutual(18.0, 5.0).with_extra_kill(0.3),
            Interaction::mutual(1.2, 1.2),
            Interaction::mutual(18.0, 5.0).with_extra_kill(0.3),
        ],
    },
    Partner {
        name: "venetoclax",
        schedule: SIMULTANEOUS,
        top_um: 10.0,
        hill: 1.0,
        bottom: 0.25,
        ic50_um: [3.37, 3.0, 0.8, 1.5, 0.02, 0.6],
        planted: Planted::ResistantSelective,
        interactions: [
            Interaction::mutual(1.5, 1.5),
            Interaction::mutual(60.0, 20.0).with_extra_kill(0.5),
            Interaction::mutual(1.5, 1.5),
            Interaction::mutual(60.0, 20.0).with_extra_kill(0.5),
            Interaction::mutual(1.2, 1.2),
            Interaction::mutual(100.0, 30.0).with_extra_kill(0.8),
        ],
    },
    Partner {
        name: "S63845",
        schedule: SIMULTANEOUS,
        top_um: 2.5,
        hill: 1.2,
        bottom: 0.3,
        ic50_um: [0.3, 0.3, 0.15, 0.2, 0.08, 0.4],
        planted: Planted::ResistantSelective,
        interactions: [
            Interaction::mutual(1.2, 1.2),
            Interaction::mutual(4.0, 2.0),
            Interaction::mutual(1.2, 1.2),
            Interaction::mutual(4.0, 2.0),
            Interaction::mutual(1.2, 1.2),
            Interaction::mutual(40.0, 10.0).with_extra_kill(0.5),
        ],
    },
    Partner {
        name: "melatonin",
        schedule: "pre-treatment",
        top_um: 1000.0,
        hill: 1.2,
        bottom: 0.85,
        ic50_um: [150.0; 6],
        planted: Planted::ResistantSelective,
        interactions: [NONE, Interaction::sensitises(12.0), NONE, NONE, NONE, NONE],
    },
    Partner {
        name: "Ko143",
        schedule: SIMULTANEOUS,
        top_um: 1.0,
        hill: 1.0,
        bottom: 0.98,
        ic50_um: [0.03; 6],
        planted: Planted::ResistantSelective,
        // The transporter is all that protects this subline, so blocking it gives back most of the 12-fold.
        interactions: [NONE, NONE, NONE, Interaction::sensitises(10.0), NONE, NONE],
    },
    Partner {
        name: "dexamethasone",
        schedule: SIMULTANEOUS,
        top_um: 1.0,
        hill: 1.0,
        bottom: 0.97,
        ic50_um: [0.02; 6],
        planted: Planted::None,
        interactions: [NONE; 6],
    },
    Partner {
        name: "imatinib",
        schedule: SIMULTANEOUS,
        top_um: 10.0,
        hill: 1.5,
        bottom: 0.95,
        ic50_um: [4.0; 6],
        planted: Planted::None,
        interactions: [NONE; 6],
    },
    Partner {
        name: "hydroxyurea",
        schedule: SIMULTANEOUS,
        top_um: 1000.0,
        hill: 1.5,
        bottom: 0.15,
        ic50_um: [150.0, 160.0, 200.0, 200.0, 180.0, 220.0],
        planted: Planted::None,
        interactions: [NONE; 6],
    },
    Partner {
        name: "vorinostat",
        schedule: SIMULTANEOUS,
        top_um: 5.0,
        hill: 1.8,
        bottom: 0.08,
        ic50_um: [0.7, 0.7, 0.9, 1.0, 0.8, 0.9],
        planted: Planted::None,
        interactions: [NONE; 6],
    },
    Partner {
        name: "fludarabine",
        schedule: SIMULTANEOUS,
        top_um: 40.0,
        hill: 1.4,
        bottom: 0.1,
        ic50_um: [2.0, 30.0, 3.0, 3.0, 2.5, 5.0],
        planted: Planted::None,
        interactions: [NONE; 6],
    },
    Partner {
        name: "palbociclib",
        schedule: SIMULTANEOUS,
        top_um: 10.0,
        hill: 1.0,
        bottom: 0.55,
        ic50_um: [0.3, 0.3, 0.2, 0.25, 0.4, 0.4],
        planted: Planted::Antagonistic,
        // Cells held before S phase take up less of a drug that kills in S phase.
        interactions: [Interaction::sensitises(0.3); 6],
    },
];

/// Six concentrations ending at `top_um`.
fn doses_um(top_um: f64) -> Vec<f64> {
    (0..DOSE_STEPS).rev().map(|step| top_um / DOSE_STEP.powi(step)).collect()
}

impl Recipe {
    /// The demo screen: 36 plates of 384 wells, 6 lines, 12 pairs as 7 × 7 matrices, 3 replicates.
    pub fn leukaemia_demo() -> Self {
        let lines = LINES.map(|(name, parental, mechanism, signal_t0, doubling_time_h)| LineRecipe {
            name: name.into(),
            parental: parental.map(Into::into),
            status: if parental.is_some() { LineStatus::Resistant } else { LineStatus::Parental },
            mechanism: mechanism.map(Into::into),
            signal_t0,
            doubling_time_h,
        });
        let mut drugs = vec![DrugRecipe {
            name: "clofarabine".into(),
            doses_um: doses_um(10.0),
            responses: CLOFARABINE_IC50.map(|ic50| TrueCurve::from_ic50(ic50, 1.6, 0.03)).into(),
        }];
        drugs.extend(PARTNERS.iter().map(|partner| DrugRecipe {
            name: partner.name.into(),
            doses_um: doses_um(partner.top_um),
            responses: partner.ic50_um.map(|ic50| TrueCurve::from_ic50(ic50, partner.hill, partner.bottom)).into(),
        }));
        let pairs = PARTNERS.iter().enumerate().map(|(i, partner)| PairRecipe {
            drug_a: 0,
            drug_b: i + 1,
            schedule: partner.schedule,
            planted: partner.planted,
            interactions: partner.interactions.into(),
        });
        Recipe {
            seed: 20_130_401,
            format: PlateFormat::Wells384,
            anchor: 0,
            lines: lines.into(),
            pairs: pairs.collect(),
            drugs,
            replicates: 3,
            plate_limit: None,
            time_h: 72.0,
            artefacts: Artefacts::ORDINARY,
        }
    }
}
