//! Codes as sentences.

use crate::report::quantity;
use crate::synergy::SynergyModel;
use serde::Serialize;

/// What a code of a flag, a verdict or a reason means; the code with its words apart where nothing better is known.
pub(super) fn explain(code: &str) -> String {
    let known = match code {
        "no_resistant_line" => "the screen has no resistant line: all lines count",
        "no_resistant_matrix" => "not tested in a resistant line",
        "no_parental_matrix" => "not tested in a parental or sensitive line",
        "no_parental_score" => "no score in a parental or sensitive line",
        "parent_without_score" => "a parent has no score: the other sensitive lines stand in for it",
        "lines_without_status" => "some lines are neither resistant nor sensitive for sure",
        "one_line" => "one cell line only",
        "rests_on_one_line" => "rests on one cell line",
        "heterogeneous" => "differs widely between cell lines",
        "spread_between_matrices_only" => "its error is the spread between matrices alone",
        "no_standard_error" => "no standard error",
        "no_differential_error" => "no standard error of resistant − parental",
        "no_pairs_to_add_to" => "the pairs of its drugs were not tested at these doses",
        "anchor_not_in_pair" => "without the drug that lines are resistant to",
        "no_tolerated_partner_dose" => {
            "in some lines no dose of the partner (of both together) leaves half of the cells, or too few doses were given with it"
        }
        "no_plate_quality" => "its plates could not be judged",
        "composite_without_selectivity" => "ranked without resistant − parental, which is not known",
        "composite_without_rescue" => "ranked without rescue, which is not known",
        "composite_without_efficacy" => "ranked without the kill in its best window, which is not known",
        "fold_change_at_least" | "fold_change_at_most" => "the fold change is a bound",
        "rescue_fraction_at_least" | "rescue_fraction_at_most" => "the rescue is a bound",
        "dose_reduction_index_at_least" | "dose_reduction_index_at_most" => "the dose reduction is a bound",
        "fold_change_open" => "the doses do not tell whether the partner changes the potency",
        "rescue_fraction_open" => "the doses do not tell whether resistance is undone",
        "dose_reduction_index_open" => "the doses do not tell a dose reduction",
        "no_rescue_standard_error" => "the rescue has no standard error",
        "both_ic50_out_of_range" => "the IC50 lies beyond the doses tested, with and without the partner",
        "reference_ic50_above_range" | "reference_ic50_below_range" => {
            "the IC50 that it is compared with lies beyond the doses tested"
        }
        "not_resistant" | "no_established_fold_resistance" => "the line's resistance is not established",
        "no_half_effect" => "no dose has half an effect",
        "no_viability_without_anchor" => "too few cells are left without the drug that lines are resistant to",
        "ic50_above_range" => "the IC50 lies above the doses tested",
        "ic50_below_range" => "the IC50 lies below the doses tested",
        "no_anchor_curve" => "the drug that lines are resistant to has no curve of its own here",
        "no_anchor_margin" => "the drug that lines are resistant to was not given alone",
        "annotation_only" => "said by the screen's owner; no evidence for or against it",
        "no_parent" => "no parental line to compare with",
        "discordant_models" => "the reference models disagree",
        "margin_a_flat" => "the first drug alone has no effect",
        "musyc_not_identified" | "musyc_gamma_not_identified" => "the data do not tell a change of potency",
        "ic50_not_identified" => "the data do not tell the IC50",
        "unidentified" => "the data do not tell how large it is",
        "surface_not_identified" => "the data do not tell the interaction",
        "effective_dose_not_identified" => "the data do not tell a change of effective doses",
        "braid_not_identified" | "braid_free_not_identified" => "the data do not tell kappa",
        "margin_b_flat" => "the second drug alone has no effect",
        "no_margins" => "single-drug wells are missing",
        "few_cells" => "few dose pairs",
        "no_common_line" => "no cell line was given both",
        "more_replicates_than_are_practical" => "too small for this noise: even twelve replicates leave it to chance",
        "response_above_2" => "reads more than twice the untreated cells",
        "response_below_minus_half" => "reads far below the low control",
        "out_of_order" => "out of order with its neighbours in dose (failed dispense, bubble)",
        "replicate_spread" => "technical replicates that disagree",
        "dose_shifted" => "a dose that reads otherwise than on other plates",
        "dose_misregistered" => "a dilution series a step beside its label",
        "cluster_of_outliers" | "contaminated" => "neighbouring wells that depart together (contamination, spill)",
        "blank_with_signal" => "a blank that reads like cells",
        "plate_bad" => "on a plate whose verdict is bad",
        _ => return quantity::clip(&code.replace('_', " "), 80),
    };
    known.to_owned()
}

/// Codes joined by `;` as sentences joined by commas.
pub(super) fn explain_all(codes: &str) -> String {
    let codes = codes.split(';').map(str::trim).filter(|c| !c.is_empty());
    codes.take(12).map(explain).collect::<Vec<_>>().join(", ")
}

/// The reference model as people say it.
pub(super) fn reference(model: SynergyModel) -> &'static str {
    match model {
        SynergyModel::Hsa => "HSA",
        SynergyModel::Bliss => "Bliss",
        SynergyModel::Loewe => "Loewe",
        SynergyModel::LoeweGeneralised => "generalised Loewe",
        SynergyModel::LoeweNan => "Loewe (within both drugs' reach)",
        SynergyModel::LoeweWeakest => "Loewe (no further than the weaker drug)",
        SynergyModel::Zip => "ZIP",
        SynergyModel::ZipPaper2015 => "ZIP (2015)",
        SynergyModel::ZipSfplus => "ZIP (synergyfinder)",
        SynergyModel::Schindler => "Schindler",
        SynergyModel::BlissGrowth => "Bliss of growth rates",
        SynergyModel::GdrHsa => "HSA (gDR)",
        SynergyModel::GdrBliss => "Bliss (gDR)",
        SynergyModel::EffectiveDose => "effective dose",
        SynergyModel::Formula(model) => model.name(),
        SynergyModel::Musyc | SynergyModel::MusycGamma => "MuSyC",
        SynergyModel::Braid | SynergyModel::BraidFree => "BRAID",
    }
}

/// What the reference model expects, to follow “expected”.
pub(super) fn reference_meaning(model: SynergyModel) -> &'static str {
    match model {
        SynergyModel::Hsa | SynergyModel::GdrHsa => {
            "if the pair did no more than the better of its two drugs (highest single agent)"
        }
        SynergyModel::Bliss | SynergyModel::GdrBliss => {
            "if the two drugs acted independently (Bliss: surviving shares multiply)"
        }
        SynergyModel::BlissGrowth => "if the two drugs slowed growth independently (growth rates multiply)",
        SynergyModel::Schindler => "by the Hill surface that lies between the two drugs' curves (Schindler)",
        SynergyModel::Formula(_) => "by the fitted surface of the model file without its interaction",
        SynergyModel::EffectiveDose => "if neither drug changed how much of the other counts (effective doses)",
        SynergyModel::Loewe | SynergyModel::LoeweGeneralised | SynergyModel::LoeweNan | SynergyModel::LoeweWeakest => {
            "if each drug merely replaced an equally effective dose of the other (Loewe)"
        }
        SynergyModel::Zip | SynergyModel::ZipPaper2015 | SynergyModel::ZipSfplus => {
            "if neither drug changed the potency of the other (zero interaction potency)"
        }
        SynergyModel::Musyc | SynergyModel::MusycGamma => {
            "by the MuSyC surface of the pair if neither drug changed the potency of the other, nor both did more than the better one"
        }
        SynergyModel::Braid | SynergyModel::BraidFree => {
            "by the BRAID surface of the pair with no interaction (kappa 0)"
        }
    }
}

/// The class of a pair's selectivity, in words.
pub(super) fn selectivity(code: &str) -> String {
    let known = match code {
        "resistant_selective" => "stronger in resistant",
        "shared" => "shared with parental",
        "parental_only" => "parental only",
        "none" => "not established",
        _ => return explain(code),
    };
    known.to_owned()
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Setting {
    key: String,
    value: String,
}

/// Settings as dotted keys and values.
pub(super) fn flatten(settings: &serde_json::Value) -> Vec<Setting> {
    fn walk(prefix: &str, value: &serde_json::Value, out: &mut Vec<Setting>) {
        match value {
            serde_json::Value::Object(map) if !map.is_empty() => {
                for (key, value) in map {
                    let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    walk(&key, value, out);
                }
            }
            value => {
                let text = match value {
                    serde_json::Value::String(text) => text.clone(),
                    serde_json::Value::Null => "not set".to_owned(),
                    serde_json::Value::Array(values) if values.iter().all(serde_json::Value::is_string) => {
                        values.iter().filter_map(|v| v.as_str()).collect::<Vec<_>>().join(", ")
                    }
                    other => other.to_string(),
                };
                out.push(Setting { key: quantity::clip(prefix, 120), value: quantity::clip(&text, 1000) });
            }
        }
    }
    let mut out = Vec::new();
    walk("", settings, &mut out);
    out.sort_by(|a, b| a.key.cmp(&b.key));
    out.truncate(500);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_sentences_and_unknown_ones_stay_readable() {
        assert_eq!(explain_all("no_parent;few_cells"), "no parental line to compare with, few dose pairs");
        assert_eq!(explain_all("something_new; "), "something new");
        assert_eq!(explain_all(""), "");
    }

    #[test]
    fn settings_are_dotted_and_sorted() {
        let settings =
            serde_json::json!({"seed": 7, "fit": {"model": "hill4", "box": [1, 2]}, "s": ["a", "b"], "x": null});
        let flat: Vec<_> = flatten(&settings).into_iter().map(|s| format!("{}={}", s.key, s.value)).collect();
        assert_eq!(flat, ["fit.box=[1,2]", "fit.model=hill4", "s=a, b", "seed=7", "x=not set"]);
    }
}
